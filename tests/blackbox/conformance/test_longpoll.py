"""What is particular to HTTP long-poll (TL)."""

import http.client
import json
import threading
import time

import pytest
from harness import messages as m
from harness.config import BRIEF
from harness.longpoll import SEPARATORS, LongPoll, join, split
from harness.meta import Watcher
from harness.peers import Peers, eventually
from harness.serializers import ALL, JSON
from harness.session import Session
from harness.wire import Closed


LEFT = "wamp.session.on_leave"


def post(peers: Peers, path: str, body: bytes = b"", method: str = "POST", **headers: str) -> http.client.HTTPResponse:
    """One request on a connection of its own; the answer's body is its attribute `body`."""
    address = peers.address()
    connection = http.client.HTTPConnection(address.host, address.port, timeout=8)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, address.path + path, body, names)
    response = connection.getresponse()
    response.body = response.read()
    connection.close()
    return response


def offer(*protocols: object) -> bytes:
    """The body of a request to open."""
    return json.dumps({"protocols": protocols}).encode()


def hello(peers: Peers) -> bytes:
    """The octets of HELLO."""
    return peers.serializer.dumps([m.HELLO, "realm1", {"roles": m.ALL_ROLES}])


def needs_batches(peers: Peers) -> None:
    """Leaves the serializer out that has no batched form."""
    if not peers.serializer.batches:
        pytest.skip("FlatBuffers has no batched form")


def takes_seconds(peers: Peers) -> None:
    """Leaves out the serializers beyond the usual ones."""
    if peers.serializer not in ALL:
        pytest.skip("takes seconds, whatever the serializer")


def protocols(peers: Peers) -> list[str]:
    """The serializer's protocols."""
    plain = peers.serializer.subprotocol
    return [plain, f"{plain}.batched"] if peers.serializer.batches else [plain]


def one_by_one(peers: Peers, identity: str = "anonymous") -> Session:
    """A session over a transport without batches."""
    return peers.connect(identity, batched=False).join()


def test_TL_001_open(longpoll: Peers) -> None:
    """Opening is answered with protocol and transport as JSON; the transport's id cannot be guessed."""
    for name in protocols(longpoll):
        answers = [post(longpoll, "/open", offer(name)) for _ in range(20)]
        assert {(answer.status, answer.getheader("content-type")) for answer in answers} == {(200, "application/json")}
        opened = [json.loads(answer.body) for answer in answers]
        assert all(set(answer) == {"protocol", "transport"} and answer["protocol"] == name for answer in opened)
        ids = {answer["transport"] for answer in opened}
        assert len(ids) == 20 and all(len(set(one)) > 8 and len(one) >= 32 for one in ids)


def test_TL_002_first_supported_protocol(longpoll: Peers) -> None:
    """Of several protocols the first that the router knows is taken, batched or not."""
    mine = longpoll.serializer.subprotocol
    others = [serializer.subprotocol for serializer in ALL if serializer is not longpoll.serializer]
    for wanted in protocols(longpoll):
        answer = post(longpoll, "/open", offer("wamp.9.klingon", wanted, *others, mine))
        assert json.loads(answer.body)["protocol"] == wanted


@pytest.mark.parametrize("protocols", [["wamp.9.klingon"], []], ids=["unknown", "none"])
def test_TL_003_no_common_protocol(longpoll: Peers, protocols: list) -> None:
    """Without a common protocol opening is answered with status 400."""
    assert post(longpoll, "/open", offer(*protocols)).status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"protocols": "wamp.2.json"}', b'{"protocols": [7]}'])
def test_TL_004_malformed_open(longpoll: Peers, body: bytes) -> None:
    """A body that is no request to open is answered with status 400."""
    assert post(longpoll, "/open", body).status == 400


@pytest.mark.parametrize("batched", [False, True], ids=["single", "batched"])
def test_TL_005_hello(longpoll: Peers, batched: bool) -> None:
    """HELLO that is sent is answered by WELCOME that is received."""
    if batched:
        needs_batches(longpoll)
    session = longpoll.connect(batched=batched)
    session.join().barrier()


def test_TL_006_status_of_sending(longpoll: Peers) -> None:
    """What was sent well is answered with status 204 and no body."""
    session = longpoll.connect(batched=False)
    answer = post(longpoll, f"/{session.transport.transport}/send", hello(longpoll))
    assert (answer.status, answer.body) == (204, b"")
    session.welcome()


@pytest.mark.parametrize("garbage", [b"", b"hello", b"\xff\xff", b"[" * 50])
def test_TL_007_garbage(longpoll: Peers, garbage: bytes) -> None:
    """Garbage is answered with status 400, and its session is aborted."""
    session = one_by_one(longpoll)
    assert session.transport.send_body(garbage) == 400
    session.expect_violation()


def test_TL_007_garbage_batches(longpoll: Peers) -> None:
    """A batch that is empty or cut short is answered with status 400, and its transport is closed."""
    needs_batches(longpoll)
    batch = join(longpoll.serializer, [hello(longpoll)])
    for garbage in (b"", batch[:-1], batch + b"\0\0"):
        transport = LongPoll(longpoll.address(), longpoll.serializer, batched=True)
        assert transport.send_body(garbage) == 400
        assert transport.receive()[0] == 404


def test_TL_008_receive_waits(longpoll: Peers) -> None:
    """A request to receive is held until there is a message."""
    session, other = one_by_one(longpoll), longpoll.join()
    subscription = session.subscribe(longpoll.uri("topic"))
    received: list = []
    thread = threading.Thread(target=lambda: received.append(session.event(subscription, ["late"])))
    thread.start()
    # The other's round trips take longer than a request that is not held.
    for _ in range(20):
        other.barrier()
    assert not received
    other.publish(longpoll.uri("topic"), ["late"])
    thread.join(8)
    assert received


def test_TL_009_one_message_each(longpoll: Peers) -> None:
    """Without batches each request receives one message, in order."""
    session, publisher = one_by_one(longpoll), longpoll.join()
    session.subscribe(longpoll.uri("topic"))
    for number in range(50):
        publisher.publish_ack(longpoll.uri("topic"), [number])
    for number in range(50):
        status, body = session.transport.receive()
        message = longpoll.serializer.loads(body)
        assert (status, message[0], message[4]) == (200, m.EVENT, [number])


@pytest.mark.parametrize("separator", SEPARATORS, ids=["record", "cancel"])
def test_TL_010_batches(longpoll: Peers, separator: bytes) -> None:
    """In batches a request receives all that is there, framed; JSON with the separator that the client uses."""
    if longpoll.serializer.binary and separator != SEPARATORS[0]:
        pytest.skip("binary batches have no separator")
    needs_batches(longpoll)
    transport = LongPoll(longpoll.address(), longpoll.serializer, batched=True)
    dumps, loads = longpoll.serializer.dumps, longpoll.serializer.loads
    topic = longpoll.uri("topic")
    sent = [hello(longpoll), dumps([m.SUBSCRIBE, 1, {}, topic])]
    assert transport.send_body(join(longpoll.serializer, sent, separator)) == 204
    received = []
    while len(received) < 2:
        received += split(longpoll.serializer, transport.receive()[1], separator)
    assert [loads(message)[0] for message in received] == [m.WELCOME, m.SUBSCRIBED]
    publisher = longpoll.join()
    for number in range(50):
        publisher.publish_ack(topic, [number])
    longpoll.fence(publisher, longpoll.join())
    events, requests = [], 0
    while len(events) < 50:
        events += split(longpoll.serializer, transport.receive()[1], separator)
        requests += 1
    assert [loads(event)[4] for event in events] == [[number] for number in range(50)]
    assert requests <= 10, "all that is there comes in one batch"
    transport.close()


@pytest.mark.parametrize("what", ["send", "receive", "close"])
def test_TL_011_unknown_transport(longpoll: Peers, what: str) -> None:
    """A transport that does not exist is answered with status 404."""
    for name in ("nothing", "0" * 48):
        assert post(longpoll, f"/{name}/{what}", hello(longpoll)).status == 404


def test_TL_012_close(longpoll: Peers) -> None:
    """Closing is answered with status 204; the session is lost, and the transport does not exist any more."""
    session, other = longpoll.join(), longpoll.join()
    session.register(longpoll.uri("procedure"))
    transport = session.transport.transport
    answer = post(longpoll, f"/{transport}/close")
    assert (answer.status, answer.body) == (204, b"")
    eventually(lambda: other.no_such_procedure(longpoll.uri("procedure")), "the end of the session")
    for what in ("send", "receive", "close"):
        assert post(longpoll, f"/{transport}/{what}", hello(longpoll)).status == 404


def test_TL_013_idle_receive(longpoll: Peers) -> None:
    """A request to receive for which there is nothing ends empty after a while, and the session lives on."""
    takes_seconds(longpoll)
    session = one_by_one(longpoll, "brief")
    started = time.monotonic()
    assert session.transport.receive() == (200, b"")
    assert BRIEF["request_timeout"] <= time.monotonic() - started < BRIEF["request_timeout"] + 1
    session.barrier()


def test_TL_014_silent_client(longpoll: Peers) -> None:
    """The session of a client that neither sends nor receives for a while is lost."""
    takes_seconds(longpoll)
    watcher, session, silent_since = Watcher(longpoll, LEFT), longpoll.connect("brief").join(), time.monotonic()
    assert watcher.about(session.id)[0] == "on_leave"
    limit = BRIEF["session_timeout"]
    assert limit - 0.1 < time.monotonic() - silent_since < limit + 2
    with pytest.raises(Closed):
        session.recv()


def test_TL_014_client_that_asks(longpoll: Peers) -> None:
    """That of a client that asks again and again is not, though there is nothing for it."""
    takes_seconds(longpoll)
    session, started = one_by_one(longpoll, "brief"), time.monotonic()
    while time.monotonic() - started < 2 * BRIEF["session_timeout"]:
        assert session.transport.receive() == (200, b"")
    session.barrier()


def test_TL_015_query(longpoll: Peers) -> None:
    """A query such as ?x=123 is ignored."""
    answer = post(longpoll, "/open?x=123", offer(longpoll.serializer.subprotocol))
    path = "/" + json.loads(answer.body)["transport"]
    assert post(longpoll, f"{path}/send?x=1&y", hello(longpoll)).status == 204
    answer = post(longpoll, f"{path}/receive?x=2")
    assert longpoll.serializer.loads(answer.body)[0] == m.WELCOME
    assert post(longpoll, f"{path}/close?x").status == 204


def test_second_receive(longpoll: Peers) -> None:
    """Of two requests to receive the older one ends empty."""
    session = one_by_one(longpoll)
    path = f"/{session.transport.transport}/receive"
    answers: list = []
    threads = [threading.Thread(target=lambda: answers.append(post(longpoll, path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    eventually(lambda: bool(answers), "the end of the older request")
    assert (answers[0].status, answers[0].body) == (200, b"")
    request = session.call("nobody.registers.this")
    for thread in threads:
        thread.join(8)
    assert longpoll.serializer.loads(answers[1].body)[:3] == [m.ERROR, m.CALL, request]


def test_last_words(longpoll: Peers) -> None:
    """What the router said before it closed the transport can be fetched; then the transport does not exist."""
    session = longpoll.connect(batched=False)
    session.send(m.WELCOME, 1, {})
    session.expect_abort(m.VIOLATION)
    assert session.transport.receive()[0] == 404
    assert session.transport.send_body(hello(longpoll)) == 404


def test_sessions_are_on_all_shards(longpoll: Peers) -> None:
    """Events and calls between many long-poll sessions and one over WebSocket arrive, wherever the sessions live."""
    sessions = longpoll.join_many(8)
    topic = longpoll.uri("topic")
    for session in sessions:
        session.subscribe(topic)
        session.register(f"{longpoll.uri('procedure')}.{session.id}")
    sessions[0].publish(topic, ["to all"])
    for session in sessions[1:]:
        session.event(args=["to all"])
    for caller, callee in zip(sessions, sessions[1:]):
        request = caller.call(f"{longpoll.uri('procedure')}.{callee.id}", [callee.id])
        callee.reply(callee.invocation(), ["result"])
        caller.result(request, ["result"])


def test_messages_of_any_size(longpoll: Peers) -> None:
    """Messages are longer than the router's buffers."""
    session, other = longpoll.join(), one_by_one(longpoll)
    subscription = other.subscribe(longpoll.uri("topic"))
    for size in (1 << 16, 1 << 20, 5 << 20):
        session.publish(longpoll.uri("topic"), ["x" * size])
        other.event(subscription, ["x" * size])


def test_client_that_does_not_fetch(longpoll: Peers) -> None:
    """A client that fetches nothing is disconnected like any slow subscriber, and holds nobody up."""
    lazy, eager, publisher = longpoll.join(), longpoll.join(), longpoll.join()
    lazy.register(longpoll.uri("procedure"))
    for session in (lazy, eager):
        session.subscribe(longpoll.uri("topic"))
    for number in range(20):
        publisher.publish(longpoll.uri("topic"), [number, "x" * (1 << 19)])
        assert eager.event()[4][0] == number
    eventually(lambda: eager.no_such_procedure(longpoll.uri("procedure")), "the end of the session")
    with pytest.raises(Closed):
        lazy.send(m.CALL, 9, {}, longpoll.uri("procedure"))


def test_pages_of_other_origins(longpoll: Peers) -> None:
    """Pages of any origin may use a transport, also before and after errors; nobody keeps copies."""
    preflight = post(
        longpoll,
        "/open",
        method="OPTIONS",
        Origin="http://elsewhere",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="content-type",
    )
    assert preflight.status == 200
    assert preflight.getheader("access-control-allow-headers") == "content-type"
    for answer in (preflight, post(longpoll, "/none/receive", Origin="http://elsewhere")):
        assert answer.getheader("access-control-allow-origin") == "http://elsewhere"
        assert answer.getheader("access-control-allow-credentials") == "true"
    assert answer.getheader("cache-control") == "no-store"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods(longpoll: Peers, method: str) -> None:
    """Only POST is served."""
    answer = post(longpoll, "/open", offer(JSON.subprotocol), method=method)
    assert (answer.status, answer.getheader("allow")) == (405, "POST")
