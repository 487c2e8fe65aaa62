"""A WAMP session of the raw client: sends any message, and expects exact replies."""

from typing import Any

from . import messages as m
from .longpoll import LongPoll
from .values import same
from .wire import PATIENCE, Closed, RawSocket, WebSocket

ANY = ...  # in a pattern given to `Session.expect`: any value


def payload(args: list | None, kwargs: dict | None) -> list:
    """The trailing elements of a message, with empties left out."""
    if kwargs:
        return [args or [], kwargs]
    return [] if args is None else [args]


class Session:
    """One connection with one session at a time. `id`, `details` and `realm` are set by `join`."""

    def __init__(self, transport: WebSocket | RawSocket | LongPoll) -> None:
        self.transport = transport
        self.serializer = transport.serializer
        self.id: int = 0
        self.details: dict = {}
        self._request = 0

    # -- messages as they are ---------------------------------------------------------------------

    def send(self, *message: Any) -> None:
        """Sends one message, given element by element."""
        self.transport.send_message(self.serializer.dumps(list(message)))

    def send_bytes(self, data: bytes) -> None:
        """Sends the octets of one message, right or wrong."""
        self.transport.send_message(data)

    def recv(self, timeout: float = PATIENCE) -> list:
        """The next message."""
        message = self.serializer.loads(self.transport.recv_message(timeout))
        assert isinstance(message, list) and message, f"not a message: {message!r}"
        return message

    def expect(self, *pattern: Any, timeout: float = PATIENCE) -> list:
        """The next message, which must have these elements and no more; `ANY` stands for any value."""
        message = self.recv(timeout)
        fits = len(message) == len(pattern) and all(
            want is ANY or same(got, want) for got, want in zip(message, pattern)
        )
        assert fits, f"expected {list(pattern)!r}, got {message!r}"
        return message

    def expect_closed(self, keep: bool = False) -> Closed:
        """The connection is closed by the router, with no message before that; `keep` leaves our side open."""
        try:
            message = self.transport.recv_message()
        except Closed as closed:
            if not keep:
                self.close()
            return closed
        raise AssertionError(f"expected the connection to be closed, got {message!r}")

    def expect_abort(self, reason: str) -> dict:
        """ABORT with this reason and its three elements; the details."""
        abort = self.expect(m.ABORT, ANY, reason)
        assert isinstance(abort[1], dict), abort
        assert isinstance(abort[1].get("message", ""), str), abort
        return abort[1]

    def expect_violation(self) -> None:
        """ABORT for a protocol violation, after which the transport is closed."""
        self.expect_abort(m.VIOLATION)
        closed = self.expect_closed()
        if isinstance(self.transport, WebSocket):
            assert closed.code == 1002, closed

    def expect_error(self, kind: int, request: int, uri: str) -> list:
        """ERROR for a request; the payload elements."""
        error = self.recv()
        assert error[:3] == [m.ERROR, kind, request], f"expected ERROR {kind} {request} {uri}, got {error!r}"
        assert isinstance(error[3], dict) and error[4] == uri, f"expected {uri}, got {error!r}"
        return error[5:]

    # -- the session ------------------------------------------------------------------------------

    def hello(self, realm: str, roles: dict | None = None, **details: Any) -> None:
        """Sends HELLO."""
        self._request = 0
        self.send(m.HELLO, realm, {"roles": m.ALL_ROLES if roles is None else roles, **details})

    def join(self, realm: str = "realm1", roles: dict | None = None, **details: Any) -> "Session":
        """Sends HELLO and takes WELCOME."""
        self.hello(realm, roles, **details)
        self.welcome()
        return self

    def welcome(self) -> None:
        """Takes WELCOME."""
        _, self.id, self.details = self.expect(m.WELCOME, ANY, ANY)

    def leave(self) -> None:
        """Closes the session by the GOODBYE handshake."""
        self.send(m.GOODBYE, {}, "wamp.close.close_realm")
        self.expect(m.GOODBYE, ANY, "wamp.close.goodbye_and_out")

    def close(self) -> None:
        """Drops the connection."""
        self.transport.close()

    def request(self, kind: int, *rest: Any) -> int:
        """Sends a request with the next request id, which is returned."""
        self._request += 1
        self.send(kind, self._request, *rest)
        return self._request

    def barrier(self) -> None:
        """Nothing has arrived, and nothing does before the answer to a question that is asked now.

        All shards answer it, each after what it has posted before: so nothing is on its way either of all that was handled by
        now. Where the session may not ask the router answers at once.
        """
        request = self.request(m.CALL, {}, "wamp.session.count")
        answer = self.recv()
        is_answer = answer[:2] == [m.RESULT, request] or answer[:3] == [m.ERROR, m.CALL, request]
        assert is_answer, f"expected nothing, got {answer!r}"

    # -- publish and subscribe --------------------------------------------------------------------

    def subscribe(self, topic: str, **options: Any) -> int:
        """Subscribes; the subscription id."""
        request = self.request(m.SUBSCRIBE, options, topic)
        return self.expect(m.SUBSCRIBED, request, ANY)[2]

    def unsubscribe(self, subscription: int) -> None:
        """Unsubscribes."""
        request = self.request(m.UNSUBSCRIBE, subscription)
        self.expect(m.UNSUBSCRIBED, request)

    def publish(self, topic: str, args: list | None = None, kwargs: dict | None = None, **options: Any) -> int:
        """Sends PUBLISH; the request id."""
        return self.request(m.PUBLISH, options, topic, *payload(args, kwargs))

    def publish_ack(self, topic: str, args: list | None = None, kwargs: dict | None = None, **options: Any) -> int:
        """Publishes with acknowledgement; the publication id."""
        request = self.publish(topic, args, kwargs, acknowledge=True, **options)
        return self.expect(m.PUBLISHED, request, ANY)[2]

    def event(self, subscription: int | None = None, args: list | None = None) -> list:
        """Takes an EVENT, of this subscription and with these arguments if given."""
        event = self.recv()
        assert event[0] == m.EVENT, f"expected EVENT, got {event!r}"
        assert subscription in (None, event[1]), f"expected EVENT of {subscription}, got {event!r}"
        assert args is None or same(event[4:5], [args]), f"expected arguments {args!r}, got {event!r}"
        return event

    # -- remote procedure calls -------------------------------------------------------------------

    def register(self, procedure: str, **options: Any) -> int:
        """Registers; the registration id."""
        request = self.request(m.REGISTER, options, procedure)
        return self.expect(m.REGISTERED, request, ANY)[2]

    def unregister(self, registration: int) -> None:
        """Unregisters."""
        request = self.request(m.UNREGISTER, registration)
        self.expect(m.UNREGISTERED, request)

    def call(self, procedure: str, args: list | None = None, kwargs: dict | None = None, **options: Any) -> int:
        """Sends CALL; the request id."""
        return self.request(m.CALL, options, procedure, *payload(args, kwargs))

    def call_on(
        self, request: int, procedure: str, args: list | None = None, kwargs: dict | None = None, **options: Any
    ) -> None:
        """Sends one more CALL with the request id of an earlier one: a further part of its arguments."""
        self.send(m.CALL, request, options, procedure, *payload(args, kwargs))

    def invocation(self, registration: int | None = None) -> list:
        """Takes an INVOCATION, of this registration if given."""
        invocation = self.recv()
        assert invocation[0] == m.INVOCATION, f"expected INVOCATION, got {invocation!r}"
        assert registration in (None, invocation[2]), f"expected INVOCATION of {registration}, got {invocation!r}"
        return invocation

    def reply(self, invocation: list, args: list | None = None, kwargs: dict | None = None, **options: Any) -> None:
        """Sends YIELD for an invocation."""
        self.send(m.YIELD, invocation[1], options, *payload(args, kwargs))

    def reply_error(self, invocation: list, uri: str, args: list | None = None, kwargs: dict | None = None) -> None:
        """Sends ERROR for an invocation."""
        self.send(m.ERROR, m.INVOCATION, invocation[1], {}, uri, *payload(args, kwargs))

    def result(self, request: int, args: list | None = None) -> list:
        """Takes the final RESULT of a call, with these arguments if given."""
        result = self.recv()
        assert result[:2] == [m.RESULT, request], f"expected RESULT {request}, got {result!r}"
        assert result[2].get("progress", False) is False, f"expected a final RESULT, got {result!r}"
        assert args is None or same(result[3:4], [args]), f"expected {args!r}, got {result!r}"
        return result

    def no_such_procedure(self, procedure: str) -> bool:
        """Whether a call says that nobody has registered the procedure."""
        request = self.call(procedure)
        error = self.recv()
        assert error[:3] == [m.ERROR, m.CALL, request], f"expected an ERROR, got {error!r}"
        return error[4] == "wamp.error.no_such_procedure"


def call_through(caller: Session, callee: Session, procedure: str) -> None:
    """A call that succeeds."""
    request = caller.call(procedure, ["ping"])
    callee.reply(callee.invocation(), ["pong"])
    caller.result(request, ["pong"])
