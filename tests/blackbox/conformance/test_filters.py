"""Who receives an event, and whether it names its publisher (PX, PI)."""

from harness import messages as m
from harness.peers import Peers
from harness.session import Session
from harness.values import same

NAMES = {"publisher", "publisher_authid", "publisher_authrole"}


def receive(wamp: Peers, publisher: Session, subscribers: list[Session], **options: object) -> list[bool]:
    """Which of the subscribers get an event published with these options."""
    for session in subscribers:
        session.subscribe(wamp.uri("topic"))
    publication = publisher.publish_ack(wamp.uri("topic"), ["filtered"], **options)
    fence = publisher.publish(wamp.uri("topic"), ["end"], exclude_me=False)
    assert fence
    received = []
    for session in subscribers:
        event = session.event()
        received.append(event[4] == ["filtered"])
        if received[-1]:
            assert event[2] == publication
            event = session.event()
        assert event[4] == ["end"], event
    return received


def test_PX_001_publisher_included(wamp: Peers) -> None:
    """With exclude_me false the publisher receives its event."""
    session = wamp.join()
    assert receive(wamp, session, [session], exclude_me=False) == [True]


def test_PX_002_publisher_excluded(wamp: Peers) -> None:
    """exclude_me true is the default."""
    session, other = wamp.join(), wamp.join()
    assert receive(wamp, session, [session, other], exclude_me=True) == [False, True]
    assert receive(wamp, session, [session, other]) == [False, True]


def test_PX_003_exclude_sessions(wamp: Peers) -> None:
    """Sessions listed in exclude do not receive the event, others do."""
    publisher, *others = wamp.join_many(6)
    excluded = [others[0].id, others[2].id]
    assert receive(wamp, publisher, others, exclude=excluded) == [False, True, False, True, True]


def test_PX_004_eligible_sessions(wamp: Peers) -> None:
    """With eligible only the sessions listed receive the event."""
    publisher, *others = wamp.join_many(6)
    eligible = [others[1].id, others[4].id]
    assert receive(wamp, publisher, others, eligible=eligible) == [False, True, False, False, True]


def test_PX_005_exclusion_wins(wamp: Peers) -> None:
    """A session that is both eligible and excluded does not receive the event."""
    publisher, first, second = wamp.join_many(3)
    options = {"eligible": [first.id, second.id], "exclude": [first.id]}
    assert receive(wamp, publisher, [first, second], **options) == [False, True]


def test_PX_006_eligible_publisher(wamp: Peers) -> None:
    """Being eligible does not include the publisher."""
    publisher, other = wamp.join_many(2)
    assert receive(wamp, publisher, [publisher, other], eligible=[publisher.id]) == [False, False]


def test_PX_007_eligible_and_included_publisher(wamp: Peers) -> None:
    """An eligible publisher that is not excluded receives its event."""
    publisher, other = wamp.join_many(2)
    options = {"eligible": [publisher.id], "exclude_me": False}
    assert receive(wamp, publisher, [publisher, other], **options) == [True, False]


def test_PX_008_nobody_is_eligible(wamp: Peers) -> None:
    """An empty list of eligible sessions, authids or authroles means nobody."""
    publisher, *others = wamp.join_many(4)
    for option in ("eligible", "eligible_authid", "eligible_authrole"):
        assert receive(wamp, publisher, others, **{option: []}) == [False] * 3


def test_PX_009_nobody_is_excluded(wamp: Peers) -> None:
    """An empty list of excluded sessions, authids or authroles means nobody."""
    publisher, *others = wamp.join_many(4)
    for option in ("exclude", "exclude_authid", "exclude_authrole"):
        assert receive(wamp, publisher, others, **{option: []}) == [True] * 3


def principals(wamp: Peers) -> list[Session]:
    """A publisher, and sessions of alice, bob and backend; alice and bob have the role frontend."""
    return [wamp.join(identity=name) for name in ("anonymous", "alice", "bob", "backend")]


def test_PX_010_eligible_authids(wamp: Peers) -> None:
    """With eligible_authid only sessions of these principals receive the event."""
    publisher, *others = principals(wamp)
    assert receive(wamp, publisher, others, eligible_authid=["alice", "backend"]) == [True, False, True]


def test_PX_011_exclude_authids(wamp: Peers) -> None:
    """Sessions of principals in exclude_authid do not receive the event."""
    publisher, *others = principals(wamp)
    assert receive(wamp, publisher, others, exclude_authid=["alice"]) == [False, True, True]


def test_PX_012_authroles(wamp: Peers) -> None:
    """eligible_authrole and exclude_authrole select by role."""
    publisher, *others = principals(wamp)
    assert receive(wamp, publisher, others, eligible_authrole=["frontend"]) == [True, True, False]
    assert receive(wamp, publisher, others, exclude_authrole=["frontend"]) == [False, False, True]


def test_PX_013_all_lists_must_allow(wamp: Peers) -> None:
    """A session must pass every list."""
    publisher, alice, bob, backend = principals(wamp)
    options = {"eligible": [alice.id, backend.id], "eligible_authrole": ["backend"]}
    assert receive(wamp, publisher, [alice, bob, backend], **options) == [False, False, True]


def test_PX_014_unknown_sessions(wamp: Peers) -> None:
    """Unknown session ids in the lists are harmless."""
    publisher, other = wamp.join_many(2)
    assert receive(wamp, publisher, [other], eligible=[12345, other.id], exclude=[54321]) == [True]


def test_PX_015_lists_hold_for_every_subscription(wamp: Peers) -> None:
    """An excluded session gets the event through none of its subscriptions."""
    publisher, excluded = wamp.join_many(2)
    for match in ("exact", "prefix", "wildcard"):
        excluded.subscribe(wamp.uri("topic"), match=match)
    publisher.publish(wamp.uri("topic"), exclude=[excluded.id])
    wamp.fence(publisher, excluded)


def test_PX_016_acknowledged_without_receivers(wamp: Peers) -> None:
    """PUBLISHED is sent although the lists leave nobody."""
    session = wamp.join()
    session.publish_ack(wamp.uri("topic"), eligible=[])


def test_PI_001_publisher_disclosed(wamp: Peers) -> None:
    """With disclose_me an event names the publisher's session."""
    session, publisher = wamp.join_many(2)
    for match in ("exact", "prefix"):
        session.subscribe(wamp.uri("topic"), match=match)
    publisher.publish(wamp.uri("topic"), disclose_me=True)
    assert [session.event()[3]["publisher"] for _ in range(2)] == [publisher.id] * 2


def test_PI_002_principal_disclosed(wamp: Peers) -> None:
    """An event that names the publisher's session names its authid and authrole."""
    session, publisher = wamp.join(), wamp.join(identity="alice")
    session.subscribe(wamp.uri("topic"))
    publisher.publish(wamp.uri("topic"), disclose_me=True)
    names = {"publisher": publisher.id, "publisher_authid": "alice", "publisher_authrole": "frontend"}
    assert session.event()[3] == names


def test_PI_003_disclosure_refused(wamp: Peers) -> None:
    """Where disclosure is not allowed, disclose_me is refused and nothing is delivered."""
    session, publisher = wamp.join("nodisclose"), wamp.join("nodisclose")
    session.subscribe(wamp.uri("topic"))
    request = publisher.publish(wamp.uri("topic"), disclose_me=True, acknowledge=True)
    publisher.expect_error(m.PUBLISH, request, "wamp.error.option_disallowed.disclose_me")
    publisher.publish(wamp.uri("topic"), disclose_me=True)
    wamp.fence(publisher, session)


def test_PI_004_no_disclosure(wamp: Peers) -> None:
    """With disclose_me false an event does not name its publisher."""
    session, publisher = wamp.join_many(2)
    session.subscribe(wamp.uri("topic"))
    publisher.publish(wamp.uri("topic"), disclose_me=False)
    assert not NAMES & set(session.event()[3])


def test_PI_005_disclosure_by_configuration(wamp: Peers) -> None:
    """A role whose permission discloses publishers is named without the option."""
    session, publisher = wamp.join(), wamp.join(identity="disclosed")
    session.subscribe(wamp.uri("topic"))
    publisher.publish(wamp.uri("topic"))
    assert session.event()[3]["publisher"] == publisher.id


def test_PI_006_publisher_trust_level(wamp: Peers) -> None:
    """Where a trust level is configured for the role and topic, each event says it, also a retained one."""
    session, publisher, other = wamp.join(), wamp.join(identity="trusting"), wamp.join()
    special = f"trusted.{wamp.uri('topic')}"
    for topic, level in ((wamp.uri("topic"), 0), (special, 3)):
        session.subscribe(topic)
        publisher.publish_ack(topic, retain=True)
        found = session.event()[3]["trustlevel"]
        assert found == level and type(found) is int
        session.subscribe(topic, get_retained=True)
        assert same(session.event()[3], {"trustlevel": level, "retained": True})
        other.publish(topic)
        assert "trustlevel" not in session.event()[3]


def test_PI_007_caller_trust_level(wamp: Peers) -> None:
    """Where a trust level is configured for the role and procedure, each invocation says it."""
    callee, caller, other = wamp.join(), wamp.join(identity="trusting"), wamp.join()
    special = f"trusted.{wamp.uri('procedure')}"
    for procedure, level in ((wamp.uri("procedure"), 0), (special, 3)):
        registration = callee.register(procedure)
        caller.call(procedure)
        found = callee.invocation(registration)[3]["trustlevel"]
        assert found == level and type(found) is int
        other.call(procedure)
        assert "trustlevel" not in callee.invocation(registration)[3]
        callee.unregister(registration)
