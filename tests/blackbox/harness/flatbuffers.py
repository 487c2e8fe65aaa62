"""FlatBuffers, written and read by autobahn, between the plain lists of the tests and its message classes.

Autobahn 26.10.2 looks for the payload of ERROR in the fields of other messages, never reads the reason of GOODBYE and
the mode of INTERRUPT, and says 0 or None where something is absent: all this is set right here.
"""

import txaio

txaio.use_asyncio()

from autobahn.wamp import message_fbs  # noqa: E402
from autobahn.wamp.serializer import FlatBuffersObjectSerializer, FlatBuffersSerializer  # noqa: E402

from . import messages as m  # noqa: E402


class _Error(message_fbs.Error):
    """ERROR with the offsets that the schema gives its payload."""

    def _vector(self, offset: int) -> memoryview | None:
        at = self._tab.Offset(offset)
        if not at:
            return None
        start = self._tab.Vector(at)
        return memoryview(self._tab.Bytes)[start : start + self._tab.VectorLen(at)]

    def ArgsAsBytes(self) -> memoryview | None:
        """Arguments."""
        return self._vector(12)

    def KwargsAsBytes(self) -> memoryview | None:
        """Keyword arguments."""
        return self._vector(14)


class _ObjectSerializer(FlatBuffersObjectSerializer):
    """Autobahn's, but for ERROR."""

    MESSAGE_TYPE_MAP = {
        **FlatBuffersObjectSerializer.MESSAGE_TYPE_MAP,
        m.ERROR: (_Error, FlatBuffersObjectSerializer.MESSAGE_TYPE_MAP[m.ERROR][1]),
    }


_autobahn = FlatBuffersSerializer()
_autobahn._serializer = _ObjectSerializer()
_autobahn._serializer._parent_serializer = _autobahn


def dumps(message: list) -> bytes:
    """The octets of a message."""
    kind = FlatBuffersSerializer.MESSAGE_TYPE_MAP[message[0]]
    return _autobahn.serialize(kind.parse(message))[0]


def loads(data: bytes) -> list:
    """The message of octets."""
    (message,) = _autobahn.unserialize(data, True)
    elements = [[] if element is None else element for element in message.marshal()]
    for index, element in enumerate(elements):
        if isinstance(element, dict):
            # Details, which come first, say 0 or None of what is absent; keyword arguments mean it.
            elements[index] = {key: value for key, value in element.items() if value is False or value not in (0, None)}
            break
    if elements[0] == m.GOODBYE:
        elements[2] = message._from_fbs.Reason().decode()
    elif elements[0] == m.INTERRUPT:
        elements[2]["mode"] = ("skip", "kill", "killnowait")[message._from_fbs.Mode()]
    elif elements[0] in (m.UNSUBSCRIBED, m.UNREGISTERED) and not elements[-1]:
        del elements[-1]
    return elements
