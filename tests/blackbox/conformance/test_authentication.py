"""Choosing how to authenticate (AU), as far as it concerns sessions without credentials."""

from harness import messages as m
from harness.peers import Peers


def test_AU_001_no_common_method(wamp: Peers) -> None:
    """HELLO that offers only methods which the router does not have is answered by ABORT no_matching_auth_method."""
    session = wamp.connect()
    session.hello("realm1", authmethods=["ticket", "wampcra"])
    session.expect_abort("wamp.error.no_matching_auth_method")
    session.join(authmethods=["anonymous"])


def test_AU_002_unknown_methods(wamp: Peers) -> None:
    """Methods that are unknown are passed over, and the next one is used."""
    session = wamp.connect()
    session.join(authmethods=["telepathy", "anonymous", "ticket"])
    assert session.details["authmethod"] == "anonymous"
    session.barrier()


def test_AU_022_unasked_authenticate(wamp: Peers) -> None:
    """AUTHENTICATE without a CHALLENGE is a protocol violation."""
    session = wamp.connect()
    session.send(m.AUTHENTICATE, "signature", {})
    session.expect_violation()


def test_AU_024_anonymous(wamp: Peers) -> None:
    """Where it is allowed, a session without credentials is welcome, and is told that it is anonymous."""
    for offered in ({}, {"authmethods": ["anonymous"]}):
        details = wamp.connect().join(**offered).details
        assert (details["authmethod"], details["authrole"]) == ("anonymous", "anonymous")
        assert details["authid"]


def test_AU_026_role_of_another_realm(wamp: Peers) -> None:
    """HELLO for a realm that lacks the role which the session would have is answered by ABORT no_such_role."""
    session = wamp.connect("special")
    session.hello("realm1")
    session.expect_abort("wamp.error.no_such_role")
    assert session.join("meta").details["authrole"] == "special"
