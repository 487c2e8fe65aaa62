"""More published than a shard writes at once: publishers wait, and no subscriber is cut off for it (PS-027)."""

import selectors
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import config
from harness import messages as m
from harness.peers import Peers
from harness.router import Router
from harness.serializers import MSGPACK
from harness.session import ANY, Session
from harness.wire import PATIENCE, Address

OUTBOX_BYTES = 1 << 17
PUBLISHERS = 32
SUBSCRIBERS = 50
EVENT_BYTES = 800
EVENTS = 40  # of each publisher: 32 KB, which one read takes
MANY_EVENTS = 240  # which takes three reads


@pytest.fixture(params=[1, 4], ids=lambda shards: f"shards{shards}")
def router(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Router]:
    """A router with small outboxes, of which one holds the events of four publishers."""

    def small(ports: list[int]) -> dict:
        usual = config.simple(ports[0])
        usual["workers"][0]["limits"] = {"outbox_bytes": OUTBOX_BYTES}
        return usual

    router = Router(tmp_path, small, arguments=("--shards", str(request.param))).start()
    yield router
    router.stop()


def burst(router: Router, publishers: list[Session], events: int, last: Callable[[], object] = lambda: None) -> None:
    """The router finds all events of all publishers at once, and what `last` sends behind them."""
    filling = "x" * EVENT_BYTES
    router.signal(signal.SIGSTOP)
    try:
        for at, publisher in enumerate(publishers):
            for number in range(events):
                publisher.publish("com.topic", [at, number, filling])
        last()
    finally:
        router.signal(signal.SIGCONT)


def test_a_burst_of_many_publishers(router: Router) -> None:
    """Subscribers that read get all events, however many came in before the first could be written."""
    peers = Peers({("rawsocket", "anonymous"): Address(router.ports[0])}, "rawsocket", MSGPACK)
    publishers, subscribers = peers.join_many(PUBLISHERS), peers.join_many(SUBSCRIBERS)
    for subscriber in subscribers:
        subscriber.subscribe("com.topic")
    burst(router, publishers, EVENTS)
    with selectors.DefaultSelector() as selector:
        for subscriber in subscribers:
            selector.register(subscriber.transport.sock, selectors.EVENT_READ, (subscriber, [0] * PUBLISHERS))
        while selector.get_map():
            ready = selector.select(PATIENCE)
            assert ready, "events are missing"
            for key, _ in ready:
                subscriber, seen = key.data
                while True:
                    at, number, _ = subscriber.event()[4]
                    assert number == seen[at]
                    seen[at] += 1
                    if not subscriber.transport.has_buffered():
                        break
                if seen == [EVENTS] * PUBLISHERS:
                    selector.unregister(key.fileobj)
    peers.close()


def test_a_call_beside_many_publishers(router: Router) -> None:
    """While publishers wait for each other, everybody else has a turn among them."""
    peers = Peers({("rawsocket", "anonymous"): Address(router.ports[0])}, "rawsocket", MSGPACK)
    publishers, caller = peers.join_many(PUBLISHERS // 2), peers.join()
    events = MANY_EVENTS * len(publishers)
    caller.subscribe("com.topic")
    burst(router, publishers, MANY_EVENTS, lambda: caller.call("com.nothing"))
    # What it makes of them waits, or it might be too slow indeed.
    caller.transport.gather(events * EVENT_BYTES)
    received = [caller.recv()[0] for _ in range(events + 1)]
    assert sorted(received) == [m.ERROR] + [m.EVENT] * events
    assert received.index(m.ERROR) < len(received) / 2
    peers.close()


def test_a_callee_that_does_not_read(router: Router) -> None:
    """No caller closes a callee's connection by calling more than it reads: what is too much is refused."""
    peers = Peers({("rawsocket", "anonymous"): Address(router.ports[0])}, "rawsocket", MSGPACK)
    callee, caller = peers.join(roles={"callee": {}}), peers.join()
    callee.register("com.slow")
    calls, filling = 300, "x" * 100_000  # three times what the kernel holds for a connection
    sent = {caller.call("com.slow", [filling]) for _ in range(calls - 1)}
    # By then all are with the callee's shard, and this one is refused, being the last.
    last = caller.call("com.slow", [filling])
    refused = set()
    while last not in refused:
        error = caller.recv()
        assert error[:2] + error[3:] == [m.ERROR, m.CALL, {}, "wamp.error.unavailable"], error[:5]
        refused.add(error[2])
    assert refused <= sent | {last} and len(refused) > calls / 3
    for _ in range(calls - len(refused)):
        invocation = callee.invocation()
        assert invocation[4] == [filling]
        callee.reply(invocation)
    answered = {caller.expect(m.RESULT, ANY, {})[1] for _ in range(calls - len(refused))}
    assert answered == sent - refused
    # It is free for the next one.
    request = caller.call("com.slow", [1])
    callee.reply(callee.invocation(), [2])
    caller.result(request, [2])
    peers.close()


def test_what_follows_a_large_event(router: Router) -> None:
    """However large an event is, others and answers follow it, whenever the subscriber reads."""
    peers = Peers({("rawsocket", "anonymous"): Address(router.ports[0])}, "rawsocket", MSGPACK)
    publisher, subscriber = peers.join(), peers.join()
    subscriber.subscribe("com.topic")
    large = "x" * 12_000_000
    publisher.publish_ack("com.topic", [large])
    for number in range(10):
        publisher.publish_ack("com.topic", [number])
    request = subscriber.call("com.nothing")
    assert subscriber.event()[4] == [large]
    for number in range(10):
        assert subscriber.event()[4] == [number]
    subscriber.expect_error(m.CALL, request, "wamp.error.no_such_procedure")
    peers.close()
