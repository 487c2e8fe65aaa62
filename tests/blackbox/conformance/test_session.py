"""Opening and closing sessions (SE, GB)."""

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
    ids = [session.id for session in wamp.join_many(64)]
    assert len(set(ids)) == 64
    assert max(ids) > LARGEST_ID // 2 > min(ids), "half of the range was never used"
    assert ids != sorted(ids)


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
    session.hello("realm1")
    session.expect_violation()
    eventually(lambda: other.no_such_procedure(wamp.uri("procedure")))


@pytest.mark.parametrize(
    "message",
    [
        [m.SUBSCRIBE, 1, {}, "com.topic"],
        [m.PUBLISH, 1, {"acknowledge": True}, "com.topic"],
        [m.REGISTER, 1, {}, "com.procedure"],
        [m.CALL, 1, {}, "com.procedure"],
        [m.AUTHENTICATE, "x", {}],
    ],
    ids=["subscribe", "publish", "register", "call", "authenticate"],
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
    here, there, publisher = wamp.join("realm1"), wamp.join("realm2"), wamp.join("realm1")
    topic = wamp.uri("topic")
    subscription = here.subscribe(topic)
    there.subscribe(topic)
    there.register(wamp.uri("procedure"))
    publisher.publish_ack(topic, ["here"])
    here.event(subscription, ["here"])
    assert here.no_such_procedure(wamp.uri("procedure"))
    there.barrier()
    ids = ask(here, "wamp.session.list")
    assert here.id in ids and there.id not in ids


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
    session.register(wamp.uri("procedure"))
    session.leave()
    other.publish_ack(wamp.uri("topic"))
    eventually(lambda: other.no_such_procedure(wamp.uri("procedure")))
    session.join()
    session.barrier()


def test_GB_006_requests_after_goodbye(wamp: Peers) -> None:
    """Requests sent after the client's own GOODBYE are not executed."""
    session, other = wamp.join(), wamp.join()
    session.send(m.GOODBYE, {}, "wamp.close.close_realm")
    session.request(m.REGISTER, {}, wamp.uri("procedure"))
    session.expect(m.GOODBYE, ANY, "wamp.close.goodbye_and_out")
    session.expect_violation()
    assert other.no_such_procedure(wamp.uri("procedure"))


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
