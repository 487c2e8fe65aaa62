"""Comparing values of messages: Python holds 1, 1.0 and True to be equal, WAMP's serializers do not."""


def same(one: object, other: object) -> bool:
    """Equal in value and type, at any depth."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        if one.keys() != other.keys() or {type(key) for key in one} != {type(key) for key in other}:
            return False
        return all(same(one[key], other[key]) for key in one)
    return one == other
