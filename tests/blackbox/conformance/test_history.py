"""Event history (EH). Each test has topics of its own, below the patterns of which the router keeps events."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from harness import messages as m
from harness.meta import past_events
from harness.peers import Peers
from harness.serializers import CBOR, MSGPACK, Serializer
from harness.session import Session
from harness.values import same

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def refused(session: Session, error: str, subscription: object, **kwargs: object) -> None:
    """get_events fails."""
    request = session.call("wamp.subscription.get_events", [subscription], kwargs)
    session.expect_error(m.CALL, request, error)


class Topic:
    """A topic of the test's own in the history of all topics below `history.`, and its events."""

    def __init__(self, wamp: Peers, serializer: Serializer | None = None) -> None:
        self.publisher, self.reader = (wamp.join(serializer=serializer) for _ in range(2))
        self.uri = f"history.{wamp.uri('topic')}"
        self.subscription = self.reader.subscribe("history.", match="prefix")
        self.reader.unsubscribe(self.subscription)

    def publish(self, count: int, **options: object) -> list[int]:
        """Publishes numbers from 0 on; the publication ids."""
        return [self.publisher.publish_ack(self.uri, [number], **options) for number in range(count)]

    def get(self, **kwargs: object) -> list[dict]:
        """The events of this topic."""
        return past_events(self.reader, self.subscription, topic=self.uri, **kwargs)

    def ids(self, **kwargs: object) -> list[int]:
        """The publication ids of the events of this topic."""
        return [event["publication"] for event in self.get(**kwargs)]


def test_EH_001_oldest_first(wamp: Peers) -> None:
    """get_events returns the events of a topic with a history, oldest first."""
    topic = Topic(wamp)
    published = topic.publish(4)
    assert topic.ids() == published
    # The exact topic's history is shared by all tests of this router.
    published = [topic.publisher.publish_ack("history.exact", [number]) for number in range(3)]
    subscription = topic.reader.subscribe("history.exact")
    topic.reader.unsubscribe(subscription)
    events = past_events(topic.reader, subscription, reverse=True, limit=3)
    assert [event["publication"] for event in events] == published[::-1]


def test_EH_002_what_an_event_says(wamp: Peers) -> None:
    """Each event has its time, subscription, publication and details."""
    topic = Topic(wamp)
    (publication,) = topic.publish(1)
    (event,) = topic.get()
    timestamp = event.pop("timestamp")
    assert RFC3339.fullmatch(timestamp)
    age = datetime.now(UTC) - datetime.fromisoformat(timestamp)
    assert abs(age.total_seconds()) < 5
    expected = {
        "subscription": topic.subscription,
        "publication": publication,
        "details": {"topic": topic.uri},
        "args": [0],
    }
    assert same(event, expected)
    topic.publisher.publish_ack(topic.uri, disclose_me=True)
    event = topic.get()[-1]
    assert event["details"]["publisher"] == topic.publisher.id
    assert "args" not in event and "kwargs" not in event


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ([1, 1.0, 0, False, "two", [3.5, None, True], {"four": [4]}], {"a": {"b": []}, "c": -7}),
        ([], {"only": "kwargs"}),
        (["ä☃", 2**53], None),
    ],
    ids=["both", "kwargs", "text"],
)
def test_EH_003_payload(wamp: Peers, args: list, kwargs: dict | None) -> None:
    """Arguments are those of the publication, whatever the serializer of the reader."""
    topic = Topic(wamp)
    topic.publisher.publish_ack(topic.uri, args, kwargs)
    for session in wamp.join_each():
        (event,) = past_events(session, topic.subscription, topic=topic.uri)
        assert same(event["args"], args) and same(event.get("kwargs"), kwargs), event


def test_EH_003_bytes(wamp: Peers) -> None:
    """Byte strings are those of the publication."""
    topic, data = Topic(wamp), b"\0\1"
    topic.publisher.publish_ack(topic.uri, [wamp.serializer.bytes_value(data)])
    for session in wamp.join_each():
        (event,) = past_events(session, topic.subscription, topic=topic.uri)
        assert same(event["args"], [session.serializer.bytes_value(data)])


@pytest.mark.parametrize("serializer", [MSGPACK, CBOR], ids=lambda serializer: serializer.name)
def test_keys_that_are_no_text(wamp_of: Callable[[str], Peers], serializer: Serializer) -> None:
    """A dict with other keys than strings is that of the publication, for who has such keys."""
    topic = Topic(wamp_of("rawsocket"), serializer)
    topic.publisher.publish_ack(topic.uri, [{1: True}], {"a": {-1: [1.0]}})
    (event,) = topic.get()
    assert same(event["args"], [{1: True}]) and same(event["kwargs"], {"a": {-1: [1.0]}}), event


def test_many_values(wamp_of: Callable[[str], Peers]) -> None:
    """However many values an event has, they come back."""
    topic = Topic(wamp_of("rawsocket"), CBOR)
    topic.publisher.publish_ack(topic.uri, [[0] * 100_000])
    (event,) = topic.get()
    assert event["args"] == [[0] * 100_000]


def test_sealed_payload(wamp_of: Callable[[str], Peers]) -> None:
    """Arguments that are sealed as one byte string are that byte string."""
    topic = Topic(wamp_of("rawsocket"), MSGPACK)
    topic.publisher.request(m.PUBLISH, {"enc_algo": "cryptobox"}, topic.uri, b"\0sealed")
    topic.publisher.barrier()
    (event,) = topic.get()
    assert event["args"] == b"\0sealed" and event["details"]["enc_algo"] == "cryptobox"


def test_EH_004_limit(wamp: Peers) -> None:
    """limit keeps those that come first."""
    topic = Topic(wamp)
    published = topic.publish(4)
    assert topic.ids(limit=2) == published[:2]
    assert topic.ids(limit=9) == published
    events = past_events(topic.reader, topic.subscription, 2, topic=topic.uri)
    assert [event["publication"] for event in events] == published[:2]


def test_EH_005_reverse(wamp: Peers) -> None:
    """With reverse the newest come first."""
    topic = Topic(wamp)
    published = topic.publish(3)
    assert topic.ids(reverse=True) == published[::-1]
    assert topic.ids(reverse=False) == published


def test_EH_006_newest(wamp: Peers) -> None:
    """reverse and limit 1 return the newest event."""
    topic = Topic(wamp)
    published = topic.publish(3)
    assert topic.ids(reverse=True, limit=1) == published[-1:]


def at_different_times(topic: Topic) -> tuple[list[int], list[str]]:
    """Three publications at times that differ, and these times."""
    published = topic.publish(3)
    times = [event["timestamp"] for event in topic.get()]
    while len(set(times)) < 3:
        published = topic.publish(3)
        times = [event["timestamp"] for event in topic.get()][-3:]
    return published, times


def test_EH_007_from_and_after_time(wamp: Peers) -> None:
    """from_time includes an event at exactly that time, after_time does not."""
    topic = Topic(wamp)
    published, times = at_different_times(topic)
    assert topic.ids(from_time=times[1]) == published[1:]
    assert topic.ids(after_time=times[1]) == published[2:]
    assert topic.ids(from_time=times[1].replace("Z", "+00:00")) == published[1:]


def test_EH_008_until_and_before_time(wamp: Peers) -> None:
    """until_time includes an event at exactly that time, before_time does not."""
    topic = Topic(wamp)
    published, times = at_different_times(topic)
    assert topic.ids(until_time=times[1])[-2:] == published[:2]
    assert topic.ids(before_time=times[1])[-1:] == published[:1]


def test_EH_009_from_and_after_publication(wamp: Peers) -> None:
    """from_publication includes that event, after_publication does not."""
    topic = Topic(wamp)
    published = topic.publish(4)
    assert topic.ids(from_publication=published[2]) == published[2:]
    assert topic.ids(after_publication=published[2]) == published[3:]


def test_EH_010_until_and_before_publication(wamp: Peers) -> None:
    """until_publication includes that event, before_publication does not."""
    topic = Topic(wamp)
    published = topic.publish(4)
    assert topic.ids(until_publication=published[2]) == published[:3]
    assert topic.ids(before_publication=published[2]) == published[:2]


def test_EH_011_topic(wamp: Peers) -> None:
    """topic selects among the topics of a pattern's history."""
    one, other = Topic(wamp), Topic(wamp)
    other.uri += ".other"
    published = [one.publish(1)[0], other.publish(1)[0], one.publish(1)[0]]
    assert one.ids() == published[::2]
    assert other.ids() == published[1:2]
    everything = [event["publication"] for event in past_events(one.reader, one.subscription, from_publication=published[0])]
    assert everything[:3] == published


def test_EH_012_all_filters_must_hold(wamp: Peers) -> None:
    """Of several filters all must hold."""
    topic = Topic(wamp)
    published = topic.publish(6)
    times = [event["timestamp"] for event in topic.get()]
    filters = {"after_publication": published[0], "before_publication": published[5], "until_time": times[5]}
    assert topic.ids(**filters, limit=3) == published[1:4]
    assert topic.ids(**filters, limit=3, reverse=True) == published[4:1:-1]


def test_EH_013_nothing_found(wamp: Peers) -> None:
    """Where nothing is selected the result is empty, and no error."""
    topic = Topic(wamp)
    assert topic.ids() == []
    (publication,) = topic.publish(1)
    assert topic.ids(after_publication=publication) == []
    assert topic.ids(before_time="1999-12-31T23:59:59Z") == []


def test_EH_014_unknown_publication(wamp: Peers) -> None:
    """An unknown publication in a filter selects nothing."""
    topic = Topic(wamp)
    topic.publish(2)
    for name in ("from", "after", "before", "until"):
        assert topic.ids(**{f"{name}_publication": 4711}) == []


def test_EH_015_unknown_subscription(wamp: Peers) -> None:
    """An unknown subscription is answered by no_such_subscription."""
    refused(wamp.join(), "wamp.error.no_such_subscription", 4711)


def test_no_history(wamp: Peers) -> None:
    """A subscription without a history is answered by history_unavailable."""
    session = wamp.join()
    refused(session, "wamp.error.history_unavailable", session.subscribe(wamp.uri("topic")))


@pytest.mark.parametrize("limit", [0, -1, "x", 1.5, True], ids=str)
def test_EH_016_bad_limit(wamp: Peers, limit: object) -> None:
    """A limit that is no positive integer is answered by invalid_argument."""
    topic = Topic(wamp)
    refused(topic.reader, "wamp.error.invalid_argument", topic.subscription, limit=limit)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from_time", "yesterday"),
        ("after_time", 1_700_000_000),
        ("before_time", "2024-13-01T00:00:00Z"),
        ("until_time", "2024-01-01"),
        ("reverse", 1),
        ("topic", 7),
        ("from_publication", "x"),
        ("until_publication", 0),
    ],
    ids=lambda value: str(value),
)
def test_EH_017_bad_arguments(wamp: Peers, name: str, value: object) -> None:
    """A malformed time, or anything else of a wrong type, is answered by invalid_argument."""
    topic = Topic(wamp)
    refused(topic.reader, "wamp.error.invalid_argument", topic.subscription, **{name: value})


def test_EH_018_lists_of_sessions(wamp: Peers) -> None:
    """Events for, or not for, certain sessions are not kept."""
    topic = Topic(wamp)
    topic.publish(1, eligible=[topic.reader.id])
    topic.publish(1, exclude=[topic.publisher.id])
    topic.publish(1, eligible=[])
    kept = topic.publish(1)
    assert topic.ids() == kept


def test_EH_019_lists_of_principals(wamp: Peers) -> None:
    """Events with lists of authids or authroles are returned to those whom they are for."""
    topic = Topic(wamp)
    alice, backend = wamp.join(identity="alice"), wamp.join(identity="backend")
    for_roles = topic.publish(1, eligible_authrole=["backend"]) + topic.publish(1, exclude_authrole=["frontend"])
    for_ids = topic.publish(1, eligible_authid=["alice"]) + topic.publish(1, exclude_authid=["backend"])

    def ids(session: Session) -> list[int]:
        return [event["publication"] for event in past_events(session, topic.subscription, topic=topic.uri)]

    assert ids(alice) == for_ids
    assert ids(backend) == for_roles


def test_EH_020_not_allowed_to_subscribe(wamp: Peers) -> None:
    """Who may not subscribe may not read the history either."""
    topic = Topic(wamp)
    refused(wamp.join(identity="historian"), "wamp.error.not_authorized", topic.subscription)


def test_EH_021_each_subscription_has_its_history(wamp: Peers) -> None:
    """An event is in the histories of all topics and patterns that match it."""
    topic = Topic(wamp)
    exact = topic.reader.subscribe("history.exact")
    wildcard = topic.reader.subscribe("history.", match="wildcard")
    topic.reader.unsubscribe(exact)
    topic.reader.unsubscribe(wildcard)
    publication = topic.publisher.publish_ack("history.exact", ["everywhere"])
    for subscription in (exact, wildcard, topic.subscription):
        (event,) = past_events(topic.reader, subscription, from_publication=publication, limit=1)
        assert (event["publication"], event["subscription"]) == (publication, subscription)
        assert ("topic" in event["details"]) == (subscription != exact)
    assert len({exact, wildcard, topic.subscription}) == 3


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
def test_EH_022_paging(wamp: Peers, reverse: bool) -> None:
    """Paging with after_publication, or backwards with before_publication, visits every event once."""
    topic = Topic(wamp)
    published = topic.publish(7)
    seen: list[int] = []
    while True:
        name = "before_publication" if reverse else "after_publication"
        page = topic.ids(limit=3, reverse=reverse, **({name: seen[-1]} if seen else {}))
        if not page:
            break
        seen += page
    assert seen == (published[::-1] if reverse else published)


def test_EH_023_without_subscribers(wamp: Peers) -> None:
    """The history of a configured topic begins before its first subscriber."""
    publisher, reader = wamp.join_many(2)
    topic = f"quiet.{wamp.uri('topic')}"
    published = [publisher.publish_ack(topic, [number]) for number in range(3)]
    subscription = reader.subscribe("quiet..", match="wildcard")
    assert subscription == wamp.join().subscribe("quiet..", match="wildcard")
    reader.unsubscribe(subscription)
    assert [event["publication"] for event in past_events(reader, subscription, topic=topic)] == published
