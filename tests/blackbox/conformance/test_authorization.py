"""What a role may do (AZ)."""

import pytest
from harness import messages as m
from harness.peers import Peers
from harness.session import Session

DENIED = "wamp.error.not_authorized"


def denied(session: Session, kind: int, uri: str, **options: object) -> None:
    """The request is answered by ERROR not_authorized."""
    request = session.request(kind, options, uri)
    session.expect_error(kind, request, DENIED)


def allowed(session: Session, kind: int, uri: str, **options: object) -> None:
    """The request is answered by success, or by an error that lies beyond authorisation."""
    request = session.request(kind, options, uri)
    reply = session.recv()
    if kind == m.CALL:
        assert reply[:5] == [m.ERROR, m.CALL, request, {}, "wamp.error.no_such_procedure"], reply
    else:
        assert reply[:2] == [kind + 1, request], reply
    if kind == m.REGISTER:
        session.unregister(reply[2])


@pytest.mark.parametrize("uri", ["closed.x", "write.x", "open.closed.x", "openx", "only.this.one", "wild.a.other"])
def test_AZ_001_subscribe(wamp: Peers, uri: str) -> None:
    """SUBSCRIBE that is not allowed is answered by not_authorized."""
    denied(wamp.join(identity="limited"), m.SUBSCRIBE, uri)


@pytest.mark.parametrize("uri", ["closed.x", "read.x", "open.closed.x", "only.this.one"])
def test_AZ_002_register(wamp: Peers, uri: str) -> None:
    """REGISTER that is not allowed is answered by not_authorized."""
    denied(wamp.join(identity="limited"), m.REGISTER, uri)


@pytest.mark.parametrize("uri", ["closed.x", "write.x", "open.closed.x"])
def test_AZ_002_call(wamp: Peers, uri: str) -> None:
    """CALL that is not allowed is answered by not_authorized, whether or not the procedure exists."""
    session, owner = wamp.join(identity="limited"), wamp.join()
    denied(session, m.CALL, uri)
    registration = owner.register(uri)
    denied(session, m.CALL, uri)
    owner.unregister(registration)
    owner.barrier()


@pytest.mark.parametrize("uri", ["closed.x", "read.x", "open.closed.x"])
def test_AZ_003_publish(wamp: Peers, uri: str) -> None:
    """PUBLISH that is not allowed is answered by not_authorized if acknowledged, and delivers nothing."""
    session, witness = wamp.join(identity="limited"), wamp.join()
    witness.subscribe(uri)
    denied(session, m.PUBLISH, uri, acknowledge=True)
    session.publish(uri)
    session.barrier()
    fence = witness.subscribe("open.fence")
    session.publish("open.fence", ["end"])
    witness.event(fence, ["end"])


@pytest.mark.parametrize(
    ("match", "pattern"),
    [("prefix", "open"), ("prefix", "op"), ("prefix", ""), ("wildcard", ".x"), ("wildcard", ".."), ("wildcard", ".open.")],
    ids=str,
)
@pytest.mark.parametrize("kind", [m.SUBSCRIBE, m.REGISTER])
def test_AZ_004_broader_pattern(wamp: Peers, kind: int, match: str, pattern: str) -> None:
    """A permission for a prefix does not allow a pattern that reaches beyond it."""
    denied(wamp.join(identity="limited"), kind, pattern, match=match)


@pytest.mark.parametrize("kind", [m.SUBSCRIBE, m.REGISTER])
def test_pattern_inside_a_prefix(wamp: Peers, kind: int) -> None:
    """A permission for a prefix allows patterns inside it."""
    session = wamp.join(identity="limited")
    allowed(session, kind, f"open.{wamp.uri('x')}", match="prefix")
    allowed(session, kind, f"open.{wamp.uri('x')}..y", match="wildcard")
    allowed(session, kind, "open.", match="wildcard")


@pytest.mark.parametrize(
    ("kind", "uris"),
    {
        m.SUBSCRIBE: ["open.x", "read.x", "only.this", "wild.any.card"],
        m.REGISTER: ["open.x", "write.x", "only.this", "wild.any.card"],
        m.CALL: ["open.x", "read.x", "only.this", "wild.any.card"],
        m.PUBLISH: ["open.x", "write.x", "only.this", "wild.any.card"],
    }.items(),
)
def test_what_is_allowed(wamp: Peers, kind: int, uris: list[str]) -> None:
    """Exact, prefix and wildcard permissions allow what they name."""
    session = wamp.join(identity="limited")
    for uri in uris:
        allowed(session, kind, uri, **({"acknowledge": True} if kind == m.PUBLISH else {}))
