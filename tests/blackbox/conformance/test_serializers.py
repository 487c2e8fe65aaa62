"""Sessions of different serializers (SZ)."""

import math
import struct

import pytest
from harness import messages as m
from harness.peers import Peers
from harness.serializers import ALL, BJDATA, CBOR, FLATBUFFERS, JSON, MSGPACK, OTHERS, UBJSON12, Serializer
from harness.session import Session
from harness.values import same

# Each of the three with each, and each of the others with itself, with JSON and with a binary one; the last are
# tested over WebSocket only.
PAIRS = [(a, b) for a in ALL for b in ALL]
PAIRS += [pair for other in OTHERS for peer in (JSON, CBOR) for pair in ((other, peer), (peer, other))]
PAIRS += [(other, other) for other in OTHERS]
PAIRS += [(BJDATA, UBJSON12), (UBJSON12, BJDATA)]
BINARY_PAIRS = [(a, b) for a, b in PAIRS if a.binary and b.binary]
ANY_KEY_PAIRS = [(a, b) for a, b in PAIRS if {a, b} <= {MSGPACK, CBOR, FLATBUFFERS}]
DATA = bytes(range(256))


def ids(pair: tuple[Serializer, Serializer]) -> str:
    """How a pair is called in a test's name."""
    return f"{pair[0].name}-to-{pair[1].name}"


@pytest.fixture(params=["websocket", "rawsocket", "longpoll"])
def transports(request: pytest.FixtureRequest, wamp_of) -> Peers:
    """Sessions over each transport; the tests choose the serializers."""
    chosen = request.node.callspec.params.values()
    serializers = [one for choice in chosen for one in (choice if isinstance(choice, tuple) else (choice,))]
    if request.param != "websocket" and any(other in serializers for other in OTHERS):
        pytest.skip("the other serializers are tested over WebSocket")
    return wamp_of(request.param)


class Line:
    """A publisher and a subscriber."""

    def __init__(self, peers: Peers, pair: tuple[Serializer, Serializer]) -> None:
        self.peers = peers
        self.publisher = peers.join(serializer=pair[0])
        self.subscriber = peers.join(serializer=pair[1])
        self.topic = peers.uri("topic")
        self.subscriber.subscribe(self.topic)

    def carries(self, sent: object, received: object) -> None:
        """A value arrives as that value, as argument, nested, and as keyword argument."""
        self.publisher.publish(self.topic, [sent, [[sent], {"k": sent}]], {"key": sent})
        event = self.subscriber.event()
        assert same(event[4:], [[received, [[received], {"k": received}]], {"key": received}]), event


@pytest.mark.parametrize("pair", PAIRS, ids=ids)
def test_SZ_001_equal_values(transports: Peers, pair: tuple) -> None:
    """Values arrive equal, whatever the two serializers."""
    line = Line(transports, pair)
    for value in (0, -1, 1 << 40, "text", "", 2.5, [1, [2]], {"a": {"b": 1}}):
        line.carries(value, value)


@pytest.mark.parametrize("pair", BINARY_PAIRS, ids=ids)
def test_SZ_002_bytes_between_binary_serializers(transports: Peers, pair: tuple) -> None:
    """Byte strings arrive unchanged between binary serializers."""
    Line(transports, pair).carries(DATA, DATA)


@pytest.mark.parametrize("sender", [MSGPACK, CBOR, *OTHERS], ids=lambda serializer: serializer.name)
def test_SZ_003_bytes_to_json(transports: Peers, sender: Serializer) -> None:
    """Byte strings arrive at a JSON session as a NUL and base64, at any depth."""
    line = Line(transports, (sender, JSON))
    for data in (DATA, b"a", b"ab", b"abc"):
        line.carries(data, JSON.bytes_value(data))


@pytest.mark.parametrize("receiver", [MSGPACK, CBOR, *OTHERS], ids=lambda serializer: serializer.name)
def test_SZ_004_bytes_from_json(transports: Peers, receiver: Serializer) -> None:
    """A NUL and base64 from a JSON session arrive as byte strings."""
    line = Line(transports, (JSON, receiver))
    for data in (DATA, b"a", b"ab", b"abc"):
        line.carries(JSON.bytes_value(data), data)


@pytest.mark.parametrize("pair", PAIRS, ids=ids)
def test_SZ_005_empty_bytes(transports: Peers, pair: tuple) -> None:
    """An empty byte string arrives as one."""
    Line(transports, pair).carries(pair[0].bytes_value(b""), pair[1].bytes_value(b""))


@pytest.mark.parametrize("pair", BINARY_PAIRS, ids=ids)
def test_SZ_006_numbers_keep_their_type(transports: Peers, pair: tuple) -> None:
    """Integers of 64 bits and floats keep value and type between binary serializers."""
    line = Line(transports, pair)
    numbers = [(1 << 63) - 1, -(1 << 63), 23, 24, 255, 256, 65535, 65536, -24, -25, -32, -33, -128, -129]
    for number in [*numbers, 1.0, -0.5, 1e300]:
        line.carries(number, number)
    if pair[0] is not BJDATA:  # its encoder writes such a number as one of high precision
        line.carries(5e-324, 5e-324)
    if UBJSON12 not in pair:
        line.carries(math.inf, math.inf)


@pytest.mark.parametrize("receiver", [*ALL, *OTHERS], ids=lambda serializer: serializer.name)
def test_SZ_007_float_from_json(transports: Peers, receiver: Serializer) -> None:
    """1.0 from a JSON session stays a float."""
    Line(transports, (JSON, receiver)).carries(1.0, 1.0)


@pytest.mark.parametrize("pair", PAIRS, ids=ids)
def test_SZ_008_constants_and_empties(transports: Peers, pair: tuple) -> None:
    """null, booleans, empty lists and empty dicts survive."""
    line = Line(transports, pair)
    for value in (None, True, False, [], {}, [[], {}], {"a": []}):
        line.carries(value, value)


@pytest.mark.parametrize("pair", PAIRS, ids=ids)
def test_SZ_009_text_of_any_script(transports: Peers, pair: tuple) -> None:
    """Text beyond the Basic Multilingual Plane, control characters and quotes survive."""
    line = Line(transports, pair)
    for text in ("😀𝄞", "\u007f\u0080\u2028\ufffd\uffff", "\"\\/\b\f\n\r\t", "a\0b", "x" * 70_000):
        line.carries(text, text)


def test_escaped_json(transports: Peers) -> None:
    """JSON's escapes arrive as the characters they stand for."""
    line = Line(transports, (JSON, CBOR))
    text = rb'"\ud83d\ude00\u0041\/\"\\\b\f\n\r\t\u0000"'
    topic = line.topic.encode()
    line.publisher.send_bytes(b'[16, 1, {}, "%s", [%s, "\\u0000AQI="], {"\\u0061": 1E2}]' % (topic, text))
    event = line.subscriber.event()
    assert same(event[4:], [['😀A/"\\\b\f\n\r\t\0', b"\1\2"], {"a": 100.0}]), event


def send_cbor(session: Session, *items: bytes) -> None:
    """Sends an array of items of indefinite length."""
    session.send_bytes(b"\x9f" + b"".join(items) + b"\xff")


@pytest.mark.parametrize("receiver", [*ALL, *OTHERS], ids=lambda serializer: serializer.name)
def test_SZ_010_indefinite_lengths(transports: Peers, receiver: Serializer) -> None:
    """CBOR's items of indefinite length are understood, in the envelope and in the payload."""
    line = Line(transports, (CBOR, receiver))
    topic = line.topic.encode()
    half = len(topic) // 2
    chunks = b"\x7f" + b"".join(bytes([0x60 + len(part)]) + part for part in (topic[:half], topic[half:])) + b"\xff"
    arguments = b"\x9f\x7f\x61a\x61b\xff\x5f\x41\x01\x41\x02\xff\xbf\x61k\x9f\xff\xff\xff"
    send_cbor(line.publisher, b"\x10", b"\x01", b"\xbf\xff", chunks, arguments)
    event = line.subscriber.event()
    assert same(event[4], ["ab", receiver.bytes_value(b"\1\2"), {"k": []}])


INTEGERS = [b"\x01", b"\xcc\x01", b"\xcd\0\x01", b"\xce\0\0\0\x01", b"\xcf\0\0\0\0\0\0\0\x01", b"\xd0\x01", b"\xd3" + b"\0" * 7 + b"\x01"]


@pytest.mark.parametrize("number", INTEGERS, ids=lambda number: f"{number[0]:02x}")
def test_SZ_011_widths_of_integers(transports: Peers, number: bytes) -> None:
    """MessagePack integers of any width are understood as ids."""
    session = transports.join(serializer=MSGPACK)
    session.send_bytes(b"\x94\x20" + number + b"\x80\xa9com.topic")
    session.expect(m.SUBSCRIBED, 1, ...)


@pytest.mark.parametrize("serializer", [MSGPACK, CBOR, BJDATA, UBJSON12], ids=lambda serializer: serializer.name)
def test_ids_as_floats(transports: Peers, serializer: Serializer) -> None:
    """Ids above 2^32 may come as floats: JavaScript's binary serializers send them so (protocol section 12, row 31)."""
    session = transports.join(serializer=serializer)
    subscription = session.subscribe(transports.uri("topic"))
    request = float(1 << 40)
    session.send(m.UNSUBSCRIBE, request, float(subscription))
    session.expect(m.UNSUBSCRIBED, 1 << 40)
    session.publish_ack(transports.uri("topic"), eligible=[float(session.id)])
    session.send(m.SUBSCRIBE, 1.5, {}, transports.uri("topic"))
    session.expect_violation()


@pytest.mark.parametrize("serializer", [*ALL, BJDATA, UBJSON12], ids=lambda serializer: serializer.name)
def test_SZ_012_trailing_octets(transports: Peers, serializer: Serializer) -> None:
    """Octets behind a message are a violation."""
    session = transports.join(serializer=serializer)
    session.send_bytes(serializer.dumps([m.CALL, 1, {}, "com.procedure"]) * 2)
    session.expect_violation()


@pytest.mark.parametrize("receiver", [JSON, UBJSON12], ids=lambda serializer: serializer.name)
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf], ids=str)
def test_SZ_013_numbers_that_json_lacks(transports: Peers, number: float, receiver: Serializer) -> None:
    """A float that JSON lacks does not disturb a JSON subscriber, which gets null or no event."""
    line = Line(transports, (CBOR, receiver))
    line.publisher.publish(line.topic, [number])
    line.publisher.publish(line.topic, ["next"])
    event = line.subscriber.event()
    if event[4] == [None]:
        event = line.subscriber.event()
    assert event[4] == ["next"]


@pytest.mark.parametrize("value", [math.nan, -math.inf, {1: "one"}], ids=str)
def test_calls_with_what_json_lacks(transports: Peers, value: object) -> None:
    """Calls whose arguments, results or errors hold what JSON lacks are answered all the same."""
    caller, callee = transports.join(serializer=JSON), transports.join(serializer=CBOR)
    callee.register(transports.uri("procedure"))
    for answer in (lambda call: callee.reply(call, [value]), lambda call: callee.reply_error(call, "com.error", [value])):
        request = caller.call(transports.uri("procedure"))
        answer(callee.invocation())
        answered = caller.recv()
        assert answered[:2] == [m.RESULT, request] or answered[:3] == [m.ERROR, m.CALL, request], answered
        caller.barrier()
    caller.register(transports.uri("other"))
    request = callee.call(transports.uri("other"), [value])
    caller.reply(caller.invocation(), ["done"])
    callee.result(request, ["done"])


@pytest.mark.parametrize("pair", ANY_KEY_PAIRS, ids=ids)
def test_SZ_014_keys_that_are_no_strings(transports: Peers, pair: tuple) -> None:
    """A dict with other keys than strings passes between binary serializers."""
    Line(transports, pair).carries({1: "one"}, {1: "one"})


@pytest.mark.parametrize("receiver", [JSON, BJDATA, UBJSON12], ids=lambda serializer: serializer.name)
@pytest.mark.parametrize("sender", [MSGPACK, CBOR], ids=lambda serializer: serializer.name)
def test_keys_that_are_no_strings(transports: Peers, sender: Serializer, receiver: Serializer) -> None:
    """A dict with other keys than strings does not disturb a subscriber whose serializer has no such keys."""
    line = Line(transports, (sender, receiver))
    line.publisher.publish(line.topic, [{1: "one"}])
    line.publisher.publish(line.topic, ["next"])
    event = line.subscriber.event()
    assert event[4] in ([{"1": "one"}], ["next"])
    line.subscriber.barrier() if event[4] == ["next"] else line.subscriber.event(args=["next"])


@pytest.mark.parametrize("serializer", [MSGPACK, CBOR], ids=lambda serializer: serializer.name)
def test_keys_in_keys(transports: Peers, serializer: Serializer) -> None:
    """A key has no lists and dictionaries as keys: each would be quoted once more for a session with text keys."""
    watcher = transports.join(serializer=JSON)
    topic = transports.uri("topic")
    watcher.subscribe(topic)
    for depth in (3, 30):
        session = transports.join(serializer=serializer)
        map_of_one, zero = (b"\x81", b"\0") if serializer is MSGPACK else (b"\xa1", b"\0")
        nested = map_of_one * depth + zero * (depth + 1)
        head = serializer.dumps([m.PUBLISH, 1, {}, topic, [None]])
        assert head[-2] in (0x91, 0x81), "a list of one item is last"
        session.send_bytes(head[:-1] + nested)
        session.expect_violation()
    publisher = transports.join(serializer=serializer)
    publisher.publish(topic, ["next"])
    watcher.event(args=["next"])


@pytest.mark.parametrize("serializer", [BJDATA, UBJSON12], ids=lambda serializer: serializer.name)
def test_items_without_bytes(transports: Peers, serializer: Serializer) -> None:
    """A few bytes do not stand for thousands of items."""
    session = transports.join(serializer=serializer)
    count = struct.pack("<I" if serializer is BJDATA else ">I", 50_000)
    kind = b"m" if serializer is BJDATA else b"l"
    message = serializer.dumps([m.PUBLISH, 1, {}, transports.uri("topic"), [[]]])
    empty = serializer.dumps([])
    assert message.count(empty) == 1
    session.send_bytes(message.replace(empty, b"[$Z#" + kind + count))
    session.expect_violation()


@pytest.mark.parametrize("pair", PAIRS, ids=ids)
def test_calls_between_serializers(transports: Peers, pair: tuple) -> None:
    """Arguments, results and errors of calls pass between serializers, byte strings included."""
    caller, callee = transports.join(serializer=pair[0]), transports.join(serializer=pair[1])
    callee.register(transports.uri("procedure"))
    at_caller, at_callee = ([serializer.bytes_value(DATA), {"a": [1.5, None]}] for serializer in pair)
    request = caller.call(transports.uri("procedure"), at_caller)
    invocation = callee.invocation()
    assert same(invocation[4], at_callee)
    callee.reply(invocation, at_callee)
    assert same(caller.result(request)[3], at_caller)
    request = caller.call(transports.uri("procedure"))
    callee.reply_error(callee.invocation(), "com.error", at_callee)
    assert same(caller.expect_error(m.CALL, request, "com.error"), [at_caller])


def test_single_precision(transports: Peers) -> None:
    """A MessagePack float of single precision keeps its value."""
    line = Line(transports, (MSGPACK, JSON))
    topic = line.topic.encode()
    data = b"\x95\x10\x01\x80" + bytes([0xA0 + len(topic)]) + topic + b"\x91\xca" + struct.pack(">f", 0.25)
    line.publisher.send_bytes(data)
    assert same(line.subscriber.event()[4], [0.25])


# The same containers in other words: types and counts in front, and no-ops in between.
OPTIMISED = [
    (b"[$i#U\x03\x01\xff\x02", [1, -1, 2]),
    (b"[#U\x02TF", [True, False]),
    (b"[$Z#U\x03", [None, None, None]),
    (b"[NU\x01NNU\x02N]", [1, 2]),
    (b"[{$U#U\x02U\x01a\x01U\x01b\x02]", [{"a": 1, "b": 2}]),
    (b"[$C#U\x02ab", ["a", "b"]),
    (b"[HU\x0512345HU\x031.5]", [12345, 1.5]),
]


@pytest.mark.parametrize("sender", [BJDATA, UBJSON12], ids=lambda serializer: serializer.name)
def test_optimised_containers(transports: Peers, sender: Serializer) -> None:
    """UBJSON's optimised containers, no-ops and high-precision numbers are understood, in envelope and payload."""
    line = Line(transports, (sender, JSON))
    topic = bytes([len(line.topic)]) + line.topic.encode()
    for encoded, value in OPTIMISED:
        line.publisher.send_bytes(b"[#U\x05U\x10NU\x01{$T#U\x01U\x0aexclude_meSU" + topic + encoded)
        assert same(line.subscriber.event()[4], value), encoded
    line.publisher.send_bytes(b"[U\x10U\x01{}SU" + topic + b"[$Z#l\x7f\x7f\x7f\x7f]")
    line.publisher.expect_violation()


def test_bjdata_arrays_and_tables_are_refused(transports: Peers) -> None:
    """BJData's arrays of several dimensions and its tables, which no other serializer has, are a violation."""
    for encoded in (b"[$U#[U\x02U\x01]\x01\x02", b"[[${U\x01aU}#U\x02\x01\x02]"):
        session = transports.join(serializer=BJDATA)
        session.send_bytes(b"[U\x10U\x01{}SU\x01t" + encoded + b"]")
        session.expect_violation()
