"""autobahn-python on asyncio or Twisted: autobahn_python.py FRAMEWORK TRANSPORT SERIALIZER HOST PORT PATH"""

import sys

import txaio

FRAMEWORK, TRANSPORT, SERIALIZER, HOST, PORT, PATH = sys.argv[1:7]
if FRAMEWORK == "asyncio":
    txaio.use_asyncio()  # before autobahn is imported, which takes the framework's functions then
else:
    txaio.use_twisted()

from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.serializer import (
    CBORSerializer,
    FlatBuffersSerializer,
    JsonSerializer,
    MsgPackSerializer,
    UBJSONSerializer,
)
from autobahn.wamp.types import (
    CallOptions,
    ComponentConfig,
    PublishOptions,
    RegisterOptions,
    SubscribeOptions,
)
from steps import Steps, expect

SERIALIZERS = {
    "json": JsonSerializer,
    "msgpack": MsgPackSerializer,
    "cbor": CBORSerializer,
    "ubjson": UBJSONSerializer,
    "flatbuffers": FlatBuffersSerializer,
}

if FRAMEWORK == "asyncio":
    import asyncio

    from autobahn.asyncio.rawsocket import WampRawSocketClientFactory
    from autobahn.asyncio.wamp import ApplicationSession
    from autobahn.asyncio.websocket import WampWebSocketClientFactory

    Cancelled = asyncio.CancelledError
else:
    from autobahn.twisted.rawsocket import WampRawSocketClientFactory
    from autobahn.twisted.wamp import ApplicationSession
    from autobahn.twisted.websocket import WampWebSocketClientFactory
    from twisted.internet import reactor
    from twisted.internet.defer import CancelledError as Cancelled
    from twisted.internet.defer import ensureDeferred
    from twisted.internet.endpoints import TCP4ClientEndpoint
    from twisted.internet.task import react


class Inbox:
    """What arrived, to be awaited."""

    def __init__(self) -> None:
        self._items: list[object] = []
        self._waiting = None

    def put(self, item: object) -> None:
        """Takes an item in."""
        self._items.append(item)
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            txaio.resolve(waiting, None)

    async def take(self, count: int) -> list:
        """The first `count` items."""
        while len(self._items) < count:
            self._waiting = txaio.create_future()
            await self._waiting
        taken, self._items = self._items[:count], self._items[count:]
        return taken


class Session(ApplicationSession):
    """A session whose joining and leaving can be awaited."""

    def __init__(self) -> None:
        super().__init__(ComponentConfig(realm="realm1"))
        self.joined = txaio.create_future()
        self.left = txaio.create_future()

    def onJoin(self, details) -> None:  # noqa: N802 (autobahn's name)
        """The session is open."""
        txaio.resolve(self.joined, details)

    def onLeave(self, details) -> None:  # noqa: N802
        """The session is closed."""
        txaio.resolve(self.left, details)
        self.disconnect()


async def connect() -> Session:
    """A session that has joined."""
    session = Session()
    serializer = SERIALIZERS[SERIALIZER]()
    if TRANSPORT == "websocket":
        url = f"ws://{HOST}:{PORT}{PATH}"
        factory = WampWebSocketClientFactory(lambda: session, url=url, serializers=[serializer])
    else:
        factory = WampRawSocketClientFactory(lambda: session, serializer=serializer)
    if FRAMEWORK == "asyncio":
        await asyncio.get_running_loop().create_connection(factory, HOST, int(PORT))
    else:
        await TCP4ClientEndpoint(reactor, HOST, int(PORT)).connect(factory)
    expect((await session.joined).realm, "realm1")
    return session


def name(text: str) -> str:
    """A URI for this run."""
    return f"autobahn.{FRAMEWORK}.{TRANSPORT}.{SERIALIZER}.{text}"


async def subscribe(a: Session, b: Session) -> None:
    """Exact, prefix and wildcard subscriptions each receive a publication."""
    inbox = Inbox()
    patterns = {"exact": name("topic.x.end"), "prefix": name("topic"), "wildcard": name("topic..end")}
    subscriptions = []
    for match, pattern in patterns.items():

        def handler(*args, details=None, match=match, **kwargs):
            inbox.put((match, args, kwargs, details.topic))

        options = SubscribeOptions(match=match, details=True)
        subscriptions.append(await b.subscribe(handler, pattern, options=options))
    publication = await a.publish(name("topic.x.end"), 1, "two", k=[3], options=PublishOptions(acknowledge=True))
    assert publication.id > 0
    events = await inbox.take(3)
    topic = name("topic.x.end")
    expect(sorted(events), sorted((match, (1, "two"), {"k": [3]}, topic) for match in patterns))
    for subscription in subscriptions:
        await subscription.unsubscribe()
    await a.publish(topic, "after", options=PublishOptions(acknowledge=True))


async def publish_options(a: Session, b: Session) -> None:
    """Own events, exclusion and eligibility."""
    at_a, at_b = Inbox(), Inbox()
    await a.subscribe(at_a.put, name("lists"))
    await b.subscribe(at_b.put, name("lists"))
    for text, options in (
        ("both", {"exclude_me": False}),
        ("a", {"exclude_me": False, "eligible": [a._session_id]}),
        ("b", {"exclude_me": False, "exclude": [a._session_id]}),
        ("end", {"exclude_me": False}),
    ):
        await a.publish(name("lists"), text, options=PublishOptions(acknowledge=True, **options))
    expect(await at_a.take(3), ["both", "a", "end"])
    expect(await at_b.take(3), ["both", "b", "end"])


async def call(a: Session, b: Session) -> None:
    """A call with arguments, and large ones."""
    await b.register(lambda *args, **kwargs: [list(args), kwargs], name("echo"))
    expect(await a.call(name("echo"), 1, "zwei", None, k={"x": [1.5]}), [[1, "zwei", None], {"k": {"x": [1.5]}}])
    expect(await a.call(name("echo"), "x" * 300_000), [["x" * 300_000], {}])


async def error_of(doing) -> ApplicationError:
    """The error with which a call fails."""
    try:
        result = await doing
    except ApplicationError as error:
        return error
    raise AssertionError(f"expected an error, got {result!r}")


async def errors(a: Session, b: Session) -> None:
    """Errors of the callee and of the router."""

    def fail():
        raise ApplicationError("com.example.error", "why", code=7)

    registration = await b.register(fail, name("fail"))
    error = await error_of(a.call(name("fail")))
    expect((error.error, tuple(error.args), error.kwargs), ("com.example.error", ("why",), {"code": 7}))
    error = await error_of(a.register(fail, name("fail")))
    expect(error.error, "wamp.error.procedure_already_exists")
    await registration.unregister()
    expect((await error_of(a.call(name("fail")))).error, "wamp.error.no_such_procedure")


async def progress(a: Session, b: Session) -> None:
    """Progressive results."""

    def count(limit, details=None):
        for number in range(limit):
            details.progress(number)
        return "done"

    await b.register(count, name("count"), options=RegisterOptions(details=True))
    got = []
    expect(await a.call(name("count"), 5, options=CallOptions(on_progress=got.append)), "done")
    expect(got, list(range(5)))


async def cancel(a: Session, b: Session) -> None:
    """A cancelled call interrupts its callee."""
    inbox = Inbox()

    def wait():
        inbox.put("called")
        return txaio.create_future(canceller=lambda _: inbox.put("interrupted"))

    await b.register(wait, name("wait"))
    pending = a.call(name("wait"))
    expect(await inbox.take(1), ["called"])
    pending.cancel()
    try:
        await pending
        raise AssertionError("the call was not cancelled")
    except Cancelled:
        pass
    expect(await inbox.take(1), ["interrupted"])
    await call_again(a, b)


async def call_again(a: Session, b: Session) -> None:
    """Both sessions still work."""
    registration = await b.register(lambda: "alive", name("alive"))
    expect(await a.call(name("alive")), "alive")
    await registration.unregister()


async def timeout(a: Session, b: Session) -> None:
    """A call that takes too long fails, and its callee is interrupted."""
    inbox = Inbox()
    await b.register(lambda: txaio.create_future(canceller=lambda _: inbox.put("interrupted")), name("slow"))
    error = await error_of(a.call(name("slow"), options=CallOptions(timeout=50)))
    expect(error.error, "wamp.error.timeout")
    expect(await inbox.take(1), ["interrupted"])


async def killed_peer(a: Session, _b: Session) -> None:
    """A call fails when its callee dies, and the procedure is free again."""
    inbox, c = Inbox(), await connect()

    def hang():
        inbox.put("called")
        return txaio.create_future()

    await c.register(hang, name("hang"))
    pending = a.call(name("hang"))
    await inbox.take(1)
    c._transport.abort()
    expect((await error_of(pending)).error, "wamp.error.canceled")
    await a.register(lambda: "mine", name("hang"))


async def leave(a: Session, b: Session) -> None:
    """GOODBYE and its answer."""
    for session in (a, b):
        session.leave()
        expect((await session.left).reason.startswith("wamp.close."), True)


SCENARIO = (subscribe, publish_options, call, errors, progress, cancel, timeout, killed_peer, leave)
if SERIALIZER == "flatbuffers":  # autobahn 26.10 fails at every error that has arguments
    SCENARIO = (subscribe, publish_options, call, progress, leave)


async def main() -> bool:
    """Runs the scenario; whether it failed."""
    steps = Steps()
    a, b = await connect(), await connect()
    for doing in SCENARIO:
        await steps.step(doing.__name__, doing(a, b))
    return steps.failed


if __name__ == "__main__":
    if FRAMEWORK == "asyncio":
        sys.exit(asyncio.run(main()))
    react(lambda _: ensureDeferred(main()).addCallback(sys.exit))
