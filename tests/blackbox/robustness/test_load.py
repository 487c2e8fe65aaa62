"""Many sessions, and one that does not read."""

import resource
import selectors
import time

import pytest
from harness.peers import Peers
from harness.router import Router
from harness.serializers import CBOR, JSON
from harness.session import Session
from harness.wire import Address, Closed

SESSIONS = 10_000
SUBSCRIBERS = 1000
ATTEMPTS = 3  # at a comparison of latencies, which other programs on the machine disturb
SESSION_BYTES = 3 << 10  # the most that an idle subscribed session may take
OUTBOX_BYTES = 4 << 20  # the default limit of what may wait for one client


def peers_of(router: Router, transport: str = "websocket") -> Peers:
    """Sessions with a router, whose end is that of the process that the test starts."""
    return Peers({(transport, "anonymous"): Address(router.ports[0])}, transport, JSON)


def raise_open_files(wanted: int) -> None:
    """Lets this process have so many connections, or skips the test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"the limit of open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


@pytest.mark.big
def test_idle_sessions(own_router, figure, monkeypatch) -> None:
    """10,000 idle WebSocket sessions, all subscribed: memory for each, and the time to connect them."""
    raise_open_files(SESSIONS + 500)
    # Without huge pages, of which each is 2 MiB at once: the figure would vary by a third.
    monkeypatch.setenv("MIMALLOC_ALLOW_THP", "0")
    router = own_router(shards=2)
    peers = peers_of(router)
    peers.join()
    before, started = router.resident_bytes(), time.monotonic()
    sessions = [peers.join() for _ in range(SESSIONS)]
    seconds = time.monotonic() - started
    subscription = [session.subscribe("com.topic") for session in sessions][0]
    each = (router.resident_bytes() - before) / SESSIONS
    figure(f"{SESSIONS} idle WebSocket sessions: {each / 1024:.1f} KiB each, connected in {seconds:.1f} s")
    sessions[-1].publish("com.topic", ["still here"])
    sessions[0].event(subscription, ["still here"])
    assert each < SESSION_BYTES
    started = time.monotonic()
    peers.close()
    router.stop()
    figure(f"{SESSIONS} sessions gone and router ended after {time.monotonic() - started:.1f} s")


@pytest.mark.big
@pytest.mark.parametrize("serializer", [JSON, CBOR], ids=lambda serializer: serializer.name)
def test_fan_out(own_router, figure, serializer) -> None:
    """1 to 1,000 subscribers over 2 shards: nothing lost, nothing twice, in order."""
    raise_open_files(SUBSCRIBERS + 500)
    peers = peers_of(own_router(shards=2))
    publisher = peers.join()
    subscribers = [peers.join(serializer=serializer) for _ in range(SUBSCRIBERS)]
    for subscriber in subscribers:
        subscriber.subscribe("com.topic")
    rounds, started = 50, time.monotonic()
    for number in range(rounds):
        publisher.publish("com.topic", [number])
    for subscriber in subscribers:
        assert [subscriber.event()[4][0] for _ in range(rounds)] == list(range(rounds))
        subscriber.barrier()
    seconds = time.monotonic() - started
    figure(f"fan-out to {SUBSCRIBERS} {serializer.name} subscribers: {rounds * SUBSCRIBERS / seconds:,.0f} events/s")
    peers.close()


class Stream:
    """A publisher whose events carry the time, and subscribers that measure how old they are on arrival."""

    PERIOD = 0.02
    FILLING = "x" * 32_000

    def __init__(self, publisher: Session, subscribers: list[Session]) -> None:
        self.publisher = publisher
        self.selector = selectors.DefaultSelector()
        for subscriber in subscribers:
            self.selector.register(subscriber.transport.sock, selectors.EVENT_READ, subscriber)

    def run(self, seconds: float) -> float:
        """Publishes for a while; the 99th percentile of the events' ages in seconds."""
        ages: list[float] = []
        due = start = time.monotonic()
        sent = 0
        wanted = len(self.selector.get_map())
        while time.monotonic() < start + seconds or len(ages) < sent * wanted:
            if due <= time.monotonic() < start + seconds:
                self.publisher.publish("com.topic", [time.monotonic(), self.FILLING])
                due += self.PERIOD
                sent += 1
            for key, _ in self.selector.select(max(0.0, min(due - time.monotonic(), 0.1))):
                ages.append(time.monotonic() - key.data.event()[4][0])
                while key.data.transport.has_buffered():
                    ages.append(time.monotonic() - key.data.event()[4][0])
            assert time.monotonic() < start + seconds + 10, "events are missing"
        return sorted(ages)[int(len(ages) * 0.99)]


@pytest.mark.big
def test_PS_027_slow_consumer(own_router, figure) -> None:
    """A subscriber that stops reading for 10 s delays nobody, and costs no more memory than its limit."""
    router = own_router(shards=2)
    peers = peers_of(router)
    publisher, subscribers = peers.join(), peers.join_many(20)
    for subscriber in subscribers:
        subscriber.subscribe("com.topic")
    stream = Stream(publisher, subscribers)
    stream.run(1)
    for _ in range(ATTEMPTS):
        usual, before = stream.run(4), router.resident_bytes()
        stuck = peers.join()
        stuck.subscribe("com.topic")
        with_stuck = stream.run(10)
        grown = router.resident_bytes() - before
        figure(
            f"p99 of 20 subscribers: {usual * 1e3:.2f} ms; while another does not read: {with_stuck * 1e3:.2f} ms; "
            f"memory grown by {grown / (1 << 20):.1f} MiB"
        )
        assert grown < OUTBOX_BYTES + (8 << 20)
        with pytest.raises(Closed):
            while True:
                stuck.event()
        if with_stuck < 2 * usual:
            break
    else:
        pytest.fail(f"p99 more than doubled in each of {ATTEMPTS} attempts")
    peers.close()
