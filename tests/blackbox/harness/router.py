"""A router process: started with a configuration of the test's, awaited, and stopped with its status checked."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 15.0
STOP_SECONDS = 4.0  # what the router promises between SIGTERM and its end


def binary() -> str:
    """The router's program file."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return os.environ.get("CROSSPOINT_BIN", str(target / "release" / "crosspoint"))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listened on a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def allowed_cpus(task: Path) -> set[int]:
    """The CPUs that a thread may run on."""
    status = (task / "status").read_text()
    (mask,) = [line.split()[1] for line in status.splitlines() if line.startswith("Cpus_allowed:")]
    bits = int(mask.replace(",", ""), 16)
    return {cpu for cpu in range(bits.bit_length()) if bits >> cpu & 1}


class StartFailed(Exception):
    """The router ended, or did not listen in time; the text is what it printed."""


class Router:
    """One router process. `configure` makes the configuration from the ports that were chosen; `launch` is a program that
    becomes the router."""

    def __init__(
        self,
        workdir: Path,
        configure: Callable[[list[int]], dict],
        ports: int = 1,
        arguments: Sequence[str] = (),
        launch: Sequence[str] = (),
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.log_file = workdir / "router.log"
        self._config_file = workdir / "config.json"
        self._configure = configure
        self._port_count = ports
        self._arguments = arguments
        self._launch = launch
        self._stdin = stdin
        self.ports: list[int] = []
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What the router has printed."""
        return self.log_file.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> "Router":
        """Starts the router; another program may take a port first, so there are three attempts."""
        for attempt in range(3):
            self.ports = free_ports(self._port_count)
            self._config_file.write_text(json.dumps(self._configure(self.ports), indent=1))
            command = [*self._launch, binary(), "start", "--config", str(self._config_file), *self._arguments]
            with self.log_file.open("wb") as log:
                self.process = subprocess.Popen(
                    command, stdin=self._stdin, stdout=log, stderr=log, cwd=self._config_file.parent
                )
            try:
                self._await_ports()
                return self
            except StartFailed:
                self.kill()
                if attempt == 2 or "in use" not in self.log:
                    raise
        raise AssertionError("not reached")

    def _await_ports(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        for port in self.ports:
            while True:
                if self.process.poll() is not None:
                    raise StartFailed(f"exit status {self.process.returncode}:\n{self.log}")
                if time.monotonic() > deadline:
                    raise StartFailed(f"nobody listens on port {port}:\n{self.log}")
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.01)

    def shards(self) -> list[set[int]]:
        """The CPUs that each shard may run on, once the router says that it has started."""
        self.await_log("router started")
        shards: dict[str, set[int]] = {}
        # Later threads with the name of a shard are helpers that it started.
        for task in sorted(Path(f"/proc/{self.pid}/task").iterdir(), key=lambda task: int(task.name)):
            name = (task / "comm").read_text()
            if name.startswith("shard-"):
                shards.setdefault(name, allowed_cpus(task))
        return list(shards.values())

    def await_log(self, text: str) -> None:
        """Waits until the router has printed this."""
        deadline = time.monotonic() + START_SECONDS
        while text not in self.log:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)

    def has_not_panicked(self) -> None:
        """No part of the router has failed by a fault of its own."""
        assert "panicked" not in self.log, self.log[-4000:]

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Waits for the end; the exit status, negative for a signal."""
        assert self.process is not None
        return self.process.wait(timeout=seconds)

    def stop(self) -> None:
        """SIGTERM; the router must end by itself, in time, with status 0."""
        self.signal()
        try:
            status = self.wait()
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise AssertionError(f"still running {STOP_SECONDS} s after SIGTERM:\n{self.log[-4000:]}") from error
        assert status == 0, f"exit status {status}:\n{self.log[-4000:]}"
        self.has_not_panicked()

    def kill(self) -> None:
        """Ends the process at once."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def resident_bytes(self) -> int:
        """Memory in use (resident set size)."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
