"""What WELCOME announces is tested, and what is tested is announced."""

import re
from collections.abc import Callable
from pathlib import Path

from conformance_table import check_lines
from conftest import LINE
from harness.peers import Peers
from harness.router import Router
from harness.serializers import ALL
from harness.wire import Address

HERE = Path(__file__).parent

# The tests that hold each feature: a group of conformance lines, or single ones, or others by name.
BROKER = {
    "event_history": ["EH"],
    "event_retention": ["ER"],
    "pattern_based_subscription": ["PP"],
    "payload_encryption_cryptobox": ["transparent_payload"],
    "payload_passthru_mode": ["PT"],
    "payload_transparency": ["transparent_payload", "bare_octets_need_enc_algo"],
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
    "payload_encryption_cryptobox": ["transparent_payload"],
    "payload_passthru_mode": ["PT"],
    "payload_transparency": ["transparent_payload", "bare_octets_need_enc_algo"],
    "progressive_call_invocations": ["PG"],
    "progressive_call_results": ["PC"],
    "registration_meta_api": ["MR"],
    "registration_revocation": ["RV"],
    "session_meta_api": ["MS"],
    "shared_registration": ["SR"],
    "testament_meta_api": ["TM"],
}


def names_of_tests() -> set[str]:
    """The names of all tests, without what all begin with."""
    source = "".join(file.read_text() for file in HERE.glob("*/test_*.py"))
    return set(re.findall(r"^def test_(\w+)\(", source, re.MULTILINE))


def test_every_announced_feature_has_tests(own_router: Callable[..., Router]) -> None:
    """No feature is announced without conformance tests of its own, which all have to pass."""
    peers = Peers({("rawsocket", "anonymous"): Address(own_router().ports[0])}, "rawsocket", ALL[0])
    roles = peers.join().details["roles"]
    peers.close()
    assert roles["broker"]["features"].keys() == BROKER.keys()
    assert roles["dealer"]["features"].keys() == DEALER.keys()
    for feature, lines in [*BROKER.items(), *DEALER.items()]:
        for line in lines:
            assert any(test.startswith(line) for test in names_of_tests()), f"{feature} is announced, and {line} has no test"


def test_every_line_is_tested_or_known_not_to_be() -> None:
    """No conformance line is forgotten."""
    check_lines({f"{test[:2]}-{test[3:6]}" for test in names_of_tests() if LINE.match(f"test_{test}")})
