"""Prefix and wildcard subscriptions and registrations (PP, PR)."""

from harness import messages as m
from harness.meta import ask
from harness.peers import Peers, eventually
from harness.session import Session


def matches(wamp: Peers, match: str, pattern: str, topics: dict[str, bool]) -> None:
    """Which topics a pattern receives."""
    session, publisher = wamp.join(), wamp.join()
    subscription = session.subscribe(wamp.uri(pattern), match=match)
    for topic, wanted in topics.items():
        publisher.publish(wamp.uri(topic))
        if wanted:
            assert session.event(subscription)[3]["topic"] == wamp.uri(topic)
    wamp.fence(publisher, session)


def test_PP_001_prefix_receives_below(wamp: Peers) -> None:
    """A prefix receives topics below it."""
    matches(wamp, "prefix", "com.app", {"com.app.x": True, "com.app.x.y": True})


def test_PP_002_prefix_receives_itself(wamp: Peers) -> None:
    """A prefix receives the equal topic."""
    matches(wamp, "prefix", "com.app", {"com.app": True})


def test_PP_003_prefix_of_characters(wamp: Peers) -> None:
    """A prefix is compared by characters, not by components."""
    matches(wamp, "prefix", "com.app", {"com.app-low": True, "com.apple": True, "com.apple.tree": True})


def test_PP_004_prefix_is_no_suffix(wamp: Peers) -> None:
    """A prefix does not receive shorter or other topics."""
    matches(wamp, "prefix", "com.app", {"com.ap": False, "com": False, "com.axp": False, "org.com.app": False})


def test_PP_005_wildcard(wamp: Peers) -> None:
    """An empty component matches any one component."""
    matches(wamp, "wildcard", "com..e", {"com.a.e": True, "com.bcd.e": True})


def test_PP_006_wildcard_counts_components(wamp: Peers) -> None:
    """A wildcard pattern matches topics of as many components only."""
    matches(wamp, "wildcard", "com..e", {"com.a.e.f": False, "com.e": False, "com.a.f": False, "org.a.e": False})


def test_PP_007_two_wildcards(wamp: Peers) -> None:
    """Two empty components match two components."""
    matches(wamp, "wildcard", "com...e", {"com.a.b.e": True, "com.a.e": False, "com.a.b.c.e": False})


def test_PP_008_wildcards_at_the_ends(wamp: Peers) -> None:
    """The last component may be the empty one; and so may the first."""
    matches(wamp, "wildcard", "com.", {"com.a": True, "com": False, "com.a.b": False})
    session, publisher = wamp.join(), wamp.join()
    tail = wamp.uri("tail").replace(".", "_")
    subscription = session.subscribe(f".{tail}", match="wildcard")
    for topic, wanted in {f"a.{tail}": True, f"b.{tail}": True, tail: False, f"a.b.{tail}": False}.items():
        publisher.publish(topic)
        if wanted:
            assert session.event(subscription)[3]["topic"] == topic
    wamp.fence(publisher, session)


def test_PP_009_topic_is_named(wamp: Peers) -> None:
    """The event of a prefix or wildcard subscription names the topic, the equal one too."""
    matches(wamp, "prefix", "com.app", {"com.app.x": True, "com.app": True})
    matches(wamp, "wildcard", "org.app", {"org.app": True})


def test_PP_010_one_event_for_each_subscription(wamp: Peers) -> None:
    """A session with several matching subscriptions gets the publication once through each."""
    session, publisher = wamp.join(), wamp.join()
    topic = wamp.uri("com.a.e")
    ids = {
        session.subscribe(topic),
        session.subscribe(wamp.uri("com"), match="prefix"),
        session.subscribe(wamp.uri("com.a"), match="prefix"),
        session.subscribe(wamp.uri("com..e"), match="wildcard"),
    }
    assert len(ids) == 4
    publication = publisher.publish_ack(topic)
    events = [session.event() for _ in range(4)]
    assert {event[1] for event in events} == ids
    assert {event[2] for event in events} == {publication}
    wamp.fence(publisher, session)


def test_PP_011_policies_have_their_own_ids(wamp: Peers) -> None:
    """The same text subscribed with different policies makes different subscriptions."""
    session = wamp.join()
    policies = ("exact", "prefix", "wildcard")
    assert len({session.subscribe(wamp.uri("com.app"), match=match) for match in policies}) == 3


def test_PP_012_policies_end_separately(wamp: Peers) -> None:
    """Unsubscribing the prefix leaves the exact subscription of the same text."""
    session, publisher = wamp.join(), wamp.join()
    exact = session.subscribe(wamp.uri("com.app"))
    session.unsubscribe(session.subscribe(wamp.uri("com.app"), match="prefix"))
    publisher.publish(wamp.uri("com.app"))
    publisher.publish(wamp.uri("com.app.x"))
    session.event(exact)
    wamp.fence(publisher, session)


def test_PP_013_exact_by_name(wamp: Peers) -> None:
    """match exact is the default."""
    session = wamp.join()
    assert session.subscribe(wamp.uri("topic"), match="exact") == session.subscribe(wamp.uri("topic"))


def test_unsubscribed_patterns_are_forgotten_on_all_shards(wamp: Peers) -> None:
    """After the last of several subscribers has left a pattern, publishers on every shard still publish."""
    sessions = wamp.join_many(6)
    for match, pattern in (("prefix", "com.app"), ("wildcard", "com..x")):
        ids = [session.subscribe(wamp.uri(pattern), match=match) for session in sessions]
        for session, subscription in zip(sessions, ids):
            session.unsubscribe(subscription)
    for session in sessions:
        session.publish_ack(wamp.uri("com.app.x"))
    for session in sessions:
        wamp.fence(session, *sessions)


class Registrations:
    """Callees of one session each, by the pattern they registered."""

    def __init__(self, wamp: Peers, *patterns: tuple[str, str]) -> None:
        self.wamp = wamp
        self.caller = wamp.join()
        self.callees: dict[tuple[str, str], tuple[Session, int]] = {}
        for match, pattern in patterns:
            callee = wamp.join()
            registration = callee.register(wamp.uri(pattern), match=match)
            self.callees[match, pattern] = callee, registration

    def goes_to(self, procedure: str, match: str, pattern: str) -> list:
        """The call is answered by the callee of this pattern; its invocation."""
        request = self.caller.call(self.wamp.uri(procedure), ["x"])
        callee, registration = self.callees[match, pattern]
        invocation = callee.invocation(registration)
        callee.reply(invocation, [pattern])
        self.caller.result(request, [pattern])
        return invocation


def test_PR_001_exact_wins(wamp: Peers) -> None:
    """An exact registration is preferred to prefix and wildcard."""
    some = Registrations(wamp, ("exact", "a1.b2.c3"), ("prefix", "a1.b2.c3"), ("wildcard", "a1..c3"))
    some.goes_to("a1.b2.c3", "exact", "a1.b2.c3")


def test_PR_002_longer_prefix_wins(wamp: Peers) -> None:
    """A longer prefix is preferred to a shorter."""
    some = Registrations(wamp, ("prefix", "a1.b2"), ("prefix", "a1.b2.c3"), ("prefix", "a1"))
    some.goes_to("a1.b2.c3.d4", "prefix", "a1.b2.c3")
    some.goes_to("a1.b2.c4", "prefix", "a1.b2")
    some.goes_to("a1.x", "prefix", "a1")


def test_PR_003_prefix_wins_over_wildcard(wamp: Peers) -> None:
    """Any prefix is preferred to any wildcard."""
    some = Registrations(wamp, ("wildcard", "a1.b2..d4"), ("prefix", "a1"))
    some.goes_to("a1.b2.c3.d4", "prefix", "a1")


def test_PR_004_first_literal_run_decides(wamp: Peers) -> None:
    """Of two wildcards the one whose first literal run is longer is preferred."""
    some = Registrations(wamp, ("wildcard", "a1.b2..d4.e5"), ("wildcard", "a1.b2.c33..e5"))
    some.goes_to("a1.b2.c33.d4.e5", "wildcard", "a1.b2.c33..e5")


def test_PR_005_second_literal_run_decides(wamp: Peers) -> None:
    """Where the first literal runs are equal, the second decides."""
    some = Registrations(wamp, ("wildcard", "a1.b2..d4..f6.g7"), ("wildcard", "a1.b2..d4.e5..g7"))
    some.goes_to("a1.b2.c88.d4.e5.f6.g7", "wildcard", "a1.b2..d4.e5..g7")


def test_PR_006_fewer_wildcards(wamp: Peers) -> None:
    """A literal component is preferred to an empty one."""
    some = Registrations(wamp, ("wildcard", "a1...d4"), ("wildcard", "a1.b2..d4"))
    some.goes_to("a1.b2.c3.d4", "wildcard", "a1.b2..d4")
    some.goes_to("a1.x.c3.d4", "wildcard", "a1...d4")


def test_PR_007_nothing_matches(wamp: Peers) -> None:
    """Where no pattern matches, there is no such procedure."""
    some = Registrations(wamp, ("wildcard", "a1..c3"), ("prefix", "a1.b2"))
    assert some.caller.no_such_procedure(wamp.uri("a2.b2.c3"))
    assert some.caller.no_such_procedure(wamp.uri("a1.b3.c3.d4"))


def test_PR_008_procedure_is_named(wamp: Peers) -> None:
    """INVOCATION names the procedure for prefix and wildcard registrations."""
    some = Registrations(wamp, ("prefix", "a1.b2"), ("wildcard", "a2..c3"))
    assert some.goes_to("a1.b2.x", "prefix", "a1.b2")[3]["procedure"] == wamp.uri("a1.b2.x")
    assert some.goes_to("a1.b2", "prefix", "a1.b2")[3]["procedure"] == wamp.uri("a1.b2")
    assert some.goes_to("a2.x.c3", "wildcard", "a2..c3")[3]["procedure"] == wamp.uri("a2.x.c3")


def test_PR_009_procedure_of_an_exact_registration(wamp: Peers) -> None:
    """INVOCATION does not name the procedure for exact registrations."""
    some = Registrations(wamp, ("exact", "a1"))
    assert "procedure" not in some.goes_to("a1", "exact", "a1")[3]


def test_PR_010_policies_are_separate(wamp: Peers) -> None:
    """The same text may be registered exact, as prefix and as wildcard, by different callees."""
    some = Registrations(wamp, ("exact", "a1.b2"), ("prefix", "a1.b2"), ("wildcard", "a1.b2"))
    assert len({registration for _, registration in some.callees.values()}) == 3
    other = wamp.join()
    request = other.request(m.REGISTER, {"match": "prefix"}, wamp.uri("a1.b2"))
    other.expect_error(m.REGISTER, request, "wamp.error.procedure_already_exists")


def test_PR_011_prefix_of_characters(wamp: Peers) -> None:
    """A prefix is compared by characters, not by components."""
    some = Registrations(wamp, ("prefix", "a1.b2.c3"))
    some.goes_to("a1.b2.c33.d4", "prefix", "a1.b2.c3")


def test_PR_012_wildcard_counts_components(wamp: Peers) -> None:
    """A wildcard pattern matches procedures of as many components only."""
    some = Registrations(wamp, ("wildcard", "a1..c3"))
    assert some.caller.no_such_procedure(wamp.uri("a1.c3"))
    assert some.caller.no_such_procedure(wamp.uri("a1.b2.b2.c3"))


def test_PR_013_next_best(wamp: Peers) -> None:
    """When the best match is unregistered, the next best is called."""
    order = [("exact", "a1.b2.c3"), ("prefix", "a1.b2"), ("prefix", "a1"), ("wildcard", "a1.b2."), ("wildcard", "a1..")]
    some = Registrations(wamp, *order)
    some.goes_to("a1.b2.c3", *order[0])
    for gone, (match, pattern) in zip(order, order[1:]):
        callee, registration = some.callees[gone]
        callee.unregister(registration)
        some.goes_to("a1.b2.c3", match, pattern)
    callee, registration = some.callees[order[-1]]
    callee.unregister(registration)
    eventually(lambda: some.caller.no_such_procedure(wamp.uri("a1.b2.c3")))


def test_PR_014_call_of_a_pattern(wamp: Peers) -> None:
    """CALL of a URI with an empty component is invalid, even where a pattern of that text exists."""
    some = Registrations(wamp, ("wildcard", "a1..c3"))
    request = some.caller.call(wamp.uri("a1..c3"))
    some.caller.expect_error(m.CALL, request, "wamp.error.invalid_uri")


def test_PR_015_empty_prefix(wamp: Peers) -> None:
    """The empty prefix is called where nothing else matches."""
    caller, callee = wamp.join("realm2"), wamp.join("realm2")
    registration = callee.register("", match="prefix")
    request = caller.call(wamp.uri("anything"), [1])
    invocation = callee.invocation(registration)
    assert invocation[3]["procedure"] == wamp.uri("anything")
    callee.reply(invocation, [2])
    caller.result(request, [2])
    # The router's own procedures are nobody else's.
    assert type(ask(caller, "wamp.session.count")) is int
    for name in ("wamp", "wamp.session.nothing"):
        assert caller.no_such_procedure(name)
        assert ask(caller, "wamp.registration.match", name) is None
    callee.unregister(registration)
    callee.barrier()


def test_PP_014_everything(wamp: Peers) -> None:
    """The empty prefix receives application and meta events, where all of them may be subscribed to."""
    session, publisher = wamp.join(), wamp.join()
    subscription = session.subscribe("", match="prefix")
    publisher.publish(wamp.uri("topic"), ["news"])
    joined = wamp.join()
    missing = {wamp.uri("topic"), "wamp.session.on_join"}
    while missing:  # sessions of other tests come and go
        event = session.event(subscription)
        topic, args = event[3]["topic"], [*event[4:], []][0]
        if topic != "wamp.session.on_join" or args[0]["session"] == joined.id:
            missing.discard(topic)
    limited = wamp.join(identity="limited")
    request = limited.request(m.SUBSCRIBE, {"match": "prefix"}, "")
    limited.expect_error(m.SUBSCRIBE, request, "wamp.error.not_authorized")
