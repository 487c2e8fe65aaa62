"""Times and limits that the configuration sets (SE-022)."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import config
from harness import messages as m
from harness.peers import Peers, eventually
from harness.router import Router
from harness.serializers import ALL, CBOR
from harness.session import Session
from harness.wire import PING, PONG, Address, Closed, Connection, HandshakeRefused

SECOND = 1000  # milliseconds, and the shortest time that the configuration takes
MOST_CONNECTIONS = 8
OUTBOX_BYTES = 1 << 16
PATHS = {"websocket": "/ws", "rawsocket": "", "longpoll": "/lp"}
LIMIT_EXCEEDED = "crosspoint.error.limit_exceeded"


def limited(ports: list[int]) -> dict:
    """Small limits; on the second port clients are pinged and few may connect."""
    options = {"auto_ping_interval": SECOND, "auto_ping_timeout": SECOND, "auto_ping_restart_on_any_traffic": False}
    usual = config.simple(ports[0])
    worker = usual["workers"][0]
    worker["limits"] = {
        "handshake_timeout": SECOND,
        "nesting_depth": 16,
        "uri_length": 64,
        "subscriptions_per_session": 3,
        "registrations_per_session": 3,
        "pending_calls_per_session": 3,
        "outbox_bytes": OUTBOX_BYTES,
        "slow_consumer": "drop",
    }
    worker["transports"].append(
        {
            "type": "websocket",
            "endpoint": {"type": "tcp", "interface": "127.0.0.1", "port": ports[1]},
            "max_connections": MOST_CONNECTIONS,
            "options": options,
        }
    )
    return usual


@pytest.fixture(scope="module", params=[1, 4], ids=lambda shards: f"shards{shards}")
def router(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """A router with small limits."""
    workdir = tmp_path_factory.mktemp("limits")
    router = Router(workdir, limited, 2, ("--shards", str(request.param))).start()
    yield router
    router.stop()


@pytest.fixture
def peers(router: Router) -> Iterator[Callable[..., Peers]]:
    """Sessions over a transport, with the first or the second port."""
    opened = []

    def make(transport: str = "rawsocket", port: int = 0) -> Peers:
        opened.append(Peers({(transport, "anonymous"): Address(router.ports[port], PATHS[transport])}, transport, CBOR))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


BEGINNINGS = {
    "nothing": b"",
    "half a RawSocket handshake": b"\x7f\xf3",
    "half an HTTP request": b"GET /ws HTTP/1.1\r\nHost: x\r\n",
}


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
def test_unfinished_handshake(router: Router, beginning: bytes) -> None:
    """A connection that does not finish its handshake is closed in time, perhaps after an HTTP error."""
    connection, started = Connection(Address(router.ports[0])), time.monotonic()
    connection.send_raw(beginning)
    with pytest.raises(Closed):
        while True:
            connection.read(1, timeout=5)
    assert 0.9 < time.monotonic() - started < 3


@pytest.mark.parametrize("serializer", ALL, ids=lambda serializer: serializer.name)
@pytest.mark.parametrize("transport", ["websocket", "rawsocket", "longpoll"])
def test_SE_022_no_hello(peers: Callable[..., Peers], transport: str, serializer) -> None:
    """A client that sends no HELLO in time is disconnected; one that did is not."""
    maker = peers(transport)
    joined, silent, started = maker.join(), maker.connect(serializer=serializer), time.monotonic()
    with pytest.raises(Closed):
        while True:
            silent.transport.recv_message(timeout=5)  # ABORT may come first
    assert 0.9 < time.monotonic() - started < 3
    joined.barrier()


def test_pings(peers: Callable[..., Peers]) -> None:
    """A client is pinged at the configured interval, and disconnected when it does not answer."""
    answering, silent = peers("websocket", 1).join(), peers("websocket", 1).join()
    started = time.monotonic()
    opcode, _, payload = answering.transport.read_frame()
    assert opcode == PING and 12 <= len(payload) <= 125
    assert 0.8 < time.monotonic() - started < 2.5
    answering.transport.send_frame(PONG, payload)
    assert silent.transport.read_frame()[0] == PING
    with pytest.raises(Closed):
        silent.transport.read(1, timeout=5)
        raise Closed  # a close frame
    assert answering.transport.read_frame()[0] == PING
    answering.transport.send_frame(PONG, payload)
    answering.barrier()


def test_most_connections(peers: Callable[..., Peers]) -> None:
    """Beyond the limit of a transport connections are refused, and accepted again when others have gone."""
    maker = peers("websocket", 1)
    sessions: list[Session] = []

    def joins() -> bool:
        try:
            sessions.append(maker.join())
        except (Closed, HandshakeRefused, OSError):
            return False
        return True

    for _ in range(MOST_CONNECTIONS):
        eventually(joins, "a place that another test has left")
    assert not joins()
    sessions.pop().close()
    eventually(joins, "a free place")


@pytest.mark.parametrize(("kind", "end"), [(m.SUBSCRIBE, m.UNSUBSCRIBE), (m.REGISTER, m.UNREGISTER)])
def test_held_by_a_session(peers: Callable[..., Peers], kind: int, end: int) -> None:
    """A session cannot hold more subscriptions or registrations than its limit, and can again after giving one up."""
    maker = peers()
    session, other = maker.join(), maker.join()
    held = [session.expect(kind + 1, session.request(kind, {}, maker.uri(f"thing{number}")), ...)[2] for number in range(3)]
    request = session.request(kind, {}, maker.uri("thing3"))
    session.expect_error(kind, request, LIMIT_EXCEEDED)
    other.expect(kind + 1, other.request(kind, {}, maker.uri("thing4")), ...)
    session.expect(end + 1, session.request(end, held[0]))
    session.expect(kind + 1, session.request(kind, {}, maker.uri("thing3")), ...)


def test_pending_calls(peers: Callable[..., Peers]) -> None:
    """A session cannot wait for more calls than its limit, and can again after an answer."""
    maker = peers()
    caller, callee = maker.join(), maker.join()
    callee.register(maker.uri("procedure"))
    requests = [caller.call(maker.uri("procedure")) for _ in range(4)]
    caller.expect_error(m.CALL, requests[3], LIMIT_EXCEEDED)
    invocations = [callee.invocation() for _ in range(3)]
    callee.reply(invocations[0])
    caller.result(requests[0])
    caller.call(maker.uri("procedure"))
    callee.invocation()


@pytest.mark.parametrize("kind", [m.SUBSCRIBE, m.REGISTER, m.CALL, m.PUBLISH])
def test_length_of_uris(peers: Callable[..., Peers], kind: int) -> None:
    """A URI over the limit is invalid; one at the limit is not."""
    session = peers().join()
    options = {"acknowledge": True} if kind == m.PUBLISH else {}
    # Nobody else has it, so a call finds none of a session that is just ending.
    longest = str(kind).rjust(64, "x")
    request = session.request(kind, options, longest + "x")
    session.expect_error(kind, request, "wamp.error.invalid_uri")
    request = session.request(kind, options, longest)
    reply = session.recv()
    assert reply[0] != m.ERROR or reply[4] == "wamp.error.no_such_procedure", reply


def test_depth_of_messages(peers: Callable[..., Peers]) -> None:
    """A message that nests deeper than the limit is a violation; one at the limit is not."""
    deepest: list = []
    for _ in range(14):  # and the message, and its arguments
        deepest = [deepest]
    session = peers().join()
    session.publish_ack("com.topic", deepest)
    session.publish("com.topic", [deepest])
    session.expect_violation()


def test_events_for_a_slow_consumer_are_dropped(peers: Callable[..., Peers]) -> None:
    """With the policy "drop" a subscriber that does not read loses events, but no reply and not its session."""
    maker = peers()
    publisher, slow, quick = maker.join_many(3)
    for subscriber in (slow, quick):
        subscriber.subscribe(maker.uri("topic"))
    filling, count = "x" * 20_000, 1000
    for number in range(count):
        publisher.publish(maker.uri("topic"), [number, filling])
        assert quick.event()[4][0] == number
    request = slow.call(maker.uri("nothing"))
    received = []
    while (message := slow.recv())[0] == m.EVENT:
        received.append(message[4][0])
    assert message[:3] == [m.ERROR, m.CALL, request]
    assert received == sorted(received) and 0 < len(received) < count
    slow.barrier()
