"""What the router's log tells, and what it must not tell."""

from collections.abc import Callable

from harness.longpoll import LongPoll
from harness.router import Router
from harness.serializers import JSON
from harness.session import Session
from harness.wire import Address


def test_ids_of_transports(own_router: Callable[..., Router]) -> None:
    """Whoever knows the id of a long-poll transport may use it: the log of requests shows none."""
    router = own_router()
    session = Session(LongPoll(Address(router.ports[0], "/lp"), JSON)).join()
    session.barrier()
    session.close()
    router.stop()
    for path in ("/lp/open", "/lp/…/send", "/lp/…/receive"):
        assert f"{path} " in router.log, router.log
    assert session.transport.transport not in router.log
