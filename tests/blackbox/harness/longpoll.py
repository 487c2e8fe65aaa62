"""A long-poll transport: every message in a request of its own, or in batches."""

import contextlib
import http.client
import json
import socket
import struct
import time
from collections import deque

from .serializers import Serializer
from .wire import PATIENCE, Address, Closed, HandshakeRefused

SEPARATORS = (b"\x1e", b"\x18")


def join(serializer: Serializer, messages: list[bytes], separator: bytes = SEPARATORS[0]) -> bytes:
    """One batch."""
    if serializer.binary:
        return b"".join(struct.pack(">I", len(message)) + message for message in messages)
    return b"".join(message + separator for message in messages)


def split(serializer: Serializer, batch: bytes, separator: bytes = SEPARATORS[0]) -> list[bytes]:
    """The messages of one batch."""
    messages = []
    if not serializer.binary:
        *messages, rest = batch.split(separator)
        assert messages and not rest, f"not a batch: {batch!r}"
    while serializer.binary and batch:
        (size,) = struct.unpack(">I", batch[:4])
        assert size and len(batch) >= 4 + size, f"not a batch: {batch!r}"
        messages.append(batch[4 : 4 + size])
        batch = batch[4 + size :]
    return messages


class LongPoll:
    """One transport. Unless told otherwise JSON is sent one by one, as browsers do, and what else has batches in these."""

    name = "longpoll"

    def __init__(self, address: Address, serializer: Serializer, batched: bool | None = None) -> None:
        self.address = address
        self.serializer = serializer
        self.batched = serializer.binary and serializer.batches if batched is None else batched
        self.protocol = f"{serializer.subprotocol}.batched" if self.batched else serializer.subprotocol
        self._sending, self._receiving = self._connection(), self._connection()
        self._received: deque[bytes] = deque()
        self._is_asking = False
        self.status = 0  # of the last request to send
        status, self.answer = self._post(self._sending, "/open", json.dumps({"protocols": [self.protocol]}).encode())
        if status != 200:
            raise HandshakeRefused(f"HTTP/1.1 {status} {self.answer!r}".encode())
        self.transport: str = json.loads(self.answer)["transport"]

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address.host, self.address.port, timeout=PATIENCE)

    def _request(self, connection: http.client.HTTPConnection, path: str, body: bytes = b"") -> None:
        try:
            connection.request("POST", self.address.path + path, body, {"Content-Type": "application/json"})
        except (http.client.HTTPException, ConnectionError) as error:
            raise Closed(reason=str(error)) from error

    @staticmethod
    def _response(connection: http.client.HTTPConnection, timeout: float = PATIENCE) -> tuple[int, bytes]:
        connection.sock.settimeout(timeout)
        try:
            response = connection.getresponse()
            return response.status, response.read()
        except (http.client.HTTPException, ConnectionError) as error:
            raise Closed(reason=str(error)) from error

    def _post(self, connection: http.client.HTTPConnection, path: str, body: bytes = b"") -> tuple[int, bytes]:
        self._request(connection, path, body)
        return self._response(connection)

    def send_body(self, body: bytes) -> int:
        """Sends a body, right or wrong; the status of the answer."""
        self.status, _ = self._post(self._sending, f"/{self.transport}/send", body)
        return self.status

    def send_message(self, data: bytes) -> None:
        """Sends one WAMP message."""
        if self.send_body(join(self.serializer, [data]) if self.batched else data) == 404:
            raise Closed(reason="there is no such transport")

    def receive(self, timeout: float = PATIENCE) -> tuple[int, bytes]:
        """One request to receive: status and body."""
        self._ask()
        self._is_asking = False
        return self._response(self._receiving, timeout)

    def _ask(self) -> None:
        if not self._is_asking:
            self._request(self._receiving, f"/{self.transport}/receive")
            self._is_asking = True

    @property
    def sock(self) -> socket.socket:
        """What becomes readable when there is an answer to a request to receive, which is made now."""
        self._ask()
        return self._receiving.sock

    def has_buffered(self) -> bool:
        """Whether there are messages that were received and not taken yet."""
        return bool(self._received)

    def recv_message(self, timeout: float = PATIENCE) -> bytes:
        """The next WAMP message."""
        deadline = time.monotonic() + timeout
        while not self._received:
            status, body = self.receive(max(deadline - time.monotonic(), 0.001))
            if status != 200:
                raise Closed(reason=f"status {status}")
            if body:
                self._received.extend(split(self.serializer, body) if self.batched else [body])
        return self._received.popleft()

    def close(self) -> None:
        """Closes the transport, also under a thread that reads from it."""
        with contextlib.suppress(OSError, Closed):
            self._post(self._connection(), f"/{self.transport}/close")
        self._sending.close()
        self._receiving.close()

    # Long-poll has no connection that could be reset.
    reset = close
