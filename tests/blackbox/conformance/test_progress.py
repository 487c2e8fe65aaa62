"""Progressive call results (PC)."""

from harness import messages as m
from harness.peers import Peers
from harness.session import ANY, Session
from harness.values import same


def callee_with(wamp: Peers, *features: str) -> Session:
    """A callee that announces these features only."""
    callee = wamp.join(roles=m.roles(callee=features))
    callee.register(wamp.uri("procedure"))
    return callee


def streaming(wamp: Peers) -> tuple[Session, Session, int, list]:
    """A call with progressive results that has begun: caller, callee, request, invocation."""
    caller, callee = wamp.join(), callee_with(wamp, *m.CALLEE_FEATURES)
    request = caller.call(wamp.uri("procedure"), receive_progress=True)
    invocation = callee.invocation()
    callee.reply(invocation, [0], progress=True)
    caller.expect(m.RESULT, request, {"progress": True}, [0])
    return caller, callee, request, invocation


def test_PC_001_hint_is_forwarded(wamp: Peers) -> None:
    """receive_progress reaches a callee that announced progressive_call_results and call_canceling."""
    callee = callee_with(wamp, "progressive_call_results", "call_canceling")
    wamp.join().call(wamp.uri("procedure"), receive_progress=True)
    assert callee.invocation()[3]["receive_progress"] is True


def test_PC_002_callee_without_progress(wamp: Peers) -> None:
    """receive_progress does not reach a callee without progressive_call_results."""
    callee = callee_with(wamp, "call_canceling")
    wamp.join().call(wamp.uri("procedure"), receive_progress=True)
    assert "receive_progress" not in callee.invocation()[3]


def test_PC_003_callee_without_canceling(wamp: Peers) -> None:
    """receive_progress does not reach a callee without call_canceling."""
    callee = callee_with(wamp, "progressive_call_results")
    wamp.join().call(wamp.uri("procedure"), receive_progress=True)
    assert "receive_progress" not in callee.invocation()[3]


def test_PC_004_progressive_result(wamp: Peers) -> None:
    """A progressive YIELD makes a progressive RESULT at once."""
    streaming(wamp)


def test_PC_005_order_of_results(wamp: Peers) -> None:
    """Progressive results arrive in order and before the final one."""
    caller, callee, request, invocation = streaming(wamp)
    for number in range(1, 500):
        callee.reply(invocation, [number], progress=True)
    callee.reply(invocation, ["end"])
    for number in range(1, 500):
        caller.expect(m.RESULT, request, {"progress": True}, [number])
    caller.result(request, ["end"])


def test_PC_006_final_result(wamp: Peers) -> None:
    """The final RESULT is not marked as progressive."""
    caller, callee, request, invocation = streaming(wamp)
    callee.reply(invocation, ["end"])
    assert caller.result(request)[2].get("progress", False) is False


def test_PC_007_error_after_progress(wamp: Peers) -> None:
    """An ERROR may follow progressive results."""
    caller, callee, request, invocation = streaming(wamp)
    callee.reply_error(invocation, "com.example.broken", ["why"])
    assert caller.expect_error(m.CALL, request, "com.example.broken") == [["why"]]


def test_PC_008_empty_results(wamp: Peers) -> None:
    """Progressive and final results without payload are forwarded."""
    caller, callee, request, invocation = streaming(wamp)
    callee.reply(invocation, progress=True)
    caller.expect(m.RESULT, request, {"progress": True})
    callee.reply(invocation)
    caller.expect(m.RESULT, request, {})


def test_PC_009_hint_is_a_hint(wamp: Peers) -> None:
    """A callee may answer with one plain result."""
    caller, callee = wamp.join(), callee_with(wamp, *m.CALLEE_FEATURES)
    request = caller.call(wamp.uri("procedure"), receive_progress=True)
    callee.reply(callee.invocation(), ["all"])
    caller.result(request, ["all"])


def test_PC_010_caller_leaves(wamp: Peers) -> None:
    """When the caller goes in between, the callee is interrupted and its results are ignored."""
    caller, callee, _, invocation = streaming(wamp)
    caller.close()
    assert callee.expect(m.INTERRUPT, invocation[1], ANY)[2]["mode"] == "killnowait"
    callee.reply(invocation, [1], progress=True)
    callee.reply(invocation, ["end"])
    callee.barrier()


def test_PC_011_callee_leaves(wamp: Peers) -> None:
    """When the callee goes in between, the caller gets canceled."""
    caller, callee, request, _ = streaming(wamp)
    callee.close()
    caller.expect_error(m.CALL, request, "wamp.error.canceled")
    caller.barrier()


def test_PC_012_unsolicited_progress(wamp: Peers) -> None:
    """A progressive YIELD that nobody asked for does not end the call."""
    caller, callee = wamp.join(), callee_with(wamp, *m.CALLEE_FEATURES)
    request = caller.call(wamp.uri("procedure"))
    invocation = callee.invocation()
    callee.reply(invocation, ["some"], progress=True)
    callee.reply(invocation, ["end"])
    message = caller.recv()
    if message[2].get("progress"):
        message = caller.recv()
    assert same(message, [m.RESULT, request, {}, ["end"]])


def test_PC_013_cancelled_stream(wamp: Peers) -> None:
    """CANCEL ends the results."""
    caller, callee, request, invocation = streaming(wamp)
    caller.send(m.CANCEL, request, {"mode": "killnowait"})
    caller.expect_error(m.CALL, request, "wamp.error.canceled")
    callee.expect(m.INTERRUPT, invocation[1], ANY)
    callee.reply(invocation, [1], progress=True)
    wamp.fence(callee, caller)
