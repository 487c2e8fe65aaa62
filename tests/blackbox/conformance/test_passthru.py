"""Payload passthru mode, and the older form of it that autobahn sends (PT)."""

import pytest
from harness import messages as m
from harness.peers import Peers
from harness.serializers import ALL, BJDATA, JSON, UBJSON12, Serializer
from harness.session import ANY, Session
from harness.values import same

NOT_SUPPORTED = "wamp.error.feature_not_supported"
SEALED = {"ppt_scheme": "x_sealed", "ppt_serializer": "cbor", "ppt_cipher": "aes256gcm", "ppt_keyid": "key 7"}
SECRET = bytes(range(256))
WITHOUT = m.roles(
    publisher=(), subscriber=(), caller=("progressive_call_results",), callee=("progressive_call_results",)
)


def passthru(details: dict) -> dict:
    """The keys of payload passthru mode."""
    return {key: value for key, value in details.items() if key.startswith(("ppt_", "enc_"))}


def serving(wamp: Peers, caller: dict | None = None, callee: dict | None = None) -> tuple[Session, Session]:
    """A caller and a callee with these roles."""
    sessions = wamp.join(roles=caller), wamp.join(roles=callee)
    sessions[1].register(wamp.uri("procedure"))
    return sessions


def test_PT_001_publish(wamp: Peers) -> None:
    """EVENT has the keys and the octets of PUBLISH."""
    publisher, subscriber = wamp.join_many(2)
    subscription = subscriber.subscribe(wamp.uri("topic"))
    secret = wamp.serializer.bytes_value(SECRET)
    publisher.publish(wamp.uri("topic"), [secret], **SEALED)
    event = subscriber.event(subscription, [secret])
    assert passthru(event[3]) == SEALED and len(event) == 5


def test_PT_002_publisher_did_not_announce_it(wamp: Peers) -> None:
    """PUBLISH in this mode is a violation where the publisher did not announce it."""
    publisher, subscriber = wamp.join(roles=WITHOUT), wamp.join()
    subscriber.subscribe(wamp.uri("topic"))
    publisher.publish(wamp.uri("topic"), ["secret"], **SEALED)
    publisher.expect_violation()
    wamp.fence(subscriber, subscriber)


def test_PT_003_call(wamp: Peers) -> None:
    """INVOCATION has the keys and the octets of CALL."""
    caller, callee = serving(wamp)
    secret = wamp.serializer.bytes_value(SECRET)
    caller.call(wamp.uri("procedure"), [secret], **SEALED)
    invocation = callee.invocation()
    assert same(passthru(invocation[3]), SEALED) and same(invocation[4:], [[secret]])


def test_PT_003_parts(wamp: Peers) -> None:
    """Where arguments come in parts, the keys of the first part count."""
    caller, callee = serving(wamp)
    request = caller.call(wamp.uri("procedure"), ["one"], progress=True, **SEALED)
    caller.call_on(request, wamp.uri("procedure"), ["two"], ppt_scheme="x_other")
    for _ in range(2):
        assert passthru(callee.invocation()[3]) == SEALED


def test_PT_004_caller_did_not_announce_it(wamp: Peers) -> None:
    """CALL in this mode is a violation where the caller did not announce it."""
    caller, callee = serving(wamp, caller=WITHOUT)
    caller.call(wamp.uri("procedure"), ["secret"], **SEALED)
    caller.expect_violation()
    wamp.fence(callee, callee)


def test_PT_005_callee_did_not_announce_it(wamp: Peers) -> None:
    """A callee that did not announce it is not called, and the caller gets feature_not_supported."""
    caller, callee = serving(wamp, callee=WITHOUT)
    request = caller.call(wamp.uri("procedure"), ["secret"], **SEALED)
    caller.expect_error(m.CALL, request, NOT_SUPPORTED)
    wamp.fence(caller, callee)


def test_PT_006_result(wamp: Peers) -> None:
    """RESULT has the keys and the octets of YIELD, also of progressive ones."""
    caller, callee = serving(wamp)
    secret = wamp.serializer.bytes_value(SECRET)
    request = caller.call(wamp.uri("procedure"), receive_progress=True)
    invocation = callee.invocation()
    callee.reply(invocation, [secret], progress=True, **SEALED)
    callee.reply(invocation, [secret], **SEALED)
    progress = caller.expect(m.RESULT, request, ANY, [secret])
    assert progress[2] == {"progress": True, **SEALED}
    assert passthru(caller.result(request, [secret])[2]) == SEALED


def test_PT_007_callee_answers_without_announcing_it(wamp: Peers) -> None:
    """YIELD in this mode is a violation where the callee did not announce it, and the caller gets canceled."""
    caller, callee = serving(wamp, callee=WITHOUT)
    request = caller.call(wamp.uri("procedure"))
    callee.reply(callee.invocation(), ["secret"], **SEALED)
    callee.expect_violation()
    caller.expect_error(m.CALL, request, "wamp.error.canceled")


def test_PT_008_error(wamp: Peers) -> None:
    """The caller's ERROR has the keys and the octets of the callee's."""
    caller, callee = serving(wamp)
    secret = wamp.serializer.bytes_value(SECRET)
    request = caller.call(wamp.uri("procedure"))
    callee.send(m.ERROR, m.INVOCATION, callee.invocation()[1], SEALED, "com.example.error", [secret])
    error = caller.expect(m.ERROR, m.CALL, request, ANY, "com.example.error", [secret])
    assert passthru(error[3]) == SEALED


def test_PT_009_caller_gets_what_it_did_not_announce(wamp: Peers) -> None:
    """A caller that did not announce it gets feature_not_supported for a result in this mode."""
    caller, callee = serving(wamp, caller=WITHOUT)
    request = caller.call(wamp.uri("procedure"))
    callee.reply(callee.invocation(), ["secret"], **SEALED)
    caller.expect_error(m.CALL, request, NOT_SUPPORTED)
    callee.barrier()
    request = caller.call(wamp.uri("procedure"), receive_progress=True)
    invocation = callee.invocation()
    callee.reply(invocation, ["secret"], progress=True, **SEALED)
    caller.expect_error(m.CALL, request, NOT_SUPPORTED)
    callee.expect(m.INTERRUPT, invocation[1], ANY)
    callee.reply(invocation, ["late"])
    wamp.fence(callee, caller)


@pytest.mark.parametrize("transport", ["websocket", "rawsocket", "longpoll"])
@pytest.mark.parametrize("sender", [*ALL, BJDATA, UBJSON12], ids=lambda serializer: f"from_{serializer.name}")
def test_PT_010_octets_between_serializers(wamp_of, transport: str, sender: Serializer) -> None:
    """Octets stay what they are from one serializer to each other one, in events, calls, results and errors."""
    wamp = wamp_of(transport)
    publisher = wamp.join(serializer=sender)
    receivers = wamp.join_each()
    sent = sender.bytes_value(SECRET)
    for number, receiver in enumerate(receivers):
        secret = receiver.serializer.bytes_value(SECRET)
        subscription = receiver.subscribe(wamp.uri(f"topic{number}"))
        publisher.publish(wamp.uri(f"topic{number}"), [sent], **SEALED)
        assert passthru(receiver.event(subscription, [secret])[3]) == SEALED
        receiver.register(wamp.uri(f"procedure{number}"))
        request = publisher.call(wamp.uri(f"procedure{number}"), [sent], **SEALED)
        invocation = receiver.invocation()
        assert invocation[4] == [secret]
        receiver.reply(invocation, [secret], **SEALED)
        publisher.result(request, [sent])
        request = publisher.call(wamp.uri(f"procedure{number}"))
        receiver.send(m.ERROR, m.INVOCATION, receiver.invocation()[1], SEALED, "com.example.error", [secret])
        assert publisher.expect_error(m.CALL, request, "com.example.error") == [[sent]]


@pytest.mark.parametrize("scheme", ["x_foo", "mqtt", "wamp", "not.defined"])
def test_PT_011_any_scheme(wamp: Peers, scheme: str) -> None:
    """Payloads of any scheme pass unchanged, whatever they are."""
    caller, callee = serving(wamp)
    args, kwargs = ["\0 no base64 after this", {"a": [1, {}]}], {"b": [[]]}
    request = caller.call(wamp.uri("procedure"), args, kwargs, ppt_scheme=scheme)
    invocation = callee.invocation()
    assert invocation[3] == {"ppt_scheme": scheme}
    assert same(invocation[4:], [args, kwargs])
    callee.reply(invocation, args, kwargs, ppt_scheme=scheme)
    result = caller.result(request)
    assert result[2] == {"ppt_scheme": scheme} and same(result[3:], [args, kwargs])


@pytest.mark.parametrize("transport", ["websocket", "rawsocket"])
@pytest.mark.parametrize("sender", ALL, ids=lambda serializer: f"from_{serializer.name}")
@pytest.mark.parametrize("algo", ["cryptobox", "mqtt", "x_mine"])
def test_transparent_payload(wamp_of, transport: str, sender: Serializer, algo: str) -> None:
    """With enc_algo octets in the place of the arguments pass between all serializers."""
    wamp = wamp_of(transport)
    keys = {"enc_algo": algo, "enc_key": "key 7", "enc_serializer": "cbor"}
    publisher, sent = wamp.join(serializer=sender), sender.bytes_value(SECRET)
    for number, receiver in enumerate(wamp.join_each()):
        secret = receiver.serializer.bytes_value(SECRET)
        subscription = receiver.subscribe(wamp.uri(f"topic{number}"))
        publisher.send(m.PUBLISH, 1000 + number, keys, wamp.uri(f"topic{number}"), sent)
        event = receiver.event(subscription, secret)
        assert passthru(event[3]) == keys and len(event) == 5
        receiver.register(wamp.uri(f"procedure{number}"))
        publisher.send(m.CALL, 2000 + number, keys, wamp.uri(f"procedure{number}"), sent)
        invocation = receiver.expect(m.INVOCATION, ANY, ANY, keys, secret)
        receiver.send(m.YIELD, invocation[1], keys, secret)
        publisher.expect(m.RESULT, 2000 + number, keys, sent)
        publisher.send(m.CALL, 3000 + number, {}, wamp.uri(f"procedure{number}"))
        receiver.send(m.ERROR, m.INVOCATION, receiver.invocation()[1], keys, "com.example.error", secret)
        publisher.expect(m.ERROR, m.CALL, 3000 + number, keys, "com.example.error", sent)


def test_bare_octets_need_enc_algo(wamp: Peers) -> None:
    """Without enc_algo the arguments are a list."""
    publisher = wamp.join()
    publisher.send(m.PUBLISH, 1, {}, wamp.uri("topic"), JSON.bytes_value(SECRET))
    publisher.expect_violation()
