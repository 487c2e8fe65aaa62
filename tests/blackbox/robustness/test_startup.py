"""What the router says when it cannot start: status 1 and one paragraph that helps."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import config
from harness.router import Router, binary, free_ports

LAUNCH = Path(__file__).parent / "launch.py"


def refuses(*arguments: str, launch: tuple[str, ...] = ()) -> str:
    """The router ends with status 1; what it printed."""
    command = [*launch, binary(), "start", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20)
    text = (run.stdout + run.stderr).strip()
    assert run.returncode == 1, f"status {run.returncode}:\n{text}"
    assert "panicked" not in text and "RUST_BACKTRACE" not in text, text
    return text


def paragraph(text: str) -> None:
    """It is one paragraph, and not a long one."""
    assert text and "\n\n" not in text and len(text) < 1500, text


def write(path: Path, content: dict | str) -> str:
    """A configuration file; its name."""
    file = path / "config.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
    return str(file)


def test_port_in_use(tmp_path: Path) -> None:
    """A port that another program listens on is named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = refuses("--config", write(tmp_path, config.simple(port)))
    paragraph(text)
    assert str(port) in text and "in use" in text


def test_second_router_on_the_same_port(tmp_path: Path, own_router) -> None:
    """A second router does not share the port of the first, although shards share theirs."""
    port = own_router().ports[0]
    text = refuses("--config", write(tmp_path, config.simple(port)))
    assert str(port) in text and "in use" in text


def test_missing_file(tmp_path: Path) -> None:
    """A configuration file that does not exist is named."""
    text = refuses("--config", str(tmp_path / "nowhere.json"))
    paragraph(text)
    assert "nowhere.json" in text


def test_no_permission_for_a_socket() -> None:
    """A Unix socket that cannot be made is named."""
    broken = config.simple(1)
    transport = broken["workers"][0]["transports"][0]
    transport["endpoint"] = {"type": "unix", "path": "/nowhere/at/all/socket"}
    with tempfile.TemporaryDirectory() as path:
        text = refuses("--config", write(Path(path), broken))
    assert "workers[0].transports[0].endpoint.path" in text and "no directory /nowhere/at/all" in text


def test_no_json(tmp_path: Path) -> None:
    """A file that is not JSON is named with the line of the mistake."""
    text = refuses("--config", write(tmp_path, '{\n  "version": 2,\n  "workers": [}\n'))
    assert "config.json:3" in text


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """Every mistake of a configuration is named: file, line, key, what was found, what would be right."""
    wrong = config.simple(free_ports(1)[0])
    worker = wrong["workers"][0]
    worker["realms"][0]["roles"][0]["permissions"][0]["match"] = "prefx"
    worker["realms"][0]["colour"] = "blue"
    worker["transports"][0]["endpoint"]["port"] = "eighty"
    text = refuses("--config", write(tmp_path, wrong))
    for expected in ("config.json:", "prefx", "prefix", "colour", "eighty", "port"):
        assert expected in text, text


def test_not_built_yet(tmp_path: Path) -> None:
    """What Crossbar.io has and the router has not is refused as such, never ignored."""
    wanted = config.simple(free_ports(1)[0])
    wanted["workers"][0]["components"] = [{"type": "class", "classname": "a.B"}]
    assert "not supported yet" in refuses("--config", write(tmp_path, wanted))


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A folder that every user may read."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def without(what: str, path: Path) -> str:
    """What the router says where something is lacking."""
    file = write(path, config.simple(free_ports(1)[0]))
    os.chmod(file, 0o644)
    return refuses("--config", file, launch=(sys.executable, str(LAUNCH), what))


def test_io_uring_forbidden(public_path: Path) -> None:
    """Where io_uring is forbidden, the text says so and names a remedy."""
    text = without("io_uring", public_path)
    paragraph(text)
    assert "io_uring" in text and "seccomp" in text


def test_no_locked_memory(public_path: Path) -> None:
    """Where too little memory may be locked, the text says so and names a remedy."""
    if os.geteuid() == 0 and not open_to_all(Path(binary()).resolve()):
        pytest.skip("another user cannot run the router where it lies")
    text = without("memlock", public_path)
    paragraph(text)
    assert "memlock" in text.lower()


def open_to_all(program: Path) -> bool:
    """Whether any user can run the program."""
    return all(part.stat().st_mode & 0o001 for part in (program, *program.parents))


@pytest.mark.parametrize("affinity", [None, [0, 1020]], ids=["all CPUs", "cpu_affinity"])
def test_cpus_of_shards(tmp_path: Path, affinity: list[int] | None) -> None:
    """Shards keep to CPUs that are theirs: where there is one for each, or where the configuration says so."""
    cpus = os.sched_getaffinity(0)
    if affinity and 0 not in cpus:
        pytest.skip("CPU 0 is not for this process")

    def configure(ports: list[int]) -> dict:
        usual = config.simple(ports[0])
        if affinity:
            usual["workers"][0]["options"] = {"cpu_affinity": affinity}
        return usual

    for shards in {1, len(cpus)}:
        router = Router(tmp_path, configure, arguments=("--shards", str(shards))).start()
        found, log = router.shards(), router.log
        router.stop()
        if affinity:
            assert found == [{0}] * shards
            assert "cpu_affinity" in log and "[1020]" in log
        elif shards == len(cpus):
            assert sorted(map(min, found)) == sorted(cpus) and all(len(each) == 1 for each in found)
        else:
            assert found == [cpus]
