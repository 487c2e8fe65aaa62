"""Compressed WebSocket messages: permessage-deflate (RFC 7692)."""

import json
import zlib
from collections.abc import Callable, Iterator

import pytest
from harness import messages as m
from harness.config import SMALL_LIMIT
from harness.deflated import COMPRESSED, TAIL, Deflated
from harness.peers import Peers
from harness.serializers import JSON
from harness.session import Session
from harness.wire import CONTINUATION, PING, TEXT
from websockets.sync.client import connect as websockets_connect

Connect = Callable[..., Session]

LONG = ["crossbar " * 100]


@pytest.fixture
def connect(websocket: Peers) -> Iterator[Connect]:
    """Opens connections with compression, on which no HELLO was sent yet."""
    opened = []

    def connect(identity: str = "deflate", **arguments) -> Session:
        opened.append(Session(Deflated(websocket.address(identity), websocket.serializer, **arguments)))
        return opened[-1]

    yield connect
    for session in opened:
        session.close()


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        ("", {"client_no_context_takeover": ""}),
        ("; client_max_window_bits", {"client_no_context_takeover": "", "client_max_window_bits": "15"}),
        ("; client_max_window_bits=10", {"client_no_context_takeover": "", "client_max_window_bits": "10"}),
        ("; server_max_window_bits=9", {"client_no_context_takeover": "", "server_max_window_bits": "9"}),
        ("; server_no_context_takeover; client_no_context_takeover", {"client_no_context_takeover": ""}),
        (
            "; server_max_window_bits=8, permessage-deflate; server_max_window_bits=11",
            {"client_no_context_takeover": "", "server_max_window_bits": "11"},
        ),
    ],
)
def test_parameters(connect: Connect, offer: str, agreed: dict[str, str]) -> None:
    """Each parameter of an offer is answered, and holds for what follows."""
    session = connect(offer=f"permessage-deflate{offer}")
    assert session.transport.agreed == {"server_no_context_takeover": "", **agreed}
    echo(session.join())


def test_configured_parameters(connect: Connect) -> None:
    """The configuration limits both windows, and may allow clients to refer to earlier messages."""
    session = connect("takeover", takeover=True)
    assert session.transport.agreed == {
        "server_no_context_takeover": "",
        "server_max_window_bits": "10",
        "client_max_window_bits": "11",
    }
    session.join()
    for _ in range(10):
        echo(session)


def test_declined(websocket: Peers) -> None:
    """An offer that is not understood is declined, and none is accepted where compression is off."""
    serializer = websocket.serializer
    for identity, offer in [
        ("deflate", "permessage-deflate; unknown"),
        ("deflate", "permessage-bzip2"),
        ("anonymous", "permessage-deflate"),
    ]:
        transport = websocket.wire(identity, serializer, fields=(f"Sec-WebSocket-Extensions: {offer}",))
        assert transport.header("Sec-WebSocket-Extensions") is None
        Session(transport).join().close()


def echo(session: Session) -> None:
    """The session's own event comes back compressed."""
    subscription = session.subscribe("com.deflate")
    session.publish("com.deflate", LONG, exclude_me=False)
    session.event(subscription, LONG)
    assert session.transport.last is not None and len(session.transport.last) < 200
    session.unsubscribe(subscription)


def test_one_event_for_all(websocket: Peers, connect: Connect) -> None:
    """Subscribers with and without compression get the same event; those with get the same octets."""
    topic = websocket.uri("topic")
    compressed, plain = [connect().join() for _ in range(3)], websocket.join()
    narrow = connect(offer="permessage-deflate; server_max_window_bits=9").join()
    sessions = [*compressed, plain, narrow]
    subscriptions = [session.subscribe(topic) for session in sessions]
    websocket.join().publish(topic, LONG)
    for session, subscription in zip(sessions, subscriptions):
        session.event(subscription, LONG)
    assert len({session.transport.last for session in compressed}) == 1
    assert compressed[0].transport.last is not None


def test_calls(websocket: Peers, connect: Connect) -> None:
    """Calls and results pass, short ones uncompressed."""
    callee, caller = connect().join(), connect().join()
    registration = callee.register(websocket.uri("procedure"))
    for argument in ("x", "x" * 10_000, "x" * 1_000_000):
        request = caller.call(websocket.uri("procedure"), [argument])
        callee.reply(callee.invocation(registration), [argument])
        caller.result(request, [argument])
        assert (caller.transport.last is None) == (argument == "x")


@pytest.mark.parametrize("size", [1, 10])
def test_fragments(connect: Connect, size: int) -> None:
    """A compressed message in fragments is put together, with control frames between them."""
    session = connect()
    data = session.transport.compress(session.serializer.dumps([m.HELLO, "realm1", {"roles": m.ALL_ROLES}]))
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    for number, part in enumerate(parts):
        opcode = CONTINUATION if number else COMPRESSED | session.transport.opcode
        session.transport.send_frame(opcode, part, fin=number == len(parts) - 1)
        if number == 0:
            session.transport.send_frame(PING, b"between")
    session.welcome()
    assert session.transport.pongs == [b"between"]


def test_uncompressed_messages(connect: Connect) -> None:
    """Messages may be sent uncompressed although compression was agreed on."""
    session = connect()
    hello = session.serializer.dumps([m.HELLO, "realm1", {"roles": m.ALL_ROLES}])
    session.transport.send_frame(session.transport.opcode, hello)
    session.welcome()


@pytest.mark.parametrize("opcode", [COMPRESSED | PING, COMPRESSED | CONTINUATION], ids=["ping", "continuation"])
def test_reserved_bit(connect: Connect, opcode: int) -> None:
    """The bit of compression in any frame but the first of a message closes the connection with code 1002."""
    session = connect().join()
    session.transport.send_frame(COMPRESSED | session.transport.opcode, b"\xf2", fin=False)
    session.transport.send_frame(opcode, b"")
    assert session.expect_closed().code == 1002


def test_garbage(connect: Connect) -> None:
    """What cannot be inflated closes the connection with code 1007."""
    session = connect().join()
    session.transport.send_frame(COMPRESSED | session.transport.opcode, b"\xff" * 100)
    assert session.expect_closed().code == 1007


@pytest.mark.parametrize("identity", ["deflate", "takeover"])
def test_cut_short(connect: Connect, identity: str) -> None:
    """A message that ends inside a block closes the connection with code 1007, and nothing of it is carried out."""
    session = connect(identity, takeover=identity == "takeover").join()
    request = session.serializer.dumps([m.PUBLISH, 1, {"acknowledge": True}, "com.deflate", LONG])
    compressed = session.transport.compress(request)
    # Only what follows the request is cut short: all of the request comes out.
    cut = compressed + TAIL + compressed[:1]
    session.transport.send_frame(COMPRESSED | session.transport.opcode, cut)
    assert session.expect_closed().code == 1007


@pytest.mark.parametrize("fragments", [1, 5])
def test_bomb(connect: Connect, fragments: int) -> None:
    """A message over the size limit closes the connection with code 1009, however short it is compressed."""
    session = connect("small").join()
    bomb = session.transport.compress(b" " * (100 * SMALL_LIMIT))
    size = len(bomb) // fragments + 1
    assert len(bomb) < SMALL_LIMIT
    for number in range(fragments):
        opcode = CONTINUATION if number else COMPRESSED | session.transport.opcode
        part = bomb[number * size : (number + 1) * size]
        session.transport.send_frame(opcode, part, fin=number == fragments - 1)
    assert session.expect_closed().code == 1009


def test_batched_and_compressed(websocket: Peers, connect: Connect) -> None:
    """A batch may be compressed as a whole."""
    name = f"{websocket.serializer.subprotocol}.batched"
    transport = connect(subprotocols=name).transport
    messages = [
        transport.serializer.dumps([m.HELLO, "realm1", {"roles": m.ALL_ROLES}]),
        transport.serializer.dumps([m.SUBSCRIBE, 1, {}, websocket.uri("topic")]),
    ]
    if transport.serializer.binary:
        batch = b"".join(len(message).to_bytes(4) + message for message in messages)
    else:
        batch = b"".join(message + b"\x1e" for message in messages)
    transport.send_message(batch)
    for kind in (m.WELCOME, m.SUBSCRIBED):
        answer = transport.recv_message()
        answer = answer[4:] if transport.serializer.binary else answer[:-1]
        assert transport.serializer.loads(answer)[0] == kind


def test_websockets_library(websocket: Peers) -> None:
    """The library `websockets` of Python, which compresses by default, is understood and understands."""
    if websocket.serializer is not JSON:
        pytest.skip("one serializer is enough")
    for identity in ("deflate", "takeover"):
        address = websocket.address(identity)
        url = f"ws://{address.host}:{address.port}{address.path}"
        with websockets_connect(url, subprotocols=["wamp.2.json"]) as client:
            assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]
            client.send(json.dumps([m.HELLO, "realm1", {"roles": m.ALL_ROLES}]))
            assert json.loads(client.recv())[0] == m.WELCOME
            client.send(json.dumps([m.SUBSCRIBE, 1, {}, "com.deflate.library"]))
            assert json.loads(client.recv())[0] == m.SUBSCRIBED
            for number in range(2, 22):
                client.send(json.dumps([m.PUBLISH, number, {"exclude_me": False}, "com.deflate.library", LONG]))
                assert json.loads(client.recv())[4] == LONG


def test_invalid_utf8_within(websocket: Peers, connect: Connect) -> None:
    """Text that is not UTF-8 closes the connection with code 1007 when it is compressed, too."""
    if websocket.serializer is not JSON:
        pytest.skip("only JSON is sent in text frames")
    session = connect().join()
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(b'[16,1,{},"com.\xff"]') + compressor.flush(zlib.Z_SYNC_FLUSH)
    session.transport.send_frame(COMPRESSED | TEXT, data[:-4])
    assert session.expect_closed().code == 1007
