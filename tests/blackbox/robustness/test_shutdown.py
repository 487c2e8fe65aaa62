"""How the router ends (GB-007 to GB-010)."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import config
from harness import messages as m
from harness.meta import ask
from harness.peers import Peers
from harness.router import STOP_SECONDS, Router
from harness.serializers import ALL, BJDATA, CBOR, FLATBUFFERS
from harness.session import ANY, Session
from harness.wire import Address

SHUTDOWN = "wamp.close.system_shutdown"
GOODBYE_SECONDS = 2  # for which the router waits for an answer to its GOODBYE


@pytest.fixture(params=[1, 4], ids=lambda shards: f"shards{shards}")
def router(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Router]:
    """A router of the test's own."""
    shards = str(request.param)
    router = Router(tmp_path, lambda ports: config.simple(ports[0]), arguments=("--shards", shards)).start()
    yield router
    router.kill()


@pytest.fixture
def peers(router: Router) -> Iterator[Callable[[str], Peers]]:
    """Sessions with that router."""
    opened = []

    def make(transport: str) -> Peers:
        path = "/lp" if transport == "longpoll" else "/ws"
        addresses = {(transport, "anonymous"): Address(router.ports[0], path)}
        opened.append(Peers(addresses, transport, CBOR))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def join_everywhere(peers: Callable[[str], Peers], each: int = 2) -> list[Session]:
    """Sessions over each transport with each serializer."""
    makers = [peers("websocket"), peers("rawsocket"), peers("longpoll")]
    serializers = (*ALL, BJDATA, FLATBUFFERS)
    return [maker.join(serializer=serializer) for maker in makers for serializer in serializers for _ in range(each)]


def ended_well(router: Router) -> None:
    """The router ends in time, with status 0."""
    assert router.wait(STOP_SECONDS) == 0, router.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_GB_007_everyone_gets_goodbye(router: Router, peers: Callable[[str], Peers], number: int) -> None:
    """When the router ends, every session gets GOODBYE system_shutdown."""
    sessions = join_everywhere(peers)
    router.signal(number)
    for session in sessions:
        session.expect(m.GOODBYE, ANY, SHUTDOWN)
        session.send(m.GOODBYE, {}, "wamp.close.goodbye_and_out")
    for session in sessions:
        session.expect_closed()
    ended_well(router)


def test_a_hangup_ends_nothing(router: Router, peers: Callable[[str], Peers]) -> None:
    """SIGHUP, which others take for a request to read their configuration, leaves sessions as they are."""
    session = peers("websocket").join()
    router.signal(signal.SIGHUP)
    router.await_log("SIGHUP")
    session.barrier()
    router.signal()
    session.expect(m.GOODBYE, ANY, SHUTDOWN)
    session.send(m.GOODBYE, {}, "wamp.close.goodbye_and_out")
    ended_well(router)


def test_a_terminal_that_closes(tmp_path: Path) -> None:
    """Who closes the terminal in which a router runs ends it, in order, however often that is signalled."""
    terminal, stdin = os.openpty()
    router = Router(tmp_path, lambda ports: config.simple(ports[0]), stdin=stdin).start()
    try:
        session = Peers({("websocket", "anonymous"): Address(router.ports[0], "/ws")}, "websocket", CBOR).join()
        router.signal(signal.SIGHUP)
        session.expect(m.GOODBYE, ANY, SHUTDOWN)
        router.signal(signal.SIGHUP)
        session.send(m.GOODBYE, {}, "wamp.close.goodbye_and_out")
        ended_well(router)
    finally:
        router.kill()
        os.close(terminal)
        os.close(stdin)


def test_GB_008_one_goodbye(router: Router, peers: Callable[[str], Peers]) -> None:
    """The client's answer to the router's GOODBYE is not answered."""
    session = peers("websocket").join()
    router.signal()
    session.expect(m.GOODBYE, ANY, SHUTDOWN)
    session.send(m.GOODBYE, {}, "wamp.close.goodbye_and_out")
    session.expect_closed()
    ended_well(router)


def test_GB_009_unanswered_goodbye(router: Router, peers: Callable[[str], Peers]) -> None:
    """A client that does not answer the router's GOODBYE does not hold it up."""
    session, started = peers("rawsocket").join(), time.monotonic()
    router.signal()
    session.expect(m.GOODBYE, ANY, SHUTDOWN)
    session.expect_closed()
    ended_well(router)
    assert time.monotonic() - started < STOP_SECONDS


def test_GB_009_unanswered_kill(peers: Callable[[str], Peers]) -> None:
    """The transport of a killed session that does not answer is closed after a while."""
    makers = [peers(transport) for transport in ("websocket", "rawsocket", "longpoll")]
    killer, victims, started = makers[0].join(), [maker.join() for maker in makers], time.monotonic()
    for victim in victims:
        ask(killer, "wamp.session.kill", victim.id)
        victim.expect(m.GOODBYE, {}, "wamp.close.killed")
    for victim in victims:
        victim.expect_closed()
    assert GOODBYE_SECONDS - 0.5 < time.monotonic() - started < GOODBYE_SECONDS + 2
    killer.barrier()


def test_GB_010_requests_after_the_routers_goodbye(router: Router, peers: Callable[[str], Peers]) -> None:
    """Requests between the router's GOODBYE and the client's answer are ignored."""
    sessions = join_everywhere(peers)
    router.signal()
    for session in sessions:
        session.expect(m.GOODBYE, ANY, SHUTDOWN)
        session.request(m.SUBSCRIBE, {}, "com.too.late")
        session.request(m.CALL, {}, "com.too.late")
        session.send(m.GOODBYE, {}, "wamp.close.goodbye_and_out")
        session.expect_closed()
    ended_well(router)


def test_GB_013_crossing_goodbyes(router: Router, peers: Callable[[str], Peers]) -> None:
    """When both sides say GOODBYE at once, both are done, and nobody reports an error."""
    sessions = join_everywhere(peers)
    router.signal()
    for session in sessions:
        session.send(m.GOODBYE, {}, "wamp.close.close_realm")
    for session in sessions:
        assert session.expect(m.GOODBYE, ANY, ANY)[2] in (SHUTDOWN, "wamp.close.goodbye_and_out")
        session.expect_closed()
    ended_well(router)


def test_queued_output_is_flushed(router: Router, peers: Callable[[str], Peers]) -> None:
    """What was queued for a client before the end still reaches it."""
    maker = peers("rawsocket")
    publisher, subscribers = maker.join(), maker.join_many(4)
    for subscriber in subscribers:
        subscriber.subscribe("com.topic")
    for number in range(1000):
        publisher.publish("com.topic", [number, "x" * 1000])
    publisher.publish_ack("com.topic", ["last"])
    router.signal()
    for subscriber in subscribers:
        for number in range(1000):
            assert subscriber.event()[4][0] == number
        subscriber.event(args=["last"])
        subscriber.expect(m.GOODBYE, ANY, SHUTDOWN)
        subscriber.send(m.GOODBYE, {}, "wamp.close.goodbye_and_out")
    publisher.expect(m.GOODBYE, ANY, SHUTDOWN)
    publisher.send(m.GOODBYE, {}, "wamp.close.goodbye_and_out")
    ended_well(router)


def test_second_signal(router: Router, peers: Callable[[str], Peers]) -> None:
    """A second signal ends the router at once, whoever has not said goodbye."""
    session = peers("rawsocket").join()
    router.signal()
    session.expect(m.GOODBYE, ANY, SHUTDOWN)
    started = time.monotonic()
    router.signal()
    assert router.wait() != 0
    assert time.monotonic() - started < 1
