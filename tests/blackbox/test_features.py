"""What WELCOME announces is tested, and what is tested is announced."""

import re
from collections.abc import Callable
from pathlib import Path

from harness.peers import Peers
from harness.router import Router
from harness.serializers import ALL
from harness.wire import Address

HERE = Path(__file__).parent

# The conformance lines that hold each feature: a group, or single lines.
BROKER = {
    "event_history": ["EH"],
    "event_retention": ["ER"],
    "pattern_based_subscription": ["PP"],
    "payload_encryption_cryptobox": ["PT"],
    "payload_passthru_mode": ["PT"],
    "payload_transparency": ["PT"],
    "publication_trustlevels": ["PI_006"],
    "publisher_exclusion": ["PX_001", "PX_002"],
    "publisher_identification": ["PI"],
    "session_meta_api": ["MS"],
    "subscriber_blackwhite_listing": ["PX_003", "PX_004", "PX_010", "PX_012"],
    "subscription_meta_api": ["MB"],
    "subscription_revocation": ["RV"],
}
DEALER = {
    "call_canceling": ["CC"],
    "call_reroute": ["CR"],
    "call_timeout": ["CT"],
    "call_trustlevels": ["PI_007"],
    "caller_identification": ["CI"],
    "pattern_based_registration": ["PR"],
    "payload_encryption_cryptobox": ["PT"],
    "payload_passthru_mode": ["PT"],
    "payload_transparency": ["PT"],
    "progressive_call_invocations": ["PG"],
    "progressive_call_results": ["PC"],
    "registration_meta_api": ["MR"],
    "registration_revocation": ["RV"],
    "session_meta_api": ["MS"],
    "shared_registration": ["SR"],
    "testament_meta_api": ["TM"],
}


def test_every_announced_feature_has_tests(own_router: Callable[..., Router]) -> None:
    """No feature is announced without conformance tests of its own, which all have to pass."""
    peers = Peers({("rawsocket", "anonymous"): Address(own_router().ports[0])}, "rawsocket", ALL[0], 1)
    roles = peers.join().details["roles"]
    peers.close()
    assert roles["broker"]["features"].keys() == BROKER.keys()
    assert roles["dealer"]["features"].keys() == DEALER.keys()
    source = "".join(file.read_text() for file in HERE.glob("*/test_*.py"))
    tests = set(re.findall(r"^def test_([A-Z]{2}_\d{3})_", source, re.MULTILINE))
    for feature, lines in [*BROKER.items(), *DEALER.items()]:
        for line in lines:
            assert any(test.startswith(line) for test in tests), f"{feature} is announced, and {line} has no test"
