"""Blocking WebSocket and RawSocket connections that hide nothing: what a test sends is what leaves.

They are written by hand, so that a test can also send what no well-behaved client would.
"""

import base64
import contextlib
import os
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .serializers import Serializer

# How long a reply may take before the test fails. Nothing waits this long unless something is broken.
PATIENCE = float(os.environ.get("CROSSPOINT_TEST_PATIENCE", "8"))

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CONTINUATION = 0


class Closed(Exception):
    """The router closed the connection; `code` is the WebSocket close code if there was one."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(f"connection closed (code {code}, {reason!r})")
        self.code = code
        self.reason = reason


class HandshakeRefused(Exception):
    """The router answered the opening handshake with a refusal."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(f"handshake refused: {answer[:200]!r}")
        self.answer = answer

    @property
    def status(self) -> int:
        """The HTTP status of a refused WebSocket upgrade."""
        return int(self.answer.split(b" ", 2)[1])


@dataclass(frozen=True)
class Address:
    """Where a transport is served: a TCP port, and the path for WebSocket."""

    port: int
    path: str = "/ws"
    host: str = "127.0.0.1"


class Connection:
    """A TCP connection with a read buffer and a deadline for each read."""

    def __init__(self, address: Address) -> None:
        self.sock = socket.create_connection((address.host, address.port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    def send_raw(self, data: bytes) -> None:
        """Sends octets as they are."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(reason=str(error)) from error

    def read(self, count: int, timeout: float = PATIENCE) -> bytes:
        """Exactly `count` octets, or `Closed`, or `TimeoutError`."""
        self.gather(count, timeout)
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def gather(self, count: int, timeout: float = PATIENCE) -> None:
        """Receives as fast as it can until there are `count` octets to be read, or `Closed`, or `TimeoutError`."""
        deadline = None
        while len(self._buffer) < count:
            now = time.monotonic()
            deadline = deadline or now + timeout
            self.sock.settimeout(max(deadline - now, 0.001))
            try:
                data = self.sock.recv(1 << 18)
            except ConnectionResetError as error:
                raise Closed(reason="reset") from error
            if not data:
                raise Closed(reason="end of stream")
            self._buffer += data

    def has_buffered(self) -> bool:
        """Whether octets were received that nobody has read."""
        return bool(self._buffer)

    def read_until(self, mark: bytes) -> bytes:
        """Octets up to and including `mark`."""
        taken = bytearray()
        while not taken.endswith(mark):
            taken += self.read(1)
        return bytes(taken)

    def reset(self) -> None:
        """Ends the connection by a TCP reset, as a crashed peer would."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        """Ends the connection without a closing handshake, also under a thread that reads from it."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def _xor(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    stream = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")


class WebSocket(Connection):
    """A WebSocket connection; messages are sent in one masked frame of the serializer's kind."""

    name = "websocket"
    reserved = 0x70  # bits of a frame's first octet that must not be set; others than opcode and FIN go to the opcode

    def __init__(
        self,
        address: Address,
        serializer: Serializer,
        subprotocols: str | None = None,
        fields: Sequence[str] = (),
    ) -> None:
        super().__init__(address)
        self.serializer = serializer
        self.opcode = BINARY if serializer.binary else TEXT
        offered = serializer.subprotocol if subprotocols is None else subprotocols
        self.answer = self._upgrade(address, offered, fields)
        self.pongs: list[bytes] = []

    def _upgrade(self, address: Address, subprotocols: str, fields: Sequence[str]) -> bytes:
        lines = [
            f"GET {address.path} HTTP/1.1",
            f"Host: {address.host}:{address.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            *fields,
        ]
        if subprotocols:
            lines.append(f"Sec-WebSocket-Protocol: {subprotocols}")
        self.send_raw("\r\n".join([*lines, "", ""]).encode())
        answer = self.read_until(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 101"):
            self.close()
            raise HandshakeRefused(answer)
        return answer

    def header(self, name: str) -> str | None:
        """A header of the router's answer to the upgrade."""
        for line in self.answer.decode().split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == name.lower():
                return value.strip()
        return None

    def send_frame(self, opcode: int, payload: bytes, fin: bool = True, mask: bool = True) -> None:
        """Sends one frame."""
        self.send_raw(self.frame(opcode, payload, fin, mask))

    @staticmethod
    def frame(opcode: int, payload: bytes, fin: bool = True, mask: bool = True) -> bytes:
        """One frame's octets."""
        size, bit = len(payload), 0x80 if mask else 0
        first = opcode | (0x80 if fin else 0)
        if size < 126:
            head = struct.pack(">BB", first, bit | size)
        elif size < 1 << 16:
            head = struct.pack(">BBH", first, bit | 126, size)
        else:
            head = struct.pack(">BBQ", first, bit | 127, size)
        if not mask:
            return head + payload
        key = os.urandom(4)
        return head + key + _xor(payload, key)

    def send_message(self, data: bytes) -> None:
        """Sends one WAMP message."""
        self.send_frame(self.opcode, data)

    def read_frame(self, timeout: float = PATIENCE) -> tuple[int, bool, bytes]:
        """The next frame: opcode, whether it is final, payload."""
        first, second = self.read(2, timeout)
        assert first & self.reserved == 0, "reserved bits set by the router"
        assert second & 0x80 == 0, "the router masked a frame"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self.read(2, timeout))
        elif size == 127:
            (size,) = struct.unpack(">Q", self.read(8, timeout))
        return first & 0x7F, bool(first & 0x80), self.read(size, timeout)

    def recv_message(self, timeout: float = PATIENCE) -> bytes:
        """The next WAMP message; answers pings and raises `Closed` at a close frame."""
        parts: list[bytes] = []
        while True:
            opcode, fin, payload = self.read_frame(timeout)
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode == PONG:
                self.pongs.append(payload)
            elif opcode == CLOSE:
                with contextlib.suppress(Closed):
                    self.send_frame(CLOSE, payload[:2])
                code = struct.unpack(">H", payload[:2])[0] if payload else None
                raise Closed(code, payload[2:].decode())
            else:
                assert opcode == (CONTINUATION if parts else self.opcode), f"opcode {opcode}"
                parts.append(payload)
                if fin:
                    return b"".join(parts)


class RawSocket(Connection):
    """A RawSocket connection; `limit` is the exponent of the length that this side accepts, minus 9."""

    name = "rawsocket"

    def __init__(self, address: Address, serializer: Serializer, limit: int = 15) -> None:
        super().__init__(address)
        self.serializer = serializer
        self.send_raw(bytes((0x7F, limit << 4 | serializer.rawsocket_id, 0, 0)))
        answer = self.read(4)
        if answer[0] != 0x7F or answer[1] & 0x0F == 0:
            self.close()
            raise HandshakeRefused(answer)
        assert answer[1] & 0x0F == serializer.rawsocket_id and answer[2:] == b"\0\0", answer
        self.peer_limit = 1 << (9 + (answer[1] >> 4))
        self.pongs: list[bytes] = []

    @staticmethod
    def frame(kind: int, payload: bytes) -> bytes:
        """One frame's octets; a payload of 2^24 octets sets the 25th length bit."""
        return struct.pack(">I", kind << 24 | len(payload) if len(payload) < 1 << 24 else 1 << 27) + payload

    def send_message(self, data: bytes) -> None:
        """Sends one WAMP message."""
        self.send_raw(self.frame(0, data))

    def recv_message(self, timeout: float = PATIENCE) -> bytes:
        """The next WAMP message; answers pings."""
        while True:
            (head,) = struct.unpack(">I", self.read(4, timeout))
            assert head >> 28 == 0, "reserved bits set by the router"
            size = 1 << 24 if head & 1 << 27 else head & 0xFFFFFF
            payload, kind = self.read(size, timeout), head >> 24 & 7
            if kind == 0:
                return payload
            assert kind in (1, 2), f"frame type {kind}"
            if kind == 1:
                self.send_raw(self.frame(2, payload))
            else:
                self.pongs.append(payload)

