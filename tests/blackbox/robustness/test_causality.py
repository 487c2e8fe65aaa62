"""What one client sees and acts upon is no news to the router, whichever shards are involved."""

from pathlib import Path

from harness import config
from harness import messages as m
from harness.peers import Peers
from harness.router import Router
from harness.serializers import CBOR
from harness.wire import Address

ROUNDS = 500
SHARDS = 4


def test_a_procedure_is_free_once_its_callee_is_known_to_be_gone(tmp_path: Path) -> None:
    """Who hears that a callee is gone can have its procedure registered at once, by any session."""
    arguments = ("--shards", str(SHARDS))
    router = Router(tmp_path, lambda ports: config.simple(ports[0]), arguments=arguments).start()
    peers = Peers({("rawsocket", "anonymous"): Address(router.ports[0])}, "rawsocket", CBOR, SHARDS)
    caller, heirs = peers.join(), peers.join_many(8)
    for turn in range(ROUNDS):
        procedure, callee, heir = peers.uri(f"procedure{turn}"), peers.join(), heirs[turn % len(heirs)]
        callee.register(procedure)
        request = caller.call(procedure)
        callee.invocation()
        callee.close()
        caller.expect_error(m.CALL, request, "wamp.error.canceled")
        heir.register(procedure)
    peers.close()
    router.stop()
