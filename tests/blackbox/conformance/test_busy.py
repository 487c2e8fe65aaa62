"""Callees with a limit, calls that wait for them, and the policies load and sticky; time limits by callee and realm.

These go beyond the specification: see docs/calls.md. The realm `queued` has a queue of three calls for each
registration below `test`, and a time limit of two seconds.
"""

import time

import pytest
from harness import messages as m
from harness.peers import Peers, eventually, first_ready
from harness.session import ANY

BUSY = "crossbar.error.max_concurrency_reached"
CANCELED = "wamp.error.canceled"
POLICIES = ["single", "first", "last", "roundrobin", "random", "load", "sticky"]


@pytest.mark.parametrize("invoke", POLICIES)
def test_callees_get_as_many_calls_as_they_want(wamp: Peers, invoke: str) -> None:
    """With all policies no callee gets more calls at a time than it wants."""
    caller, callees = wamp.join(), wamp.join_many(1 if invoke == "single" else 3)
    for callee in callees:
        callee.register(wamp.uri("procedure"), invoke=invoke, concurrency=2)
    requests = [caller.call(wamp.uri("procedure")) for _ in range(2 * len(callees))]
    refused = caller.call(wamp.uri("procedure"))
    caller.expect_error(m.CALL, refused, BUSY)
    for callee in callees:
        for invocation in [callee.invocation(), callee.invocation()]:
            callee.reply(invocation)
    assert {caller.recv()[1] for _ in requests} == set(requests)
    caller.call(wamp.uri("procedure"))
    callee = first_ready(callees)
    callee.reply(callee.invocation())
    assert caller.recv()[0] == m.RESULT


def test_a_place_is_free_however_its_call_ended(wamp: Peers) -> None:
    """After CANCEL, the time limit and the end of the caller there is room for another call."""
    callee, caller = wamp.join_many(2)
    callee.register(wamp.uri("procedure"), concurrency=1)
    for mode in ("skip", "killnowait"):
        request = caller.call(wamp.uri("procedure"))
        callee.invocation()
        caller.send(m.CANCEL, request, {"mode": mode})
        caller.expect_error(m.CALL, request, CANCELED)
    request = caller.call(wamp.uri("procedure"), timeout=20)
    while callee.recv()[0] == m.INTERRUPT:
        pass
    caller.expect_error(m.CALL, request, "wamp.error.timeout")
    callee.expect(m.INTERRUPT, ANY, ANY)
    caller.call(wamp.uri("procedure"))
    callee.invocation()
    caller.close()
    callee.expect(m.INTERRUPT, ANY, ANY)
    other = wamp.join()
    request = other.call(wamp.uri("procedure"))
    callee.reply(callee.invocation(), ["served"])
    other.result(request, ["served"])


def test_calls_wait_in_their_order(wamp: Peers) -> None:
    """Calls of several callers wait in one order, and no more of them than may."""
    callers, callee = [wamp.join("queued") for _ in range(4)], wamp.join("queued")
    callee.register(wamp.uri("procedure"), concurrency=1)
    requests = []
    for number, caller in enumerate(callers):
        # The next one calls when this one is known to wait: its own shard has answered since.
        requests.append(caller.call(wamp.uri("procedure"), [number]))
        caller.barrier()
    refused = callers[0].call(wamp.uri("procedure"))
    callers[0].expect_error(m.CALL, refused, BUSY)
    for number, caller in enumerate(callers):
        invocation = callee.invocation()
        assert invocation[4] == [number]
        callee.reply(invocation, [number])
        caller.result(requests[number], [number])


def test_a_call_that_waits_is_cancelled(wamp: Peers) -> None:
    """A call that waits ends at once, and its place in the queue with it."""
    caller, callee = wamp.join("queued"), wamp.join("queued")
    callee.register(wamp.uri("procedure"), concurrency=1)
    first = caller.call(wamp.uri("procedure"), ["first"])
    invocation = callee.invocation()
    for mode in ("skip", "kill", "killnowait", "kill"):
        request = caller.call(wamp.uri("procedure"))
        caller.send(m.CANCEL, request, {"mode": mode})
        caller.expect_error(m.CALL, request, CANCELED)
    request = caller.call(wamp.uri("procedure"), timeout=20)
    caller.expect_error(m.CALL, request, "wamp.error.timeout")
    last = caller.call(wamp.uri("procedure"), ["last"])
    callee.reply(invocation)
    caller.result(first)
    invocation = callee.invocation()
    assert invocation[4] == ["last"]
    callee.reply(invocation)
    caller.result(last)


def test_what_waits_goes_to_a_new_callee(wamp: Peers) -> None:
    """Calls that wait go to a callee that registers, and fail when the last one goes."""
    caller, first, second = (wamp.join("queued") for _ in range(3))
    first.register(wamp.uri("procedure"), concurrency=1, invoke="roundrobin")
    requests = [caller.call(wamp.uri("procedure"), [number]) for number in range(3)]
    assert first.invocation()[4] == [0]
    second.register(wamp.uri("procedure"), concurrency=1, invoke="roundrobin")
    assert second.invocation()[4] == [1]
    second.close()
    caller.expect_error(m.CALL, requests[1], CANCELED)
    first.close()
    errors = {}
    for _ in range(2):
        error = caller.recv()
        errors[error[2]] = error[4]
    assert errors == {requests[0]: CANCELED, requests[2]: "wamp.error.no_such_procedure"}


def test_many_callers_of_few_callees(wamp: Peers) -> None:
    """With calls waiting on all shards every call is served, and never more at a time than callees want."""
    callers, callees = [wamp.join("queued") for _ in range(6)], [wamp.join("queued") for _ in range(3)]
    for callee in callees:
        callee.register(wamp.uri("procedure"), concurrency=1, invoke="load")
    for _ in range(20):
        requests = [caller.call(wamp.uri("procedure")) for caller in callers]
        for _ in callers:
            callee = first_ready(callees)
            callee.reply(callee.invocation())
        for caller, request in zip(callers, requests):
            caller.result(request)


def test_load(wamp: Peers) -> None:
    """load calls the callee with the fewest open calls."""
    caller, callees = wamp.join(), wamp.join_many(3)
    for callee in callees:
        callee.register(wamp.uri("procedure"), invoke="load")
    requests = [caller.call(wamp.uri("procedure")) for _ in range(6)]
    for callee in callees:
        open_calls = [callee.invocation(), callee.invocation()]
    for invocation in open_calls:
        callees[2].reply(invocation)
        requests.remove(caller.recv()[1])
    for _ in range(2):
        caller.call(wamp.uri("procedure"))
        callees[2].invocation()
    wamp.fence(caller, *callees)


def test_sticky(wamp: Peers) -> None:
    """sticky calls the same callee for one caller, and another one when it has gone."""
    callers, callees = wamp.join_many(3), wamp.join_many(2)

    def served(caller) -> int:
        request = caller.call(wamp.uri("procedure"))
        callee = first_ready([caller, *callees])
        if callee is caller:
            assert caller.recv()[:3] == [m.ERROR, m.CALL, request]
            return -1
        callee.reply(callee.invocation())
        caller.result(request)
        return callees.index(callee)

    for callee in callees:
        callee.register(wamp.uri("procedure"), invoke="sticky")
    places = [served(caller) for caller in callers]
    assert set(places) == {0, 1}
    for _ in range(5):
        assert [served(caller) for caller in callers] == places
    callees[0].leave()
    for caller in callers:
        eventually(lambda: served(caller) == 1)


def test_policies_do_not_mix(wamp: Peers) -> None:
    """load and sticky are policies like others: a registration has one."""
    first, second = wamp.join_many(2)
    first.register(wamp.uri("procedure"), invoke="load")
    request = second.request(m.REGISTER, {"invoke": "sticky"}, wamp.uri("procedure"))
    second.expect_error(m.REGISTER, request, "wamp.error.procedure_exists_with_different_invocation_policy")


@pytest.mark.parametrize("options", [{}, {"timeout": 0}, {"timeout": 60000}], ids=["absent", "none", "longer"])
def test_timeout_of_the_callee(wamp: Peers, options: dict) -> None:
    """A callee may want calls to take no longer than it says."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"), timeout=100)
    started = time.monotonic()
    request = caller.call(wamp.uri("procedure"), **options)
    invocation = callee.invocation()
    assert "timeout" not in invocation[3]
    caller.expect_error(m.CALL, request, "wamp.error.timeout")
    assert 0.09 < time.monotonic() - started < 5
    callee.expect(m.INTERRUPT, invocation[1], ANY)


def test_timeout_of_the_realm(wamp: Peers) -> None:
    """A realm may want calls to take no longer than it says; shorter limits count."""
    caller, callee = wamp.join("queued"), wamp.join("queued")
    callee.register(wamp.uri("procedure"))
    callee.register(wamp.uri("forwarded"), forward_timeout=True)
    started = time.monotonic()
    shorter = caller.call(wamp.uri("procedure"), timeout=100)
    longest = caller.call(wamp.uri("procedure"), timeout=60000)
    caller.call(wamp.uri("forwarded"))
    callee.invocation(), callee.invocation()
    assert callee.invocation()[3]["timeout"] == 2000
    caller.expect_error(m.CALL, shorter, "wamp.error.timeout")
    assert time.monotonic() - started < 1.9
    caller.expect_error(m.CALL, longest, "wamp.error.timeout")
    assert 1.9 < time.monotonic() - started < 10
