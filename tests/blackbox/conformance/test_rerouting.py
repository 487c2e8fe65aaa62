"""Call rerouting (CR)."""

import time

import pytest
from harness import messages as m
from harness.peers import Peers, first_ready
from harness.session import ANY, Session
from harness.values import same

UNAVAILABLE = "wamp.error.unavailable"
NOBODY = "wamp.error.no_available_callee"


def pool(wamp: Peers, invoke: str, size: int = 3) -> tuple[Session, list[Session]]:
    """A caller, and callees of one procedure in the order of registering."""
    caller, callees = wamp.join(), wamp.join_many(size)
    for callee in callees:
        callee.register(wamp.uri("procedure"), invoke=invoke)
    return caller, callees


def test_CR_001_single(wamp: Peers) -> None:
    """When the only callee is not available, the caller gets no_available_callee."""
    caller, callees = pool(wamp, "single", size=1)
    request = caller.call(wamp.uri("procedure"))
    callees[0].reply_error(callees[0].invocation(), UNAVAILABLE, ["why"])
    caller.expect_error(m.CALL, request, NOBODY)
    callees[0].barrier()


def test_CR_002_roundrobin(wamp: Peers) -> None:
    """With roundrobin the next callee gets the same payload, and the caller the result only."""
    caller, callees = pool(wamp, "roundrobin")
    request = caller.call(wamp.uri("procedure"), [1, {"a": None}], {"two": 2})
    callees[0].reply_error(callees[0].invocation(), UNAVAILABLE)
    invocation = callees[1].invocation()
    assert same(invocation[4:], [[1, {"a": None}], {"two": 2}])
    callees[1].reply(invocation, ["served"])
    caller.result(request, ["served"])
    wamp.fence(callees[1], caller, *callees)


@pytest.mark.parametrize(("invoke", "order"), [("first", (0, 1, 2)), ("last", (2, 1, 0))], ids=["first", "last"])
def test_CR_003_order_of_registering(wamp: Peers, invoke: str, order: tuple[int, ...]) -> None:
    """With first the next newer callee gets the call, with last the next older one."""
    caller, callees = pool(wamp, invoke)
    request = caller.call(wamp.uri("procedure"))
    for place in order[:-1]:
        callees[place].reply_error(callees[place].invocation(), UNAVAILABLE)
    callees[order[-1]].reply(callees[order[-1]].invocation(), ["served"])
    caller.result(request, ["served"])


def test_CR_004_random(wamp: Peers) -> None:
    """With random another callee gets the call."""
    caller, callees = pool(wamp, "random")
    for _ in range(20):
        request = caller.call(wamp.uri("procedure"))
        first = first_ready(callees)
        first.reply_error(first.invocation(), UNAVAILABLE)
        second = first_ready(callees)
        assert second is not first
        second.reply(second.invocation(), ["served"])
        caller.result(request, ["served"])


@pytest.mark.parametrize("invoke", ["roundrobin", "first", "last", "random"])
def test_CR_005_all_unavailable(wamp: Peers, invoke: str) -> None:
    """When no callee is available, each is asked once, and the caller gets no_available_callee."""
    caller, callees = pool(wamp, invoke)
    request = caller.call(wamp.uri("procedure"))
    left = list(callees)
    while left:
        callee = first_ready(left)
        callee.reply_error(callee.invocation(), UNAVAILABLE)
        left.remove(callee)
    caller.expect_error(m.CALL, request, NOBODY)
    wamp.fence(caller, caller, *callees)


def test_CR_006_not_announced(wamp: Peers) -> None:
    """The error of a callee that did not announce call_reroute is forwarded."""
    features = tuple(name for name in m.CALLEE_FEATURES if name != "call_reroute")
    caller, callee = wamp.join(), wamp.join(roles=m.roles(callee=features, publisher=(), subscriber=()))
    other = wamp.join()
    for session in (callee, other):
        session.register(wamp.uri("procedure"), invoke="first")
    request = caller.call(wamp.uri("procedure"))
    callee.reply_error(callee.invocation(), UNAVAILABLE, ["why"])
    assert caller.expect_error(m.CALL, request, UNAVAILABLE) == [["why"]]
    wamp.fence(callee, other)


def test_CR_007_call_stays_what_it_was(wamp: Peers) -> None:
    """The next callee gets caller and procedure, and the time limit goes on running."""
    caller, callees = wamp.join(), wamp.join_many(2)
    for callee in callees:
        callee.register(wamp.uri("pro"), match="prefix", invoke="first")
    started = time.monotonic()
    request = caller.call(wamp.uri("procedure"), disclose_me=True, timeout=800)
    first = callees[0].invocation()
    time.sleep(0.4)  # the passing of time is what is tested
    callees[0].reply_error(first, UNAVAILABLE)
    second = callees[1].invocation()
    assert second[3]["caller"] == caller.id and second[3]["procedure"] == wamp.uri("procedure")
    caller.expect_error(m.CALL, request, "wamp.error.timeout")
    assert 0.78 < time.monotonic() - started < 1.15
    callees[1].expect(m.INTERRUPT, second[1], ANY)
