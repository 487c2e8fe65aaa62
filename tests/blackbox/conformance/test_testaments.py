"""Testaments (TM)."""

from collections.abc import Callable

import pytest
from harness import messages as m
from harness.meta import INVALID_ARGUMENT, Watcher, ask, refused
from harness.peers import Peers
from harness.serializers import CBOR, MSGPACK, Serializer
from harness.session import Session
from harness.values import same

ADD = "wamp.session.add_testament"
FLUSH = "wamp.session.flush_testaments"


@pytest.fixture
def heir(wamp: Peers) -> Session:
    """A session that subscribes to the topic of the testaments."""
    session = wamp.join()
    session.subscribe(wamp.uri("will"))
    return session


def will(wamp: Peers, *args: object, identity: str = "anonymous", **kwargs: object) -> Session:
    """A session with one testament of these arguments."""
    session = wamp.join(identity=identity)
    ask(session, ADD, wamp.uri("will"), list(args), {}, **kwargs)
    return session


def test_TM_001_after_loss(wamp: Peers, heir: Session) -> None:
    """A testament is published with its payload when the connection is lost."""
    session = wamp.join()
    args, kwargs = [1, 1.0, "zwei", None, 2.5, [True, False, 0, {"a": []}]], {"key": {"deep": [1]}}
    publication = ask(session, ADD, wamp.uri("will"), args, kwargs)
    heir.barrier()
    session.transport.reset()
    event = heir.event()
    assert event[2] == publication and same(event[4:], [args, kwargs])


@pytest.mark.parametrize("way", ["goodbye", "abort", "violation", "close"])
def test_TM_002_however_it_ends(wamp: Peers, heir: Session, way: str) -> None:
    """A testament is published when the session ends by GOODBYE, ABORT, a violation or a closed transport."""
    session = will(wamp, way)
    match way:
        case "goodbye":
            session.leave()
        case "abort":
            session.send(m.ABORT, {}, "wamp.close.normal")
        case "violation":
            session.send(m.WELCOME, 1, {})
        case "close":
            session.close()
    heir.event(args=[way])
    heir.barrier()


def test_TM_003_in_order(wamp: Peers, heir: Session) -> None:
    """Several testaments are published in the order in which they were added."""
    session = will(wamp, 0)
    for number in range(1, 8):
        ask(session, ADD, wamp.uri("will"), [number], {})
    session.leave()
    for number in range(8):
        heir.event(args=[number])


def test_TM_004_detached_first(wamp: Peers, heir: Session) -> None:
    """Testaments of scope detached come before those of scope destroyed."""
    session = will(wamp, "destroyed", scope="destroyed")
    ask(session, ADD, wamp.uri("will"), ["detached"], {}, scope="detached")
    session.leave()
    heir.event(args=["detached"])
    heir.event(args=["destroyed"])


@pytest.mark.parametrize("scope", ["absent", "destroyed", "detached"])
def test_TM_005_flush(wamp: Peers, heir: Session, scope: str) -> None:
    """wamp.session.flush_testaments drops the testaments of its scope only; without scope, those destroyed."""
    session = will(wamp, "destroyed", scope="destroyed")
    ask(session, ADD, wamp.uri("will"), ["detached"], {}, scope="detached")
    assert ask(session, FLUSH, **({} if scope == "absent" else {"scope": scope})) == 1
    session.leave()
    heir.event(args=["destroyed" if scope == "detached" else "detached"])
    wamp.fence(wamp.join(), heir)


def test_TM_006_publish_options(wamp: Peers, heir: Session) -> None:
    """A testament's publish options decide who receives it, and whether its publisher is disclosed."""
    alice = wamp.join(identity="alice")
    alice.subscribe(wamp.uri("will"))
    session = will(wamp, "first", publish_options={"eligible_authrole": ["frontend"], "disclose_me": True})
    ask(session, ADD, wamp.uri("will"), ["second"], {}, publish_options={"exclude_authid": ["alice"]})
    ask(session, ADD, wamp.uri("will"), ["third"], {}, {"exclude": [heir.id]})
    session.leave()
    assert alice.event(args=["first"])[3]["publisher"] == session.id
    alice.event(args=["third"])
    assert "publisher" not in heir.event(args=["second"])[3]
    wamp.fence(wamp.join(), heir, alice)


def test_TM_007_acknowledge(wamp: Peers, heir: Session) -> None:
    """A testament's acknowledge option is ignored."""
    session = will(wamp, 1, publish_options={"acknowledge": True})
    session.leave()
    heir.event(args=[1])


@pytest.mark.parametrize("scope", ["never", "", 1])
def test_TM_008_wrong_scope(wamp: Peers, scope: object) -> None:
    """An unknown scope is answered by invalid_argument."""
    session = wamp.join()
    refused(session, INVALID_ARGUMENT, ADD, wamp.uri("will"), [], {}, scope=scope)
    refused(session, INVALID_ARGUMENT, FLUSH, scope=scope)


def test_TM_009_not_authorized(wamp: Peers) -> None:
    """A testament for a topic that the session may not publish to is refused when it is added."""
    session = wamp.join(identity="testator")
    refused(session, "wamp.error.not_authorized", ADD, "closed.topic", [], {})
    refused(session, "wamp.error.invalid_uri", ADD, "wamp.session.on_join", [], {})
    refused(session, "wamp.error.invalid_uri", ADD, "a..b", [], {})
    assert ask(session, ADD, "open.topic", [], {})


def test_TM_010_killed(wamp: Peers, heir: Session) -> None:
    """The testaments of a killed session are published, those of wamp.session.kill_all's victims are not."""
    for procedure, argument in (("kill", None), ("kill_by_authid", "alice"), ("kill_by_authrole", "frontend")):
        session = will(wamp, procedure, identity="alice")
        ask(wamp.join(), f"wamp.session.{procedure}", argument or session.id)
        heir.event(args=[procedure])
    caller = wamp.join("meta")
    caller.subscribe(wamp.uri("will"))
    victim = wamp.join("meta")
    ask(victim, ADD, wamp.uri("will"), [], {})
    ask(caller, "wamp.session.kill_all")
    victim.expect(m.GOODBYE, {}, "wamp.close.killed")
    victim.send(m.GOODBYE, {}, "wamp.close.goodbye_and_out")
    victim.expect_closed()
    caller.barrier()


def test_TM_011_before_on_leave(wamp: Peers) -> None:
    """Testaments are published before on_leave."""
    watcher = Watcher(wamp, wamp.uri("will"), "wamp.session.on_leave")
    session = wamp.join()
    ask(session, ADD, wamp.uri("will"), [session.id], {})
    session.leave()
    assert watcher.about(session.id) == ("will", [session.id])
    assert watcher.about(session.id)[0] == "on_leave"


def test_the_session_itself_hears_none(wamp: Peers, heir: Session) -> None:
    """The session that left a testament does not receive it, nor does its successor on the same connection."""
    session = will(wamp, "gone")
    session.subscribe(wamp.uri("will"))
    session.leave()
    heir.event(args=["gone"])
    session.join()
    session.barrier()


def test_too_many_testaments(wamp: Peers, heir: Session) -> None:
    """What a session may leave behind is limited."""
    session = wamp.join()
    for _ in range(100):
        ask(session, ADD, wamp.uri("other"), [], {})
    refused(session, "crosspoint.error.limit_exceeded", ADD, wamp.uri("will"), [], {})
    assert ask(session, FLUSH) == 100
    ask(session, ADD, wamp.uri("will"), [1], {})
    session.leave()
    heir.event(args=[1])


@pytest.mark.parametrize("serializer", [MSGPACK, CBOR], ids=lambda serializer: serializer.name)
def test_keywords_have_text_as_keys(wamp_of: Callable[[str], Peers], serializer: Serializer) -> None:
    """A testament is refused whose keyword arguments are none, as a publication would be."""
    peers = wamp_of("websocket")
    session = peers.join(serializer=serializer)
    refused(session, INVALID_ARGUMENT, ADD, peers.uri("will"), [], {1: 2})
    ask(session, ADD, peers.uri("will"), [{1: 2}], {"a": {1: 2}})
