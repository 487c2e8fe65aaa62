"""What is particular to WebSocket (TW, RFC 6455)."""

import base64
import contextlib
import hashlib
import struct

import pytest
from harness import messages as m
from harness.config import SMALL_LIMIT
from harness.peers import Peers
from harness.serializers import ALL, BJDATA, FLATBUFFERS, JSON, UBJSON12, Serializer
from harness.session import Session
from harness.values import same
from harness.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, Connection, HandshakeRefused


def hello(session: Session) -> bytes:
    """The octets of HELLO."""
    return session.serializer.dumps([m.HELLO, "realm1", {"roles": m.ALL_ROLES}])


def test_TW_001_subprotocol(websocket: Peers) -> None:
    """The subprotocol of each serializer is accepted and named in the answer."""
    session = websocket.connect()
    assert session.transport.header("Sec-WebSocket-Protocol") == websocket.serializer.subprotocol
    session.join().barrier()


def test_subprotocols_in_the_clients_order(websocket: Peers) -> None:
    """Of several subprotocols the first that the router knows is taken."""
    others = [serializer.subprotocol for serializer in ALL if serializer is not websocket.serializer]
    offered = ", ".join(["wamp.9.klingon", websocket.serializer.subprotocol, *others])
    session = websocket.connect(subprotocols=offered)
    assert session.transport.header("Sec-WebSocket-Protocol") == websocket.serializer.subprotocol
    session.join()


@pytest.mark.parametrize("offered", ["wamp.9.klingon", ""], ids=["unknown", "none"])
def test_TW_002_no_common_subprotocol(websocket: Peers, offered: str) -> None:
    """Without a common subprotocol the handshake is refused with status 400."""
    with pytest.raises(HandshakeRefused) as refused:
        websocket.wire(subprotocols=offered)
    assert refused.value.status == 400


def test_accept_key(websocket: Peers) -> None:
    """The handshake's answer proves that the key was read."""
    connection = Connection(websocket.address())
    key = base64.b64encode(b"0123456789abcdef").decode()
    request = (
        "GET /ws HTTP/1.1\r\nHost: x\r\nupgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n"
        f"sec-websocket-key: {key}\r\nsec-websocket-version: 13\r\n"
        f"sec-websocket-protocol: {websocket.serializer.subprotocol}\r\n\r\n"
    )
    connection.send_raw(request.encode())
    answer = connection.read_until(b"\r\n\r\n").decode().lower()
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    assert f"sec-websocket-accept: {base64.b64encode(digest).decode()}".lower() in answer
    connection.close()


def test_TW_003_wrong_kind_of_frame(websocket: Peers) -> None:
    """A text frame where binary is agreed, or a binary one where text is, ends the connection."""
    session = websocket.join()
    opcode = TEXT if websocket.serializer.binary else BINARY
    session.transport.send_frame(opcode, session.serializer.dumps([m.CALL, 1, {}, "com.procedure"]))
    try:
        session.expect_abort(m.VIOLATION)
        closed = session.expect_closed()
    except Closed as without_abort:
        closed = without_abort
    assert closed.code in (1002, 1003, 1007)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_TW_004_fragments(websocket: Peers, size: int) -> None:
    """A fragmented message is put together, with control frames between its fragments."""
    session = websocket.connect()
    data = hello(session)
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    for number, part in enumerate(parts):
        opcode = CONTINUATION if number else session.transport.opcode
        session.transport.send_frame(opcode, part, fin=number == len(parts) - 1)
        if number == 0 and len(parts) > 1:
            session.transport.send_frame(PING, b"between")
    session.welcome()
    assert session.transport.pongs == [b"between"][: len(parts) - 1]


def test_frames_in_single_octets(websocket: Peers) -> None:
    """A frame that arrives octet by octet is understood."""
    session = websocket.connect()
    for octet in session.transport.frame(session.transport.opcode, hello(session)):
        session.transport.send_raw(bytes([octet]))
    session.welcome()


def test_frames_in_one_segment(websocket: Peers) -> None:
    """Many frames that arrive together are all processed."""
    session = websocket.join()
    calls = [session.serializer.dumps([m.CALL, number, {}, "no.procedure"]) for number in range(1, 101)]
    session.transport.send_raw(b"".join(session.transport.frame(session.transport.opcode, call) for call in calls))
    for number in range(1, 101):
        session.expect_error(m.CALL, number, "wamp.error.no_such_procedure")


def test_TW_005_invalid_utf8(websocket: Peers) -> None:
    """Text that is not UTF-8 closes the connection with code 1007."""
    if websocket.serializer is not JSON:
        pytest.skip("only JSON is sent in text frames")
    for text in (b'[16,1,{},"com.\xff"]', b'[16,1,{},"com.topic",["\xed\xa0\x80"]]', b'[16,1,{},"com.\xc3'):
        session = websocket.join()
        session.send_bytes(text)
        assert session.expect_closed().code == 1007


def test_TW_006_message_over_the_limit(websocket: Peers) -> None:
    """A message over the size limit closes the connection with code 1009; one below it passes."""
    session = websocket.join(identity="small")
    session.publish_ack(websocket.uri("topic"), ["x" * (SMALL_LIMIT - 200)])
    session.publish(websocket.uri("topic"), ["x" * SMALL_LIMIT])
    assert session.expect_closed().code == 1009


def test_fragments_over_the_limit(websocket: Peers) -> None:
    """Fragments that together exceed the size limit close the connection with code 1009."""
    session = websocket.join(identity="small")
    session.transport.send_frame(session.transport.opcode, b"[" * (SMALL_LIMIT - 100), fin=False)
    session.transport.send_frame(CONTINUATION, b"[" * 200, fin=False)
    assert session.expect_closed().code == 1009


@pytest.mark.parametrize("payload", [b"", b"ping", b"x" * 125], ids=["empty", "short", "longest"])
def test_TW_007_ping(websocket: Peers, payload: bytes) -> None:
    """A ping is answered by a pong with the same payload."""
    session = websocket.join()
    session.transport.send_frame(PING, payload)
    assert session.transport.read_frame() == (PONG, True, payload)


def test_unsolicited_pong(websocket: Peers) -> None:
    """A pong that nobody asked for is ignored."""
    session = websocket.join()
    session.transport.send_frame(PONG, b"?")
    session.barrier()


@pytest.mark.parametrize(
    "frame",
    {
        "not masked": b"\x81\x02[]",
        "reserved bit": b"\xc1\x80\0\0\0\0",
        "reserved opcode": b"\x83\x80\0\0\0\0",
        "reserved control": b"\x8b\x80\0\0\0\0",
        "fragmented ping": b"\x09\x80\0\0\0\0",
        "long ping": b"\x89\xfe\x00\x7e\0\0\0\0" + b"x" * 126,
        "continuation of nothing": b"\x80\x80\0\0\0\0",
        "huge length": b"\x82\xff" + b"\xff" * 8 + b"\0\0\0\0",
    }.items(),
    ids=lambda item: item[0].replace(" ", "-"),
)
def test_malformed_frames(websocket: Peers, frame: tuple[str, bytes]) -> None:
    """A frame that RFC 6455 forbids closes the connection with code 1002 (or 1009 for its length)."""
    session = websocket.join()
    session.transport.send_raw(frame[1])
    assert session.expect_closed().code in ((1002, 1009) if frame[0] == "huge length" else (1002,))


def test_new_message_inside_another(websocket: Peers) -> None:
    """A data frame between the fragments of another message closes the connection with code 1002."""
    session = websocket.join()
    session.transport.send_frame(session.transport.opcode, b"[", fin=False)
    session.transport.send_frame(session.transport.opcode, b"]")
    assert session.expect_closed().code == 1002


def test_close_is_answered(websocket: Peers) -> None:
    """A close frame is answered by one with its code, and what the session held is freed."""
    session, other = websocket.join(), websocket.join()
    session.register(websocket.uri("procedure"))
    session.transport.send_frame(CLOSE, struct.pack(">H", 1000) + b"bye")
    assert session.expect_closed().code == 1000
    other.register(websocket.uri("other"))
    request = other.call(websocket.uri("procedure"))
    error = other.recv()
    assert error[:3] == [m.ERROR, m.CALL, request], error


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xe8\xff", struct.pack(">H", 1005)], ids=["short", "utf8", "1005"])
def test_malformed_close(websocket: Peers, payload: bytes) -> None:
    """A malformed close frame is answered by code 1002 or 1007."""
    session = websocket.join()
    session.transport.send_frame(CLOSE, payload)
    assert session.expect_closed().code in (1002, 1007)


def test_connection_is_closed_after_close(websocket: Peers) -> None:
    """After the closing handshake the router ends the connection."""
    session = websocket.join()
    session.transport.send_frame(CLOSE, b"")
    session.expect_closed(keep=True)
    assert session.expect_closed().code is None


@pytest.mark.parametrize("request_line", ["GET /nowhere HTTP/1.1", "POST /ws HTTP/1.1"])
def test_other_requests(websocket: Peers, request_line: str) -> None:
    """A request that is no upgrade to a configured path is answered by an HTTP error."""
    connection = Connection(websocket.address())
    connection.send_raw(f"{request_line}\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    status = int(connection.read_until(b"\r\n").split(b" ")[1])
    assert 400 <= status < 500
    connection.close()


def test_http_garbage(websocket: Peers) -> None:
    """What is neither HTTP nor RawSocket ends the connection, perhaps after an HTTP error."""
    connection = Connection(websocket.address())
    connection.send_raw(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
    with contextlib.suppress(Closed):
        assert connection.read_until(b"\r\n").startswith(b"HTTP/1.1 4")
    connection.close()


@pytest.mark.parametrize("dialect", [BJDATA, UBJSON12], ids=lambda serializer: serializer.name)
@pytest.mark.parametrize("transport", ["websocket", "rawsocket", "longpoll"])
def test_TW_014_dialects_of_ubjson(wamp_of, transport: str, dialect: Serializer) -> None:
    """UBJSON clients of both dialects, which share a subprotocol, are told apart by the configuration of their transport."""
    wamp = wamp_of(transport)
    numbers = [1, 255, 256, 65535, 65536, -1, -129, -32769, 1 << 40, -(1 << 40), 0.5, b"\x01\x02"]
    subscriber = wamp.join(serializer=dialect)
    if wamp.is_websocket:
        assert subscriber.transport.header("Sec-WebSocket-Protocol") == "wamp.2.ubjson"
    subscriber.subscribe(wamp.uri("topic"))
    for serializer in (BJDATA, UBJSON12):
        wamp.join(serializer=serializer).publish(wamp.uri("topic"), numbers)
        assert same(subscriber.event()[4], numbers)


def test_subprotocol_of_flatbuffers(wamp_of) -> None:
    """FlatBuffers has a subprotocol, and no batched form."""
    session = wamp_of("websocket").connect(serializer=FLATBUFFERS)
    assert session.transport.header("Sec-WebSocket-Protocol") == "wamp.2.flatbuffers"
    session.join().barrier()
