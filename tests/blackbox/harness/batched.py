"""A WebSocket connection with a `.batched` subprotocol: several messages in each WebSocket message."""

import struct
from collections.abc import Iterable

from .serializers import Serializer
from .wire import PATIENCE, Address, WebSocket

RECORD, CANCEL = b"\x1e", b"\x18"


class Batched(WebSocket):
    """Sends each message in a batch of its own, unless `send_batch` is used; `separator` is that of JSON."""

    def __init__(self, address: Address, serializer: Serializer, separator: bytes = RECORD) -> None:
        super().__init__(address, serializer, f"{serializer.subprotocol}.batched")
        self.separator = separator
        self._received: list[bytes] = []

    def batch(self, messages: Iterable[bytes]) -> bytes:
        """The octets of a batch."""
        if self.serializer.binary:
            return b"".join(struct.pack(">I", len(message)) + message for message in messages)
        return b"".join(message + self.separator for message in messages)

    def send_batch(self, *messages: bytes) -> None:
        """Sends these messages in one batch."""
        self.send_frame(self.opcode, self.batch(messages))

    def send_message(self, data: bytes) -> None:
        """Sends one message."""
        self.send_batch(data)

    def recv_message(self, timeout: float = PATIENCE) -> bytes:
        """The next message, out of the batch that was received last if there is one left."""
        while not self._received:
            self._received = self._split(super().recv_message(timeout))
        return self._received.pop(0)

    def _split(self, batch: bytes) -> list[bytes]:
        assert batch, "an empty batch"
        messages = []
        if not self.serializer.binary:
            assert batch.endswith(self.separator), f"not terminated as agreed: {batch!r}"
            return batch[:-1].split(self.separator)
        while batch:
            (size,) = struct.unpack(">I", batch[:4])
            assert len(batch) >= 4 + size, "a truncated batch"
            messages.append(batch[4 : 4 + size])
            batch = batch[4 + size :]
        return messages
