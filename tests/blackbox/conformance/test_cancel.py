"""Cancelling calls, and calls that take too long (CC, CT)."""

import time

import pytest
from harness import messages as m
from harness.peers import Peers
from harness.session import ANY, Session
from harness.values import same

CANCELED = "wamp.error.canceled"
TIMEOUT = "wamp.error.timeout"


class Call:
    """A call that waits for its callee's answer."""

    def __init__(self, wamp: Peers, features: tuple[str, ...] = m.CALLEE_FEATURES, **options: object) -> None:
        self.wamp = wamp
        self.caller = wamp.join()
        self.callee = wamp.join(roles=m.roles(callee=features))
        self.procedure = wamp.uri("procedure")
        self.callee.register(self.procedure)
        self.started = time.monotonic()
        self.request = self.caller.call(self.procedure, **options)
        self.invocation = self.callee.invocation()

    def cancel(self, mode: str | None = None, caller: Session | None = None) -> None:
        """Sends CANCEL."""
        (caller or self.caller).send(m.CANCEL, self.request, {"mode": mode} if mode else {})

    def interrupted(self, mode: str) -> None:
        """Takes INTERRUPT."""
        assert self.callee.expect(m.INTERRUPT, self.invocation[1], ANY)[2]["mode"] == mode

    def fails(self, uri: str) -> None:
        """Takes the caller's ERROR."""
        self.caller.expect_error(m.CALL, self.request, uri)

    def answer_is_dropped(self) -> None:
        """What the callee answers now does not reach the caller, and both sessions go on."""
        self.callee.reply(self.invocation, ["late"])
        self.wamp.fence(self.callee, self.caller)
        self.callee.barrier()

    def answered(self) -> None:
        """The callee answers, and the caller gets it."""
        self.callee.reply(self.invocation, ["answer"])
        self.caller.result(self.request, ["answer"])
        self.caller.barrier()


def test_CC_001_killnowait(wamp: Peers) -> None:
    """With killnowait the caller gets canceled at once."""
    call = Call(wamp)
    call.cancel("killnowait")
    call.fails(CANCELED)
    call.caller.barrier()


def test_CC_002_killnowait_interrupts(wamp: Peers) -> None:
    """With killnowait the callee gets INTERRUPT."""
    call = Call(wamp)
    call.cancel("killnowait")
    call.interrupted("killnowait")


def test_CC_003_killnowait_drops_the_answer(wamp: Peers) -> None:
    """With killnowait a later YIELD is dropped."""
    call = Call(wamp)
    call.cancel("killnowait")
    call.fails(CANCELED)
    call.interrupted("killnowait")
    call.answer_is_dropped()


def test_CC_004_kill(wamp: Peers) -> None:
    """With kill the callee gets INTERRUPT, and the caller nothing yet."""
    call = Call(wamp)
    call.cancel("kill")
    call.interrupted("kill")
    call.caller.barrier()


def test_CC_005_kill_answered_by_canceled(wamp: Peers) -> None:
    """With kill the callee's ERROR canceled is the answer."""
    call = Call(wamp)
    call.cancel("kill")
    call.interrupted("kill")
    call.callee.reply_error(call.invocation, CANCELED, ["cleaned up"])
    assert call.caller.expect_error(m.CALL, call.request, CANCELED) == [["cleaned up"]]
    call.caller.barrier()


def test_CC_006_kill_answered_by_error(wamp: Peers) -> None:
    """With kill any ERROR of the callee is the answer."""
    call = Call(wamp)
    call.cancel("kill")
    call.interrupted("kill")
    call.callee.reply_error(call.invocation, "com.example.error")
    call.fails("com.example.error")
    call.caller.barrier()


def test_CC_007_kill_answered_by_result(wamp: Peers) -> None:
    """With kill a YIELD of the callee is the answer."""
    call = Call(wamp)
    call.cancel("kill")
    call.interrupted("kill")
    call.answered()


def test_CC_008_skip(wamp: Peers) -> None:
    """With skip the caller gets canceled at once, and the callee nothing."""
    call = Call(wamp)
    call.cancel("skip")
    call.fails(CANCELED)
    call.wamp.fence(call.caller, call.callee)


def test_CC_009_skip_drops_the_answer(wamp: Peers) -> None:
    """With skip a later YIELD is dropped."""
    call = Call(wamp)
    call.cancel("skip")
    call.fails(CANCELED)
    call.answer_is_dropped()


def test_CC_010_kill_of_a_callee_without_canceling(wamp: Peers) -> None:
    """With kill, a callee that did not announce call_canceling is skipped."""
    call = Call(wamp, features=())
    call.cancel("kill")
    call.fails(CANCELED)
    call.wamp.fence(call.caller, call.callee)
    call.answer_is_dropped()


def test_CC_011_killnowait_of_a_callee_without_canceling(wamp: Peers) -> None:
    """With killnowait, a callee that did not announce call_canceling is skipped."""
    call = Call(wamp, features=())
    call.cancel("killnowait")
    call.fails(CANCELED)
    call.wamp.fence(call.caller, call.callee)


def test_CC_012_default_mode(wamp: Peers) -> None:
    """Without a mode CANCEL means killnowait."""
    call = Call(wamp)
    call.cancel()
    call.fails(CANCELED)
    call.interrupted("killnowait")


def test_CC_013_unknown_call(wamp: Peers) -> None:
    """CANCEL of a call that was never made is ignored."""
    session = wamp.join()
    session.send(m.CANCEL, 77, {})
    session.barrier()


def test_CC_014_finished_call(wamp: Peers) -> None:
    """CANCEL of a call that was answered is ignored."""
    call = Call(wamp)
    call.answered()
    call.cancel("killnowait")
    call.caller.barrier()
    call.wamp.fence(call.caller, call.callee)


def test_CC_015_second_cancel(wamp: Peers) -> None:
    """A second CANCEL is ignored."""
    call = Call(wamp)
    call.cancel("killnowait")
    call.cancel("killnowait")
    call.fails(CANCELED)
    call.interrupted("killnowait")
    call.caller.barrier()
    call.wamp.fence(call.caller, call.callee)


def test_CC_016_call_of_another_session(wamp: Peers) -> None:
    """CANCEL with another session's request id is ignored, and the call goes on."""
    call, stranger = Call(wamp), wamp.join()
    call.cancel("killnowait", stranger)
    stranger.barrier()
    call.wamp.fence(stranger, call.callee)
    call.answered()


def test_CC_017_kill_and_disconnect(wamp: Peers) -> None:
    """With kill, the caller gets canceled when the callee goes."""
    call = Call(wamp)
    call.cancel("kill")
    call.interrupted("kill")
    call.callee.close()
    call.fails(CANCELED)
    call.caller.barrier()


def test_CC_018_one_answer_in_a_race(wamp: Peers) -> None:
    """When CANCEL and YIELD cross, the caller gets exactly one answer; 1000 times."""
    call = Call(wamp)
    call.answered()
    outcomes = set()
    for number in range(wamp.many(1000)):
        request = call.caller.call(call.procedure)
        while (message := call.callee.recv())[0] == m.INTERRUPT:
            pass
        mode = {"mode": ("killnowait", "kill", "skip")[number % 3]}
        crossing = [lambda: call.caller.send(m.CANCEL, request, mode), lambda: call.callee.reply(message, ["answer"])]
        for send in crossing if number % 2 else reversed(crossing):
            send()
        answer = call.caller.recv()
        if answer[0] == m.ERROR:
            assert answer[1:3] == [m.CALL, request] and answer[4:] == [CANCELED], answer
        else:
            assert same(answer, [m.RESULT, request, {}, ["answer"]])
        outcomes.add(answer[0])
    assert outcomes == {m.RESULT, m.ERROR}
    wamp.fence(call.callee, call.caller)
    call.caller.barrier()


def test_CC_019_cancel_takes_no_request_id(wamp: Peers) -> None:
    """CANCEL does not count as a request."""
    caller, callee = wamp.join("strict"), wamp.join("strict")
    callee.register(wamp.uri("procedure"))
    request = caller.call(wamp.uri("procedure"))
    callee.invocation()
    caller.send(m.CANCEL, request, {"mode": "skip"})
    caller.expect_error(m.CALL, request, CANCELED)
    caller.barrier()


def test_CC_020_kill_then_killnowait(wamp: Peers) -> None:
    """After kill and killnowait for one call there is one answer."""
    call = Call(wamp)
    call.cancel("kill")
    call.cancel("killnowait")
    call.interrupted("kill")
    call.callee.reply(call.invocation, ["answer"])
    answer = call.caller.recv()
    assert answer[0] in (m.RESULT, m.ERROR), answer
    call.caller.barrier()
    request = call.caller.call(call.procedure)
    while (message := call.callee.recv())[0] == m.INTERRUPT:
        pass
    call.callee.reply(message, ["next"])
    call.caller.result(request, ["next"])


def test_CT_001_timeout(wamp: Peers) -> None:
    """A call with a timeout of 200 ms fails after about that time."""
    call = Call(wamp, timeout=200)
    call.fails(TIMEOUT)
    assert 0.18 < time.monotonic() - call.started < 0.6
    call.caller.barrier()


def test_CT_002_timeout_interrupts(wamp: Peers) -> None:
    """On timeout a callee that announced call_canceling gets INTERRUPT."""
    call = Call(wamp, timeout=20)
    call.interrupted("killnowait")
    call.fails(TIMEOUT)


def test_CT_003_timeout_of_a_callee_without_canceling(wamp: Peers) -> None:
    """On timeout a callee that did not announce call_canceling gets nothing."""
    call = Call(wamp, features=(), timeout=20)
    call.fails(TIMEOUT)
    call.wamp.fence(call.caller, call.callee)


def test_CT_004_no_timeout(wamp: Peers) -> None:
    """A timeout of 0 means none."""
    call = Call(wamp, timeout=0)
    later = call.caller.call(call.procedure, timeout=60)
    call.callee.invocation()
    call.caller.expect_error(m.CALL, later, TIMEOUT)
    call.callee.expect(m.INTERRUPT, ANY, ANY)
    call.answered()


def test_CT_005_answer_in_time(wamp: Peers) -> None:
    """After an answer in time no timeout follows."""
    call = Call(wamp, timeout=40)
    call.answered()
    request = call.caller.call(call.procedure, timeout=100)
    call.callee.invocation()
    call.caller.expect_error(m.CALL, request, TIMEOUT)


def test_CT_006_late_answer(wamp: Peers) -> None:
    """An answer after the timeout is dropped."""
    call = Call(wamp, timeout=20)
    call.fails(TIMEOUT)
    call.interrupted("killnowait")
    call.answer_is_dropped()


@pytest.mark.parametrize("options", [{}, {"forward_timeout": False}], ids=["absent", "false"])
def test_CT_007_timeout_is_the_routers(wamp: Peers, options: dict) -> None:
    """The callee does not learn of a timeout that the router watches."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"), **options)
    caller.call(wamp.uri("procedure"), timeout=20)
    assert "timeout" not in callee.invocation()[3]


def test_CT_008_timeout_is_the_callees(wamp: Peers) -> None:
    """A callee that asked for it gets the timeout, and the router does not watch it."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"), forward_timeout=True)
    callee.register(wamp.uri("watched"))
    request = caller.call(wamp.uri("procedure"), timeout=20)
    invocation = callee.invocation()
    assert invocation[3]["timeout"] == 20
    later = caller.call(wamp.uri("watched"), timeout=60)
    watched = callee.invocation()
    caller.expect_error(m.CALL, later, TIMEOUT)
    callee.expect(m.INTERRUPT, watched[1], ANY)
    callee.reply(invocation, ["mine"])
    caller.result(request, ["mine"])


def test_CT_008_callee_that_does_not_know_timeouts(wamp: Peers) -> None:
    """The router watches the timeout of a callee that asked for it, but did not announce call_timeout."""
    caller, callee = wamp.join(), wamp.join(roles=m.roles(callee=("call_canceling",)))
    callee.register(wamp.uri("procedure"), forward_timeout=True)
    request = caller.call(wamp.uri("procedure"), timeout=50)
    invocation = callee.invocation()
    assert "timeout" not in invocation[3]
    caller.expect_error(m.CALL, request, TIMEOUT)
    assert callee.expect(m.INTERRUPT, invocation[1], ANY)[2]["mode"] == "killnowait"


def test_CT_009_progress_restarts_the_timeout(wamp: Peers) -> None:
    """Each progressive result starts the timeout anew."""
    call = Call(wamp, timeout=150, receive_progress=True)
    for number in range(4):
        time.sleep(0.08)  # the passing of time is what is tested: in all, it exceeds the timeout
        call.callee.reply(call.invocation, [number], progress=True)
        call.caller.expect(m.RESULT, call.request, {"progress": True}, [number])
    call.fails(TIMEOUT)


def test_CT_010_cancel_stops_the_timeout(wamp: Peers) -> None:
    """After CANCEL no timeout follows."""
    call = Call(wamp, timeout=40)
    call.cancel("killnowait")
    call.fails(CANCELED)
    call.interrupted("killnowait")
    request = call.caller.call(call.procedure, timeout=100)
    call.callee.invocation()
    call.caller.expect_error(m.CALL, request, TIMEOUT)


def test_CT_011_many_timeouts(wamp: Peers) -> None:
    """The timeouts of 1000 calls at once all happen."""
    caller, callee = wamp.join(), wamp.join()
    callee.register(wamp.uri("procedure"))
    requests = {caller.call(wamp.uri("procedure"), timeout=50 + number % 10) for number in range(1000)}
    for _ in range(1000):
        error = caller.recv()
        assert error[:2] == [m.ERROR, m.CALL] and error[4] == TIMEOUT, error
        requests.remove(error[2])
    assert not requests
