"""A WebSocket connection with compressed messages (permessage-deflate), by Python's own zlib."""

import zlib

from .serializers import Serializer
from .wire import PATIENCE, Address, WebSocket

COMPRESSED = 0x40  # RSV1, to be added to the opcode
TAIL = b"\x00\x00\xff\xff"


class Deflated(WebSocket):
    """Compresses what it sends, each message on its own unless `takeover`; `last` is the last compressed payload."""

    reserved = 0x30

    def __init__(
        self,
        address: Address,
        serializer: Serializer,
        offer: str = "permessage-deflate; client_max_window_bits",
        takeover: bool = False,
        subprotocols: str | None = None,
    ) -> None:
        super().__init__(address, serializer, subprotocols, (f"Sec-WebSocket-Extensions: {offer}",))
        self.takeover = takeover
        self.last: bytes | None = None
        self._compressor = self._new_compressor()

    @property
    def agreed(self) -> dict[str, str]:
        """The parameters of the router's answer."""
        name, *parameters = [part.strip() for part in (self.header("Sec-WebSocket-Extensions") or "").split(";")]
        assert name == "permessage-deflate", self.answer
        return dict(parameter.partition("=")[::2] for parameter in parameters)

    def _new_compressor(self):
        return zlib.compressobj(wbits=-int(self.agreed.get("client_max_window_bits", 15)))

    def compress(self, data: bytes) -> bytes:
        """The payload of a compressed message."""
        if not self.takeover:
            self._compressor = self._new_compressor()
        data = self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        return data.removesuffix(TAIL)

    def send_message(self, data: bytes) -> None:
        """Sends one compressed message."""
        self.send_frame(COMPRESSED | self.opcode, self.compress(data))

    def read_frame(self, timeout: float = PATIENCE) -> tuple[int, bool, bytes]:
        """The next frame, inflated."""
        opcode, fin, payload = super().read_frame(timeout)
        self.last = None
        if not opcode & COMPRESSED:
            return opcode, fin, payload
        assert fin and opcode & 0xF < 8, "the router neither fragments messages nor compresses control frames"
        self.last = payload
        window = int(self.agreed.get("server_max_window_bits", 15))
        return opcode & 0xF, fin, zlib.decompressobj(-window).decompress(payload + TAIL)
