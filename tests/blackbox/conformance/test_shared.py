"""Shared registrations and caller identification (SR, CI)."""

from collections import Counter

import pytest
from harness import messages as m
from harness.meta import ask
from harness.peers import Peers, eventually, first_ready
from harness.session import ANY, Session

DIFFERENT_POLICY = "wamp.error.procedure_exists_with_different_invocation_policy"


class Pool:
    """Callees of one shared registration, in the order of registering, and a caller."""

    def __init__(self, wamp: Peers, invoke: str, size: int = 3, **options: object) -> None:
        self.procedure = wamp.uri("procedure")
        self.options = {"invoke": invoke, **options}
        self.caller = wamp.join()
        self.callees = wamp.join_many(size)
        self.ids = [callee.register(self.procedure, **self.options) for callee in self.callees]

    def served_by(self, callee: Session, caller: Session | None = None) -> None:
        """The next call is served by this callee."""
        caller = caller or self.caller
        request = caller.call(self.procedure)
        callee.reply(callee.invocation(), ["served"])
        caller.result(request, ["served"])

    def served(self) -> int:
        """The number of the callee that serves the next call, or -1 if it fails."""
        request = self.caller.call(self.procedure)
        callee = first_ready([self.caller, *self.callees])
        if callee is self.caller:
            assert self.caller.recv()[:3] == [m.ERROR, m.CALL, request]
            return -1
        callee.reply(callee.invocation())
        self.caller.result(request)
        return self.callees.index(callee)


def test_SR_001_roundrobin(wamp: Peers) -> None:
    """roundrobin calls the callees in the order of registering, again and again."""
    pool = Pool(wamp, "roundrobin")
    for _ in range(4):
        for callee in pool.callees:
            pool.served_by(callee)


def test_roundrobin_over_callers_on_any_shard(wamp: Peers) -> None:
    """roundrobin is fair whichever sessions call."""
    pool = Pool(wamp, "roundrobin")
    callers = wamp.join_many(5)
    for number in range(15):
        pool.served_by(pool.callees[number % 3], callers[number % 5])


def test_SR_002_first(wamp: Peers) -> None:
    """first calls the oldest callee always."""
    pool = Pool(wamp, "first")
    for _ in range(4):
        pool.served_by(pool.callees[0])


def test_SR_003_last(wamp: Peers) -> None:
    """last calls the newest callee always."""
    pool = Pool(wamp, "last")
    for _ in range(4):
        pool.served_by(pool.callees[-1])


def test_SR_004_random(wamp: Peers) -> None:
    """Of 1000 calls with random each of 3 callees gets a share."""
    pool = Pool(wamp, "random")
    shares = Counter(pool.served() for _ in range(1000))
    assert len(shares) == 3 and min(shares.values()) > 200, shares


def test_SR_005_one_registration_id(wamp: Peers) -> None:
    """All callees have the same registration id."""
    assert len(set(Pool(wamp, "roundrobin", size=5).ids)) == 1


@pytest.mark.parametrize("other", ["random", "first", "last"])
def test_SR_006_other_policy(wamp: Peers, other: str) -> None:
    """REGISTER with another policy than the first callee's is refused."""
    pool, session = Pool(wamp, "roundrobin", size=1), wamp.join()
    request = session.request(m.REGISTER, {"invoke": other}, pool.procedure)
    session.expect_error(m.REGISTER, request, DIFFERENT_POLICY)


@pytest.mark.parametrize("options", [{}, {"invoke": "single"}], ids=["absent", "single"])
def test_SR_007_single_on_shared(wamp: Peers, options: dict) -> None:
    """REGISTER without a policy on a shared registration is refused."""
    pool, session = Pool(wamp, "roundrobin", size=1), wamp.join()
    request = session.request(m.REGISTER, options, pool.procedure)
    session.expect_error(m.REGISTER, request, DIFFERENT_POLICY)


def test_SR_008_shared_on_single(wamp: Peers) -> None:
    """REGISTER with a policy on a registration of one callee is refused."""
    owner, session = wamp.join_many(2)
    owner.register(wamp.uri("procedure"))
    request = session.request(m.REGISTER, {"invoke": "roundrobin"}, wamp.uri("procedure"))
    session.expect_error(m.REGISTER, request, "wamp.error.procedure_already_exists")


def test_SR_009_first_leaves(wamp: Peers) -> None:
    """With first, the next oldest callee serves when the oldest has left."""
    pool = Pool(wamp, "first")
    pool.callees[0].unregister(pool.ids[0])
    eventually(lambda: pool.served() == 1)
    pool.callees[1].leave()
    eventually(lambda: pool.served() == 2)


def test_SR_010_policy_is_chosen_anew(wamp: Peers) -> None:
    """When the last callee has left, there is no such procedure, and another policy can be chosen."""
    pool = Pool(wamp, "roundrobin", size=2)
    for callee, registration in zip(pool.callees, pool.ids):
        callee.unregister(registration)
    eventually(lambda: pool.caller.no_such_procedure(pool.procedure))
    pool.callees[1].register(pool.procedure, invoke="last")
    pool.callees[0].register(pool.procedure, invoke="last")
    pool.served_by(pool.callees[0])


def test_SR_011_registering_twice(wamp: Peers) -> None:
    """A session that registers twice has one place among the callees."""
    pool = Pool(wamp, "roundrobin", size=2)
    assert pool.callees[0].register(pool.procedure, invoke="roundrobin") == pool.ids[0]
    for number in range(6):
        pool.served_by(pool.callees[number % 2])
    pool.callees[0].unregister(pool.ids[0])
    for _ in range(3):
        pool.served_by(pool.callees[1])


def test_SR_012_fair_after_a_callee_left(wamp: Peers) -> None:
    """roundrobin stays fair when a callee has left."""
    pool = Pool(wamp, "roundrobin", size=4)
    pool.served_by(pool.callees[0])
    left = pool.callees[1]
    left.leave()
    # The caller's shard has learned who has left when it answers so.
    eventually(lambda: left.id not in ask(pool.caller, "wamp.registration.list_callees", pool.ids[0]))
    pool.caller.barrier()
    turns = [pool.served() for _ in range(9)]
    assert turns[:3] == turns[3:6] == turns[6:] and set(turns) == {0, 2, 3}, turns


def test_SR_013_shared_pattern(wamp: Peers) -> None:
    """A prefix registration may be shared."""
    pool = Pool(wamp, "roundrobin", match="prefix")
    pool.procedure += ".below"
    for _ in range(2):
        for callee in pool.callees:
            pool.served_by(callee)


def test_SR_014_progressive_results_of_one_callee(wamp: Peers) -> None:
    """A call with progressive results is served by one callee to its end."""
    pool = Pool(wamp, "roundrobin")
    request = pool.caller.call(pool.procedure, receive_progress=True)
    first = pool.callees[0]
    invocation = first.invocation()
    for number in range(5):
        first.reply(invocation, [number], progress=True)
        pool.caller.expect(m.RESULT, request, {"progress": True}, [number])
    first.reply(invocation, ["end"])
    pool.caller.result(request, ["end"])
    for callee in pool.callees:
        callee.barrier()


def test_SR_014_parts_for_one_callee(wamp: Peers) -> None:
    """A call whose arguments come in parts is served by one callee."""
    pool = Pool(wamp, "roundrobin")
    request = pool.caller.call(pool.procedure, [0], progress=True)
    first = pool.callees[0]
    invocation = first.invocation()
    for number in range(1, 5):
        pool.caller.call_on(request, pool.procedure, [number], progress=number < 4)
        assert first.expect(m.INVOCATION, invocation[1], invocation[2], ANY, [number])
    first.reply(invocation, ["end"])
    pool.caller.result(request, ["end"])
    for callee in pool.callees:
        callee.barrier()


def test_SR_015_force_reregister(wamp: Peers) -> None:
    """force_reregister replaces the callee, which is told by UNREGISTERED."""
    first, second, caller = wamp.join_many(3)
    registration = first.register(wamp.uri("procedure"))
    second.register(wamp.uri("procedure"), force_reregister=True)
    revoked = first.expect(m.UNREGISTERED, 0, ANY)
    assert revoked[2]["registration"] == registration
    request = caller.call(wamp.uri("procedure"))
    second.reply(second.invocation(), ["second"])
    caller.result(request, ["second"])


@pytest.mark.parametrize("options", [{}, {"invoke": "first"}], ids=["single", "first"])
def test_SR_015_force_reregister_of_many(wamp: Peers, options: dict) -> None:
    """It replaces all callees of a shared registration, whatever its policy, who may still answer what they are at."""
    pool, heir = Pool(wamp, "roundrobin", size=2), wamp.join()
    request = pool.caller.call(pool.procedure)
    invocation = pool.callees[0].invocation()
    registration = heir.register(pool.procedure, force_reregister=True, **options)
    assert registration != pool.ids[0]
    for callee in pool.callees:
        assert callee.expect(m.UNREGISTERED, 0, ANY)[2]["registration"] == pool.ids[0]
        late = callee.request(m.UNREGISTER, pool.ids[0])
        callee.expect_error(m.UNREGISTER, late, "wamp.error.no_such_registration")
    pool.callees[0].reply(invocation, ["from before"])
    pool.caller.result(request, ["from before"])
    for _ in range(4):
        pool.served_by(heir)
    wamp.fence(pool.caller, *pool.callees)


def test_CI_001_caller_disclosed(wamp: Peers) -> None:
    """With disclose_me an invocation names the caller's session."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"))
    caller.call(wamp.uri("procedure"), disclose_me=True)
    assert callee.invocation()[3]["caller"] == caller.id


def test_CI_002_principal_disclosed(wamp: Peers) -> None:
    """An invocation that names the caller's session names its authid and authrole."""
    caller, callee = wamp.join(identity="alice"), wamp.join()
    callee.register(wamp.uri("procedure"))
    caller.call(wamp.uri("procedure"), disclose_me=True)
    names = {"caller": caller.id, "caller_authid": "alice", "caller_authrole": "frontend"}
    assert callee.invocation()[3] == names


def test_CI_003_disclosed_for_the_callee(wamp: Peers) -> None:
    """A callee that registered with disclose_caller learns the caller without disclose_me."""
    caller, callee = wamp.join_many(2)
    callee.register(wamp.uri("procedure"), disclose_caller=True)
    caller.call(wamp.uri("procedure"))
    assert callee.invocation()[3]["caller"] == caller.id


def test_CI_004_disclosure_refused(wamp: Peers) -> None:
    """Where disclosure is not allowed, disclose_me is refused and nobody is called."""
    caller, callee = wamp.join("nodisclose"), wamp.join("nodisclose")
    callee.register(wamp.uri("procedure"))
    request = caller.call(wamp.uri("procedure"), disclose_me=True)
    caller.expect_error(m.CALL, request, "wamp.error.option_disallowed.disclose_me")
    wamp.fence(caller, callee)


def test_CI_005_disclose_caller_refused(wamp: Peers) -> None:
    """Where disclosure is not allowed, disclose_caller is refused."""
    callee = wamp.join("nodisclose")
    request = callee.request(m.REGISTER, {"disclose_caller": True}, wamp.uri("procedure"))
    callee.expect_error(m.REGISTER, request, "wamp.error.option_disallowed.disclose_me")


def test_CI_006_no_disclosure(wamp: Peers) -> None:
    """Without disclosure an invocation names neither session nor principal."""
    caller, callee = wamp.join(identity="alice"), wamp.join()
    callee.register(wamp.uri("procedure"))
    caller.call(wamp.uri("procedure"), disclose_me=False)
    assert not {"caller", "caller_authid", "caller_authrole"} & set(callee.invocation()[3])
