"""UBJSON, draft 12, as clients wrote it before autobahn 26.6: big-endian, and byte strings are lists of uint8."""

import struct

import bjdata


def dumps(value: object) -> bytes:
    """The octets of a value."""
    if value is None:
        return b"Z"
    if isinstance(value, bool):
        return b"T" if value else b"F"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return b"D" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return b"C" + data if len(data) == 1 else b"S" + _integer(len(data)) + data
    if isinstance(value, bytes):
        return b"[$U#" + _integer(len(value)) + value
    if isinstance(value, dict):
        return b"{" + b"".join(_key(key) + dumps(item) for key, item in value.items()) + b"}"
    assert isinstance(value, list), f"{value!r} has no form in UBJSON"
    return b"[" + b"".join(map(dumps, value)) + b"]"


def loads(data: bytes) -> object:
    """The value of octets."""
    return bjdata.loadb(data, islittle=False, uint8_bytes=True)


def _integer(value: int) -> bytes:
    if 0 <= value < 1 << 8:
        return b"U" + struct.pack(">B", value)
    for marker, code, bits in ((b"i", ">b", 8), (b"I", ">h", 16), (b"l", ">i", 32), (b"L", ">q", 64)):
        if -(1 << bits - 1) <= value < 1 << bits - 1:
            return marker + struct.pack(code, value)
    digits = str(value).encode()
    return b"H" + _integer(len(digits)) + digits


def _key(key: str) -> bytes:
    data = key.encode()
    return _integer(len(data)) + data
