"""Batched WebSocket subprotocols (TW)."""

from collections.abc import Callable, Iterator

import pytest
from harness import messages as m
from harness.batched import CANCEL, RECORD, Batched
from harness.config import SMALL_LIMIT
from harness.peers import Peers
from harness.serializers import JSON
from harness.session import Session
from harness.wire import BINARY, TEXT, HandshakeRefused

Connect = Callable[..., Session]


@pytest.fixture
def connect(websocket: Peers) -> Iterator[Connect]:
    """Opens connections with the batched subprotocol, on which no HELLO was sent yet."""
    if not websocket.serializer.batches:
        pytest.skip("FlatBuffers has no batched form")
    opened = []

    def connect(separator: bytes = RECORD, identity: str = "batched") -> Session:
        opened.append(Session(Batched(websocket.address(identity), websocket.serializer, separator)))
        return opened[-1]

    yield connect
    for session in opened:
        session.close()


def calls(session: Session, *numbers: int) -> list[bytes]:
    """Calls of a procedure that does not exist."""
    return [session.serializer.dumps([m.CALL, number, {}, "no.procedure"]) for number in numbers]


def expect_errors(session: Session, *numbers: int) -> None:
    """The answers to these calls."""
    for number in numbers:
        session.expect_error(m.CALL, number, "wamp.error.no_such_procedure")


def only_json(websocket: Peers) -> None:
    """Leaves the other serializers out."""
    if websocket.serializer is not JSON:
        pytest.skip("separators are JSON's")


def test_TW_008_record_separator(websocket: Peers, connect: Connect) -> None:
    """json.batched: two messages in one frame with 0x1E are both processed."""
    only_json(websocket)
    session = connect(RECORD).join()
    session.transport.send_batch(*calls(session, 1, 2))
    expect_errors(session, 1, 2)


def test_TW_009_autobahns_separator(websocket: Peers, connect: Connect) -> None:
    """json.batched with 0x18, as autobahn sends it, is understood and answered with 0x18."""
    only_json(websocket)
    session, other = connect(CANCEL).join(), connect(RECORD).join()
    session.transport.send_batch(*calls(session, 1, 2))
    expect_errors(session, 1, 2)
    topic = websocket.uri("topic")
    subscriptions = [each.subscribe(topic) for each in (session, other)]
    websocket.join().publish(topic, ["both"])
    for each, subscription in zip((session, other), subscriptions):
        each.event(subscription, ["both"])


def test_TW_010_lengths(websocket: Peers, connect: Connect) -> None:
    """msgpack.batched and cbor.batched: several messages in one frame, each behind its length as uint32 big-endian."""
    if websocket.serializer is JSON:
        pytest.skip("JSON has separators")
    session = connect().join()
    session.transport.send_batch(*calls(session, 1, 2, 3))
    expect_errors(session, 1, 2, 3)


def test_TW_011_empty_batch(connect: Connect) -> None:
    """An empty batch fails the transport."""
    session = connect().join()
    session.transport.send_batch()
    assert session.expect_closed().code == 1002


@pytest.mark.parametrize("cut", [1, 3])
def test_TW_012_truncated_batch(connect: Connect, cut: int) -> None:
    """A truncated batch fails the transport, behind the messages in it that are whole."""
    session = connect().join()
    batch = session.transport.batch(calls(session, 1, 2))
    session.transport.send_frame(session.transport.opcode, batch[:-cut])
    expect_errors(session, 1)
    assert session.expect_closed().code == 1002


def test_TW_013_single_replies(websocket: Peers, connect: Connect) -> None:
    """A single reply on a batched transport is framed as a batch."""
    session = connect()
    name = websocket.serializer.subprotocol + ".batched"
    assert session.transport.header("Sec-WebSocket-Protocol") == name
    session.join()
    session.transport.send_message(calls(session, 1)[0])
    opcode, fin, payload = session.transport.read_frame()
    assert (opcode, fin) == (BINARY if websocket.serializer.binary else TEXT, True)
    if websocket.serializer.binary:
        assert int.from_bytes(payload[:4], "big") == len(payload) - 4
    else:
        assert payload[-1:] == RECORD and payload.count(RECORD) == 1


def test_events_to_batched_and_others(websocket: Peers, connect: Connect) -> None:
    """An event reaches sessions with and without batches, in the framing of each."""
    topic = websocket.uri("topic")
    sessions = [connect().join(), websocket.join(), connect().join()]
    subscriptions = [session.subscribe(topic) for session in sessions]
    publisher = connect().join()
    for number in range(20):
        publisher.publish(topic, [number])
    for session, subscription in zip(sessions, subscriptions):
        for number in range(20):
            session.event(subscription, [number])


def test_a_batch_of_many_messages(connect: Connect) -> None:
    """A batch with more messages than are handled in one go is handled to its end."""
    session = connect().join()
    numbers = range(1, 1001)
    session.transport.send_batch(*calls(session, *numbers))
    expect_errors(session, *numbers)


def test_a_batch_of_large_events(websocket: Peers, connect: Connect) -> None:
    """A batch of more than an outbox holds reaches a subscriber that reads, whole."""
    topic, filling, count = websocket.uri("topic"), "x" * 100_000, 50
    subscriber, publisher = websocket.join(), connect().join()
    subscription = subscriber.subscribe(topic)
    publications = [[m.PUBLISH, number + 1, {}, topic, [number, filling]] for number in range(count)]
    publisher.transport.send_batch(*map(publisher.serializer.dumps, publications))
    for number in range(count):
        subscriber.event(subscription, [number, filling])


def test_batch_over_the_limit(websocket: Peers, connect: Connect) -> None:
    """A batch over the size limit closes the connection with code 1009."""
    session = connect(identity="small").join()
    half = session.serializer.dumps([m.PUBLISH, 1, {}, websocket.uri("topic"), ["x" * (SMALL_LIMIT // 2)]])
    session.transport.send_message(half)
    session.barrier()
    session.transport.send_batch(half, half)
    assert session.expect_closed().code == 1009


def test_not_offered_unless_configured(websocket: Peers) -> None:
    """Batches are not offered where the configuration does not say so."""
    name = websocket.serializer.subprotocol
    with pytest.raises(HandshakeRefused) as refused:
        websocket.wire(subprotocols=f"{name}.batched")
    assert refused.value.status == 400
    session = websocket.connect(subprotocols=f"{name}.batched, {name}")
    assert session.transport.header("Sec-WebSocket-Protocol") == name
