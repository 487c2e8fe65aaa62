"""What one client sees and acts upon is no news to the router, whichever shards are involved."""

from collections.abc import Callable

from harness import messages as m
from harness.peers import Peers
from harness.router import Router
from harness.serializers import CBOR
from harness.wire import Address

ROUNDS = 500
SHARDS = 4


def test_a_procedure_is_free_once_its_callee_is_known_to_be_gone(own_router: Callable[..., Router]) -> None:
    """Who hears that a callee is gone can have its procedure registered at once, by any session."""
    address = Address(own_router(shards=SHARDS).ports[0])
    peers = Peers({("rawsocket", "anonymous"): address}, "rawsocket", CBOR)
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
