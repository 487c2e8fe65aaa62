"""Starts a server, and runs the load harness against it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from peers import Subject

STARTING_SECONDS = 60
STOPPING_SECONDS = 10
ALL_CPUS = frozenset(os.sched_getaffinity(0))


class Failed(Exception):
    """A server did not start, or a run did not end as it should; why."""


@dataclass(frozen=True)
class Settings:
    """What holds for all runs alike."""

    loadtest: Path
    seconds: float
    warmup: float
    sessions: int
    server_cpus: frozenset[int] = ALL_CPUS
    load_cpus: frozenset[int] = ALL_CPUS


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    pid: int
    url: str


@dataclass(frozen=True)
class Scenario:
    """One run of the load harness."""

    name: str
    arguments: tuple[str, ...]
    calls: bool = False
    connects: bool = False

    def command(self, settings: Settings) -> list[str]:
        """The arguments, with what the settings say."""
        if self.connects:
            return [*self.arguments, "--sessions", str(settings.sessions)]
        return [*self.arguments, "--duration", f"{settings.seconds}s", "--warmup", f"{settings.warmup}s"]


SCENARIOS = [
    Scenario("fanout100", ("fanout", "--subscribers", "100", "--in-flight", "16")),
    Scenario("fanout1000", ("fanout", "--subscribers", "1000", "--in-flight", "4")),
    Scenario("latency", ("fanout", "--subscribers", "100", "--rate", "50")),
    Scenario("calls", ("rpc", "--callers", "10", "--calls", "4", "--callees", "10"), calls=True),
    Scenario("roundtrip", ("rpc", "--callers", "1", "--calls", "1", "--callees", "1"), calls=True),
    Scenario("connect", ("connect", "--subscribe", "shared", "--idle", "2s"), connects=True),
]


@contextlib.contextmanager
def running(subject: Subject, settings: Settings) -> Iterator[Server]:
    """A fresh server of its own on a free port, until it is no longer needed."""
    with tempfile.TemporaryDirectory(prefix="compare-") as name:
        directory = Path(name)
        port = free_port()
        with open(directory / "log", "wb") as log:
            # A process group of its own, so that its children end with it.
            process = subprocess.Popen(
                subject.start(port, directory),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, settings.server_cpus),
            )
        try:
            server = Server(process.pid, subject.url.replace("{port}", str(port)))
            wait_until_it_serves(process, server, settings, directory / "log")
            yield server
        finally:
            stop(process)


def wait_until_it_serves(process: subprocess.Popen, server: Server, settings: Settings, log: Path) -> None:
    """Returns when a session opens: some listen before they serve."""
    until = time.monotonic() + STARTING_SECONDS
    probe = [str(settings.loadtest), "connect", "--url", server.url, "--sessions", "1", "--idle", "0s"]
    probe += ["--setup-timeout", "2s"]
    while subprocess.run(probe, capture_output=True).returncode:
        if process.poll() is not None or time.monotonic() > until:
            last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it says nothing"]
            raise Failed(f"it does not start: {last[0]}")
        time.sleep(0.05)


def stop(process: subprocess.Popen) -> None:
    """Ends a server and its children, by force if it takes too long."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOPPING_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(subject: Subject, scenario: Scenario, server: Server, settings: Settings) -> dict:
    """The report of one run."""
    with tempfile.NamedTemporaryFile(prefix="compare-", suffix=".json") as file:
        command = [str(settings.loadtest), *scenario.command(settings), "--url", server.url]
        command += ["--pid", str(server.pid), "--json", file.name]
        if subject.serializers:
            command += ["--serializer", subject.serializers]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, settings.load_cpus),
        )
        report = json.loads(file.read() or "null")
    if done.returncode:
        raise Failed(why_not(done.stderr, report))
    return report


def why_not(stderr: str, report: dict | None) -> str:
    """What the harness says about a run that failed."""
    if report is None:
        return stderr.strip().rpartition("\n")[2] or "the harness says nothing"
    wrong = {what.replace("_", " "): count for what, count in report["verified"].items() if what != "received"}
    tally = [f"{count} {what}" for what, count in wrong.items() if count]
    return "; ".join([*report["warnings"], *tally]) or "the harness does not say why"


def free_port() -> int:
    """A port of the loopback address that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
