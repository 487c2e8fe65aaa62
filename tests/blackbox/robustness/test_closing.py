"""What is left of a connection that ended in order."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import messages as m
from harness.peers import Peers, eventually
from harness.router import Router
from harness.serializers import JSON
from harness.session import Session
from harness.wire import CLOSE, Address

CLOSES = 100
WATCH = re.compile(r"^\s+op=\d+, task_works=", re.MULTILINE)


def watched(router: Router) -> int:
    """What the kernel watches for the router: each socket among it stays open, whether it has a descriptor or not."""
    fds = Path(f"/proc/{router.pid}/fd")
    rings = [fd.name for fd in fds.iterdir() if os.path.lexists(fd) and "io_uring" in os.readlink(fd)]
    count = 0
    for ring in rings:
        info = ""
        while "PollList:" not in info:  # the kernel leaves it out while the ring is in use
            info = Path(f"/proc/{router.pid}/fdinfo/{ring}").read_text()
        count += len(WATCH.findall(info))
    return count


def close_handshake(session: Session) -> None:
    """The client closes the WebSocket connection."""
    session.transport.send_frame(CLOSE, (1000).to_bytes(2))
    assert session.transport.read_frame()[0] == CLOSE
    session.close()


def violation(session: Session) -> None:
    """The router closes the connection of a client that breaks the rules."""
    session.send(m.WELCOME, 1, {})
    session.expect_violation()


@pytest.mark.parametrize(
    ("transport", "end"),
    [("websocket", close_handshake), ("websocket", violation), ("rawsocket", violation)],
    ids=["close handshake", "ABORT over WebSocket", "ABORT over RawSocket"],
)
def test_connections_that_ended_are_gone(own_router, transport: str, end: Callable[[Session], None]) -> None:
    """The kernel keeps nothing of connections that ended in order."""
    router = own_router(shards=2)
    peers = Peers({(transport, "anonymous"): Address(router.ports[0])}, transport, JSON)
    for _ in range(CLOSES):
        end(peers.join())
    # The shards watch a few things of their own.
    eventually(lambda: watched(router) < CLOSES / 2, "the end of watches")
    peers.close()
