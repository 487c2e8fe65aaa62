"""What tests of the meta API share: calls with one result, and meta events with their topics."""

from typing import Any

from . import messages as m
from .peers import Peers
from .session import Session

NO_SUCH_SESSION = "wamp.error.no_such_session"
INVALID_ARGUMENT = "wamp.error.invalid_argument"


def ask(session: Session, procedure: str, *args: Any, **kwargs: Any) -> Any:
    """Calls a meta procedure; its only result, or None where it has none."""
    request = session.call(procedure, list(args), kwargs)
    result = session.result(request)
    assert len(result) <= 4 and len(result[3:] and result[3]) <= 1, result
    return result[3][0] if len(result) > 3 else None


def refused(session: Session, error: str, procedure: str, *args: Any, **kwargs: Any) -> None:
    """A call of a meta procedure fails with this error."""
    request = session.call(procedure, list(args), kwargs)
    session.expect_error(m.CALL, request, error)


def past_events(session: Session, subscription: int, *args: Any, **kwargs: Any) -> list[dict]:
    """The past events of a subscription."""
    request = session.call("wamp.subscription.get_events", [subscription, *args], kwargs)
    result = session.result(request)
    return result[3] if len(result) > 3 else []


def concerns(args: list, subject: int) -> bool:
    """Whether a meta event of these arguments is about this id."""
    return subject in args or any(isinstance(arg, dict) and subject in arg.values() for arg in args)


class Watcher:
    """A session that subscribes to meta events and keeps them in the order of arrival."""

    def __init__(self, wamp: Peers, *topics: str, realm: str = "realm1") -> None:
        self.session = wamp.join(realm)
        self.topics = {self.session.subscribe(topic): topic for topic in topics}

    def next(self) -> tuple[str, list]:
        """The next meta event: the last part of its topic, and its arguments."""
        event = self.session.event()
        assert "publisher" not in event[3], event
        return self.topics[event[1]].rsplit(".", 1)[1], event[4]

    def about(self, subject: int) -> tuple[str, list]:
        """The next meta event whose arguments name this id: other tests' sessions may still come and go."""
        while True:
            name, args = self.next()
            if concerns(args, subject):
                return name, args

    def is_silent_about(self, subject: int) -> None:
        """Nothing more about this id has arrived, or is on its way."""
        request = self.session.call("wamp.session.count")
        while (message := self.session.recv())[0] == m.EVENT:
            assert not concerns(message[4], subject), message
        assert message[:2] == [m.RESULT, request], message
