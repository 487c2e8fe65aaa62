"""What is particular to RawSocket (TR)."""

import struct
from collections.abc import Callable

import pytest
from harness import messages as m
from harness.config import SMALL_LIMIT
from harness.meta import ask
from harness.peers import Peers
from harness.serializers import FLATBUFFERS, JSON
from harness.session import Session, call_through
from harness.wire import Connection, RawSocket

SMALLEST = 0  # the exponent of a client's limit (minus 9): the smallest there is


def open_socket(rawsocket: Peers, identity: str = "anonymous") -> Connection:
    """A connection on which nothing was sent."""
    return Connection(rawsocket.address(identity))


def test_TR_001_handshake(rawsocket: Peers) -> None:
    """The handshake is answered with the router's limit, 16 MiB by default, and the serializer."""
    connection = open_socket(rawsocket)
    connection.send_raw(bytes((0x7F, 0xF0 | rawsocket.serializer.rawsocket_id, 0, 0)))
    assert connection.read(4) == bytes((0x7F, 0xF0 | rawsocket.serializer.rawsocket_id, 0, 0))
    connection.close()


def test_TR_002_serializers(rawsocket: Peers) -> None:
    """Each serializer works."""
    rawsocket.join().barrier()


@pytest.mark.parametrize("serializer", [6, 9, 15])
def test_TR_003_unsupported_serializer(rawsocket: Peers, serializer: int) -> None:
    """A serializer that the router does not have is refused with error 1, and the connection closed."""
    connection = open_socket(rawsocket)
    connection.send_raw(bytes((0x7F, 0xF0 | serializer, 0, 0)))
    assert connection.read(4) == b"\x7f\x10\0\0"
    closed(connection)


def closed(connection: Connection) -> None:
    """The router ends the connection without another octet."""
    with pytest.raises(Exception, match="connection closed"):
        connection.read(1)
    connection.close()


def test_TR_004_serializer_0(rawsocket: Peers) -> None:
    """Serializer 0 is refused, and the connection closed."""
    connection = open_socket(rawsocket)
    connection.send_raw(b"\x7f\xf0\0\0")
    assert connection.read(4) == b"\x7f\x10\0\0"
    closed(connection)


@pytest.mark.parametrize("octets", [b"\0\1", b"\1\0", b"\xff\xff"], ids=["fourth", "third", "both"])
def test_TR_005_reserved_octets(rawsocket: Peers, octets: bytes) -> None:
    """Reserved octets that are not zero are refused with error 3, and the connection closed."""
    connection = open_socket(rawsocket)
    connection.send_raw(bytes((0x7F, 0xF0 | rawsocket.serializer.rawsocket_id)) + octets)
    assert connection.read(4) == b"\x7f\x30\0\0"
    closed(connection)


@pytest.mark.parametrize("octets", [b"\0\0\0\0", b"\x7e\xf1\0\0", b"GET / HTTP/1.1\r\n\r\n"], ids=["0", "7e", "http"])
def test_TR_006_first_octet(rawsocket: Peers, octets: bytes) -> None:
    """On a port for RawSocket only, another first octet than 0x7F closes the connection."""
    connection = open_socket(rawsocket, "alice")
    connection.send_raw(octets)
    closed(connection)


def test_TR_007_handshake_in_single_octets(rawsocket: Peers) -> None:
    """A handshake that arrives octet by octet works."""
    connection = open_socket(rawsocket)
    for octet in (0x7F, 0xF0 | rawsocket.serializer.rawsocket_id, 0, 0):
        connection.send_raw(bytes([octet]))
    assert connection.read(4)[0] == 0x7F
    connection.close()


def test_TR_008_split_and_joined_frames(rawsocket: Peers) -> None:
    """A frame in single octets works, and so do many frames in one segment."""
    session = rawsocket.connect()
    hello = session.serializer.dumps([m.HELLO, "realm1", {"roles": m.ALL_ROLES}])
    for octet in RawSocket.frame(0, hello):
        session.transport.send_raw(bytes([octet]))
    session.welcome()
    calls = [session.serializer.dumps([m.CALL, number, {}, "no.procedure"]) for number in range(1, 101)]
    session.transport.send_raw(b"".join(RawSocket.frame(0, call) for call in calls))
    for number in range(1, 101):
        session.expect_error(m.CALL, number, "wamp.error.no_such_procedure")


def test_handshake_and_hello_in_one_segment(rawsocket: Peers) -> None:
    """A client need not wait for the handshake's answer."""
    connection = open_socket(rawsocket)
    serializer = rawsocket.serializer
    hello = serializer.dumps([m.HELLO, "realm1", {"roles": m.ALL_ROLES}])
    connection.send_raw(bytes((0x7F, 0xF0 | serializer.rawsocket_id, 0, 0)) + RawSocket.frame(0, hello))
    connection.read(4)
    (size,) = struct.unpack(">I", connection.read(4))
    assert serializer.loads(connection.read(size))[0] == m.WELCOME
    connection.close()


@pytest.mark.parametrize("payload", [b"ping", b"x" * 4096], ids=["short", "long"])
def test_TR_009_ping(rawsocket: Peers, payload: bytes) -> None:
    """A ping is answered by a pong with the same payload."""
    session = rawsocket.join()
    session.transport.send_raw(RawSocket.frame(1, payload))
    session.barrier()
    assert session.transport.pongs == [payload]


def test_TR_010_empty_ping(rawsocket: Peers) -> None:
    """A ping without payload is answered by a pong without."""
    session = rawsocket.join()
    session.transport.send_raw(RawSocket.frame(1, b""))
    session.barrier()
    assert session.transport.pongs == [b""]


@pytest.mark.parametrize("kind", [3, 4, 5, 6, 7])
def test_TR_011_reserved_type(rawsocket: Peers, kind: int) -> None:
    """A frame of a reserved type fails the connection."""
    session = rawsocket.join()
    session.transport.send_raw(RawSocket.frame(kind, b"x"))
    session.expect_closed()


@pytest.mark.parametrize("bit", [28, 29, 30, 31])
def test_TR_012_reserved_bits(rawsocket: Peers, bit: int) -> None:
    """A frame header with a reserved bit set fails the connection."""
    session = rawsocket.join()
    session.transport.send_raw(struct.pack(">I", 1 << bit | 4) + b"abcd")
    session.expect_closed()


def test_TR_013_frame_over_the_limit(rawsocket: Peers) -> None:
    """A frame longer than what the router announced fails the connection; one below passes."""
    session = rawsocket.join(identity="small")
    assert session.transport.peer_limit == SMALL_LIMIT
    session.publish_ack(rawsocket.uri("topic"), ["x" * (SMALL_LIMIT - 200)])
    session.transport.send_raw(struct.pack(">I", SMALL_LIMIT + 1) + b"[")
    session.expect_closed()


def test_TR_014_clients_limit(rawsocket: Peers) -> None:
    """An event above the client's limit is not sent to it, and its session lives on."""
    session = rawsocket.connect(limit=SMALLEST).join()
    other, publisher = rawsocket.join(), rawsocket.join()
    subscription = session.subscribe(rawsocket.uri("topic"))
    other.subscribe(rawsocket.uri("topic"))
    large = ["x" * (1 << (9 + SMALLEST))]
    publisher.publish(rawsocket.uri("topic"), large)
    publisher.publish(rawsocket.uri("topic"), ["small"])
    session.event(subscription, ["small"])
    other.event(subscription, large)
    other.event(subscription, ["small"])


def test_small_clients_hear_of_their_end(rawsocket: Peers) -> None:
    """ABORT and GOODBYE that are too long for a client reach it without their details."""
    session = rawsocket.connect(limit=SMALLEST)
    session.hello("realm." + "x" * 600)
    session.expect(m.ABORT, {}, "wamp.error.no_such_realm")
    killer, victim = rawsocket.join("meta"), session.join("meta")
    ask(killer, "wamp.session.kill", victim.id, reason="com.example.why", message="m" * 600)
    victim.expect(m.GOODBYE, {}, "com.example.why")


def test_small_clients_hear_what_they_lose(rawsocket: Peers) -> None:
    """What is taken from a client that takes short messages only is named, without a reason that is too long for it."""
    admin, session = rawsocket.join("meta"), rawsocket.connect(limit=SMALLEST)
    session.join("meta", m.roles(subscriber=("subscription_revocation",), callee=("registration_revocation",)))
    subscription, registration = session.subscribe(rawsocket.uri("topic")), session.register(rawsocket.uri("procedure"))
    reason = "com." + "x" * 600
    ask(admin, "wamp.subscription.remove_subscriber", subscription, session.id, reason)
    session.expect(m.UNSUBSCRIBED, 0, {"subscription": subscription})
    ask(admin, "wamp.registration.remove_callee", registration, session.id, reason)
    session.expect(m.UNREGISTERED, 0, {"registration": registration})


def test_TR_015_result_over_the_clients_limit(rawsocket: Peers) -> None:
    """A result above the caller's limit becomes an error payload_size_exceeded."""
    caller, callee = rawsocket.connect(limit=SMALLEST).join(), rawsocket.join()
    callee.register(rawsocket.uri("procedure"))
    request = caller.call(rawsocket.uri("procedure"))
    callee.reply(callee.invocation(), ["x" * (1 << (9 + SMALLEST))])
    caller.expect_error(m.CALL, request, "wamp.error.payload_size_exceeded")
    caller.barrier()


TOO_LONG = {
    "error's URI": lambda callee, call: callee.reply_error(call, "com." + "x" * 600),
    "error's arguments": lambda callee, call: callee.reply_error(call, "com.example.error", ["x" * 600]),
    "details": lambda callee, call: callee.reply(call, ["x"], ppt_scheme="x_mine", ppt_keyid="k" * 600),
}


@pytest.mark.parametrize("answer", TOO_LONG.values(), ids=TOO_LONG)
def test_TR_015_answers_over_the_clients_limit(rawsocket: Peers, answer: Callable[[Session, list], None]) -> None:
    """So does an error, whatever is long in it, and a result with long details."""
    if rawsocket.serializer is FLATBUFFERS:
        pytest.skip("autobahn writes no such details")
    caller, callee = rawsocket.connect(limit=SMALLEST).join(), rawsocket.join()
    callee.register(rawsocket.uri("procedure"))
    request = caller.call(rawsocket.uri("procedure"))
    answer(callee, callee.invocation())
    caller.expect_error(m.CALL, request, "wamp.error.payload_size_exceeded")
    caller.barrier()


def test_progress_over_the_clients_limit(rawsocket: Peers) -> None:
    """A progressive result above the caller's limit ends the call by an error, and its callee is interrupted."""
    caller, callee = rawsocket.connect(limit=SMALLEST).join(), rawsocket.join()
    callee.register(rawsocket.uri("procedure"))
    request = caller.call(rawsocket.uri("procedure"), receive_progress=True)
    invocation = callee.invocation()
    callee.reply(invocation, ["x" * 600], progress=True)
    caller.expect_error(m.CALL, request, "wamp.error.payload_size_exceeded")
    callee.expect(m.INTERRUPT, invocation[1], ...)
    callee.reply(invocation, ["end"])
    callee.barrier()
    caller.barrier()


def test_calls_over_the_callees_limit(rawsocket: Peers) -> None:
    """A call above the callee's limit fails, and the callee takes the next one."""
    caller, callee = rawsocket.join(), rawsocket.connect(limit=SMALLEST).join()
    callee.register(rawsocket.uri("procedure"))
    request = caller.call(rawsocket.uri("procedure"), ["x" * 600])
    caller.expect_error(m.CALL, request, "wamp.error.payload_size_exceeded")
    caller.barrier()
    callee.barrier()
    call_through(caller, callee, rawsocket.uri("procedure"))


def test_parts_over_the_callees_limit(rawsocket: Peers) -> None:
    """A part of a call above the callee's limit ends the call by an error, and the callee is interrupted."""
    caller, callee = rawsocket.join(), rawsocket.connect(limit=SMALLEST).join()
    callee.register(rawsocket.uri("procedure"))
    request = caller.call(rawsocket.uri("procedure"), [0], progress=True)
    invocation = callee.invocation()
    caller.call_on(request, rawsocket.uri("procedure"), ["x" * 600], progress=True)
    caller.expect_error(m.CALL, request, "wamp.error.payload_size_exceeded")
    callee.expect(m.INTERRUPT, invocation[1], ...)
    caller.barrier()


def test_TR_016_longest_frame(rawsocket: Peers) -> None:
    """A frame of exactly 2^24 octets, which needs the 25th length bit, is understood."""
    session = rawsocket.join()
    options = {"acknowledge": True}

    def message(size: int) -> bytes:
        return session.serializer.dumps([m.PUBLISH, 1, options, rawsocket.uri("topic"), ["x" * size]])

    size = (1 << 24) - (len(message(1 << 23)) - (1 << 23))
    data = message(size)
    assert len(data) == 1 << 24
    session.send_bytes(data)
    session.expect(m.PUBLISHED, 1, ...)


def test_TR_017_ping_instead_of_handshake(rawsocket: Peers) -> None:
    """A frame where the handshake is due closes the connection."""
    connection = open_socket(rawsocket, "alice")
    connection.send_raw(RawSocket.frame(1, b"ping"))
    closed(connection)


def test_TR_018_unsolicited_pong(rawsocket: Peers) -> None:
    """A pong that nobody asked for is ignored."""
    session = rawsocket.join()
    session.transport.send_raw(RawSocket.frame(2, b"?"))
    session.barrier()


def test_invalid_utf8(rawsocket: Peers) -> None:
    """Text that is not UTF-8 is a violation."""
    if rawsocket.serializer is not JSON:
        pytest.skip("the binary serializers' strings are tested as PV-006")
    session = rawsocket.join()
    session.send_bytes(b'[16,1,{},"com.topic",["\xff"]]')
    session.expect_violation()
