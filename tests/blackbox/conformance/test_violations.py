"""Protocol violations and what is not one (PV)."""

import json

import pytest
from harness import messages as m
from harness.peers import Peers, eventually
from harness.serializers import CBOR, MSGPACK
from harness.session import Session


def violates(wamp: Peers, *message: object) -> None:
    """The message is a violation in an open session."""
    session = wamp.join()
    session.send(*message)
    session.expect_violation()


REQUESTS = {
    "subscribe": lambda request: [m.SUBSCRIBE, request, {}, "com.topic"],
    "unsubscribe": lambda request: [m.UNSUBSCRIBE, request, 1],
    "publish": lambda request: [m.PUBLISH, request, {"acknowledge": True}, "com.topic"],
    "register": lambda request: [m.REGISTER, request, {}, "com.procedure"],
    "unregister": lambda request: [m.UNREGISTER, request, 1],
    "call": lambda request: [m.CALL, request, {}, "com.procedure"],
}
each_request = pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)


def refused_in_turn(wamp: Peers, *messages: list) -> None:
    """Each of the messages is a violation in a session of its own."""
    for message in messages:
        violates(wamp, *message)


def test_PV_001_empty_array(wamp: Peers) -> None:
    """An empty array is a violation."""
    violates(wamp)


def test_PV_002_object(wamp: Peers) -> None:
    """A dict instead of an array is a violation."""
    session = wamp.join()
    session.send_bytes(session.serializer.dumps({"type": 16}))
    session.expect_violation()


def test_PV_003_type_is_a_string(wamp: Peers) -> None:
    """A message type that is a string, a boolean or null is a violation."""
    refused_in_turn(wamp, *([kind, 1, {}, "com.topic"] for kind in ("16", True, None)))


def test_PV_004_unknown_type(wamp: Peers) -> None:
    """An unknown message type is a violation."""
    refused_in_turn(wamp, *([kind, {}, "x"] for kind in (0, 7, 255, 1024, -1)))


def test_PV_005_extension_type(wamp: Peers) -> None:
    """A message type kept for extensions is a violation."""
    refused_in_turn(wamp, *([kind, 1, {}] for kind in (256, 300, 1023)))


INVALID = {
    "json": [b"", b"nonsense", b"[16,1,{},", b"[16,1,{},'com.topic']", b'[16,1,{"a":1,},"com.topic"]'],
    "msgpack": [b"", b"\xc1", b"\x94\x10\x01\x80", b"\x94\x10\x01\x80\xd9\x09abc"],
    "cbor": [b"", b"\xff", b"\x84\x10\x01\xa0", b"\x84\x10\x01\xa0\x69abc", b"\x84\x10\x01\xa0\x1f"],
    "bjdata": [b"", b"x", b"[U\x10U\x01{}", b"[U\x10U\x01{}SU\x09abc]", b"[U\x10U\x01{}[$U#[U\x01]\x01]"],
    "ubjson12": [b"", b"]", b"[U\x10U\x01{}", b"[U\x10u\x00\x01{}SU\x01t]", b"[U\x10U\x01{}SU\x01t[$Z#L" + b"\x7f" * 8 + b"]"],
    "flatbuffers": [b"", b"\x04\0\0\0", bytes(100), b"\x04\0\0\0" + b"\xff" * 100, b"\xff" * 100],
}


def test_PV_006_invalid_bytes(wamp: Peers) -> None:
    """Octets that are not of the serializer are a violation."""
    for data in INVALID[wamp.serializer.name]:
        session = wamp.join()
        session.send_bytes(data)
        session.expect_violation()


@pytest.mark.parametrize("kind", [m.SUBSCRIBE, m.PUBLISH, m.REGISTER, m.CALL])
def test_PV_007_options_are_a_list(wamp: Peers, kind: int) -> None:
    """Options that are a list are a violation."""
    violates(wamp, kind, 1, [], "com.something")


def test_PV_007_details_are_a_list(wamp: Peers) -> None:
    """So are those of CANCEL and YIELD, and the details of GOODBYE and ERROR."""
    refused_in_turn(
        wamp,
        [m.CANCEL, 1, []],
        [m.YIELD, 1, []],
        [m.GOODBYE, [], "com.reason"],
        [m.ERROR, m.INVOCATION, 1, [], "com.error"],
    )


def test_PV_008_option_key_is_no_string(wamp: Peers) -> None:
    """An option whose key is not a string is a violation."""
    if wamp.serializer not in (MSGPACK, CBOR):
        pytest.skip("only MessagePack and CBOR have such keys")
    violates(wamp, m.PUBLISH, 1, {1: True}, "com.topic")


@each_request
def test_PV_009_request_id_0(wamp: Peers, request_) -> None:
    """Request id 0 is a violation."""
    violates(wamp, *request_(0))


@each_request
def test_PV_010_request_id_too_large(wamp: Peers, request_) -> None:
    """Request id 2^53 + 1 is a violation."""
    violates(wamp, *request_((1 << 53) + 1))


@each_request
def test_PV_011_request_id_negative(wamp: Peers, request_) -> None:
    """A negative request id is a violation."""
    violates(wamp, *request_(-1))


@each_request
def test_PV_012_request_id_is_a_string(wamp: Peers, request_) -> None:
    """A request id that is a string, a boolean or null is a violation."""
    for number in ("1", True, None):
        violates(wamp, *request_(number))


@each_request
def test_PV_013_first_request_id(wamp: Peers, request_) -> None:
    """Where ids must be sequential, a first request id other than 1 is a violation."""
    session = wamp.join("strict")
    session.send(*request_(2))
    session.expect_violation()


@each_request
def test_PV_014_gap_in_request_ids(wamp: Peers, request_) -> None:
    """Where ids must be sequential, a gap is a violation."""
    session = wamp.join("strict")
    session.subscribe(wamp.uri("topic"))
    session.send(*request_(3))
    session.expect_violation()


@each_request
def test_PV_015_repeated_request_id(wamp: Peers, request_) -> None:
    """Where ids must be sequential, a repeated one is a violation."""
    session = wamp.join("strict")
    session.subscribe(wamp.uri("topic"))
    session.send(*request_(1))
    session.expect_violation()


@pytest.mark.parametrize("realm", ["strict", "realm1"])
def test_PV_016_one_counter_for_all_requests(wamp: Peers, realm: str) -> None:
    """All kinds of requests share one counter of ids."""
    session = wamp.join(realm)
    session.subscribe(wamp.uri("topic"))
    session.publish_ack(wamp.uri("topic"))
    session.no_such_procedure(wamp.uri("procedure"))
    session.unregister(session.register(wamp.uri("procedure")))
    session.barrier()


def test_request_ids_in_any_order_are_accepted_by_default(wamp: Peers) -> None:
    """Without strict_request_ids any id in range is accepted: there are clients that send random ones."""
    session = wamp.join()
    for request in (500, 3, 1 << 53, 500):
        session.send(m.SUBSCRIBE, request, {}, wamp.uri("topic"))
        session.expect(m.SUBSCRIBED, request, ...)


@pytest.mark.parametrize("kind", [m.PUBLISH, m.SUBSCRIBE, m.CALL, m.REGISTER])
def test_PV_017_error_of_wrong_type(wamp: Peers, kind: int) -> None:
    """ERROR from a client is for INVOCATION only; anything else is a violation."""
    violates(wamp, m.ERROR, kind, 1, {}, "com.error")


def test_PV_018_error_of_unknown_type(wamp: Peers) -> None:
    """ERROR for a type that does not exist is a violation."""
    violates(wamp, m.ERROR, 999, 1, {}, "com.error")


ROUTER_ONLY = {
    "published": [m.PUBLISHED, 1, 1],
    "subscribed": [m.SUBSCRIBED, 1, 1],
    "unsubscribed": [m.UNSUBSCRIBED, 1],
    "event": [m.EVENT, 1, 1, {}],
    "result": [m.RESULT, 1, {}],
    "registered": [m.REGISTERED, 1, 1],
    "unregistered": [m.UNREGISTERED, 1],
    "invocation": [m.INVOCATION, 1, 1, {}],
    "interrupt": [m.INTERRUPT, 1, {}],
}


@pytest.mark.parametrize("message", ROUTER_ONLY.values(), ids=ROUTER_ONLY)
def test_PV_019_what_only_routers_send(wamp: Peers, message: list) -> None:
    """A message that only routers send is a violation."""
    violates(wamp, *message)


def test_PV_020_yield_without_invocation(wamp: Peers) -> None:
    """YIELD or ERROR with an id that was never issued to the session is a violation."""
    refused_in_turn(wamp, [m.YIELD, 1, {}], [m.YIELD, 1 << 53, {}], [m.ERROR, m.INVOCATION, 1, {}, "com.error"])


def open_call(wamp: Peers) -> tuple[Session, Session, int, list]:
    """A call that waits for its callee: caller, callee, request, invocation."""
    caller, callee = wamp.join(), wamp.join()
    callee.register(wamp.uri("procedure"))
    request = caller.call(wamp.uri("procedure"))
    return caller, callee, request, callee.invocation()


def test_PV_021_yield_for_another_session(wamp: Peers) -> None:
    """YIELD for another session's invocation is a violation, and the true callee can still answer."""
    caller, callee, request, invocation = open_call(wamp)
    stranger = wamp.join()
    stranger.reply(invocation, ["stolen"])
    stranger.expect_violation()
    callee.reply(invocation, ["right"])
    caller.result(request, ["right"])
    caller.barrier()


def test_PV_021_own_invocation_of_the_same_id(wamp: Peers) -> None:
    """YIELD is for the session's own invocation, whoever else has one of the same id."""
    caller, *callees = wamp.join_many(3)
    for number, callee in enumerate(callees):
        callee.register(wamp.uri(f"procedure{number}"))
    requests = [caller.call(wamp.uri(f"procedure{number}")) for number in range(2)]
    invocations = [callee.invocation() for callee in callees]
    assert [invocation[1] for invocation in invocations] == [1, 1]
    for number in (1, 0):
        callees[number].reply(invocations[number], [number])
        caller.result(requests[number], [number])
    caller.barrier()


def test_PV_022_late_yield(wamp: Peers) -> None:
    """YIELD for an invocation that has finished, was cancelled or timed out is ignored."""
    caller, callee, request, finished = open_call(wamp)
    callee.reply(finished)
    caller.result(request)

    request = caller.call(wamp.uri("procedure"))
    cancelled = callee.invocation()
    caller.send(m.CANCEL, request, {"mode": "skip"})
    caller.expect_error(m.CALL, request, "wamp.error.canceled")

    request = caller.call(wamp.uri("procedure"), timeout=20)
    timed_out = callee.invocation()
    caller.expect_error(m.CALL, request, "wamp.error.timeout")
    callee.expect(m.INTERRUPT, timed_out[1], ...)

    for invocation in (finished, cancelled, timed_out):
        callee.reply(invocation, ["late"])
    callee.barrier()
    wamp.fence(callee, caller)


def test_PV_023_late_error(wamp: Peers) -> None:
    """ERROR for an invocation that has finished is ignored."""
    caller, callee, request, finished = open_call(wamp)
    callee.reply(finished)
    caller.result(request)
    callee.reply_error(finished, "com.late")
    callee.barrier()
    wamp.fence(callee, caller)


def wrong_payload(wamp: Peers, kind: int, *payload: object) -> None:
    """A message with this payload is a violation, and a call that it was to answer fails."""
    if kind in (m.PUBLISH, m.CALL):
        violates(wamp, kind, 1, {}, "com.something", *payload)
        return
    caller, callee, request, invocation = open_call(wamp)
    head = [m.YIELD, invocation[1], {}] if kind == m.YIELD else [m.ERROR, m.INVOCATION, invocation[1], {}, "com.error"]
    callee.send(*head, *payload)
    callee.expect_violation()
    caller.expect_error(m.CALL, request, "wamp.error.canceled")
    caller.barrier()


with_payload = pytest.mark.parametrize("kind", [m.PUBLISH, m.CALL, m.YIELD, m.ERROR])


@pytest.mark.parametrize("arguments", ["text", {}, 1, True], ids=["string", "dict", "int", "bool"])
@with_payload
def test_PV_024_arguments_are_no_list(wamp: Peers, kind: int, arguments: object) -> None:
    """Arguments that are not a list are a violation."""
    wrong_payload(wamp, kind, arguments)


@pytest.mark.parametrize("arguments", ["text", [], 1], ids=["string", "list", "int"])
@with_payload
def test_PV_025_keyword_arguments_are_no_dict(wamp: Peers, kind: int, arguments: object) -> None:
    """ArgumentsKw that are not a dict are a violation."""
    wrong_payload(wamp, kind, [], arguments)


@pytest.mark.parametrize("option", ["acknowledge", "exclude_me", "disclose_me"])
def test_PV_026_boolean_option_is_a_number(wamp: Peers, option: str) -> None:
    """A number in place of a boolean is a violation."""
    refused_in_turn(wamp, *([m.PUBLISH, 1, {option: value}, "com.topic"] for value in (0, 1, "true")))


BOOLEANS = {
    m.PUBLISH: ("retain",),
    m.SUBSCRIBE: ("get_retained",),
    m.CALL: ("receive_progress", "progress", "disclose_me"),
    m.REGISTER: ("disclose_caller", "force_reregister", "forward_timeout"),
}


@pytest.mark.parametrize("kind", BOOLEANS)
def test_PV_026_boolean_options_of_other_requests(wamp: Peers, kind: int) -> None:
    """This holds for every boolean option of every request."""
    refused_in_turn(wamp, *([kind, 1, {option: value}, "com.uri"] for option in BOOLEANS[kind] for value in (0, 1, "true")))


@pytest.mark.parametrize("value", ["x", ["x"], [True], 5], ids=["string", "strings", "booleans", "int"])
@pytest.mark.parametrize("option", ["exclude", "eligible"])
def test_PV_027_list_of_session_ids(wamp: Peers, option: str, value: object) -> None:
    """Lists of session ids that are none are a violation."""
    violates(wamp, m.PUBLISH, 1, {option: value}, "com.topic")


@pytest.mark.parametrize(
    "option", ["eligible_authid", "eligible_authrole", "exclude_authid", "exclude_authrole"]
)
def test_PV_028_list_of_names(wamp: Peers, option: str) -> None:
    """Lists of authids or authroles that hold numbers, or are none, are a violation."""
    refused_in_turn(wamp, *([m.PUBLISH, 1, {option: value}, "com.topic"] for value in ([1], ["x", None], "x", {})))


@pytest.mark.parametrize("kind", [m.SUBSCRIBE, m.REGISTER])
@pytest.mark.parametrize("policy", ["foo", 1])
def test_PV_029_match_policy(wamp: Peers, kind: int, policy: object) -> None:
    """An unknown match policy is a violation."""
    violates(wamp, kind, 1, {"match": policy}, "com.something")


def test_PV_030_invocation_policy(wamp: Peers) -> None:
    """An unknown invocation policy is a violation."""
    refused_in_turn(wamp, *([m.REGISTER, 1, {"invoke": value}, "com.procedure"] for value in ("foo", "", 1)))


@pytest.mark.parametrize("mode", ["foo", "", 1], ids=repr)
def test_PV_031_cancel_mode(wamp: Peers, mode: object) -> None:
    """An unknown mode of CANCEL is a violation."""
    caller, _, request, _ = open_call(wamp)
    caller.send(m.CANCEL, request, {"mode": mode})
    caller.expect_violation()


def unknown_options_are_ignored(wamp: Peers, options: dict) -> None:
    """All requests with such options succeed."""
    session = wamp.join()
    session.subscribe(wamp.uri("topic"), **options)
    session.publish_ack(wamp.uri("topic"), **options)
    registration = session.register(wamp.uri("procedure"), **options)
    request = session.call(wamp.uri("procedure"), **options)
    session.reply(session.invocation(registration), **options)
    session.result(request)


def test_PV_032_unknown_options(wamp: Peers) -> None:
    """Unknown options are ignored."""
    unknown_options_are_ignored(wamp, {"colour": "blue", "nested": {"a": [1, 2.5, None]}})


def test_PV_033_private_options(wamp: Peers) -> None:
    """Unknown options that begin with an underscore are ignored."""
    unknown_options_are_ignored(wamp, {"_colour": "blue"})


@pytest.mark.parametrize(
    "message",
    [
        [m.SUBSCRIBE, 1, {}, "com.topic", [], {}, 1],
        [m.SUBSCRIBE, 1, {}],
        [m.PUBLISH, 1, {}, "com.topic", [], {}, 1],
        [m.PUBLISH, 1, {}],
        [m.REGISTER, 1, {}],
        [m.REGISTER, 1, {}, "com.procedure", []],
        [m.CALL, 1],
        [m.CALL, 1, {}],
        [m.CALL, 1, {}, "com.procedure", [], {}, 1],
        [m.UNSUBSCRIBE, 1],
        [m.UNREGISTER, 1],
        [m.CANCEL, 1],
        [m.YIELD, 1],
        [m.YIELD, 1, {}, [], {}, 1],
        [m.ERROR, m.INVOCATION, 1, {}],
        [m.ERROR, m.INVOCATION, 1, {}, "com.error", [], {}, 1],
        [m.GOODBYE, {}],
        [m.PUBLISH],
    ],
    ids=str,
)
def test_PV_034_number_of_elements(wamp: Peers, message: list) -> None:
    """Too many or too few elements are a violation."""
    violates(wamp, *message)


def test_PV_035_offender_loses_its_registrations(wamp: Peers) -> None:
    """After a violation the offender's procedures cannot be called."""
    offender, other = wamp.join(), wamp.join()
    offender.register(wamp.uri("procedure"))
    offender.send(7)
    offender.expect_violation()
    eventually(lambda: other.no_such_procedure(wamp.uri("procedure")))


def test_PV_036_others_are_unaffected(wamp: Peers) -> None:
    """A violation does not disturb other sessions."""
    offender, subscriber, publisher = wamp.join(), wamp.join(), wamp.join()
    subscription = subscriber.subscribe(wamp.uri("topic"))
    offender.subscribe(wamp.uri("topic"))
    offender.send(7)
    offender.expect_violation()
    publisher.publish_ack(wamp.uri("topic"), ["still here"])
    subscriber.event(subscription, ["still here"])
    subscriber.barrier()
    publisher.barrier()


def test_PV_037_abort_explains(wamp: Peers) -> None:
    """ABORT has exactly three elements, with a text for humans in the details."""
    session = wamp.join()
    session.send(m.SUBSCRIBE, 0, {}, "com.topic")
    assert session.expect_abort(m.VIOLATION)["message"]


def test_PV_038_largest_id(wamp: Peers) -> None:
    """2^53 is an id like any other."""
    session = wamp.join()
    request = session.request(m.UNSUBSCRIBE, 1 << 53)
    session.expect_error(m.UNSUBSCRIBE, request, "wamp.error.no_such_subscription")


@pytest.mark.parametrize("timeout", [-1, "x", 1.5, True], ids=str)
def test_PV_039_timeout(wamp: Peers, timeout: object) -> None:
    """A timeout that is not a number from 0 up is a violation."""
    violates(wamp, m.CALL, 1, {"timeout": timeout}, "com.procedure")


LEVELS = 100_000
# Whole messages: nothing but the depth is wrong with them.
NESTED = {
    "json": lambda levels: b'[16,1,{"acknowledge":true},"com.topic",' + b"[" * levels + b"]" * levels + b"]",
    "msgpack": lambda levels: b"\x95\x10\x01\x81\xabacknowledge\xc3\xa9com.topic" + b"\x91" * (levels - 1) + b"\x90",
    "cbor": lambda levels: b"\x85\x10\x01\xa1\x6backnowledge\xf5\x69com.topic" + b"\x81" * (levels - 1) + b"\x80",
    "bjdata": lambda levels: b"[U\x10U\x01{U\x0backnowledgeT}SU\x09com.topic" + b"[" * levels + b"]" * levels + b"]",
    "ubjson12": lambda levels: b"[U\x10U\x01{U\x0backnowledgeT}SU\x09com.topic" + b"[#U\x01" * (levels - 1) + b"[]" + b"]",
}


def test_PV_040_deep_nesting(wamp: Peers) -> None:
    """A message nested 100,000 levels deep is a violation, and the router survives it."""
    nested, session = NESTED[wamp.serializer.name], wamp.join()
    session.send_bytes(nested(16))
    session.expect(m.PUBLISHED, 1, ...)
    session.send_bytes(nested(LEVELS))
    session.expect_violation()
    wamp.join().barrier()


def test_duplicate_keys_are_a_violation(websocket: Peers) -> None:
    """A dict with the same key twice is a violation (protocol section 12, row 32)."""
    session = websocket.join()
    options = {
        "json": json.dumps([m.PUBLISH, 1, 0, "com.topic"]).replace("0", '{"retain":true,"retain":true}').encode(),
        "msgpack": b"\x94\x10\x01\x82\xa6retain\xc3\xa6retain\xc3\xa9com.topic",
        "cbor": b"\x84\x10\x01\xa2\x66retain\xf5\x66retain\xf5\x69com.topic",
    }
    session.send_bytes(options[websocket.serializer.name])
    session.expect_violation()


def test_absent_values_of_options(websocket: Peers) -> None:
    """null, CBOR undefined and MessagePack extension 0 mean that the option is absent; clients send them."""
    topic = b"com.absent"
    frames = {
        "json": [b'[32,1,{"match":null},"com.absent"]'],
        "msgpack": [b"\x94\x20\x01\x81\xa5match\xd4\x00\x00\xaa" + topic, b"\x94\x20\x01\x81\xa5match\xc0\xaa" + topic],
        "cbor": [b"\x84\x18\x20\x01\xa1\x65match\xf7\x6a" + topic, b"\x84\x18\x20\x01\xa1\x65match\xf6\x6a" + topic],
    }
    for data in frames[websocket.serializer.name]:
        session = websocket.join()
        session.send_bytes(data)
        session.expect(m.SUBSCRIBED, 1, ...)
