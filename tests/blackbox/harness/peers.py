"""Opens sessions for one test over one transport and serializer, and drops them at its end."""

import itertools
import select
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .longpoll import LongPoll
from .serializers import ALL, Serializer
from .session import Session
from .wire import PATIENCE, Address, RawSocket, WebSocket

TRANSPORTS = {kind.name: kind for kind in (WebSocket, RawSocket, LongPoll)}

_names = itertools.count(1)


def eventually(condition: Callable[[], bool], what: str = "condition") -> None:
    """The condition comes true soon: for what one session does and another one, on another shard, observes."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true"
        time.sleep(0.002)


def first_ready(sessions: list[Session]) -> Session:
    """The first of the sessions for which something arrives."""
    for session in sessions:
        if session.transport.has_buffered():
            return session
    by_socket = {session.transport.sock: session for session in sessions}
    ready, _, _ = select.select(list(by_socket), [], [], PATIENCE)
    assert ready, "nothing arrived at any session"
    return by_socket[ready[0]]


class Peers:
    """What a test asks for connections, sessions and names of its own."""

    def __init__(self, addresses: dict[tuple[str, str], Address], transport: str, serializer: Serializer) -> None:
        self.addresses = addresses
        self.transport = transport
        self.serializer = serializer
        self._prefix = f"test{next(_names)}"
        self._open: list[Session] = []

    @property
    def is_websocket(self) -> bool:
        """Whether the test runs over WebSocket."""
        return self.transport == "websocket"

    def many(self, count: int) -> int:
        """So many messages, or fewer where each takes a request."""
        return count // 10 if self.transport == "longpoll" else count

    def uri(self, name: str) -> str:
        """A URI that no other test uses."""
        return f"{self._prefix}.{name}"

    def address(
        self, identity: str = "anonymous", transport: str | None = None, serializer: Serializer | None = None
    ) -> Address:
        """Where an identity is served."""
        transport, dialect = transport or self.transport, (serializer or self.serializer).path
        if transport == "rawsocket":
            return self.addresses[transport, identity + dialect]
        address = self.addresses[transport, identity]
        return replace(address, path=address.path + dialect)

    def wire(
        self, identity: str = "anonymous", serializer: Serializer | None = None, **arguments: Any
    ) -> WebSocket | RawSocket | LongPoll:
        """A new connection after the transport's handshake."""
        kind = TRANSPORTS[self.transport]
        serializer = serializer or self.serializer
        return kind(self.address(identity, serializer=serializer), serializer, **arguments)

    def connect(
        self, identity: str = "anonymous", serializer: Serializer | None = None, **arguments: Any
    ) -> Session:
        """A connection on which no HELLO was sent yet."""
        session = Session(self.wire(identity, serializer, **arguments))
        self._open.append(session)
        return session

    def join(
        self,
        realm: str = "realm1",
        roles: dict | None = None,
        identity: str = "anonymous",
        serializer: Serializer | None = None,
        **details: Any,
    ) -> Session:
        """A session that was welcomed."""
        return self.connect(identity, serializer).join(realm, roles, **details)

    def join_many(self, count: int, realm: str = "realm1") -> list[Session]:
        """Several sessions, which the kernel spreads over the shards."""
        return [self.join(realm) for _ in range(count)]

    def join_each(self, realm: str = "realm1") -> list[Session]:
        """One session of each serializer."""
        return [self.join(realm, serializer=serializer) for serializer in ALL]

    def fence(self, publisher: Session, *subscribers: Session) -> None:
        """Nothing that the publisher did before is still on its way to the subscribers, who got nothing else."""
        topic = self.uri(f"fence{next(_names)}")
        subscriptions = [subscriber.subscribe(topic) for subscriber in subscribers]
        publisher.publish(topic, ["fence"], exclude_me=False)
        for subscriber, subscription in zip(subscribers, subscriptions):
            subscriber.event(subscription, ["fence"])

    def close(self) -> None:
        """Drops all connections of the test."""
        for session in self._open:
            session.close()
