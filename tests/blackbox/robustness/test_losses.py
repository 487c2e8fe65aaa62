"""What the router refuses and drops is in its log."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import config
from harness.peers import Peers
from harness.router import Router
from harness.serializers import CBOR
from harness.session import Session
from harness.wire import Address, Closed, HandshakeRefused, RawSocket

REFUSED = 'as many as "max_connections" allows'
TOO_LARGE = "larger than their subscribers take"
FORGOTTEN = "retained events are forgotten"


def counts(router: Router, warning: str) -> list[int]:
    """What the warnings of one kind count."""
    lines = [line for line in router.log.splitlines() if "WARN" in line and warning in line]
    return [int(re.search(r"count=(\d+)", line)[1]) for line in lines]


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    """A router with two shards, and room for one retained event on each and, on its second port, for one connection."""

    def configuration(ports: list[int]) -> dict:
        realm = config.realm("realm1", event_retention={"events": 1})
        universal = config.universal(ports[0], {"ws": config.websocket()}, config.rawsocket())
        endpoint = {"type": "tcp", "interface": "127.0.0.1", "port": ports[1]}
        single = {**config.rawsocket(), "endpoint": endpoint, "max_connections": 1}
        return config.node([realm], [universal, single])

    router = Router(tmp_path, configuration, 2, ("--shards", "2")).start()
    yield router
    router.stop()


def test_warnings(router: Router) -> None:
    """Connections that are refused, and events that are dropped or forgotten, are counted in a warning, and not one each."""
    address = Address(router.ports[0])
    peers = Peers({("rawsocket", "anonymous"): address}, "rawsocket", CBOR)
    small = Session(RawSocket(address, CBOR, limit=0)).join()
    small.subscribe("com.topic")
    publisher = peers.join()
    for number in range(20):
        publisher.publish_ack("com.topic", ["x" * 1000])
        publisher.publish_ack(f"com.kept.{number}", ["x"], retain=True)
    held = [RawSocket(Address(router.ports[1]), CBOR)]
    for _ in range(20):
        try:
            held.append(RawSocket(Address(router.ports[1]), CBOR))
        except (Closed, HandshakeRefused, OSError):
            continue
    assert len(held) == 1
    # Each shard keeps one of the retained events.
    for warning, total in ((REFUSED, 20), (TOO_LARGE, 20), (FORGOTTEN, 18)):
        deadline = time.monotonic() + 14
        while sum(counts(router, warning)) < total:
            assert time.monotonic() < deadline, (warning, router.log)
            time.sleep(0.05)
        assert sum(counts(router, warning)) == total and len(counts(router, warning)) <= 2, router.log
    small.barrier()
    peers.close()
    small.close()
    held[0].close()
