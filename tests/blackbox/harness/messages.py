"""WAMP's message codes, and the features that the raw client announces unless told otherwise."""

HELLO = 1
WELCOME = 2
ABORT = 3
CHALLENGE = 4
AUTHENTICATE = 5
GOODBYE = 6
ERROR = 8
PUBLISH = 16
PUBLISHED = 17
SUBSCRIBE = 32
SUBSCRIBED = 33
UNSUBSCRIBE = 34
UNSUBSCRIBED = 35
EVENT = 36
CALL = 48
CANCEL = 49
RESULT = 50
REGISTER = 64
REGISTERED = 65
UNREGISTER = 66
UNREGISTERED = 67
INVOCATION = 68
INTERRUPT = 69
YIELD = 70


def roles(**features: tuple[str, ...]) -> dict:
    """HELLO.Details.roles that announces the named features of each named role."""
    return {role: {"features": dict.fromkeys(names, True)} for role, names in features.items()}


CALLEE_FEATURES = (
    "call_canceling",
    "call_reroute",
    "call_timeout",
    "caller_identification",
    "pattern_based_registration",
    "payload_passthru_mode",
    "progressive_call_invocations",
    "progressive_call_results",
    "shared_registration",
)

ALL_ROLES = roles(
    publisher=(
        "event_retention",
        "payload_passthru_mode",
        "publisher_exclusion",
        "publisher_identification",
        "subscriber_blackwhite_listing",
    ),
    subscriber=(
        "event_retention",
        "pattern_based_subscription",
        "payload_passthru_mode",
        "publisher_identification",
    ),
    caller=(
        "call_canceling",
        "call_timeout",
        "caller_identification",
        "payload_passthru_mode",
        "progressive_call_invocations",
        "progressive_call_results",
    ),
    callee=CALLEE_FEATURES,
)

VIOLATION = "wamp.error.protocol_violation"
