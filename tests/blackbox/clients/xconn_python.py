"""xconn on asyncio: xconn_python.py TRANSPORT SERIALIZER HOST PORT PATH

The client knows neither progressive results nor cancelling.
"""

import asyncio
import sys

from xconn import AsyncClient, CBORSerializer, JSONSerializer, MsgPackSerializer
from xconn.async_session import AsyncSession
from xconn.exception import ApplicationError
from xconn.types import Event, Invocation, Result

from steps import Steps, expect

TRANSPORT, SERIALIZER, HOST, PORT, PATH = sys.argv[1:6]
SERIALIZERS = {"json": JSONSerializer, "msgpack": MsgPackSerializer, "cbor": CBORSerializer}


async def connect() -> AsyncSession:
    """A session that has joined."""
    url = f"ws://{HOST}:{PORT}{PATH}" if TRANSPORT == "websocket" else f"rs://{HOST}:{PORT}"
    return await AsyncClient(serializer=SERIALIZERS[SERIALIZER]()).connect(url, "realm1")


def name(text: str) -> str:
    """A URI for this run."""
    return f"xconn.{TRANSPORT}.{SERIALIZER}.{text}"


async def subscribe(a: AsyncSession, b: AsyncSession) -> None:
    """Exact, prefix and wildcard subscriptions each receive a publication."""
    inbox: asyncio.Queue = asyncio.Queue()
    patterns = {"exact": name("topic.x.end"), "prefix": name("topic"), "wildcard": name("topic..end")}
    subscriptions = []
    for match, pattern in patterns.items():

        async def handler(event: Event, match: str = match) -> None:
            inbox.put_nowait((match, list(event.args), event.kwargs))

        subscriptions.append(await b.subscribe(pattern, handler, {"match": match}))
    await a.publish(name("topic.x.end"), [1, "two"], {"k": [3]}, {"acknowledge": True})
    events = [await inbox.get() for _ in patterns]
    expect(sorted(events), sorted((match, [1, "two"], {"k": [3]}) for match in patterns))
    for subscription in subscriptions:
        await subscription.unsubscribe()


async def call(a: AsyncSession, b: AsyncSession) -> None:
    """A call with arguments, and large ones."""

    async def echo(invocation: Invocation) -> Result:
        return Result(invocation.args, invocation.kwargs)

    await b.register(name("echo"), echo)
    for args in ([1, "zwei", None, {"x": [1.5]}], ["x" * 300_000]):
        result = await a.call(name("echo"), args, {"k": 1})
        expect((list(result.args), result.kwargs), (args, {"k": 1}))


async def error_of(doing) -> str:
    """The URI with which a request fails."""
    try:
        result = await doing
    except ApplicationError as error:
        return error.message
    raise AssertionError(f"expected an error, got {result!r}")


async def errors(a: AsyncSession, b: AsyncSession) -> None:
    """Errors of the callee and of the router."""

    async def fail(_: Invocation) -> Result:
        raise ApplicationError("com.example.error", "why")

    registration = await b.register(name("fail"), fail)
    expect(await error_of(a.call(name("fail"))), "com.example.error")
    expect(await error_of(a.register(name("fail"), fail)), "wamp.error.procedure_already_exists")
    await registration.unregister()
    expect(await error_of(a.call(name("fail"))), "wamp.error.no_such_procedure")


async def timeout(a: AsyncSession, b: AsyncSession) -> None:
    """A call that takes too long fails, and the callee's late answer disturbs nobody."""
    release = asyncio.Event()

    async def slow(_: Invocation) -> Result:
        await release.wait()
        return Result(["late"])

    await b.register(name("slow"), slow)
    expect(await error_of(a.call(name("slow"), options={"timeout": 50})), "wamp.error.timeout")
    release.set()
    await call_again(a, b)


async def call_again(a: AsyncSession, b: AsyncSession) -> None:
    """Both sessions still work."""

    async def alive(_: Invocation) -> Result:
        return Result(["alive"])

    registration = await b.register(name("alive"), alive)
    expect(list((await a.call(name("alive"))).args), ["alive"])
    await registration.unregister()


async def killed_peer(a: AsyncSession, b: AsyncSession) -> None:
    """A call fails when its callee dies, and the procedure is free again."""
    c, called = await connect(), asyncio.Event()

    async def hang(_: Invocation) -> Result:
        called.set()
        await asyncio.Event().wait()
        return Result()

    await c.register(name("hang"), hang)
    pending = asyncio.ensure_future(a.call(name("hang")))
    await called.wait()
    await c._base_session.transport.close()
    expect(await error_of(pending), "wamp.error.canceled")
    await b.register(name("hang"), hang)


async def leave(a: AsyncSession, b: AsyncSession) -> None:
    """GOODBYE and its answer."""
    for session in (a, b):
        await session.leave()
        assert session._goodbye_request.done() and not session._goodbye_request.cancelled()


SCENARIO = (subscribe, call, errors, timeout, killed_peer, leave)


async def main() -> None:
    """Runs the scenario."""
    steps = Steps()
    a, b = await connect(), await connect()
    for doing in SCENARIO:
        await steps.step(doing.__name__, doing(a, b))
    steps.end()


if __name__ == "__main__":
    asyncio.run(main())
