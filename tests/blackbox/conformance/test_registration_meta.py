"""Registration meta procedures and events (MR), and registrations that are taken back (RV)."""

import re
from datetime import UTC, datetime

import pytest
from harness import messages as m
from harness.meta import INVALID_ARGUMENT, NO_SUCH_SESSION, Watcher, ask, refused
from harness.peers import Peers, eventually, first_ready
from harness.session import ANY, Session

TOPICS = [f"wamp.registration.on_{what}" for what in ("create", "register", "unregister", "delete")]
NO_SUCH_REGISTRATION = "wamp.error.no_such_registration"
ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
REVOCABLE = m.roles(callee=("registration_revocation",), caller=())


def lookup(session: Session, uri: str, **options: str) -> int | None:
    """The id of the registration of a URI or pattern."""
    return ask(session, "wamp.registration.lookup", uri, *([options] if options else []))


def test_MR_001_first_callee(wamp: Peers) -> None:
    """The first callee of a procedure fires on_create, then on_register."""
    watcher, callee = Watcher(wamp, *TOPICS), wamp.join()
    registration = callee.register(wamp.uri("procedure"))
    name, args = watcher.about(callee.id)
    assert (name, args[0], args[1]["id"]) == ("on_create", callee.id, registration) and len(args) == 2
    assert watcher.about(callee.id) == ("on_register", [callee.id, registration])


@pytest.mark.parametrize("match", ["exact", "prefix", "wildcard"])
def test_MR_002_details(wamp: Peers, match: str) -> None:
    """on_create's details are id, created, uri, match and invoke."""
    watcher, callee = Watcher(wamp, *TOPICS), wamp.join()
    uri = wamp.uri("procedure") + (".." if match == "wildcard" else "")
    registration = callee.register(uri, match=match, invoke="roundrobin")
    details = watcher.about(callee.id)[1][1]
    created = details.pop("created")
    assert ISO_8601.fullmatch(created)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds()) < 5
    assert details == {"id": registration, "uri": uri, "match": match, "invoke": "roundrobin"}


def test_MR_003_second_callee(wamp: Peers) -> None:
    """A further callee of a shared registration fires on_register only, and the same one again nothing."""
    first, second = wamp.join_many(2)
    registration = first.register(wamp.uri("procedure"), invoke="random")
    watcher = Watcher(wamp, *TOPICS)
    second.register(wamp.uri("procedure"), invoke="random")
    assert watcher.about(second.id) == ("on_register", [second.id, registration])
    second.register(wamp.uri("procedure"), invoke="random")
    second.unregister(registration)
    assert watcher.about(second.id) == ("on_unregister", [second.id, registration])


def test_MR_004_not_the_last_callee(wamp: Peers) -> None:
    """A callee that leaves others behind fires on_unregister only."""
    first, second = wamp.join_many(2)
    for callee in (first, second):
        registration = callee.register(wamp.uri("procedure"), invoke="first")
    watcher = Watcher(wamp, *TOPICS)
    first.unregister(registration)
    assert watcher.about(registration) == ("on_unregister", [first.id, registration])
    second.unregister(registration)
    assert watcher.about(registration) == ("on_unregister", [second.id, registration])
    assert watcher.about(registration) == ("on_delete", [second.id, registration])


@pytest.mark.parametrize("way", ["unregister", "goodbye"])
def test_MR_005_last_callee(wamp: Peers, way: str) -> None:
    """The last callee fires on_unregister, then on_delete."""
    callee = wamp.join()
    registration = callee.register(wamp.uri("procedure"))
    watcher = Watcher(wamp, *TOPICS)
    if way == "unregister":
        callee.unregister(registration)
    else:
        callee.leave()
    assert watcher.about(callee.id) == ("on_unregister", [callee.id, registration])
    assert watcher.about(callee.id) == ("on_delete", [callee.id, registration])


def test_MR_006_loss(wamp: Peers) -> None:
    """A lost connection fires the same events, with the id of the session that is gone."""
    callee = wamp.join()
    registration = callee.register(wamp.uri("procedure"))
    watcher = Watcher(wamp, *TOPICS)
    callee.transport.reset()
    assert watcher.about(registration) == ("on_unregister", [callee.id, registration])
    assert watcher.about(registration) == ("on_delete", [callee.id, registration])


def test_MR_007_list(wamp: Peers) -> None:
    """wamp.registration.list answers the ids by match policy."""
    session, callee = wamp.join_many(2)
    ids = {
        match: callee.register(wamp.uri(f"{match}..x" if match == "wildcard" else match), match=match)
        for match in ("exact", "prefix", "wildcard")
    }
    listed = ask(session, "wamp.registration.list")
    assert set(listed) == set(ids)
    for match, registration in ids.items():
        assert listed[match].count(registration) == 1
        assert not [other for other in ids if other != match and registration in listed[other]]


def test_MR_008_lookup(wamp: Peers) -> None:
    """wamp.registration.lookup answers the id of exactly this URI or pattern, or null."""
    session, callee = wamp.join_many(2)
    uri = wamp.uri("procedure")
    exact, prefix = callee.register(uri), callee.register(uri, match="prefix")
    assert exact != prefix
    assert (lookup(session, uri), lookup(session, uri, match="exact")) == (exact, exact)
    assert lookup(session, uri, match="prefix") == prefix
    assert lookup(session, uri, match="wildcard") is lookup(session, f"{uri}.x") is None
    callee.unregister(exact)
    assert lookup(session, uri) is None


def test_MR_009_match(wamp: Peers) -> None:
    """wamp.registration.match answers the id of the registration that would get a call, or null."""
    session, callee = wamp.join_many(2)
    uri = wamp.uri("procedure")
    prefix = callee.register(uri, match="prefix")
    longer = callee.register(f"{uri}.a", match="prefix")
    wildcard = callee.register(wamp.uri("other..b"), match="wildcard")
    exact = callee.register(f"{uri}.a.b")
    match = {name: ask(session, "wamp.registration.match", name) for name in (f"{uri}.x", f"{uri}.a.c", f"{uri}.a.b")}
    assert list(match.values()) == [prefix, longer, exact]
    assert ask(session, "wamp.registration.match", wamp.uri("other.b")) is None
    assert ask(session, "wamp.registration.match", wamp.uri("other.a.b")) == wildcard


def test_MR_010_get(wamp: Peers) -> None:
    """wamp.registration.get answers the details of a registration, and no_such_registration for an unknown one."""
    session, callee = wamp.join_many(2)
    registration = callee.register(wamp.uri("procedure"), invoke="last")
    details = ask(session, "wamp.registration.get", registration)
    assert ISO_8601.fullmatch(details.pop("created"))
    assert details == {"id": registration, "uri": wamp.uri("procedure"), "match": "exact", "invoke": "last"}
    callee.unregister(registration)
    for unknown in (registration, 1, 2**53):
        refused(session, NO_SUCH_REGISTRATION, "wamp.registration.get", unknown)


def test_MR_011_callees(wamp: Peers) -> None:
    """wamp.registration.list_callees and count_callees answer the callees in their order, or no_such_registration."""
    session, *callees = wamp.join_many(5)
    for callee in callees:
        registration = callee.register(wamp.uri("procedure"), invoke="roundrobin")
    assert ask(session, "wamp.registration.list_callees", registration) == [callee.id for callee in callees]
    assert ask(session, "wamp.registration.count_callees", registration) == 4
    callees[0].unregister(registration)
    assert ask(session, "wamp.registration.list_callees", registration) == [callee.id for callee in callees[1:]]
    for procedure in ("list_callees", "count_callees"):
        refused(session, NO_SUCH_REGISTRATION, f"wamp.registration.{procedure}", 1)


@pytest.mark.parametrize(
    ("procedure", "args"),
    [
        ("lookup", []),
        ("lookup", [1]),
        ("lookup", ["a", "prefix"]),
        ("lookup", ["a", {"match": "regex"}]),
        ("match", [None]),
        ("get", ["a"]),
        ("list_callees", [0]),
        ("count_callees", []),
        ("remove_callee", [1]),
    ],
)
def test_wrong_arguments_about_registrations(wamp: Peers, procedure: str, args: list) -> None:
    """Arguments of a wrong type are answered by invalid_argument."""
    refused(wamp.join(), INVALID_ARGUMENT, f"wamp.registration.{procedure}", *args)


def test_forced_registration_is_told(wamp: Peers) -> None:
    """A registration that is taken over fires on_unregister and on_delete, then on_create and on_register."""
    old, new = wamp.join_many(2)
    gone = old.register(wamp.uri("procedure"))
    watcher = Watcher(wamp, *TOPICS)
    registration = new.register(wamp.uri("procedure"), force_reregister=True)
    assert watcher.about(gone) == ("on_unregister", [old.id, gone])
    assert watcher.about(gone) == ("on_delete", [old.id, gone])
    assert watcher.about(registration)[0] == "on_create"
    assert watcher.about(registration) == ("on_register", [new.id, registration])


def revoke(session: Session, registration: int, callee: Session, **kwargs: str) -> None:
    """Takes a registration from a callee."""
    assert ask(session, "wamp.registration.remove_callee", registration, callee.id, **kwargs) is None


def test_RV_003_revoked_registration(wamp: Peers) -> None:
    """A callee that announces registration_revocation is told that its registration is taken back."""
    session, callee = wamp.join(), wamp.join(roles=REVOCABLE)
    registration = callee.register(wamp.uri("procedure"))
    revoke(session, registration, callee)
    revoked = callee.expect(m.UNREGISTERED, 0, ANY)[2]
    assert revoked["registration"] == registration
    request = callee.request(m.UNREGISTER, registration)
    callee.expect_error(m.UNREGISTER, request, NO_SUCH_REGISTRATION)
    silent = wamp.join(roles=m.roles(callee=()))
    registration = silent.register(wamp.uri("silent"))
    revoke(session, registration, silent)
    eventually(lambda: session.no_such_procedure(wamp.uri("silent")))
    silent.barrier()


def test_RV_004_call_after_revocation(wamp: Peers) -> None:
    """A call after a revocation finds no such procedure, or another callee."""
    session, caller, *callees = wamp.join_many(4)
    for callee in callees:
        registration = callee.register(wamp.uri("procedure"), invoke="first")
    revoke(session, registration, callees[0])
    eventually(lambda: ask(caller, "wamp.registration.list_callees", registration) == [callees[1].id])
    request = caller.call(wamp.uri("procedure"))
    assert first_ready(callees) is callees[1]
    callees[1].reply(callees[1].invocation())
    caller.result(request)
    revoke(session, registration, callees[1])
    eventually(lambda: caller.no_such_procedure(wamp.uri("procedure")))
    refused(session, NO_SUCH_REGISTRATION, "wamp.registration.remove_callee", registration, callees[1].id)


def test_RV_005_revocation_is_told(wamp: Peers) -> None:
    """A revocation fires on_unregister, and on_delete for the last callee."""
    session, callee = wamp.join_many(2)
    registration = callee.register(wamp.uri("procedure"))
    watcher = Watcher(wamp, *TOPICS)
    revoke(session, registration, callee)
    assert watcher.about(registration) == ("on_unregister", [callee.id, registration])
    assert watcher.about(registration) == ("on_delete", [callee.id, registration])


def test_RV_006_reason(wamp: Peers) -> None:
    """The reason of a revocation is a URI: the one of the call, which must be one, or the router's own."""
    session, callee = wamp.join(), wamp.join(roles=REVOCABLE)
    registration = callee.register(wamp.uri("procedure"))
    refused(session, "wamp.error.invalid_uri", "wamp.registration.remove_callee", registration, callee.id, reason="no uri")
    refused(session, NO_SUCH_SESSION, "wamp.registration.remove_callee", registration, session.id)
    revoke(session, registration, callee, reason="com.example.enough")
    callee.expect(m.UNREGISTERED, 0, {"registration": registration, "reason": "com.example.enough"})
    registration = callee.register(wamp.uri("procedure"))
    revoke(session, registration, callee)
    assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", callee.expect(m.UNREGISTERED, 0, ANY)[2]["reason"])
