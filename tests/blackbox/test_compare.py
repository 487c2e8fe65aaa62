"""The parts of bench/compare that need no server."""

import json
import subprocess
import sys

import pytest
from harness.router import ROOT

COMPARE = ROOT / "bench" / "compare"
sys.path.append(str(COMPARE))

import measure  # noqa: E402
import peers  # noqa: E402
import table  # noqa: E402


def fanout(cpu: float | None, p99: float) -> dict:
    router = None if cpu is None else {"cpu_us_per_unit": cpu}
    return {"phases": [{"name": "measured", "router": router, "latency": {"p50_us": 900.0, "p99_us": p99}}]}


def connect(rate: float, growth: float) -> dict:
    idle = {"name": "idle", "router": {"rss_per_session": growth}}
    return {"phases": [{"name": "connect", "per_second": rate}, idle]}


def test_the_best_pass_counts_for_each_figure() -> None:
    passes = [
        ("latency", fanout(1, 4000)),
        ("latency", fanout(1, 2000)),
        ("connect", connect(9000, 4096)),
        ("connect", connect(12000, 8192)),
        ("fanout100", fanout(None, 1)),
    ]
    expected = {"50/s p50, ms": 0.9, "50/s p99, ms": 2, "sessions/s": 12000, "KiB per session": 4}
    assert table.best(passes) == expected


def test_a_ratio_above_one_means_that_we_are_better() -> None:
    ours = {"1 → 100, CPU µs": 0.5, "sessions/s": 20000}
    theirs = {"1 → 100, CPU µs": 2, "sessions/s": 5000, "KiB per session": 9}
    assert table.ratios(theirs, ours) == {"1 → 100, CPU µs": 4, "sessions/s": 4}


def test_what_was_not_measured_is_a_dash_and_what_nobody_has_is_no_column() -> None:
    rows = {"a": {"1 → 100, CPU µs": 0.456, "sessions/s": 12345.6}, "b": {"sessions/s": 99.94}}
    lines = table.markdown(rows, "head").splitlines()
    assert lines[0] == "| head | 1 → 100, CPU µs | sessions/s |"
    assert lines[2:] == ["| a | 0.46 | 12,346 |", "| b | – | 99.9 |"]


def test_every_figure_belongs_to_a_scenario() -> None:
    assert {figure.scenario for figure in table.FIGURES} == {scenario.name for scenario in measure.SCENARIOS}


def test_a_router_of_ones_own(tmp_path) -> None:
    text = "other=run --at '127.0.0.1:{port}' --dir={dir}=ws://127.0.0.1:{port}/ws?x=y"
    router = peers.router(text)
    assert (router.name, router.url, router.serializers) == ("other", "ws://127.0.0.1:{port}/ws?x=y", "msgpack")
    assert router.start(7, tmp_path) == ["run", "--at", "127.0.0.1:7", f"--dir={tmp_path}"]
    assert not peers.router("r=redis-server=redis://h:{port}").has_calls
    for wrong in ("name", "name=command", "name=command=http://h", "=command=ws://h"):
        with pytest.raises(ValueError, match="NAME=COMMAND=URL"):
            peers.router(wrong)


def test_a_failed_run_says_why() -> None:
    verified = {"received": 10, "lost": 3, "out_of_order": 0}
    assert measure.why_not("", {"warnings": ["w"], "verified": verified}) == "w; 3 lost"
    assert measure.why_not("a\nb\n", None) == "b"


def test_a_missing_program_is_a_sentence() -> None:
    with pytest.raises(peers.Missing, match="apt-get install no-such-server"):
        peers.on_path("no-such-server")


def test_nothing_runs_without_programs(tmp_path) -> None:
    command = [sys.executable, str(COMPARE / "compare.py"), "--crosspoint", str(tmp_path / "none"), "--peers", "none"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "make compare" in done.stderr


def test_crossbars_configuration_lets_everybody_in() -> None:
    config = json.loads(json.dumps(peers.crossbar_config(5)))
    (worker,) = config["workers"]
    assert worker["transports"][0]["endpoint"]["port"] == 5
    assert worker["realms"][0]["roles"][0]["name"] == "anonymous"
