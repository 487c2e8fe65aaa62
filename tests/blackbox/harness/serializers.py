"""The serializers as the raw client uses them: plain lists in, bytes out, and back."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

import bjdata
import cbor2
import msgpack

from . import flatbuffers, ubjson12


@dataclass(frozen=True)
class Serializer:
    """One serializer: its names on both transports, and its functions.

    The two dialects of UBJSON share a `protocol`; the older one is served at paths that end in `path`, and by a RawSocket of its
    own. `batches` says whether the protocol has a batched form.
    """

    name: str
    rawsocket_id: int
    binary: bool
    dumps: Callable[[object], bytes]
    loads: Callable[[bytes], object]
    protocol: str = ""
    path: str = ""
    batches: bool = True

    @property
    def subprotocol(self) -> str:
        """The WebSocket subprotocol of unbatched messages."""
        return f"wamp.2.{self.protocol or self.name}"

    def bytes_value(self, data: bytes) -> object:
        """How a byte string looks in a message of this serializer."""
        return data if self.binary else "\0" + base64.b64encode(data).decode()


def _json_dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


JSON = Serializer("json", 1, False, _json_dumps, json.loads)
MSGPACK = Serializer(
    "msgpack", 2, True, msgpack.packb, lambda data: msgpack.unpackb(data, strict_map_key=False)
)
CBOR = Serializer("cbor", 3, True, cbor2.dumps, cbor2.loads)

BJDATA = Serializer("bjdata", 4, True, bjdata.dumpb, bjdata.loadb, protocol="ubjson")
UBJSON12 = Serializer("ubjson12", 4, True, ubjson12.dumps, ubjson12.loads, protocol="ubjson", path="_ubjson12")
FLATBUFFERS = Serializer("flatbuffers", 5, True, flatbuffers.dumps, flatbuffers.loads, batches=False)

ALL = (JSON, MSGPACK, CBOR)
OTHERS = (BJDATA, UBJSON12, FLATBUFFERS)
