"""Registering procedures and calling them (RE, CA)."""

from harness import messages as m
from harness.peers import Peers, eventually
from harness.session import ANY, Session, call_through
from harness.values import same

MANY = 10_000
BATCH = 500  # calls on the way at a time

WITHOUT_CANCELING = m.roles(callee=("progressive_call_results",), caller=())


def test_RE_001_registered(wamp: Peers) -> None:
    """REGISTER is answered by REGISTERED with its request id."""
    session = wamp.join()
    session.send(m.REGISTER, 1, {}, wamp.uri("procedure"))
    registered = session.expect(m.REGISTERED, 1, ANY)
    assert type(registered[2]) is int and 1 <= registered[2] <= 1 << 53


def test_RE_002_taken_by_another(wamp: Peers) -> None:
    """REGISTER of a procedure that another session registered is refused."""
    first, second, caller = wamp.join_many(3)
    first.register(wamp.uri("procedure"))
    request = second.request(m.REGISTER, {}, wamp.uri("procedure"))
    second.expect_error(m.REGISTER, request, "wamp.error.procedure_already_exists")
    call_through(caller, first, wamp.uri("procedure"))


def test_RE_003_taken_by_itself(wamp: Peers) -> None:
    """REGISTER of a procedure that the session has registered is refused."""
    session = wamp.join()
    session.register(wamp.uri("procedure"))
    request = session.request(m.REGISTER, {}, wamp.uri("procedure"))
    session.expect_error(m.REGISTER, request, "wamp.error.procedure_already_exists")


def test_RE_004_unregister(wamp: Peers) -> None:
    """After UNREGISTERED there is no such procedure."""
    session, others = wamp.join(), wamp.join_many(3)
    session.unregister(session.register(wamp.uri("procedure")))
    assert session.no_such_procedure(wamp.uri("procedure"))
    for other in others:
        eventually(lambda: other.no_such_procedure(wamp.uri("procedure")))


def test_RE_005_unregister_unknown(wamp: Peers) -> None:
    """UNREGISTER of an unknown id is answered by no_such_registration."""
    session = wamp.join()
    request = session.request(m.UNREGISTER, 4711)
    session.expect_error(m.UNREGISTER, request, "wamp.error.no_such_registration")


def test_RE_006_unregister_of_anothers(wamp: Peers) -> None:
    """UNREGISTER of another session's registration is refused, and the registration stays."""
    session, owner = wamp.join_many(2)
    registration = owner.register(wamp.uri("procedure"))
    request = session.request(m.UNREGISTER, registration)
    session.expect_error(m.UNREGISTER, request, "wamp.error.no_such_registration")
    call_through(session, owner, wamp.uri("procedure"))


def test_RE_007_free_after_disconnect(wamp: Peers) -> None:
    """When the callee has gone, its procedure is free for others."""
    first, second, caller = wamp.join_many(3)
    first.register(wamp.uri("procedure"))
    first.close()

    def registers() -> bool:
        request = second.request(m.REGISTER, {}, wamp.uri("procedure"))
        reply = second.recv()
        taken = [m.ERROR, m.REGISTER, request, {}, "wamp.error.procedure_already_exists"]
        assert reply[:2] == [m.REGISTERED, request] or reply == taken, reply
        return reply[0] == m.REGISTERED

    eventually(registers)
    call_through(caller, second, wamp.uri("procedure"))


def test_RE_008_topic_and_procedure(wamp: Peers) -> None:
    """The same URI may be a topic and a procedure."""
    session, other = wamp.join_many(2)
    session.register(wamp.uri("both"))
    subscription = session.subscribe(wamp.uri("both"))
    other.publish(wamp.uri("both"), ["event"])
    session.event(subscription, ["event"])
    call_through(other, session, wamp.uri("both"))


def test_RE_009_invocation_survives_unregister(wamp: Peers) -> None:
    """An invocation in progress can be answered after UNREGISTER."""
    caller, callee = wamp.join_many(2)
    registration = callee.register(wamp.uri("procedure"))
    request = caller.call(wamp.uri("procedure"))
    invocation = callee.invocation()
    callee.unregister(registration)
    callee.reply(invocation, ["done"])
    caller.result(request, ["done"])


def test_RE_010_registered_before_invocation(wamp: Peers) -> None:
    """REGISTERED arrives before the first INVOCATION, and from then on no call fails, while others call."""
    callers, callee = wamp.join_many(3), wamp.join()
    for round_ in range(20):
        procedure = wamp.uri(f"procedure{round_}")
        early = [[caller.call(procedure)] for caller in callers]
        request = callee.request(m.REGISTER, {}, procedure)
        for caller, mine in zip(callers, early):
            mine.append(caller.call(procedure))
        registration = callee.expect(m.REGISTERED, request, ANY)[2]
        late = [[caller.call(procedure, ["late"]) for _ in range(3)] for caller in callers]
        served = 0
        while served < 9:
            invocation = callee.invocation(registration)
            callee.reply(invocation, *invocation[4:])
            served += invocation[4:] == [["late"]]
        for caller, before, after in zip(callers, early, late):
            answers = {}
            for _ in range(5):
                answer = caller.recv()
                answers[answer[1 if answer[0] == m.RESULT else 2]] = answer
            assert sorted(answers) == before + after
            for call in before:
                refused = [m.ERROR, m.CALL, call, {}, "wamp.error.no_such_procedure"]
                assert answers[call] in ([m.RESULT, call, {}], refused), answers
            for call in after:
                assert answers[call] == [m.RESULT, call, {}, ["late"]], answers
            caller.barrier()


def test_CA_001_call(wamp: Peers) -> None:
    """CALL makes an INVOCATION, and YIELD a RESULT with the CALL's request id."""
    caller, callee = wamp.join_many(2)
    registration = callee.register(wamp.uri("procedure"))
    request = caller.call(wamp.uri("procedure"), [1], {"two": 2})
    invocation = callee.expect(m.INVOCATION, 1, registration, {}, [1], {"two": 2})
    callee.reply(invocation, [3], {"four": 4})
    caller.expect(m.RESULT, request, {}, [3], {"four": 4})
    caller.barrier()
    callee.barrier()


def test_CA_002_invocation_ids(wamp: Peers) -> None:
    """INVOCATION.Request counts from 1 in each callee session, whoever calls and whatever."""
    callers, callees = wamp.join_many(3), wamp.join_many(2)
    for number, callee in enumerate(callees):
        for name in ("a", "b"):
            callee.register(wamp.uri(f"procedure{number}.{name}"))
    for number, callee in enumerate(callees):
        for expected in range(1, 13):
            caller, name = callers[expected % 3], "ab"[expected % 2]
            caller.call(wamp.uri(f"procedure{number}.{name}"))
            assert callee.invocation()[1] == expected


def test_CA_003_registration_id(wamp: Peers) -> None:
    """INVOCATION names the registration that REGISTERED named."""
    caller, callee = wamp.join_many(2)
    ids = {name: callee.register(wamp.uri(name)) for name in ("one", "two")}
    for name, registration in ids.items():
        caller.call(wamp.uri(name))
        callee.invocation(registration)


def test_CA_004_no_such_procedure(wamp: Peers) -> None:
    """CALL of a procedure that nobody registered is answered by no_such_procedure."""
    session = wamp.join()
    request = session.call(wamp.uri("procedure"))
    session.expect_error(m.CALL, request, "wamp.error.no_such_procedure")


def test_CA_005_error_of_the_callee(wamp: Peers) -> None:
    """A callee's ERROR reaches the caller with URI, arguments and keyword arguments."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    for args, kwargs in ((None, None), (["a", 1], None), ([], {"b": [2]}), (["a"], {"b": None})):
        request = caller.call(wamp.uri("procedure"))
        callee.reply_error(callee.invocation(), "com.example.error", args, kwargs)
        payload = [part for part in (args, kwargs) if part is not None]
        assert same(caller.expect_error(m.CALL, request, "com.example.error"), payload)


def test_CA_006_empty_result(wamp: Peers) -> None:
    """YIELD without payload makes a RESULT of three elements."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    request = caller.call(wamp.uri("procedure"))
    invocation = callee.invocation()
    assert len(invocation) == 4
    callee.reply(invocation)
    caller.expect(m.RESULT, request, {})


def test_CA_007_payload_is_unchanged(wamp: Peers) -> None:
    """Arguments pass unchanged both ways."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    args = ["Zoë 😀 \"\\\n", 0.1, 1.0, 0, 1, None, True, False, 1 << 53, -(1 << 53), [[], {}, [[0]]], ""]
    kwargs = {"ключ": {"": [None]}, "a.b": False}
    request = caller.call(wamp.uri("procedure"), args, kwargs)
    invocation = callee.invocation()
    assert same(invocation[4:], [args, kwargs])
    callee.reply(invocation, args, kwargs)
    assert same(caller.result(request)[3:], [args, kwargs])


def test_CA_008_answers_in_any_order(wamp: Peers) -> None:
    """Calls that are answered in another order get their own results."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    requests = [caller.call(wamp.uri("procedure"), [number]) for number in range(5)]
    for invocation in reversed([callee.invocation() for _ in range(5)]):
        callee.reply(invocation, invocation[4])
    for number in reversed(range(5)):
        caller.result(requests[number], [number])


def test_CA_009_order_of_calls(wamp: Peers) -> None:
    """10,000 calls of one caller reach one callee in order."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    for start in range(0, wamp.many(MANY), BATCH):
        for number in range(start, start + BATCH):
            caller.call(wamp.uri("procedure"), [number])
        for number in range(start, start + BATCH):
            invocation = callee.invocation()
            assert same(invocation[4], [number])
            callee.reply(invocation)
        for _ in range(BATCH):
            assert caller.recv()[0] == m.RESULT


def test_CA_010_order_across_procedures(wamp: Peers) -> None:
    """Calls of one caller to two procedures of one callee arrive in the order of calling."""
    callers, callee = wamp.join_many(3), wamp.join()
    callee.register(wamp.uri("even"))
    callee.register(wamp.uri("odd"), match="prefix")
    for caller in callers:
        for number in range(100):
            caller.call(wamp.uri("odd.x" if number % 2 else "even"), [number])
        assert [callee.invocation()[4][0] for _ in range(100)] == list(range(100))


def test_CA_011_own_procedure(wamp: Peers) -> None:
    """A session may call its own procedure."""
    session = wamp.join()
    session.register(wamp.uri("procedure"))
    call_through(session, session, wamp.uri("procedure"))


def test_CA_012_same_request_id_of_two_callers(wamp: Peers) -> None:
    """Two callers that use the same request id get their own results."""
    callers, callee = wamp.join_many(4), wamp.join()
    callee.register(wamp.uri("procedure"))
    for number, caller in enumerate(callers):
        assert caller.call(wamp.uri("procedure"), [number]) == 1
    for _ in callers:
        invocation = callee.invocation()
        callee.reply(invocation, invocation[4])
    for number, caller in enumerate(callers):
        caller.result(1, [number])


def test_CA_013_second_yield(wamp: Peers) -> None:
    """A second YIELD for one invocation is ignored."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    request = caller.call(wamp.uri("procedure"))
    invocation = callee.invocation()
    callee.reply(invocation, ["first"])
    callee.reply(invocation, ["second"])
    caller.result(request, ["first"])
    wamp.fence(callee, caller)
    callee.barrier()


def test_CA_014_callee_disconnects(wamp: Peers) -> None:
    """When the callee goes before it has answered, the caller gets canceled."""
    for leave in (Session.close, Session.leave, lambda session: session.transport.reset()):
        caller, callee = wamp.join_many(2)
        callee.register(wamp.uri("procedure"))
        request = caller.call(wamp.uri("procedure"))
        callee.invocation()
        leave(callee)
        caller.expect_error(m.CALL, request, "wamp.error.canceled")
        caller.barrier()
        eventually(lambda: caller.no_such_procedure(wamp.uri("procedure")))


def test_CA_015_caller_disconnects(wamp: Peers) -> None:
    """When the caller goes, a callee that announced call_canceling is interrupted."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    caller.call(wamp.uri("procedure"))
    invocation = callee.invocation()
    caller.close()
    interrupt = callee.expect(m.INTERRUPT, invocation[1], ANY)
    assert interrupt[2]["mode"] == "killnowait"


def test_CA_016_caller_disconnects_quietly(wamp: Peers) -> None:
    """When the caller goes, a callee that did not announce call_canceling is not interrupted."""
    caller, callee = wamp.join(), wamp.join(roles=WITHOUT_CANCELING)
    callee.register(wamp.uri("procedure"))
    caller.call(wamp.uri("procedure"))
    callee.invocation()
    caller.leave()
    caller.join()
    call_through(caller, callee, wamp.uri("procedure"))


def test_CA_017_yield_after_the_caller_left(wamp: Peers) -> None:
    """YIELD for a caller that has gone is ignored."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    caller.call(wamp.uri("procedure"))
    invocation = callee.invocation()
    caller.close()
    callee.expect(m.INTERRUPT, invocation[1], ANY)
    callee.reply(invocation, ["late"])
    callee.barrier()


def test_CA_018_error_is_no_uri(wamp: Peers) -> None:
    """A callee's ERROR whose URI is none is a violation by the callee."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    request = caller.call(wamp.uri("procedure"))
    callee.reply_error(callee.invocation(), "not a uri")
    callee.expect_violation()
    caller.expect_error(m.CALL, request, "wamp.error.canceled")
    caller.barrier()


def test_CA_019_caller_is_not_named(wamp: Peers) -> None:
    """By default an invocation does not name its caller."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    caller.call(wamp.uri("procedure"))
    assert not {"caller", "caller_authid", "caller_authrole"} & set(callee.invocation()[3])


def test_CA_020_next_callee(wamp: Peers) -> None:
    """After one callee unregistered and another registered, calls go to the other."""
    caller, first, second = wamp.join_many(3)
    for _ in range(5):
        first.unregister(first.register(wamp.uri("procedure")))
        registration = second.register(wamp.uri("procedure"))
        call_through(caller, second, wamp.uri("procedure"))
        second.unregister(registration)
    first.barrier()


def test_large_calls_arrive(wamp: Peers) -> None:
    """Arguments and results of a megabyte arrive whole."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    text = "0123456789abcdef" * (1 << 16)
    request = caller.call(wamp.uri("procedure"), [text])
    invocation = callee.invocation()
    callee.reply(invocation, invocation[4])
    caller.result(request, [text])
