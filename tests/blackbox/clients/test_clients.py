"""Clients that other people wrote, each driven through its scenario against one and four shards."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients.helper import Helper
from harness import config
from harness.peers import Peers
from harness.router import Router
from harness.serializers import CBOR

HERE = Path(__file__).parent
JS = HERE.parent / "js"
SECONDS = 40  # a scenario takes about two; the limit is for one that hangs

PYTHON = ["subscribe", "publish_options", "call", "errors", "progress", "cancel", "timeout", "killed_peer", "leave"]
JAVASCRIPT = [step for step in PYTHON if step != "publish_options"]
# xconn knows neither progressive results nor cancelling.
XCONN = ["subscribe", "call", "errors", "timeout", "killed_peer", "leave"]

EVERYWHERE = [(transport, name) for transport in ("websocket", "rawsocket") for name in ("json", "msgpack", "cbor")]
WEBSOCKET = EVERYWHERE[:3]
# Over FlatBuffers autobahn fails at every error that has arguments.
WITHOUT_ERRORS = ["subscribe", "publish_options", "call", "progress", "leave"]
OTHERS = [
    ("websocket", "ubjson", PYTHON),
    ("rawsocket", "ubjson", PYTHON),
    ("websocket", "flatbuffers", WITHOUT_ERRORS),
]


@pytest.fixture(scope="session")
def peers(router: Router) -> Iterator[Peers]:
    """Where to connect; and the helper's session, beside all clients of a router."""
    peers = Peers(config.addresses(router.ports), "rawsocket", CBOR)
    Helper(peers)
    yield peers
    peers.close()


def drive(command: list[str], peers: Peers, transport: str, serializer: str, steps: list[str]) -> None:
    """Runs a client's scenario; every step must have been reported as done."""
    address = peers.address(transport=transport)
    arguments = [transport, serializer, address.host, str(address.port), address.path]
    try:
        run = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=SECONDS, cwd=HERE)
        output, errors = run.stdout, run.stderr
    except subprocess.TimeoutExpired as expired:
        output, errors = ((text or b"").decode() for text in (expired.stdout, expired.stderr))
        errors += f"\nstill running after {SECONDS} s"
    check(output, steps, errors)


def check(output: str, steps: list[str], errors: str = "") -> None:
    """The report says that every step went well."""
    report = [json.loads(line) for line in output.splitlines() if line.startswith('{"step"')]
    failed = [f"{step['step']}:\n{step['text']}" for step in report if not step["ok"]]
    assert not failed, "\n".join(failed)
    assert [step["step"] for step in report] == steps, f"{output}\n{errors}"


@pytest.mark.parametrize(("transport", "serializer"), EVERYWHERE)
@pytest.mark.parametrize("framework", ["asyncio", "twisted"])
def test_autobahn_python(peers: Peers, framework: str, transport: str, serializer: str) -> None:
    """autobahn-python on asyncio and Twisted."""
    command = [sys.executable, str(HERE / "autobahn_python.py"), framework]
    drive(command, peers, transport, serializer, PYTHON)


@pytest.mark.parametrize(("transport", "serializer", "steps"), OTHERS)
def test_autobahn_python_with_others(peers: Peers, transport: str, serializer: str, steps: list[str]) -> None:
    """autobahn-python with the serializers that only it has."""
    command = [sys.executable, str(HERE / "autobahn_python.py"), "asyncio"]
    drive(command, peers, transport, serializer, steps)


@pytest.mark.parametrize(("transport", "serializer"), EVERYWHERE)
def test_xconn(peers: Peers, transport: str, serializer: str) -> None:
    """xconn for Python."""
    drive([sys.executable, str(HERE / "xconn_python.py")], peers, transport, serializer, XCONN)


@pytest.mark.parametrize(("transport", "serializer"), [*WEBSOCKET, ("rawsocket", "json"), ("longpoll", "json")])
def test_autobahn_js(peers: Peers, transport: str, serializer: str) -> None:
    """autobahn-js on Node.js."""
    drive(["node", str(JS / "autobahn-node.js")], peers, transport, serializer, JAVASCRIPT)


@pytest.mark.parametrize(("transport", "serializer"), WEBSOCKET)
def test_wampy(peers: Peers, transport: str, serializer: str) -> None:
    """wampy.js on Node.js."""
    drive(["node", str(JS / "wampy-node.js")], peers, transport, serializer, JAVASCRIPT)


@pytest.mark.parametrize(("transport", "serializer"), [*WEBSOCKET, ("longpoll", "json")])
def test_autobahn_browser(peers: Peers, transport: str, serializer: str) -> None:
    """autobahn-browser in Chromium."""
    drive(["node", str(JS / "autobahn-browser.js")], peers, transport, serializer, JAVASCRIPT)
