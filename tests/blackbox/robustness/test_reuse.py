"""Connections that carried HTTP requests and become WebSockets, as those of a reverse proxy do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import config
from harness.peers import eventually
from harness.router import Router
from harness.wire import Address, Closed, Connection

MOST = 3
GET = b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
LONG_POLL = b"POST /lp/none/receive HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
ORIGIN = b"Origin: http://here.example\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
PROTOCOL = b"Sec-WebSocket-Protocol: wamp.2.json\r\n"
HELLO = b'[1,"realm1",{"roles":{"caller":{}}}]'
FRAME = bytes((0x81, 0x80 | len(HELLO), 0, 0, 0, 0)) + HELLO


def handshake(*fields: bytes) -> bytes:
    """The head of a handshake."""
    usual = b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    return b"GET /ws HTTP/1.1\r\n" + usual + b"".join(fields) + b"\r\n"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[Address]:
    """A router with room for few connections and one allowed origin."""

    def configuration(ports: list[int]) -> dict:
        usual = config.simple(ports[0], allowed_origins=["http://here.example"])
        usual["workers"][0]["transports"][0]["max_connections"] = MOST
        return usual

    router = Router(tmp_path, configuration, 1, ("--shards", "2")).start()
    yield Address(router.ports[0])
    router.stop()


def answer(connection: Connection) -> bytes:
    """The status line of the next answer, whose body is read as well."""
    head = connection.read_until(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    connection.read(int(fields.get(b"content-length", 0)))
    return head.split(b" ")[1]


def welcomed(connection: Connection) -> None:
    """The connection is a WebSocket now, over which WELCOME comes."""
    assert answer(connection) == b"101"
    connection.read_until(b"[2,")


@pytest.mark.parametrize("before", [GET, POST, LONG_POLL], ids=["GET", "POST", "long-poll"])
@pytest.mark.parametrize("pipelined", [False, True], ids=["awaited", "pipelined"])
def test_becomes_a_websocket(address: Address, before: bytes, pipelined: bool) -> None:
    """Whatever came before, whether its answer is awaited or not: HELLO is read after the handshake, and the place is free
    again when the connection has ended."""
    for _ in range(2 * MOST):

        def joins() -> bool:
            connection = Connection(address)
            try:
                connection.send_raw(before if not pipelined else before + handshake(KEY, PROTOCOL, ORIGIN) + FRAME)
                if (status := answer(connection)) == b"503":
                    return False
                assert status in (b"404", b"405"), status
                if not pipelined:
                    connection.send_raw(handshake(KEY, PROTOCOL, ORIGIN))
                    assert answer(connection) == b"101"
                    connection.send_raw(FRAME)
                    connection.read_until(b"[2,")
                else:
                    welcomed(connection)
            except (Closed, OSError):
                return False
            finally:
                connection.sock.close()
            return True

        eventually(joins, "a place that is free again")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((KEY, PROTOCOL, b"Origin: http://elsewhere.example\r\n"), b"403"),
        ((KEY, b"Sec-WebSocket-Protocol: nonsense\r\n", ORIGIN), b"400"),
        ((PROTOCOL, ORIGIN), b"400"),
    ],
    ids=["origin", "subprotocol", "key"],
)
def test_refused(address: Address, fields: tuple[bytes, ...], status: bytes) -> None:
    """A handshake is refused as a first request would be."""
    for before in (b"", GET):
        connection = Connection(address)
        connection.send_raw(before + handshake(*fields))
        if before:
            assert answer(connection) == b"404"
        assert answer(connection) == status
        connection.sock.close()
