"""The router configurations of the tests, in Crossbar.io's format."""

from .wire import Address

SERIALIZERS = ["cbor", "msgpack", "json", "ubjson", "flatbuffers"]

# Who a connection is, by the listener it comes in at: role and fixed authid (None: assigned by the router).
IDENTITIES: dict[str, tuple[str, str | None]] = {
    "anonymous": ("anonymous", None),
    "alice": ("frontend", "alice"),
    "bob": ("frontend", "bob"),
    "backend": ("backend", "backend"),
    "limited": ("limited", "limited"),
    "disclosed": ("disclosed", "disclosed"),
    "trusting": ("trusting", "trusting"),
    "testator": ("testator", "testator"),
    "historian": ("historian", "historian"),
    "special": ("special", None),
}

# What is behind a path where the older dialect of UBJSON is spoken.
OLDER = "_ubjson12"

EVERYTHING = {"call": True, "register": True, "publish": True, "subscribe": True}


def permission(uri: str, match: str = "prefix", disclose: dict | None = None, **allow: bool) -> dict:
    """One entry of a role's permissions; everything is allowed unless something is named."""
    return {
        "uri": uri,
        "match": match,
        "allow": allow or EVERYTHING,
        "disclose": disclose or {"caller": False, "publisher": False},
        "cache": True,
    }


LIMITED = [
    permission("open."),
    permission("open.closed.", call=False, register=False, publish=False, subscribe=False),
    permission("read.", call=True, subscribe=True),
    permission("write.", register=True, publish=True),
    permission("only.this", match="exact"),
    permission("wild..card", match="wildcard"),
]


TRUSTING = [
    permission("") | {"trustlevel": 0},
    permission("trusted.") | {"trustlevel": 3},
]


STORE = {
    "type": "memory",
    "limit": 1000,
    "event-history": [
        {"uri": "history.", "match": "prefix"},
        {"uri": "history.", "match": "wildcard"},
        {"uri": "history.exact"},
        {"uri": "quiet..", "match": "wildcard"},
    ],
}


def roles() -> list[dict]:
    """The roles of every realm of the conformance tests."""
    everything = [{"name": name, "permissions": [permission("")]} for name in ("anonymous", "frontend", "backend")]
    disclosed = permission("", disclose={"caller": True, "publisher": True})
    return [
        *everything,
        {"name": "limited", "permissions": LIMITED},
        {"name": "disclosed", "permissions": [disclosed]},
        {"name": "trusting", "permissions": TRUSTING},
        {"name": "testator", "permissions": [permission("open."), permission("wamp.")]},
        {"name": "historian", "permissions": [permission("wamp.", call=True)]},
    ]


def realm(name: str, **options: object) -> dict:
    """One realm with the roles above."""
    return {"name": name, "roles": roles(), "options": options}


def _auth(identity: str) -> dict:
    role, authid = IDENTITIES[identity]
    anonymous = {"type": "static", "role": role}
    if authid:
        anonymous["authid"] = authid
    return {"anonymous": anonymous}


def _tcp(port: int) -> dict:
    return {"type": "tcp", "interface": "127.0.0.1", "port": port, "backlog": 1024}


def websocket(identity: str = "anonymous", **options: object) -> dict:
    """A WebSocket service, to be put under a path."""
    service = {"type": "websocket", "serializers": SERIALIZERS, "auth": _auth(identity)}
    return {**service, "options": options} if options else service


def rawsocket(identity: str = "anonymous", **options: object) -> dict:
    """A RawSocket service without its endpoint."""
    service = {"type": "rawsocket", "serializers": SERIALIZERS, "auth": _auth(identity)}
    return {**service, "options": options} if options else service


def longpoll(identity: str = "anonymous", **options: object) -> dict:
    """A long-poll service, to be put under a path."""
    service = {"type": "longpoll", "serializers": SERIALIZERS, "auth": _auth(identity)}
    return {**service, "options": options} if options else service


def universal(port: int, paths: dict[str, dict], raw: dict, web: dict[str, dict] | None = None) -> dict:
    """One port that serves WebSocket at some paths, other web services at others, and RawSocket."""
    raw = {key: value for key, value in raw.items() if key != "type"}
    transport = {"type": "universal", "endpoint": _tcp(port), "websocket": paths, "rawsocket": raw}
    return {**transport, "web": {"paths": web}} if web else transport


def node(realms: list[dict], transports: list[dict]) -> dict:
    """A whole configuration of one router worker."""
    worker = {"type": "router", "realms": realms, "transports": transports}
    return {"version": 2, "workers": [worker]}


def simple(port: int, **websocket_options: object) -> dict:
    """One realm, everything allowed, WebSocket at /ws, long-poll at /lp and RawSocket on one port; requests are logged."""
    transport = universal(port, {"ws": websocket(**websocket_options)}, rawsocket(), {"lp": longpoll()})
    transport["web"]["options"] = {"access_log": True}
    return node([realm("realm1")], [transport])


def with_older(paths: dict[str, dict]) -> dict[str, dict]:
    """Every path of WebSocket or long-poll, and one beside it for the older dialect of UBJSON."""
    older = {
        path + OLDER: {**service, "options": {**service.get("options", {}), "ubjson_dialect": "ubjson12"}}
        for path, service in paths.items()
    }
    return {**paths, **older}


# The conformance tests' ports: one for each identity's RawSocket, of which the first also serves WebSocket,
# each identity at a path of its own; one with small limits; and one for the RawSocket of the older dialect of UBJSON.
PORTS = len(IDENTITIES) + 2
SMALL_LIMIT = 1 << 16

DEFLATE = {"deflate": {}}
# The long-poll service for tests that wait: seconds until a request ends empty, and until a session is lost.
BRIEF = {"request_timeout": 1, "session_timeout": 2}


# A few calls may wait in the realm `queued`.
QUEUE = {"uri": "test", "match": "prefix", "limit": 3}


def conformance(ports: list[int]) -> dict:
    """The configuration that the conformance tests run against."""
    paths = {"ws" if name == "anonymous" else f"ws_{name}": websocket(name) for name in IDENTITIES}
    paths["ws_batched"] = websocket(batched=True)
    paths["ws_deflate"] = websocket(batched=True, compression=DEFLATE)
    takeover = {"request_no_context_takeover": False, "max_window_bits": 10, "request_max_window_bits": 11}
    paths["ws_takeover"] = websocket(compression={"deflate": takeover})
    polls = {"lp" if name == "anonymous" else f"lp_{name}": longpoll(name) for name in IDENTITIES}
    polls["lp_brief"] = longpoll(**BRIEF)
    transports = [universal(ports[0], with_older(paths), rawsocket("anonymous"), with_older(polls))]
    for port, name in zip(ports[1:], list(IDENTITIES)[1:]):
        transports.append({"endpoint": _tcp(port), **rawsocket(name)})
    small = websocket(max_message_size=SMALL_LIMIT, batched=True, compression=DEFLATE), rawsocket(max_message_size=SMALL_LIMIT)
    transports.append(universal(ports[-2], with_older({"ws": small[0]}), small[1]))
    transports.append({"endpoint": _tcp(ports[-1]), **rawsocket("anonymous", ubjson_dialect="ubjson12")})
    realms = [
        realm("realm1") | {"store": STORE},
        realm("realm2"),
        realm("strict", strict_request_ids=True),
        realm("nodisclose", allow_disclose=False),
        realm("strict_uris", uri_check="strict"),
        {**realm("queued", call_timeout=2000), "store": {"type": "memory", "call-queue": [QUEUE]}},
        {**realm("meta"), "roles": [*roles(), {"name": "special", "permissions": [permission("")]}]},
        realm("nometa", enable_meta_api=False),
    ]
    return node(realms, transports)


def addresses(ports: list[int]) -> dict[tuple[str, str], Address]:
    """Where each identity is served, by transport name."""
    found = {("websocket", "small"): Address(ports[-2]), ("rawsocket", "small"): Address(ports[-2])}
    found["rawsocket", "anonymous" + OLDER] = Address(ports[-1])
    for name in ("batched", "deflate", "takeover"):
        found["websocket", name] = Address(ports[0], f"/ws_{name}")
    found["longpoll", "brief"] = Address(ports[0], "/lp_brief")
    for port, name in zip(ports, IDENTITIES):
        path = "/ws" if name == "anonymous" else f"/ws_{name}"
        found["websocket", name] = Address(ports[0], path)
        found["longpoll", name] = Address(ports[0], path.replace("/ws", "/lp"))
        found["rawsocket", name] = Address(port)
    return found
