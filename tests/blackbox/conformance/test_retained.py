"""Event retention (ER)."""

import itertools
import time

import pytest
from harness import messages as m
from harness.peers import Peers
from harness.session import ANY, Session
from harness.values import same

FENCES = itertools.count()
NAMES = {"publisher", "publisher_authid", "publisher_authrole"}


def retain(publisher: Session, topic: str, args: list, **options: object) -> int:
    """Publishes to be retained; the publication id."""
    return publisher.publish_ack(topic, args, retain=True, **options)


def retained(wamp: Peers, session: Session, name: str, count: int = 1, **options: object) -> list[list]:
    """The events that a SUBSCRIBE with get_retained brings, and no more than these."""
    subscription = session.subscribe(wamp.uri(name), get_retained=True, **options)
    events = [session.event(subscription) for _ in range(count)]
    assert all(event[3]["retained"] is True for event in events), events
    # A pattern asks all shards, after what was asked before.
    fence = wamp.uri(f"-fence{next(FENCES)}")
    retain(session, fence, ["fence"], exclude_me=False)
    session.event(session.subscribe(fence, match="prefix", get_retained=True), ["fence"])
    return events


def test_ER_001_retained_event(wamp: Peers) -> None:
    """A later subscriber with get_retained gets the retained event, which says so."""
    publisher, session = wamp.join_many(2)
    retain(publisher, wamp.uri("topic"), ["kept"])
    (event,) = retained(wamp, session, "topic")
    assert same(event[3:], [{"retained": True}, ["kept"]])


def test_ER_001_every_subscribe(wamp: Peers) -> None:
    """A session that is subscribed already gets the retained event with each SUBSCRIBE that asks for it."""
    publisher, session = wamp.join_many(2)
    retain(publisher, wamp.uri("topic"), ["kept"])
    session.subscribe(wamp.uri("topic"))
    for _ in range(2):
        assert retained(wamp, session, "topic")[0][4] == ["kept"]


def test_ER_002_after_subscribed(wamp: Peers) -> None:
    """The retained event comes after SUBSCRIBED."""
    publisher, *sessions = wamp.join_many(4)
    retain(publisher, wamp.uri("topic"), ["kept"])
    for session in sessions:
        request = session.request(m.SUBSCRIBE, {"get_retained": True}, wamp.uri("topic"))
        subscribed = session.expect(m.SUBSCRIBED, request, ANY)
        session.event(subscribed[2], ["kept"])


def test_ER_003_not_asked_for(wamp: Peers) -> None:
    """Without get_retained no retained event is sent."""
    publisher, *sessions = wamp.join_many(4)
    retain(publisher, wamp.uri("topic"), ["kept"])
    sessions[0].subscribe(wamp.uri("topic"))
    sessions[1].subscribe(wamp.uri("topic"), get_retained=False)
    sessions[2].subscribe(wamp.uri(""), match="prefix")
    wamp.fence(publisher, *sessions[:2])
    sessions[2].event(args=["fence"])


def test_ER_004_live_event(wamp: Peers) -> None:
    """Live, a publication to be retained is an event like any other."""
    publisher, session = wamp.join_many(2)
    session.subscribe(wamp.uri("topic"))
    retain(publisher, wamp.uri("topic"), ["live"])
    assert session.event()[3:] == [{}, ["live"]]


def test_ER_005_newest_only(wamp: Peers) -> None:
    """A second publication to be retained replaces the first."""
    first, second, session = wamp.join_many(3)
    retain(first, wamp.uri("topic"), ["first"])
    retain(second, wamp.uri("topic"), ["second"])
    assert [event[4] for event in retained(wamp, session, "topic")] == [["second"]]


def test_ER_006_kept_without_subscribers(wamp: Peers) -> None:
    """A retained event stays when all subscribers, and the publisher, have left."""
    publisher, early, session = wamp.join_many(3)
    subscription = early.subscribe(wamp.uri("topic"))
    retain(publisher, wamp.uri("topic"), ["kept"])
    early.event(subscription, ["kept"])
    early.unsubscribe(subscription)
    early.leave()
    publisher.leave()
    assert retained(wamp, session, "topic")[0][4] == ["kept"]


def test_ER_007_others_replace_nothing(wamp: Peers) -> None:
    """A publication that is not to be retained does not replace the retained event."""
    publisher, session = wamp.join_many(2)
    retain(publisher, wamp.uri("topic"), ["kept"])
    publisher.publish_ack(wamp.uri("topic"), ["passing"])
    publisher.publish_ack(wamp.uri("topic"), ["passing"], retain=False)
    assert retained(wamp, session, "topic")[0][4] == ["kept"]


def test_ER_008_eligible(wamp: Peers) -> None:
    """A retained event goes only to sessions that it was for."""
    publisher, session, other = wamp.join_many(3)
    retain(publisher, wamp.uri("topic"), ["for one"], eligible=[session.id])
    assert retained(wamp, other, "topic", 0) == []
    assert retained(wamp, session, "topic")[0][4] == ["for one"]
    retain(publisher, wamp.uri("other"), ["not for one"], exclude=[session.id])
    assert retained(wamp, session, "other", 0) == []
    assert retained(wamp, other, "other")[0][4] == ["not for one"]


def test_ER_009_newest_that_is_for_it(wamp: Peers) -> None:
    """Who may not receive the newest retained event gets the newest that it may receive."""
    publisher, session, other = wamp.join_many(3)
    retain(publisher, wamp.uri("topic"), ["for all"])
    retain(publisher, wamp.uri("topic"), ["for one"], eligible=[session.id])
    assert retained(wamp, other, "topic")[0][4] == ["for all"]
    assert retained(wamp, session, "topic")[0][4] == ["for one"]
    assert retained(wamp, other, "topi", match="prefix")[0][4] == ["for all"]


@pytest.mark.parametrize(
    "lists",
    [
        {"exclude_authrole": ["frontend"]},
        {"eligible_authrole": ["backend"]},
        {"exclude_authid": ["alice"]},
        {"eligible_authid": ["backend"]},
    ],
    ids=lambda lists: next(iter(lists)),
)
def test_ER_010_principals(wamp: Peers, lists: dict) -> None:
    """The lists of authids and authroles hold for retained events."""
    publisher, alice, backend = (wamp.join(identity=name) for name in ("anonymous", "alice", "backend"))
    retain(publisher, wamp.uri("topic"), ["for the backend"], **lists)
    assert retained(wamp, alice, "topic", 0) == []
    assert retained(wamp, backend, "topic")[0][4] == ["for the backend"]


def test_ER_011_patterns(wamp: Peers) -> None:
    """A pattern with get_retained brings the retained event of each topic that matches, which it names."""
    publisher, session = wamp.join_many(2)
    for name in ("a.x.c", "a.y.c", "a.z", "b.x.c"):
        retain(publisher, wamp.uri(name), [name])
    for match, pattern, names in (
        ("prefix", "a.", {"a.x.c", "a.y.c", "a.z"}),
        ("wildcard", "a..c", {"a.x.c", "a.y.c"}),
        ("wildcard", "..c", {"a.x.c", "a.y.c", "b.x.c"}),
        ("prefix", "c", set()),
    ):
        events = retained(wamp, session, pattern, len(names), match=match)
        assert {event[3]["topic"]: event[4] for event in events} == {wamp.uri(name): [name] for name in names}


def test_ER_012_publication_id(wamp: Peers) -> None:
    """A retained event has the publication id that it had live."""
    publisher, session = wamp.join_many(2)
    publication = retain(publisher, wamp.uri("topic"), ["kept"])
    assert retained(wamp, session, "topic")[0][2] == publication
    assert retained(wamp, session, "to", match="prefix")[0][2] == publication


def test_ER_013_disclosed_publisher(wamp: Peers) -> None:
    """A retained event names its publisher as it did live, and only then."""
    publisher, session = wamp.join(identity="alice"), wamp.join()
    retain(publisher, wamp.uri("topic"), ["kept"], disclose_me=True)
    retain(publisher, wamp.uri("other"), ["kept"])
    details = retained(wamp, session, "topic")[0][3]
    assert [details[key] for key in ("publisher", "publisher_authid", "publisher_authrole")] == [
        publisher.id,
        "alice",
        "frontend",
    ]
    assert not NAMES & set(retained(wamp, session, "other")[0][3])


def test_ER_014_own_event(wamp: Peers) -> None:
    """The publisher gets its own retained event only where exclude_me is false."""
    publisher, other = wamp.join_many(2)
    retain(publisher, wamp.uri("topic"), ["kept"])
    assert retained(wamp, publisher, "topic", 0) == []
    assert retained(wamp, other, "topic")[0][4] == ["kept"]
    retain(publisher, wamp.uri("own"), ["kept"], exclude_me=False)
    assert retained(wamp, publisher, "own")[0][4] == ["kept"]


def test_expiry(wamp: Peers) -> None:
    """A retained event is gone when the time that its publisher gave it is over."""
    publisher, session = wamp.join_many(2)
    retain(publisher, wamp.uri("topic"), ["kept"], _expires=60_000)
    assert retained(wamp, session, "topic")[0][4] == ["kept"]
    retain(publisher, wamp.uri("topic"), ["brief"], _expires=1)
    session.event(args=["brief"])
    time.sleep(0.002)  # what is tested is that time passes
    assert retained(wamp, session, "topic", 0) == []


def test_clearing(wamp: Peers) -> None:
    """An event that is retained for no time clears its topic."""
    publisher, session = wamp.join_many(2)
    retain(publisher, wamp.uri("topic"), ["kept"])
    retain(publisher, wamp.uri("topic"), ["gone"], _expires=0)
    assert retained(wamp, session, "topic", 0) == []


@pytest.mark.parametrize("value", [-1, "soon", 1.5, True], ids=str)
def test_expiry_is_a_number(wamp: Peers, value: object) -> None:
    """An expiry that is none is refused, and nothing is published."""
    publisher, session = wamp.join_many(2)
    session.subscribe(wamp.uri("topic"))
    request = publisher.publish(wamp.uri("topic"), retain=True, acknowledge=True, _expires=value)
    publisher.expect_error(m.PUBLISH, request, "wamp.error.invalid_argument")
    wamp.fence(publisher, session)
