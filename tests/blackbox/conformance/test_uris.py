"""Which URIs and patterns are valid (UR)."""

import pytest
from harness import messages as m
from harness.peers import Peers
from harness.session import Session

INVALID = "wamp.error.invalid_uri"
EMPTY_COMPONENT = ["com..x", ".com.x", "com.x.", "..", "."]


def refused(session: Session, kind: int, uri: str, **options: object) -> None:
    """The request is answered by ERROR invalid_uri, and the session goes on."""
    request = session.request(kind, options, uri)
    session.expect_error(kind, request, INVALID)
    session.barrier()


@pytest.mark.parametrize("uri", EMPTY_COMPONENT)
def test_UR_001_subscribe_empty_component(wamp: Peers, uri: str) -> None:
    """SUBSCRIBE of a URI with an empty component is answered by invalid_uri."""
    refused(wamp.join(), m.SUBSCRIBE, uri)


@pytest.mark.parametrize("uri", EMPTY_COMPONENT)
def test_UR_002_register_empty_component(wamp: Peers, uri: str) -> None:
    """REGISTER of a URI with an empty component is answered by invalid_uri."""
    refused(wamp.join(), m.REGISTER, uri)


@pytest.mark.parametrize("uri", EMPTY_COMPONENT)
def test_UR_003_call_empty_component(wamp: Peers, uri: str) -> None:
    """CALL of a URI with an empty component is answered by invalid_uri."""
    refused(wamp.join(), m.CALL, uri)


@pytest.mark.parametrize("uri", EMPTY_COMPONENT)
def test_UR_004_publish_acknowledged(wamp: Peers, uri: str) -> None:
    """PUBLISH with acknowledgement to an invalid URI is answered by invalid_uri."""
    refused(wamp.join(), m.PUBLISH, uri, acknowledge=True)


@pytest.mark.parametrize("uri", EMPTY_COMPONENT)
def test_UR_005_publish_unacknowledged(wamp: Peers, uri: str) -> None:
    """PUBLISH without acknowledgement to an invalid URI is not answered, and the session goes on."""
    session, watcher = wamp.join("nometa"), wamp.join("nometa")
    for pattern, match in (("", "prefix"), ("", "wildcard"), (".", "wildcard"), ("..", "wildcard")):
        watcher.subscribe(pattern, match=match)
    session.publish(uri, ["nowhere"])
    session.barrier()
    session.publish(wamp.uri("fence"))
    assert watcher.event()[3]["topic"] == wamp.uri("fence")


def each_kind_refuses(session: Session, uri: str) -> None:
    """SUBSCRIBE, REGISTER, CALL and acknowledged PUBLISH answer invalid_uri."""
    for kind in (m.SUBSCRIBE, m.REGISTER, m.CALL):
        refused(session, kind, uri)
    refused(session, m.PUBLISH, uri, acknowledge=True)


@pytest.mark.parametrize("uri", ["com.#x", "#", "com.x#"])
def test_UR_006_hash(wamp: Peers, uri: str) -> None:
    """A number sign in a URI is invalid."""
    each_kind_refuses(wamp.join(), uri)


@pytest.mark.parametrize("uri", ["com.a b", "com.\t", " ", "com.x\n"], ids=["space", "tab", "only", "newline"])
def test_UR_007_white_space(wamp: Peers, uri: str) -> None:
    """White space in a URI is invalid."""
    each_kind_refuses(wamp.join(), uri)


def test_UR_008_empty_uri(wamp: Peers) -> None:
    """The empty string is no URI."""
    each_kind_refuses(wamp.join(), "")


@pytest.mark.parametrize("kind", [m.SUBSCRIBE, m.REGISTER])
def test_UR_009_prefix_with_trailing_dot(wamp: Peers, kind: int) -> None:
    """A prefix pattern may end in a dot."""
    session = wamp.join()
    request = session.request(kind, {"match": "prefix"}, wamp.uri("app."))
    session.expect(kind + 1, request, ...)


def test_UR_010_empty_prefix(wamp: Peers) -> None:
    """The empty prefix is a pattern that receives everything."""
    session, publisher = wamp.join(), wamp.join()
    subscription = session.subscribe("", match="prefix")
    for topic in (wamp.uri("one"), wamp.uri("two.three")):
        publisher.publish(topic, [topic])
        event = session.event(subscription)
        while event[4:] != [[topic]]:  # what other tests leave behind
            event = session.event(subscription)
        assert event[3]["topic"] == topic


@pytest.mark.parametrize("kind", [m.SUBSCRIBE, m.REGISTER])
def test_UR_011_prefix_with_empty_component(wamp: Peers, kind: int) -> None:
    """A prefix pattern with an empty component before its last is invalid."""
    refused(wamp.join(), kind, "com..x", match="prefix")


@pytest.mark.parametrize("kind", [m.SUBSCRIBE, m.REGISTER])
def test_UR_012_wildcards(wamp: Peers, kind: int) -> None:
    """In a wildcard pattern every component may be empty."""
    session = wamp.join("realm2")  # where no other test's events match
    for pattern in ("com..x", ".x", "x.", "..", ""):
        request = session.request(kind, {"match": "wildcard"}, pattern)
        reply = session.expect(kind + 1, request, ...)
        request = session.request(kind + 2, reply[2])
        while (message := session.recv())[0] == m.EVENT:
            assert message[3]["topic"].startswith("wamp."), message
        assert message == [kind + 3, request]


def test_UR_013_letters_of_the_world(wamp: Peers) -> None:
    """Components may hold any letters."""
    session = wamp.join()
    topic = wamp.uri("größe.日本.😀.Ab-c_d")
    subscription = session.subscribe(topic)
    session.publish(topic, exclude_me=False)
    session.event(subscription)


@pytest.mark.parametrize("uri", ["com.App", "com.app-x", "com.größe"], ids=["upper", "dash", "umlaut"])
def test_UR_014_strict_uris(wamp: Peers, uri: str) -> None:
    """Where URIs are checked strictly, components hold lower-case letters, digits and underscores only."""
    session = wamp.join("strict_uris")
    each_kind_refuses(session, uri)
    refused(session, m.SUBSCRIBE, uri, match="prefix")
    session.subscribe("com.app_1")


def test_UR_015_register_reserved(wamp: Peers) -> None:
    """Nobody but the router registers below wamp."""
    session = wamp.join()
    for match in ("exact", "prefix", "wildcard"):
        request = session.request(m.REGISTER, {"match": match}, "wamp.mine")
        error = session.recv()
        assert error[:3] == [m.ERROR, m.REGISTER, request], error
        assert error[4] in (INVALID, "wamp.error.not_authorized"), error


def test_UR_016_publish_reserved(wamp: Peers) -> None:
    """Nobody but the router publishes below wamp."""
    session, witness = wamp.join(), wamp.join()
    witness.subscribe("wamp.mine")
    request = session.publish("wamp.mine", acknowledge=True)
    error = session.recv()
    assert error[:3] == [m.ERROR, m.PUBLISH, request], error
    assert error[4] in (INVALID, "wamp.error.not_authorized"), error
    wamp.fence(session, witness)


def test_UR_017_subscribe_reserved(wamp: Peers) -> None:
    """Everybody may subscribe below wamp."""
    wamp.join().subscribe("wamp.session.on_join")


def test_UR_018_reserved_is_a_component(wamp: Peers) -> None:
    """Only the component wamp is reserved, not what begins with these letters."""
    session = wamp.join()
    session.unregister(session.register("wampx.y"))
    session.publish_ack("wampx.y")
