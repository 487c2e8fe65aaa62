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


def test_PV_001_empty_array(wamp: Peers) -> None:
    """An empty array is a violation."""
    violates(wamp)


def test_PV_002_object(wamp: Peers) -> None:
    """A dict instead of an array is a violation."""
    session = wamp.join()
    session.send_bytes(session.serializer.dumps({"type": 16}))
    session.expect_violation()


def test_PV_003_type_is_a_string(wamp: Peers) -> None:
    """A message type that is a string is a violation."""
    violates(wamp, "16", 1, {}, "com.topic")


def test_PV_004_unknown_type(wamp: Peers) -> None:
    """An unknown message type is a violation."""
    violates(wamp, 7, {}, "x")


def test_PV_005_extension_type(wamp: Peers) -> None:
    """A message type kept for extensions is a violation."""
    violates(wamp, 300, 1, {})


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


def test_PV_011_request_id_negative(wamp: Peers) -> None:
    """A negative request id is a violation."""
    violates(wamp, m.SUBSCRIBE, -1, {}, "com.topic")


def test_PV_012_request_id_is_a_string(wamp: Peers) -> None:
    """A request id that is a string is a violation."""
    violates(wamp, m.SUBSCRIBE, "1", {}, "com.topic")


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
    """YIELD with an id that was never issued to the session is a violation."""
    violates(wamp, m.YIELD, 1, {})


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


@pytest.mark.parametrize("arguments", ["text", {}, 1], ids=["string", "dict", "int"])
@pytest.mark.parametrize("kind", [m.PUBLISH, m.CALL])
def test_PV_024_arguments_are_no_list(wamp: Peers, kind: int, arguments: object) -> None:
    """Arguments that are not a list are a violation."""
    violates(wamp, kind, 1, {}, "com.something", arguments)


@pytest.mark.parametrize("kind", [m.PUBLISH, m.CALL])
def test_PV_025_keyword_arguments_are_no_dict(wamp: Peers, kind: int) -> None:
    """ArgumentsKw that are not a dict are a violation."""
    violates(wamp, kind, 1, {}, "com.something", [], [])


@pytest.mark.parametrize("option", ["acknowledge", "exclude_me", "disclose_me"])
def test_PV_026_boolean_option_is_a_number(wamp: Peers, option: str) -> None:
    """A number in place of a boolean is a violation."""
    violates(wamp, m.PUBLISH, 1, {option: 1}, "com.topic")


@pytest.mark.parametrize("value", ["x", ["x"], [True], 5], ids=["string", "strings", "booleans", "int"])
@pytest.mark.parametrize("option", ["exclude", "eligible"])
def test_PV_027_list_of_session_ids(wamp: Peers, option: str, value: object) -> None:
    """Lists of session ids that are none are a violation."""
    violates(wamp, m.PUBLISH, 1, {option: value}, "com.topic")


@pytest.mark.parametrize(
    "option", ["eligible_authid", "eligible_authrole", "exclude_authid", "exclude_authrole"]
)
def test_PV_028_list_of_names(wamp: Peers, option: str) -> None:
    """Lists of authids or authroles that hold numbers are a violation."""
    violates(wamp, m.PUBLISH, 1, {option: [1]}, "com.topic")


@pytest.mark.parametrize("kind", [m.SUBSCRIBE, m.REGISTER])
@pytest.mark.parametrize("policy", ["foo", 1])
def test_PV_029_match_policy(wamp: Peers, kind: int, policy: object) -> None:
    """An unknown match policy is a violation."""
    violates(wamp, kind, 1, {"match": policy}, "com.something")


def test_PV_030_invocation_policy(wamp: Peers) -> None:
    """An unknown invocation policy is a violation."""
    violates(wamp, m.REGISTER, 1, {"invoke": "foo"}, "com.procedure")


def test_PV_031_cancel_mode(wamp: Peers) -> None:
    """An unknown mode of CANCEL is a violation."""
    caller, _, request, _ = open_call(wamp)
    caller.send(m.CANCEL, request, {"mode": "foo"})
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
        [m.CALL, 1],
        [m.UNREGISTER, 1],
        [m.GOODBYE, {}],
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


@pytest.mark.parametrize("timeout", [-1, "x", 1.5], ids=str)
def test_PV_039_timeout(wamp: Peers, timeout: object) -> None:
    """A timeout that is not a number from 0 up is a violation."""
    violates(wamp, m.CALL, 1, {"timeout": timeout}, "com.procedure")


NESTED = {
    "json": b'[16,1,{},"com.topic",' + b"[" * 100_000,
    "msgpack": b"\x95\x10\x01\x80\xa9com.topic" + b"\x91" * 100_000,
    "cbor": b"\x85\x10\x01\xa0\x69com.topic" + b"\x81" * 100_000,
    "bjdata": b"[U\x10U\x01{}SU\x09com.topic" + b"[" * 100_000,
    "ubjson12": b"[U\x10U\x01{}SU\x09com.topic" + b"[#U\x01" * 100_000,
}


def test_PV_040_deep_nesting(wamp: Peers) -> None:
    """A message nested 100,000 levels deep is a violation, and the router survives it."""
    session = wamp.join()
    session.send_bytes(NESTED[wamp.serializer.name])
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
