"""The programs in the documentation do what they say: each prints the lines that its last comments promise."""

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest
from harness.router import ROOT, Router, binary, free_ports

DOCS = ROOT / "docs"
PAGES = ("pubsub.md", "calls.md", "meta.md")
COMMANDS = {"python": [sys.executable, "-u", "-c"], "javascript": ["node", "--input-type=module", "--eval"]}
PROMISE = re.compile(r"^(?:#|//) prints: (.+)$", re.MULTILINE)
PATIENCE = 30  # seconds


def blocks(page: str, language: str) -> list[str]:
    """What a page shows in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


PROGRAMS = [
    pytest.param(language, code, id=f"{page}-{language}{number}")
    for page in PAGES
    for language in COMMANDS
    for number, code in enumerate(blocks(page, language), 1)
]


class Documented(Router):
    """A router with the configuration of "What is kept" in the examples, on another port."""

    def start(self) -> "Documented":
        section = (DOCS / "examples.md").read_text().split("## What is kept\n")[1]
        text = re.search(r"```yaml\n(.*?)```", section, re.DOTALL).group(1)
        self.ports = free_ports(1)
        assert text.count("port: 8080") == 1
        file = self.log_file.with_name("config.yaml")
        file.write_text(text.replace("port: 8080", f"port: {self.ports[0]}"))
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen([binary(), "start", "--config", str(file)], stdout=log, stderr=log)
        self._await_ports()
        return self


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """The router of the documentation's programs."""
    router = Documented(tmp_path_factory.mktemp("documented"), lambda _: {}).start()
    yield router
    router.stop()


def test_there_are_programs() -> None:
    """Each page shows at least one program in Python, and some in JavaScript."""
    assert all(blocks(page, "python") for page in PAGES)
    assert blocks("pubsub.md", "javascript") and blocks("calls.md", "javascript")


@pytest.mark.parametrize(("language", "code"), PROGRAMS)
def test_program(documented: Router, language: str, code: str) -> None:
    """The program prints what it promises."""
    missing = set(PROMISE.findall(code))
    assert missing and code.count("127.0.0.1:8080")
    code = code.replace("127.0.0.1:8080", f"127.0.0.1:{documented.ports[0]}")
    command = ["timeout", str(PATIENCE), *COMMANDS[language], code]
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT / "tests" / "blackbox" / "js"
    )
    printed = []
    try:
        for line in program.stdout:
            printed.append(line)
            missing.discard(line.rstrip("\n"))
            if not missing:
                break
        assert not missing, "".join(printed)
    finally:
        program.terminate()
        program.wait()
