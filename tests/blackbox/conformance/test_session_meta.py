"""Session meta procedures and events (MS)."""

import itertools

import pytest
from harness import messages as m
from harness.meta import INVALID_ARGUMENT, NO_SUCH_SESSION, Watcher, ask, refused
from harness.peers import Peers, eventually
from harness.session import Session

META = "meta"  # a realm in which only these tests have sessions
IDENTITY = {"session", "authid", "authrole", "authmethod", "authprovider"}


def alone(wamp: Peers) -> Session:
    """The only session of the realm, once those of the test before are gone."""
    session = wamp.join(META)
    eventually(lambda: ask(session, "wamp.session.count") == 1, "the realm is empty")
    return session


def killed(session: Session, reason: str = "wamp.close.killed", **details: str) -> None:
    """The session is told GOODBYE, and its transport is closed once it has answered."""
    session.expect(m.GOODBYE, details, reason)
    session.send(m.GOODBYE, {}, "wamp.close.goodbye_and_out")
    session.expect_closed()


def test_MS_001_count(wamp: Peers) -> None:
    """wamp.session.count counts all sessions, the caller's too."""
    session = alone(wamp)
    others = wamp.join_many(5, META)
    assert ask(session, "wamp.session.count") == 6
    others[0].leave()
    eventually(lambda: ask(session, "wamp.session.count") == 5)


def test_MS_002_count_by_role(wamp: Peers) -> None:
    """wamp.session.count with roles counts sessions of these roles."""
    session = alone(wamp)
    for identity in ("alice", "bob", "backend"):
        wamp.join(META, identity=identity)
    counts = [
        ask(session, "wamp.session.count", roles)
        for roles in (["frontend"], ["backend"], ["frontend", "backend"], ["nobody"], [])
    ]
    assert counts == [2, 1, 3, 0, 0]
    assert ask(session, "wamp.session.count", filter_authroles=["frontend"]) == 2


def test_MS_003_list(wamp: Peers) -> None:
    """wamp.session.list answers the ids of the sessions, of certain roles if asked."""
    session = alone(wamp)
    others = [*wamp.join_many(4, META), wamp.join(META, identity="alice")]
    assert sorted(ask(session, "wamp.session.list")) == sorted([session.id, *(other.id for other in others)])
    assert ask(session, "wamp.session.list", ["frontend"]) == [others[-1].id]


def test_MS_004_get(wamp: Peers) -> None:
    """wamp.session.get answers a session's id and identity, and nothing that its client or transport sent."""
    session, alice = wamp.join(META), wamp.join(META, identity="alice", authextra={"secret": 1})
    details = ask(session, "wamp.session.get", alice.id)
    assert details == {key: alice.details[key] for key in IDENTITY - {"session"}} | {"session": alice.id}
    assert set(ask(session, "wamp.session.get", session.id)) == IDENTITY


def test_MS_005_get_unknown(wamp: Peers) -> None:
    """wamp.session.get of an unknown id is answered by no_such_session."""
    session, other = wamp.join(META), wamp.join(META)
    other.leave()
    for unknown in (1, 2**53, other.id):
        refused(session, NO_SUCH_SESSION, "wamp.session.get", unknown)


def test_MS_006_on_join(wamp: Peers) -> None:
    """wamp.session.on_join has the details of the session that has joined."""
    watcher = Watcher(wamp, "wamp.session.on_join", realm=META)
    for identity in ("anonymous", "alice"):
        joined = wamp.join(META, identity=identity)
        name, args = watcher.about(joined.id)
        assert name == "on_join" and len(args) == 1 and set(args[0]) == IDENTITY
        assert {**joined.details, **args[0]} == {**joined.details, "session": joined.id}


@pytest.mark.parametrize("way", ["goodbye", "abort", "violation", "kill"])
def test_MS_007_on_leave(wamp: Peers, way: str) -> None:
    """wamp.session.on_leave has id, authid and authrole of a session that has left in order or by its fault."""
    watcher, killer = Watcher(wamp, "wamp.session.on_leave", realm=META), wamp.join(META)
    session = wamp.join(META, identity="alice")
    match way:
        case "goodbye":
            session.leave()
        case "abort":
            session.send(m.ABORT, {}, "wamp.close.normal")
        case "violation":
            session.send(m.WELCOME, 1, {})
        case "kill":
            ask(killer, "wamp.session.kill", session.id)
            killed(session)
    assert watcher.about(session.id) == ("on_leave", [session.id, "alice", "frontend"])
    session.close()
    watcher.is_silent_about(session.id)


def test_MS_008_on_leave_after_loss(wamp: Peers) -> None:
    """wamp.session.on_leave follows when the connection is lost."""
    watcher = Watcher(wamp, "wamp.session.on_leave", realm=META)
    session = wamp.join(META, identity="alice")
    session.transport.reset()
    assert watcher.about(session.id) == ("on_leave", [session.id, "alice", "frontend"])
    watcher.is_silent_about(session.id)


def test_MS_009_kill(wamp: Peers) -> None:
    """wamp.session.kill ends a session by GOODBYE with reason killed, and has no result."""
    session, victim = wamp.join(META), wamp.join(META)
    assert ask(session, "wamp.session.kill", victim.id) is None
    killed(victim)
    refused(session, NO_SUCH_SESSION, "wamp.session.kill", victim.id)


def test_MS_010_kill_with_reason(wamp: Peers) -> None:
    """The GOODBYE of a killed session carries the reason and the message of the call."""
    session, victim = wamp.join(META), wamp.join(META)
    ask(session, "wamp.session.kill", victim.id, reason="com.example.enough", message="go home")
    killed(victim, "com.example.enough", message="go home")


def test_MS_011_kill_oneself(wamp: Peers) -> None:
    """wamp.session.kill of the caller is answered by no_such_session."""
    session = wamp.join(META)
    refused(session, NO_SUCH_SESSION, "wamp.session.kill", session.id)
    session.barrier()


@pytest.mark.parametrize("reason", ["", "not a uri", "a..b", "a#b"], ids=["empty", "space", "component", "hash"])
def test_MS_012_kill_with_wrong_reason(wamp: Peers, reason: str) -> None:
    """A kill with a reason that is no URI is answered by invalid_uri, and kills nobody."""
    session, victim = wamp.join(META), wamp.join(META, identity="alice")
    refused(session, "wamp.error.invalid_uri", "wamp.session.kill", victim.id, reason=reason)
    refused(session, "wamp.error.invalid_uri", "wamp.session.kill_by_authid", "alice", reason=reason)
    refused(session, "wamp.error.invalid_uri", "wamp.session.kill_by_authrole", "frontend", reason=reason)
    refused(session, "wamp.error.invalid_uri", "wamp.session.kill_all", reason=reason)
    victim.barrier()


def test_MS_013_kill_by_authid(wamp: Peers) -> None:
    """wamp.session.kill_by_authid ends all sessions of an authid but the caller's, and answers their ids."""
    session = wamp.join(META, identity="alice")
    victims, bob = [wamp.join(META, identity="alice") for _ in range(3)], wamp.join(META, identity="bob")
    ids = ask(session, "wamp.session.kill_by_authid", "alice", message="out")
    assert sorted(ids) == sorted(victim.id for victim in victims)
    for victim in victims:
        killed(victim, message="out")
    bob.barrier()
    assert ask(session, "wamp.session.kill_by_authid", "alice") == []


def test_MS_014_kill_by_authrole(wamp: Peers) -> None:
    """wamp.session.kill_by_authrole ends all sessions of a role but the caller's, and answers their number."""
    session, backend = wamp.join(META, identity="alice"), wamp.join(META, identity="backend")
    ask(session, "wamp.session.kill_by_authrole", "frontend")
    victims = [wamp.join(META, identity=identity) for identity in ("alice", "bob", "bob")]
    assert ask(session, "wamp.session.kill_by_authrole", "frontend") == 3
    for victim in victims:
        killed(victim)
    backend.barrier()


def test_MS_015_kill_all(wamp: Peers) -> None:
    """wamp.session.kill_all ends all sessions of the realm but the caller's, and answers their number."""
    session, elsewhere = alone(wamp), wamp.join("realm2")
    victims = [*wamp.join_many(4, META), wamp.join(META, identity="alice")]
    assert ask(session, "wamp.session.kill_all", reason="com.example.end") == 5
    for victim in victims:
        killed(victim, "com.example.end")
    assert ask(session, "wamp.session.count") == 1
    elsewhere.barrier()


def test_MS_016_kill_all_is_quiet(wamp: Peers) -> None:
    """wamp.session.kill_all publishes no on_leave."""
    session = alone(wamp)
    subscription = session.subscribe("wamp.session.on_leave")
    victim = wamp.join_many(4, META)[0]
    assert ask(session, "wamp.session.kill_all") == 4
    killed(victim)
    last = wamp.join(META)
    last.leave()
    assert session.event(subscription)[4][0] == last.id


def test_MS_017_every_realm_has_its_own(wamp: Peers) -> None:
    """Meta procedures are in every realm, and neither show nor reach sessions of another."""
    here, there = wamp.join(META), wamp.join("realm2")
    for session, other in itertools.permutations((here, there)):
        ids = ask(session, "wamp.session.list")
        assert session.id in ids and other.id not in ids
        refused(session, NO_SUCH_SESSION, "wamp.session.get", other.id)
        refused(session, NO_SUCH_SESSION, "wamp.session.kill", other.id)


def test_MS_017_registrations_and_subscriptions(wamp: Peers) -> None:
    """Nor do they show or reach registrations and subscriptions of another."""
    here, there, uri = wamp.join(META), wamp.join("realm2"), wamp.uri("both")
    ids = {"registration": here.register(uri), "subscription": here.subscribe(uri)}
    for kind, members in (("registration", "callee"), ("subscription", "subscriber")):
        unknown = f"wamp.error.no_such_{kind}"
        assert ask(here, f"wamp.{kind}.lookup", uri) == ids[kind]
        assert ask(there, f"wamp.{kind}.lookup", uri) is None
        assert ask(there, f"wamp.{kind}.match", uri) is None
        assert ids[kind] not in ask(there, f"wamp.{kind}.list")["exact"]
        for what in ("get", f"list_{members}s", f"count_{members}s"):
            refused(there, unknown, f"wamp.{kind}.{what}", ids[kind])
        refused(there, unknown, f"wamp.{kind}.remove_{members}", ids[kind], here.id)
    here.barrier()
    assert ask(here, "wamp.registration.lookup", uri) == ids["registration"]


def test_MS_017_events(wamp: Peers) -> None:
    """Nor are there meta events about those of another."""
    watcher = Watcher(wamp, *(f"wamp.session.on_{what}" for what in ("join", "leave")), realm="realm2")
    elsewhere = wamp.join(META)
    gone = elsewhere.id
    elsewhere.leave()
    watcher.is_silent_about(gone)
    assert watcher.about(wamp.join("realm2").id)[0] == "on_join"


@pytest.mark.parametrize(
    ("procedure", "args"),
    [
        ("count", ["frontend"]),
        ("count", [{}]),
        ("list", [[1]]),
        ("get", []),
        ("get", ["1"]),
        ("get", [-1]),
        ("get", [0]),
        ("kill", [None]),
        ("kill_by_authid", [1]),
        ("kill_by_authrole", [["frontend"]]),
    ],
)
def test_MS_018_wrong_arguments(wamp: Peers, procedure: str, args: list) -> None:
    """Arguments of a wrong type are answered by invalid_argument."""
    refused(wamp.join(META), INVALID_ARGUMENT, f"wamp.session.{procedure}", *args)


def test_permissions_hold_for_the_meta_api(wamp: Peers) -> None:
    """A role that may not call or subscribe to wamp.* gets no meta API."""
    session = wamp.join(identity="limited")
    refused(session, "wamp.error.not_authorized", "wamp.session.count")
    request = session.request(m.SUBSCRIBE, {}, "wamp.session.on_join")
    session.expect_error(m.SUBSCRIBE, request, "wamp.error.not_authorized")


def test_a_realm_without_meta_api(wamp: Peers) -> None:
    """Where enable_meta_api is false there are neither procedures nor events, and none are announced."""
    session = wamp.join("nometa")
    assert session.no_such_procedure("wamp.session.count")
    session.subscribe("wamp.session.on_join")
    wamp.join("nometa")
    session.barrier()
    for role in session.details["roles"].values():
        assert not [name for name in role["features"] if name.endswith("_meta_api")]


def test_meta_features_are_announced(wamp: Peers) -> None:
    """WELCOME announces the parts of the meta API."""
    roles = wamp.join().details["roles"]
    assert {"session_meta_api", "subscription_meta_api"} <= set(roles["broker"]["features"])
    assert {"session_meta_api", "registration_meta_api", "testament_meta_api"} <= set(roles["dealer"]["features"])


@pytest.mark.parametrize("procedure", ["reflection.procedure.list", "reflection.topic.describe", "reflect.define"])
def test_reflection_is_not_announced(wamp: Peers, procedure: str) -> None:
    """Reflection, of which the specification has names only, is neither there nor announced."""
    session = wamp.join()
    assert session.no_such_procedure(f"wamp.{procedure}")
    for role in session.details["roles"].values():
        assert "reflection" not in role and "reflection" not in role["features"]
