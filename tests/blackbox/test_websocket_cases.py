"""The WebSocket cases of the Autobahn test suite, against a `websocket-testee` worker."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.router import Router
from websocket_cases import RESULTS

SCRIPT = Path(__file__).with_name("websocket_cases.py")

# Chapters 12 and 13 send thousands of compressed messages, for which kosoku takes many minutes: `make autobahn` runs them.
EVERY_DAY = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"]


def configuration(ports: list[int]) -> dict:
    """A node with a testee and nothing else, on whose connections clients may refer to earlier messages."""
    transport = {
        "type": "websocket",
        "endpoint": {"type": "tcp", "interface": "127.0.0.1", "port": ports[0]},
        "options": {"compression": {"deflate": {"request_no_context_takeover": False}}},
    }
    return {"version": 2, "workers": [{"type": "websocket-testee", "transport": transport}]}


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The testee's address."""
    router = Router(tmp_path, configuration)
    router.start()
    yield f"ws://127.0.0.1:{router.ports[0]}"
    router.stop()


@pytest.mark.big
def test_cases(url: str, tmp_path: Path) -> None:
    """Every case passes; `CROSSPOINT_CASES=all` runs all there are, and keeps what became of them."""
    everything = os.environ.get("CROSSPOINT_CASES") == "all"
    results = tmp_path / "results.json"
    command = [sys.executable, str(SCRIPT), url, str(results), *([] if everything else EVERY_DAY)]
    subprocess.run(command, check=True, timeout=3600 if everything else 600)
    cases = json.loads(results.read_text())
    assert len(cases) == (517 if everything else 301), len(cases)
    assert not [case for case in cases if not case["passed"]]
    if everything:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(results.read_text())
