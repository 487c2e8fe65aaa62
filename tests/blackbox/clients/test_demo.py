"""The demo page of the default configuration, in two windows of Chromium."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients.test_clients import JS, check
from harness.router import ROOT, Router

OUT = Path(__file__).parents[1] / "out"
STEPS = ["presence", "chat", "counter", "call", "wire", "newcomer", "screenshot", "goodbye", "no_errors"]


def default_configuration(ports: list[int]) -> dict:
    """What `crosspoint start` runs without a configuration file, on another port, and with a second demo below it."""
    default = json.loads((ROOT / "node" / "assets" / "default-config.json").read_text())
    transport = default["workers"][0]["transports"][0]
    transport["endpoint"]["port"] = ports[0]
    transport["web"]["paths"]["demo"] = {"type": "demo"}
    return default


@pytest.fixture(params=[1, 4], ids=lambda shards: f"shards{shards}")
def demo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Router]:
    """A router with the default configuration."""
    router = Router(tmp_path, default_configuration, arguments=("--shards", str(request.param))).start()
    yield router
    router.stop()


@pytest.mark.parametrize("path", ["", "demo/"], ids=["root", "below"])
def test_demo_page(demo: Router, path: str) -> None:
    """Two windows see each other, chat, count and call each other; nothing is logged as an error."""
    OUT.mkdir(exist_ok=True)
    command = ["node", str(JS / "demo-page.js"), f"http://127.0.0.1:{demo.ports[0]}/{path}", str(OUT)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    check(run.stdout, STEPS, run.stderr)
