"""Opening and closing sessions (SE, GB)."""

from collections import Counter

import pytest
from harness import messages as m
from harness.meta import ask
from harness.peers import Peers, eventually
from harness.session import ANY

LARGEST_ID = 1 << 53


def test_SE_001_welcome_is_first(wamp: Peers) -> None:
    """HELLO for a known realm with one role is answered by WELCOME, before anything else."""
    session = wamp.connect()
    session.hello("realm1", {"caller": {}})
    session.welcome()


def test_SE_002_session_id_in_range(wamp: Peers) -> None:
    """WELCOME.Session is an integer from 1 to 2^53."""
    session = wamp.join()
    assert type(session.id) is int and 1 <= session.id <= LARGEST_ID


def test_SE_003_session_ids_are_spread(wamp: Peers) -> None:
    """Many sessions get distinct ids from the whole range, in no order."""
    sessions, ids = wamp.join_many(20), []
    for _ in range(wamp.many(1000) // len(sessions)):
        ids += [session.id for session in sessions]
        for session in sessions:
            session.leave()
            session.join()
    assert len(set(ids)) == len(ids) and ids != sorted(ids)
    quarters = Counter((number - 1) * 4 // LARGEST_ID for number in ids)
    assert all(quarters[quarter] > len(ids) / 20 for quarter in range(4)), quarters


def test_SE_004_router_roles(wamp: Peers) -> None:
    """WELCOME.Details.roles has broker and dealer, each a dict."""
    roles = wamp.join().details["roles"]
    assert set(roles) == {"broker", "dealer"}
    assert all(isinstance(role, dict) for role in roles.values())


def test_SE_005_features_are_booleans(wamp: Peers) -> None:
    """Every announced feature is true, not a number."""
    for role in wamp.join().details["roles"].values():
        assert role["features"]
        assert all(value is True for value in role["features"].values())


def test_SE_006_welcome_names_the_principal(wamp: Peers) -> None:
    """WELCOME carries authid, authrole, authmethod and authprovider."""
    details = wamp.join(identity="alice").details
    assert (details["authid"], details["authrole"], details["authmethod"]) == ("alice", "frontend", "anonymous")
    assert isinstance(details["authprovider"], str)


def test_SE_007_unknown_realm(wamp: Peers) -> None:
    """HELLO for a realm that does not exist is answered by ABORT no_such_realm."""
    session = wamp.connect()
    session.hello("realm.of.nobody")
    session.expect_abort("wamp.error.no_such_realm")


@pytest.mark.parametrize("realm", ["realm..1", "rea lm", "", "realm#1"], ids=["empty", "space", "none", "hash"])
def test_SE_008_realm_is_no_uri(wamp: Peers, realm: str) -> None:
    """HELLO with a realm that is not a URI is answered by ABORT invalid_uri."""
    session = wamp.connect()
    session.hello(realm)
    session.expect_abort("wamp.error.invalid_uri")


def test_SE_009_hello_without_roles(wamp: Peers) -> None:
    """HELLO without roles is a protocol violation."""
    session = wamp.connect()
    session.send(m.HELLO, "realm1", {})
    session.expect_violation()


def test_SE_010_hello_with_empty_roles(wamp: Peers) -> None:
    """HELLO with empty roles is a protocol violation."""
    session = wamp.connect()
    session.hello("realm1", {})
    session.expect_violation()


def test_SE_011_unknown_role_beside_a_known(wamp: Peers) -> None:
    """HELLO with an unknown role beside a known one is welcome."""
    wamp.join(roles={"caller": {}, "juggler": {}})


def test_SE_012_unknown_details(wamp: Peers) -> None:
    """Unknown keys of HELLO.Details are ignored."""
    wamp.join(something={"a": [1]}, _else=None, agent="test")


def test_SE_013_unknown_features(wamp: Peers) -> None:
    """Unknown feature names are ignored."""
    wamp.join(roles={"caller": {"features": {"telepathy": True}}})


def test_SE_014_feature_is_no_boolean(wamp: Peers) -> None:
    """A feature whose value is not a boolean is a protocol violation."""
    session = wamp.connect()
    session.hello("realm1", {"caller": {"features": {"call_canceling": "yes"}}})
    session.expect_violation()


def test_SE_015_second_hello(wamp: Peers) -> None:
    """A second HELLO is a protocol violation, after which the session holds nothing."""
    session, other = wamp.join(), wamp.join()
    session.register(wamp.uri("procedure"))
    session.subscribe(wamp.uri("topic"))
    session.hello("realm1")
    session.expect_violation()
    eventually(lambda: other.no_such_procedure(wamp.uri("procedure")))
    eventually(lambda: ask(other, "wamp.subscription.lookup", wamp.uri("topic")) is None)


@pytest.mark.parametrize(
    "message",
    [
        [m.SUBSCRIBE, 1, {}, "com.topic"],
        [m.PUBLISH, 1, {"acknowledge": True}, "com.topic"],
        [m.REGISTER, 1, {}, "com.procedure"],
        [m.CALL, 1, {}, "com.procedure"],
        [m.UNSUBSCRIBE, 1, 1],
        [m.UNREGISTER, 1, 1],
        [m.CANCEL, 1, {}],
        [m.YIELD, 1, {}],
        [m.ERROR, m.INVOCATION, 1, {}, "com.error"],
        [m.AUTHENTICATE, "x", {}],
        [m.WELCOME, 1, {"roles": {"broker": {}}}],
        [m.CHALLENGE, "x", {}],
        [m.EVENT, 1, 1, {}],
        [m.INTERRUPT, 1, {}],
    ],
    ids=lambda message: f"type{message[0]}",
)
def test_SE_016_request_before_hello(wamp: Peers, message: list) -> None:
    """A request before HELLO is a protocol violation."""
    session = wamp.connect()
    session.send(*message)
    session.expect_violation()


def test_SE_017_goodbye_before_hello(wamp: Peers) -> None:
    """GOODBYE before HELLO is a protocol violation."""
    session = wamp.connect()
    session.send(m.GOODBYE, {}, "wamp.close.close_realm")
    session.expect_violation()


def test_SE_018_client_sends_welcome(wamp: Peers) -> None:
    """WELCOME sent by a client is a protocol violation."""
    session = wamp.join()
    session.send(m.WELCOME, 1, {"roles": {"broker": {}}})
    session.expect_violation()


def test_SE_019_client_sends_challenge(wamp: Peers) -> None:
    """CHALLENGE sent by a client is a protocol violation."""
    session = wamp.join()
    session.send(m.CHALLENGE, "ticket", {})
    session.expect_violation()


def test_SE_020_authenticate_in_a_session(wamp: Peers) -> None:
    """AUTHENTICATE in an open session is a protocol violation."""
    session = wamp.join()
    session.send(m.AUTHENTICATE, "secret", {})
    session.expect_violation()


@pytest.mark.parametrize("rest", [["realm1"], ["realm1", {"roles": m.ALL_ROLES}, []]], ids=["short", "long"])
def test_SE_021_hello_of_wrong_length(wamp: Peers, rest: list) -> None:
    """HELLO with an element too few or too many is a protocol violation."""
    session = wamp.connect()
    session.send(m.HELLO, *rest)
    session.expect_violation()


def test_SE_024_next_session_on_the_same_transport(wamp: Peers) -> None:
    """After ABORT and after GOODBYE a new HELLO on the same transport opens a new session."""
    session = wamp.connect()
    session.hello("realm.of.nobody")
    session.expect_abort("wamp.error.no_such_realm")
    first = session.join().id
    session.leave()
    assert session.join().id != first
    session.barrier()


def test_SE_025_realms_are_separate(wamp: Peers) -> None:
    """Sessions of two realms see neither each other's events, nor each other's procedures, nor are they counted."""
    realms = [wamp.join_many(4, realm) for realm in ("realm1", "realm2")]
    for sessions in realms:
        for session in sessions:
            session.subscribe(wamp.uri("topic"))
    for number, sessions in enumerate(realms):
        sessions[0].publish_ack(wamp.uri("topic"), [number], exclude_me=False)
    for number, sessions in enumerate(realms):
        for session in sessions:
            session.event(args=[number])
    (here, *_), (there, *_) = realms
    for session, other in ((here, there), (there, here)):
        other.register(wamp.uri(f"of{other.id}"))
        assert session.no_such_procedure(wamp.uri(f"of{other.id}"))
        ids = ask(session, "wamp.session.list")
        assert session.id in ids and other.id not in ids
    for session in (session for sessions in realms for session in sessions):
        session.barrier()


def test_GB_001_goodbye_is_answered(wamp: Peers) -> None:
    """GOODBYE is answered by GOODBYE."""
    session = wamp.join()
    session.send(m.GOODBYE, {}, "wamp.close.close_realm")
    session.expect(m.GOODBYE, ANY, ANY)


def test_GB_002_reason_of_the_answer(wamp: Peers) -> None:
    """The answer's reason is goodbye_and_out."""
    wamp.join().leave()


def test_GB_003_goodbye_with_text(wamp: Peers) -> None:
    """GOODBYE may carry a message and any valid reason."""
    session = wamp.join()
    session.send(m.GOODBYE, {"message": "so long"}, "com.example.enough")
    session.expect(m.GOODBYE, ANY, "wamp.close.goodbye_and_out")


def test_GB_004_goodbye_reason_is_no_uri(wamp: Peers) -> None:
    """GOODBYE with a reason that is not a URI is a protocol violation."""
    session = wamp.join()
    session.send(m.GOODBYE, {}, "so long")
    session.expect_violation()


def test_GB_005_nothing_after_goodbye(wamp: Peers) -> None:
    """After the closing handshake neither events nor invocations of the old session arrive."""
    session, other = wamp.join(), wamp.join()
    session.subscribe(wamp.uri("topic"))
    session.subscribe(wamp.uri(""), match="prefix")
    session.register(wamp.uri("procedure"))
    session.leave()
    session.join()
    other.publish_ack(wamp.uri("topic"))
    eventually(lambda: other.no_such_procedure(wamp.uri("procedure")))
    wamp.fence(other, session)
    session.barrier()


def test_GB_006_requests_after_goodbye(wamp: Peers) -> None:
    """Requests sent after the client's own GOODBYE are not executed."""
    for request in (
        [m.REGISTER, 1, {}, wamp.uri("late")],
        [m.SUBSCRIBE, 1, {}, wamp.uri("late")],
        [m.PUBLISH, 1, {}, wamp.uri("topic"), ["late"]],
        [m.CALL, 1, {}, wamp.uri("procedure"), ["late"]],
    ):
        session, other = wamp.join(), wamp.join()
        other.subscribe(wamp.uri("topic"))
        registration = other.register(wamp.uri("procedure"))
        session.send(m.GOODBYE, {}, "wamp.close.close_realm")
        session.send(*request)
        session.expect(m.GOODBYE, ANY, "wamp.close.goodbye_and_out")
        session.expect_violation()
        assert other.no_such_procedure(wamp.uri("late"))
        assert ask(other, "wamp.subscription.lookup", wamp.uri("late")) is None
        other.barrier()
        other.unregister(registration)


def test_GB_010_requests_of_a_killed_session(wamp: Peers) -> None:
    """What a killed session asks for before it answers GOODBYE is not done, and not answered."""
    killer, victim, witness = wamp.join_many(3, "meta")
    witness.subscribe(wamp.uri("topic"))
    witness.register(wamp.uri("procedure"))
    ask(killer, "wamp.session.kill", victim.id)
    victim.expect(m.GOODBYE, {}, "wamp.close.killed")
    victim.publish(wamp.uri("topic"), ["late"])
    victim.call(wamp.uri("procedure"))
    victim.request(m.REGISTER, {}, wamp.uri("late"))
    victim.request(m.SUBSCRIBE, {}, wamp.uri("late"))
    victim.send(m.GOODBYE, {}, "wamp.close.goodbye_and_out")
    victim.expect_closed()
    assert killer.no_such_procedure(wamp.uri("late"))
    assert ask(killer, "wamp.subscription.lookup", wamp.uri("late")) is None
    witness.barrier()


def test_GB_011_client_abort(wamp: Peers) -> None:
    """ABORT by the client is not answered, and frees what the session held."""
    session, other = wamp.join(), wamp.join()
    session.register(wamp.uri("procedure"))
    session.send(m.ABORT, {}, "wamp.error.system_shutdown")
    session.join()
    eventually(lambda: other.no_such_procedure(wamp.uri("procedure")))


def test_GB_012_connection_reset(wamp: Peers) -> None:
    """A connection that is reset frees what the session held."""
    session, other = wamp.join(), wamp.join()
    session.register(wamp.uri("procedure"))
    session.subscribe(wamp.uri("topic"))
    session.transport.reset()
    eventually(lambda: other.no_such_procedure(wamp.uri("procedure")))
    eventually(lambda: ask(other, "wamp.subscription.lookup", wamp.uri("topic")) is None)
    other.register(wamp.uri("procedure"))
