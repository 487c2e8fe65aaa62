"""Subscription meta procedures and events (MB), and subscriptions that are taken back (RV)."""

import re

import pytest
from harness import messages as m
from harness.meta import INVALID_ARGUMENT, NO_SUCH_SESSION, Watcher, ask, refused
from harness.peers import Peers, eventually
from harness.session import Session

TOPICS = [f"wamp.subscription.on_{what}" for what in ("create", "subscribe", "unsubscribe", "delete")]
NO_SUCH_SUBSCRIPTION = "wamp.error.no_such_subscription"
ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def subscribers(session: Session, subscription: int) -> list[int]:
    """The sessions that are subscribed."""
    return ask(session, "wamp.subscription.list_subscribers", subscription)


def test_MB_001_subscribers_come(wamp: Peers) -> None:
    """The first subscriber fires on_create, then on_subscribe; the next on_subscribe only."""
    watcher, sessions = Watcher(wamp, *TOPICS), wamp.join_many(4)
    subscription = sessions[0].subscribe(wamp.uri("topic"))
    name, args = watcher.about(subscription)
    assert ISO_8601.fullmatch(args[1].pop("created"))
    assert (name, args) == (
        "on_create",
        [sessions[0].id, {"id": subscription, "uri": wamp.uri("topic"), "match": "exact"}],
    )
    assert watcher.about(subscription) == ("on_subscribe", [sessions[0].id, subscription])
    for session in sessions[1:]:
        session.subscribe(wamp.uri("topic"))
        assert watcher.about(subscription) == ("on_subscribe", [session.id, subscription])


def test_MB_002_subscribers_go(wamp: Peers) -> None:
    """A subscriber that goes fires on_unsubscribe, and the last of all on_delete after it."""
    sessions = wamp.join_many(4)
    for session in sessions:
        subscription = session.subscribe(wamp.uri("topic"), match="prefix")
    watcher = Watcher(wamp, *TOPICS)
    for session in sessions:
        session.unsubscribe(subscription)
        assert watcher.about(subscription) == ("on_unsubscribe", [session.id, subscription])
    assert watcher.about(subscription) == ("on_delete", [sessions[-1].id, subscription])


def test_MB_003_subscribing_twice(wamp: Peers) -> None:
    """A SUBSCRIBE for what the session has already fires nothing."""
    session = wamp.join()
    subscription = session.subscribe(wamp.uri("topic"))
    watcher = Watcher(wamp, *TOPICS)
    session.subscribe(wamp.uri("topic"))
    session.unsubscribe(subscription)
    assert watcher.about(session.id) == ("on_unsubscribe", [session.id, subscription])


def test_MB_004_list(wamp: Peers) -> None:
    """wamp.subscription.list answers the ids by match policy."""
    asks, *sessions = wamp.join_many(4)
    uris = {"exact": wamp.uri("a"), "prefix": wamp.uri("a"), "wildcard": wamp.uri("a..b")}
    ids = {match: session.subscribe(uris[match], match=match) for match, session in zip(uris, sessions)}
    listed = ask(asks, "wamp.subscription.list")
    assert set(listed) == set(ids) and all(listed[match].count(ids[match]) == 1 for match in ids)
    sessions[0].unsubscribe(ids["exact"])
    eventually(lambda: ids["exact"] not in ask(asks, "wamp.subscription.list")["exact"])


def test_MB_004_lookup_and_get(wamp: Peers) -> None:
    """wamp.subscription.lookup answers the id of a topic or pattern or null, get the details."""
    asks, session = wamp.join_many(2)
    topic = wamp.uri("topic")
    exact, prefix = session.subscribe(topic), session.subscribe(topic, match="prefix")
    assert ask(asks, "wamp.subscription.lookup", topic) == exact
    assert ask(asks, "wamp.subscription.lookup", topic, {"match": "prefix"}) == prefix
    assert ask(asks, "wamp.subscription.lookup", topic, {"match": "wildcard"}) is None
    details = ask(asks, "wamp.subscription.get", prefix)
    assert ISO_8601.fullmatch(details.pop("created"))
    assert details == {"id": prefix, "uri": topic, "match": "prefix"}


def test_MB_004_subscribers(wamp: Peers) -> None:
    """wamp.subscription.list_subscribers and count_subscribers answer the subscribers on all shards."""
    asks, *sessions = wamp.join_many(6)
    for session in sessions:
        subscription = session.subscribe(wamp.uri("topic"))
    assert sorted(subscribers(asks, subscription)) == sorted(session.id for session in sessions)
    assert ask(asks, "wamp.subscription.count_subscribers", subscription) == 5
    sessions[0].unsubscribe(subscription)
    sessions[1].leave()
    eventually(lambda: sorted(subscribers(asks, subscription)) == sorted(session.id for session in sessions[2:]))
    assert ask(asks, "wamp.subscription.count_subscribers", subscription) == 3


def test_MB_005_match(wamp: Peers) -> None:
    """wamp.subscription.match answers the ids of all subscriptions that a topic matches, or null."""
    asks, *sessions = wamp.join_many(4)
    topic = wamp.uri("a.b.c")
    ids = [
        sessions[0].subscribe(topic),
        sessions[1].subscribe(wamp.uri("a"), match="prefix"),
        sessions[2].subscribe(wamp.uri("a..c"), match="wildcard"),
    ]
    sessions[0].subscribe(wamp.uri("a.b"))
    assert sorted(ask(asks, "wamp.subscription.match", topic)) == sorted(ids)
    assert ask(asks, "wamp.subscription.match", wamp.uri("a.x")) == [ids[1]]
    assert ask(asks, "wamp.subscription.match", wamp.uri("b")) is None


@pytest.mark.parametrize("procedure", ["get", "list_subscribers", "count_subscribers"])
def test_MB_006_unknown_subscription(wamp: Peers, procedure: str) -> None:
    """An unknown subscription is answered by no_such_subscription."""
    asks, session = wamp.join_many(2)
    subscription = session.subscribe(wamp.uri("topic"))
    session.unsubscribe(subscription)
    for unknown in (1, 2**53):
        refused(asks, NO_SUCH_SUBSCRIPTION, f"wamp.subscription.{procedure}", unknown)
    eventually(lambda: ask(asks, "wamp.subscription.lookup", wamp.uri("topic")) is None)
    refused(asks, NO_SUCH_SUBSCRIPTION, f"wamp.subscription.{procedure}", subscription)


def test_MB_007_meta_topics(wamp: Peers) -> None:
    """Subscriptions to wamp.* topics fire no meta events and are not shown."""
    watcher, session = Watcher(wamp, *TOPICS), wamp.join()
    session.unsubscribe(session.subscribe("wamp.session.on_stats"))
    for pattern, match in (("wamp.", "prefix"), ("wamp", "prefix"), ("wamp..", "wildcard")):
        subscription = session.subscribe(pattern, match=match)
        # There may be meta events by now, which these are for.
        request = session.request(m.UNSUBSCRIBE, subscription)
        while (message := session.recv())[0] == m.EVENT:
            pass
        assert message == [m.UNSUBSCRIBED, request]
    prefix = wamp.join().subscribe("wamp.", match="prefix")
    shown = session.subscribe(wamp.uri("topic"))
    assert watcher.about(session.id)[1][1]["id"] == shown
    assert ask(wamp.join(), "wamp.subscription.lookup", "wamp.", {"match": "prefix"}) is None
    listed = ask(wamp.join(), "wamp.subscription.list")
    assert shown in listed["exact"] and prefix not in listed["prefix"]
    refused(wamp.join(), NO_SUCH_SUBSCRIPTION, "wamp.subscription.list_subscribers", prefix)


def test_MB_008_loss(wamp: Peers) -> None:
    """A lost connection fires on_unsubscribe and on_delete, with the id of the session that is gone."""
    session = wamp.join()
    subscription = session.subscribe(wamp.uri("topic"))
    watcher = Watcher(wamp, *TOPICS)
    session.transport.reset()
    assert watcher.about(subscription) == ("on_unsubscribe", [session.id, subscription])
    assert watcher.about(subscription) == ("on_delete", [session.id, subscription])


@pytest.mark.parametrize(
    ("procedure", "args"),
    [
        ("lookup", []),
        ("lookup", ["a", {"match": 1}]),
        ("match", [1]),
        ("get", [{}]),
        ("list_subscribers", ["a"]),
        ("count_subscribers", [0]),
        ("remove_subscriber", [1]),
    ],
)
def test_wrong_arguments_about_subscriptions(wamp: Peers, procedure: str, args: list) -> None:
    """Arguments of a wrong type are answered by invalid_argument."""
    refused(wamp.join(), INVALID_ARGUMENT, f"wamp.subscription.{procedure}", *args)


def revoke(session: Session, subscription: int, subscriber: Session, **kwargs: str) -> None:
    """Takes a subscription from a subscriber."""
    assert ask(session, "wamp.subscription.remove_subscriber", subscription, subscriber.id, **kwargs) is None


def test_RV_001_revoked_subscription(wamp: Peers) -> None:
    """A subscriber that announces subscription_revocation is told that its subscription is taken back."""
    session, subscriber = wamp.join(), wamp.join(roles=m.roles(subscriber=("subscription_revocation",)))
    subscription = subscriber.subscribe(wamp.uri("topic"))
    revoke(session, subscription, subscriber)
    subscriber.expect(m.UNSUBSCRIBED, 0, {"subscription": subscription})
    again = subscriber.subscribe(wamp.uri("topic"))
    refused(session, "wamp.error.invalid_uri", "wamp.subscription.remove_subscriber", again, subscriber.id, "no uri")
    revoke(session, again, subscriber, reason="com.example.enough")
    subscriber.expect(m.UNSUBSCRIBED, 0, {"subscription": again, "reason": "com.example.enough"})
    request = subscriber.request(m.UNSUBSCRIBE, again)
    subscriber.expect_error(m.UNSUBSCRIBE, request, NO_SUCH_SUBSCRIPTION)


def test_RV_002_silently(wamp: Peers) -> None:
    """A subscriber that does not announce it gets no message, and no more events; others still do."""
    session, subscriber, other = wamp.join_many(3)
    for each in (subscriber, other):
        subscription = each.subscribe(wamp.uri("topic"))
    revoke(session, subscription, subscriber)
    session.publish_ack(wamp.uri("topic"), ["news"])
    other.event(subscription, ["news"])
    wamp.fence(session, subscriber)


def test_RV_005_revoked_subscription_is_told(wamp: Peers) -> None:
    """A revocation fires on_unsubscribe, and on_delete for the last subscriber."""
    session, subscriber = wamp.join_many(2)
    subscription = subscriber.subscribe(wamp.uri("topic"))
    watcher = Watcher(wamp, *TOPICS)
    refused(session, NO_SUCH_SESSION, "wamp.subscription.remove_subscriber", subscription, session.id)
    revoke(session, subscription, subscriber)
    assert watcher.about(subscription) == ("on_unsubscribe", [subscriber.id, subscription])
    assert watcher.about(subscription) == ("on_delete", [subscriber.id, subscription])
    eventually(lambda: ask(session, "wamp.subscription.lookup", wamp.uri("topic")) is None)
    refused(session, NO_SUCH_SUBSCRIPTION, "wamp.subscription.remove_subscriber", subscription, subscriber.id)
