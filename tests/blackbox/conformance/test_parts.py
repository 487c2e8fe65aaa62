"""Progressive call invocations: arguments that come in parts (PG)."""

import time

import pytest
from harness import messages as m
from harness.peers import Peers
from harness.session import ANY, Session
from harness.values import same

NOT_SUPPORTED = "wamp.error.feature_not_supported"


class Call:
    """A call whose first part has reached its callee."""

    def __init__(self, wamp: Peers, realm: str = "realm1", **options: object) -> None:
        self.wamp = wamp
        self.caller, self.callee = wamp.join(realm), wamp.join(realm)
        self.procedure = wamp.uri("procedure")
        self.callee.register(self.procedure)
        self.started = time.monotonic()
        self.request = self.caller.call(self.procedure, [0], progress=True, **options)
        self.invocation = self.callee.invocation()
        assert self.invocation[3]["progress"] is True and same(self.invocation[4], [0])

    def part(self, *args: object, progress: bool = True, **options: object) -> None:
        """Sends a further part."""
        if progress:
            options["progress"] = True
        self.caller.call_on(self.request, self.procedure, list(args), **options)

    def arrives(self, *args: object, progress: bool = True) -> dict:
        """The callee gets a part; its details."""
        _, request, registration, _, _ = self.invocation
        part = self.callee.expect(m.INVOCATION, request, registration, ANY, list(args))
        assert part[3].get("progress", False) is progress, part
        return part[3]

    def ignores_more(self) -> None:
        """Further parts are ignored, and both sessions go on."""
        self.part(8)
        self.part(9, progress=False)
        self.caller.barrier()


def refused(wamp: Peers, *features: str) -> None:
    """A callee that announces these features only does not get a call in parts."""
    caller, callee = wamp.join(), wamp.join(roles=m.roles(callee=features, publisher=(), subscriber=()))
    callee.register(wamp.uri("procedure"))
    request = caller.call(wamp.uri("procedure"), [0], progress=True)
    caller.call_on(request, wamp.uri("procedure"), [1], progress=True)
    caller.expect_error(m.CALL, request, NOT_SUPPORTED)
    wamp.fence(caller, caller, callee)


def test_PG_001_three_parts(wamp: Peers) -> None:
    """Three CALLs with one request id are three INVOCATIONs with one id, all but the last marked."""
    call = Call(wamp)
    call.part(1)
    call.part(2, progress=False)
    call.arrives(1)
    call.arrives(2, progress=False)
    call.callee.reply(call.invocation, ["sum"])
    call.caller.result(call.request, ["sum"])
    wamp.fence(call.caller, call.caller, call.callee)


def test_PG_001_order_of_parts(wamp: Peers) -> None:
    """Many parts arrive in order."""
    call = Call(wamp)
    for number in range(1, 500):
        call.part(number)
    call.part("end", progress=False)
    for number in range(1, 500):
        call.arrives(number)
    call.arrives("end", progress=False)


def test_PG_002_caller_did_not_announce_it(wamp: Peers) -> None:
    """A part from a caller that did not announce progressive_call_invocations is a violation."""
    caller = wamp.join(roles=m.roles(caller=("call_canceling",)))
    caller.call(wamp.uri("procedure"), [0], progress=True)
    caller.expect_violation()


def test_PG_003_callee_did_not_announce_it(wamp: Peers) -> None:
    """A callee without progressive_call_invocations is not called, and the caller gets feature_not_supported."""
    refused(wamp, "call_canceling", "progressive_call_results")


def test_PG_004_callee_cannot_be_cancelled(wamp: Peers) -> None:
    """A callee without call_canceling is not called, and the caller gets feature_not_supported."""
    refused(wamp, "progressive_call_invocations", "progressive_call_results")


@pytest.mark.parametrize("realm", ["realm1", "strict"])
def test_PG_005_other_requests_in_between(wamp: Peers, realm: str) -> None:
    """Other requests may come between the parts, also where request ids have to be in sequence."""
    call = Call(wamp, realm)
    call.caller.subscribe(wamp.uri("topic"))
    call.part(1)
    call.caller.barrier()
    call.part(2, progress=False)
    call.arrives(1)
    call.arrives(2, progress=False)
    call.caller.barrier()


def test_PG_006_gap(wamp: Peers) -> None:
    """Where request ids have to be in sequence, parts do not hide a gap."""
    call = Call(wamp, "strict")
    call.caller.barrier()
    call.part(1)
    call.caller.send(m.CALL, 4, {}, wamp.uri("nobody"))
    call.caller.expect_violation()


def test_PG_006_gap_of_parts(wamp: Peers) -> None:
    """Where request ids have to be in sequence, an old one that no call has is a violation."""
    call = Call(wamp, "strict")
    call.caller.barrier()
    call.caller.call_on(2, call.procedure, [1], progress=True)
    call.caller.expect_violation()


def test_PG_007_call_in_one_part(wamp: Peers) -> None:
    """A further part of a call that came in one is a violation."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    request = caller.call(wamp.uri("procedure"), [0])
    callee.invocation()
    caller.call_on(request, wamp.uri("procedure"), [1], progress=True)
    caller.expect_violation()


def test_PG_007_after_the_last_part(wamp: Peers) -> None:
    """A further part after the last one, while the call goes on, is a violation."""
    call = Call(wamp)
    call.part(1, progress=False)
    call.part(2)
    call.caller.expect_violation()


def test_PG_007_other_procedure(wamp: Peers) -> None:
    """A further part for another procedure is a violation."""
    call = Call(wamp)
    call.caller.call_on(call.request, wamp.uri("other"), [1], progress=True)
    call.caller.expect_violation()


@pytest.mark.parametrize("realm", ["realm1", "strict"])
@pytest.mark.parametrize("answer", ["result", "error"])
def test_PG_008_part_after_the_answer(wamp: Peers, realm: str, answer: str) -> None:
    """Parts after the result are ignored."""
    call = Call(wamp, realm)
    if answer == "result":
        call.callee.reply(call.invocation, ["enough"])
        call.caller.result(call.request, ["enough"])
    else:
        call.callee.reply_error(call.invocation, "com.example.enough")
        call.caller.expect_error(m.CALL, call.request, "com.example.enough")
    call.ignores_more()
    wamp.fence(call.callee, call.callee)


def test_PG_008_part_after_a_refusal(wamp: Peers) -> None:
    """Parts after the call was refused are ignored."""
    caller = wamp.join()
    request = caller.call(wamp.uri("nobody"), [0], progress=True)
    caller.call_on(request, wamp.uri("nobody"), [1], progress=True)
    caller.call_on(request, wamp.uri("nobody"), [2])
    caller.expect_error(m.CALL, request, "wamp.error.no_such_procedure")
    caller.barrier()


@pytest.mark.parametrize("disclose", [True, False], ids=["on", "off"])
def test_PG_009_options_are_frozen(wamp: Peers, disclose: bool) -> None:
    """Options of further parts do not count."""
    call = Call(wamp, disclose_me=disclose)
    assert ("caller" in call.invocation[3]) is disclose
    call.part(1, disclose_me=not disclose, receive_progress=True)
    assert {**call.arrives(1), "progress": True} == call.invocation[3]
    call.part(2, progress=False, disclose_me=not disclose)
    assert ("caller" in call.arrives(2, progress=False)) is disclose


def test_PG_010_caller_in_every_part(wamp: Peers) -> None:
    """With disclose_me in the first part, all parts name the caller."""
    call = Call(wamp, disclose_me=True)
    call.part(1)
    call.part(2, progress=False)
    for details in (call.invocation[3], call.arrives(1), call.arrives(2, progress=False)):
        assert details["caller"] == call.caller.id


def test_PG_011_error_before_the_last_part(wamp: Peers) -> None:
    """The callee's ERROR ends the call, whatever comes after it."""
    call = Call(wamp)
    call.callee.reply_error(call.invocation, "com.example.enough", ["enough"])
    assert call.caller.expect_error(m.CALL, call.request, "com.example.enough") == [["enough"]]
    call.ignores_more()
    wamp.fence(call.callee, call.callee)


def test_PG_012_caller_leaves(wamp: Peers) -> None:
    """When the caller goes before the last part, the callee is interrupted."""
    call = Call(wamp)
    call.part(1)
    call.arrives(1)
    call.caller.close()
    assert call.callee.expect(m.INTERRUPT, call.invocation[1], ANY)[2]["mode"] == "killnowait"
    call.callee.reply(call.invocation, ["late"])
    call.callee.barrier()


def test_PG_013_callee_leaves(wamp: Peers) -> None:
    """When the callee goes before the last part, the caller gets canceled, and further parts are ignored."""
    call = Call(wamp)
    call.callee.close()
    call.caller.expect_error(m.CALL, call.request, "wamp.error.canceled")
    call.ignores_more()


def test_PG_014_results_before_the_last_part(wamp: Peers) -> None:
    """Arguments and results flow at the same time."""
    call = Call(wamp, receive_progress=True)
    assert call.invocation[3]["receive_progress"] is True
    for number in range(1, 50):
        call.callee.reply(call.invocation, [-number], progress=True)
        call.part(number)
        call.caller.expect(m.RESULT, call.request, {"progress": True}, [-number])
        call.arrives(number)
    call.part("end", progress=False)
    call.arrives("end", progress=False)
    call.callee.reply(call.invocation, ["end"])
    call.caller.result(call.request, ["end"])


def test_PG_015_timeout_from_the_first_part(wamp: Peers) -> None:
    """Further parts do not give a call more time."""
    call = Call(wamp, timeout=1000)
    for number in range(1, 4):
        time.sleep(0.2)  # the passing of time is what is tested
        call.part(number)
        call.arrives(number)
    call.caller.expect_error(m.CALL, call.request, "wamp.error.timeout")
    assert time.monotonic() - call.started < 1.55
    assert call.callee.expect(m.INTERRUPT, call.invocation[1], ANY)[2]["mode"] == "killnowait"
    call.ignores_more()


@pytest.mark.parametrize("mode", ["kill", "killnowait", "skip"])
def test_cancel_between_parts(wamp: Peers, mode: str) -> None:
    """After CANCEL no further part reaches the callee."""
    call = Call(wamp)
    call.caller.send(m.CANCEL, call.request, {"mode": mode})
    call.part(1)
    call.part(2, progress=False)
    if mode != "skip":
        assert call.callee.expect(m.INTERRUPT, call.invocation[1], ANY)[2]["mode"] == mode
    if mode == "kill":
        call.callee.reply(call.invocation, ["half"])
        call.caller.result(call.request, ["half"])
    else:
        call.caller.expect_error(m.CALL, call.request, "wamp.error.canceled")
        call.callee.reply(call.invocation, ["late"])
    wamp.fence(call.caller, call.caller, call.callee)


def test_one_answer_in_a_race_of_parts(wamp: Peers) -> None:
    """When parts, the result and CANCEL cross, the caller gets exactly one answer; 300 times."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    for number in range(300):
        request = caller.call(wamp.uri("procedure"), [number], progress=True)
        invocation = first_part(callee, number)
        callee.reply(invocation, ["answer"])
        caller.call_on(request, wamp.uri("procedure"), ["more"], progress=True)
        if number % 2:
            caller.send(m.CANCEL, request, {"mode": "kill" if number % 3 else "killnowait"})
        caller.call_on(request, wamp.uri("procedure"), ["last"])
        answer = caller.recv()
        assert answer == [m.RESULT, request, {}, ["answer"]] or answer[:3] == [m.ERROR, m.CALL, request], answer
    caller.barrier()


def first_part(callee: Session, number: int) -> list:
    """The first part of this number; what is left of earlier calls is passed over."""
    while (message := callee.recv())[0] == m.INTERRUPT or message[4] != [number]:
        pass
    return message
