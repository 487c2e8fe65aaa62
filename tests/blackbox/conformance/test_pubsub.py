"""Publish and subscribe (PS)."""

import pytest
from harness import messages as m
from harness.peers import Peers
from harness.session import ANY
from harness.values import same

MANY = 10_000
BATCH = 500  # published before the subscribers read, so that nobody is a slow consumer


def test_PS_001_subscribed(wamp: Peers) -> None:
    """SUBSCRIBE is answered by SUBSCRIBED with its request id."""
    session = wamp.join()
    session.send(m.SUBSCRIBE, 1, {}, wamp.uri("topic"))
    subscribed = session.expect(m.SUBSCRIBED, 1, ANY)
    assert type(subscribed[2]) is int and 1 <= subscribed[2] <= 1 << 53


def test_PS_002_one_id_for_all_subscribers(wamp: Peers) -> None:
    """All subscribers of one topic have the same subscription id."""
    sessions = wamp.join_many(4)
    assert len({session.subscribe(wamp.uri("topic")) for session in sessions}) == 1


def test_PS_003_repeated_subscribe(wamp: Peers) -> None:
    """SUBSCRIBE again answers with the same subscription id."""
    session = wamp.join()
    assert session.subscribe(wamp.uri("topic")) == session.subscribe(wamp.uri("topic"))


def test_PS_004_repeated_subscribe_delivers_once(wamp: Peers) -> None:
    """SUBSCRIBE again does not duplicate events."""
    session, publisher = wamp.join(), wamp.join()
    subscription = session.subscribe(wamp.uri("topic"))
    session.subscribe(wamp.uri("topic"))
    publisher.publish(wamp.uri("topic"))
    session.event(subscription)
    wamp.fence(publisher, session)


def test_PS_005_one_unsubscribe_ends_delivery(wamp: Peers) -> None:
    """One UNSUBSCRIBE after two SUBSCRIBEs ends delivery."""
    session, publisher = wamp.join(), wamp.join()
    session.subscribe(wamp.uri("topic"))
    session.unsubscribe(session.subscribe(wamp.uri("topic")))
    publisher.publish(wamp.uri("topic"))
    wamp.fence(publisher, session)


def test_PS_006_unsubscribed(wamp: Peers) -> None:
    """UNSUBSCRIBE is answered by UNSUBSCRIBED with its request id."""
    session = wamp.join()
    request = session.request(m.UNSUBSCRIBE, session.subscribe(wamp.uri("topic")))
    session.expect(m.UNSUBSCRIBED, request)


def test_PS_007_second_unsubscribe(wamp: Peers) -> None:
    """A second UNSUBSCRIBE is answered by no_such_subscription."""
    session = wamp.join()
    subscription = session.subscribe(wamp.uri("topic"))
    session.unsubscribe(subscription)
    request = session.request(m.UNSUBSCRIBE, subscription)
    session.expect_error(m.UNSUBSCRIBE, request, "wamp.error.no_such_subscription")


def test_PS_008_unsubscribe_of_anothers(wamp: Peers) -> None:
    """UNSUBSCRIBE of a subscription that only another session holds is answered by no_such_subscription."""
    session, other, publisher = wamp.join(), wamp.join(), wamp.join()
    subscription = other.subscribe(wamp.uri("topic"))
    request = session.request(m.UNSUBSCRIBE, subscription)
    session.expect_error(m.UNSUBSCRIBE, request, "wamp.error.no_such_subscription")
    publisher.publish(wamp.uri("topic"))
    other.event(subscription)


def test_PS_009_no_acknowledgement_by_default(wamp: Peers) -> None:
    """PUBLISH without acknowledge is not answered."""
    session = wamp.join()
    session.publish(wamp.uri("topic"))
    session.publish(wamp.uri("topic"), acknowledge=False)
    session.barrier()


def test_PS_010_acknowledgement(wamp: Peers) -> None:
    """PUBLISH with acknowledge is answered by PUBLISHED with a publication id."""
    session, other = wamp.join(), wamp.join()
    other.subscribe(wamp.uri("topic"))
    publication = session.publish_ack(wamp.uri("topic"))
    assert type(publication) is int and 1 <= publication <= 1 << 53


def test_PS_011_acknowledgement_without_subscribers(wamp: Peers) -> None:
    """PUBLISHED is sent although nobody subscribed."""
    wamp.join().publish_ack(wamp.uri("topic"))


def test_PS_012_publication_id(wamp: Peers) -> None:
    """EVENT names the publication that PUBLISHED names."""
    session, publisher = wamp.join(), wamp.join()
    subscription = session.subscribe(wamp.uri("topic"))
    publication = publisher.publish_ack(wamp.uri("topic"))
    session.expect(m.EVENT, subscription, publication, {})


def test_PS_013_publication_id_for_all(wamp: Peers) -> None:
    """All receivers see the same publication id."""
    sessions, publisher = wamp.join_many(6), wamp.join()
    for session in sessions:
        session.subscribe(wamp.uri("topic"))
    publisher.publish(wamp.uri("topic"))
    assert len({session.event()[2] for session in sessions}) == 1


def test_PS_014_publication_ids_are_spread(wamp: Peers) -> None:
    """Publication ids are not sequential."""
    session = wamp.join()
    ids = [session.publish_ack(wamp.uri("topic")) for _ in range(40)]
    assert len(set(ids)) == 40 and ids != sorted(ids) and max(ids) > 1 << 51


def test_PS_015_publisher_is_excluded(wamp: Peers) -> None:
    """A publisher does not receive its own event."""
    session, other = wamp.join(), wamp.join()
    session.subscribe(wamp.uri("topic"))
    subscription = other.subscribe(wamp.uri("topic"))
    session.publish(wamp.uri("topic"))
    other.event(subscription)
    wamp.fence(session, session)


def deliver(wamp: Peers, args: list | None, kwargs: dict | None) -> list:
    """The elements of EVENT after its details."""
    session, publisher = wamp.join(), wamp.join()
    session.subscribe(wamp.uri("topic"))
    payload = [element for element in (args, kwargs) if element is not None]
    publisher.request(m.PUBLISH, {}, wamp.uri("topic"), *payload)
    return session.event()[4:]


def test_PS_016_positional_arguments(wamp: Peers) -> None:
    """Arguments arrive as they were published."""
    assert same(deliver(wamp, [1, "two", [3.5]], None), [[1, "two", [3.5]]])


def test_PS_017_keyword_arguments(wamp: Peers) -> None:
    """Keyword arguments arrive behind an empty list."""
    assert same(deliver(wamp, [], {"a": 1, "b": {"c": []}}), [[], {"a": 1, "b": {"c": []}}])


def test_PS_018_no_payload(wamp: Peers) -> None:
    """An event without payload has four elements."""
    assert deliver(wamp, None, None) == []


def test_PS_019_empty_payload(wamp: Peers) -> None:
    """Empty arguments and keyword arguments are left out."""
    assert deliver(wamp, [], {}) == []
    assert same(deliver(wamp, [1], {}), [[1]])


def test_PS_020_payload_is_unchanged(wamp: Peers) -> None:
    """Text of any script, floats, null, large integers and nesting arrive unchanged."""
    args = ["Zoë 😀 \"\\\n\t", 0.1, 1.0, 0.0, -1.5e300, None, True, False, 0, 1, 1 << 53, -(1 << 53), [[], {}, [[[0]]]], ""]
    kwargs = {"ключ": {"": [None]}, "a.b": "\u2028"}
    assert same(deliver(wamp, args, kwargs), [args, kwargs])


def test_PS_021_order_of_events(wamp: Peers) -> None:
    """10,000 events of one publisher arrive in order at each subscriber."""
    publisher, subscribers = wamp.join(), wamp.join_many(2)
    for subscriber in subscribers:
        subscriber.subscribe(wamp.uri("topic"))
    for start in range(0, wamp.many(MANY), BATCH):
        for number in range(start, start + BATCH):
            publisher.publish(wamp.uri("topic"), [number])
        for subscriber in subscribers:
            numbers = [subscriber.event()[4][0] for _ in range(BATCH)]
            assert numbers == list(range(start, start + BATCH))


def test_PS_022_order_across_topics(wamp: Peers) -> None:
    """Events of one publisher on two topics arrive in the order of publishing."""
    publisher, subscribers = wamp.join(), wamp.join_many(3)
    for subscriber in subscribers:
        subscriber.subscribe(wamp.uri("even"))
        subscriber.subscribe(wamp.uri("odd"))
    for number in range(BATCH):
        publisher.publish(wamp.uri("odd" if number % 2 else "even"), [number])
    for subscriber in subscribers:
        assert [subscriber.event()[4][0] for _ in range(BATCH)] == list(range(BATCH))


def test_PS_023_subscribed_before_events(wamp: Peers) -> None:
    """SUBSCRIBED arrives before the first event, and from then on none is missed, while others publish."""
    publishers, subscriber = wamp.join_many(3), wamp.join()
    for round_ in range(20):
        topic = wamp.uri(f"topic{round_}")
        for number in range(21):
            publishers[number % 3].publish(topic, [number % 3, number // 3])
        request = subscriber.request(m.SUBSCRIBE, {}, topic)
        for number in range(21, 42):
            publishers[number % 3].publish(topic, [number % 3, number // 3])
        subscription = subscriber.expect(m.SUBSCRIBED, request, ANY)[2]
        for number in range(42, 63):
            publishers[number % 3].publish(topic, [number % 3, number // 3])
        numbers: list[list[int]] = [[], [], []]
        while not all(numbers) or any(mine[-1] < 20 for mine in numbers):
            publisher, number = subscriber.event(subscription)[4]
            numbers[publisher].append(number)
        for mine in numbers:
            assert mine == list(range(mine[0], 21)) and mine[0] <= 14, numbers
        subscriber.barrier()


def test_PS_024_nothing_after_unsubscribed(wamp: Peers) -> None:
    """No event arrives after UNSUBSCRIBED, while others publish."""
    publishers, subscriber = wamp.join_many(3), wamp.join()
    for _ in range(20):
        subscription = subscriber.subscribe(wamp.uri("topic"))
        for number in range(20):
            publishers[number % 3].publish(wamp.uri("topic"), [number])
        request = subscriber.request(m.UNSUBSCRIBE, subscription)
        for number in range(20):
            publishers[number % 3].publish(wamp.uri("topic"), [number])
        while (message := subscriber.recv())[0] == m.EVENT:
            pass
        assert message == [m.UNSUBSCRIBED, request]
        for publisher in publishers:
            wamp.fence(publisher, subscriber)


def test_PS_025_publisher_is_not_named(wamp: Peers) -> None:
    """By default an event does not name its publisher."""
    session, publisher = wamp.join(), wamp.join()
    session.subscribe(wamp.uri("topic"))
    publisher.publish(wamp.uri("topic"))
    assert not {"publisher", "publisher_authid", "publisher_authrole"} & set(session.event()[3])


def test_PS_026_topic_of_an_exact_subscription(wamp: Peers) -> None:
    """The event of an exact subscription does not name the topic, or names it rightly."""
    session, publisher = wamp.join(), wamp.join()
    session.subscribe(wamp.uri("topic"))
    publisher.publish(wamp.uri("topic"))
    assert session.event()[3].get("topic", wamp.uri("topic")) == wamp.uri("topic")


@pytest.mark.parametrize("role", ["publisher", "subscriber", "caller", "callee"])
def test_PS_028_roles_are_not_enforced(wamp: Peers, role: str) -> None:
    """A session that announces one role is still served in the others."""
    session = wamp.join(roles={role: {}})
    session.subscribe(wamp.uri("topic"))
    session.publish_ack(wamp.uri("topic"))
    session.register(wamp.uri("procedure"))


def test_large_events_arrive(wamp: Peers) -> None:
    """An event of a megabyte arrives whole at several subscribers."""
    publisher, subscribers = wamp.join(), wamp.join_many(3)
    for subscriber in subscribers:
        subscriber.subscribe(wamp.uri("topic"))
    text = "0123456789abcdef" * (1 << 16)
    publisher.publish(wamp.uri("topic"), [text])
    for subscriber in subscribers:
        assert subscriber.event()[4] == [text]
