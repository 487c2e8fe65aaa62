"""What the repository promises about its own source."""

import json
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
from harness.router import ROOT

LONGEST_FILE = 500  # lines

# Each crate and those of ours that it may depend on.
ARROWS = {
    "crosspoint-core": set(),
    "crosspoint-codec": {"crosspoint-core"},
    "crosspoint-shard": {"crosspoint-core", "crosspoint-codec"},
    "crosspoint-net": {"crosspoint-core", "crosspoint-codec", "crosspoint-shard"},
    "crosspoint": {"crosspoint-core", "crosspoint-codec", "crosspoint-shard", "crosspoint-net"},
    "crosspoint-bench": {"crosspoint-core", "crosspoint-codec", "crosspoint-shard"},
    "crosspoint-loadtest": {"crosspoint-codec", "crosspoint-core"},
    "crosspoint-sim": {"crosspoint-core", "crosspoint-codec", "crosspoint-shard"},
}

# All that the router's rules are built on: nothing here does I/O, reads a clock or starts a thread.
CORE_BUILDS_ON = {
    "ahash",
    "arrayvec",
    "bytes",
    "bytestring",
    "cfg-if",
    "equivalent",
    "fastrand",  # seeded from outside only
    "hashbrown",
    "indexmap",
    "jiff",  # without its sources of time and time zones
    "jiff-core",
    "once_cell",
    "serde",
    "serde_core",
    "siphasher",
    "smallvec",
    "thiserror",
    "version_check",
    "zerocopy",
}

# Where unsafe code is needed: file descriptors and the shard's runtime.
MAY_BE_UNSAFE = {"net", "shard"}

# Where the runtime of the shards may be named, so that another one stays a local change.
MAY_NAME_GLOMMIO = re.compile(r"^(net/|shard/src/rt|shard/tests/|shard/Cargo\.toml|Cargo\.toml|node/Cargo\.toml|bench/Cargo\.toml)")

UNFINISHED = re.compile(r"\b(todo|unimplemented|dbg)!|\b(FIXME|XXX|TODO)\b")


@cache
def tracked(*suffixes: str) -> list[Path]:
    """The repository's files with these endings, tracked or about to be."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    files = [ROOT / name for name in listing.split("\0") if name.endswith(suffixes)]
    return [file for file in files if file.is_file()]


def relative(file: Path) -> str:
    """The file's name in the repository."""
    return file.relative_to(ROOT).as_posix()


@cache
def metadata() -> dict:
    """What cargo knows of the workspace."""
    command = ["cargo", "metadata", "--format-version=1", "--no-deps", "--offline"]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)


def test_files_are_short() -> None:
    """No source file is longer than its limit."""
    sizes = {relative(file): file.read_text().count("\n") for file in tracked(".rs", ".py", ".js")}
    assert not {name: size for name, size in sizes.items() if size > LONGEST_FILE}


def test_nothing_is_left_unfinished() -> None:
    """No source says that something is still to be done."""
    found = [
        f"{relative(file)}:{number}"
        for file in tracked(".rs", ".py", ".js")
        if file != Path(__file__)
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not found


def test_arrows_between_crates() -> None:
    """Every crate depends only on those of ours that it may."""
    ours = {package["name"]: package for package in metadata()["packages"] if package["source"] is None}
    assert set(ours) == set(ARROWS)
    for name, package in ours.items():
        normal = {each["name"] for each in package["dependencies"] if each["kind"] is None and each["name"] in ours}
        assert normal <= ARROWS[name], f"{name} depends on {normal - ARROWS[name]}"


def test_core_does_no_io() -> None:
    """The router's rules are built on nothing that does I/O."""
    command = ["cargo", "tree", "-p", "crosspoint-core", "-e", "normal,no-proc-macro", "--prefix=none", "--offline"]
    tree = subprocess.run([*command, "--locked"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    crates = {line.split()[0] for line in tree.splitlines() if line} - {"crosspoint-core"}
    assert crates <= CORE_BUILDS_ON, f"new: {crates - CORE_BUILDS_ON}"


def test_glommio_is_named_where_it_may_be() -> None:
    """The shards' runtime is named in `net` and in one module of `shard` only, comments aside."""
    found = [
        relative(file)
        for file in tracked(".rs", "Cargo.toml")
        if not MAY_NAME_GLOMMIO.match(relative(file))
        and any("glommio" in line.split("//")[0].split("#")[0] for line in file.read_text().splitlines())
    ]
    assert not found


@pytest.mark.parametrize("crate", [Path(name) for name in ("core", "codec", "node", "bench", "loadtest", "tests/sim")], ids=str)
def test_unsafe_code_is_forbidden(crate: Path) -> None:
    """Crates that need no unsafe code forbid it."""
    roots = [ROOT / crate / "src" / name for name in ("lib.rs", "main.rs")]
    for root in filter(Path.exists, roots):
        assert "#![forbid(unsafe_code)]" in root.read_text(), root


def test_unsafe_code_says_why() -> None:
    """Elsewhere every unsafe block or function has a SAFETY comment."""
    for file in tracked(".rs"):
        lines = file.read_text().splitlines()
        for number, line in enumerate(lines):
            if re.search(r"\bunsafe\s*(\{|fn|impl)", line.split("//")[0]):
                assert relative(file).split("/")[0] in MAY_BE_UNSAFE, f"{relative(file)}:{number + 1}"
                before = "\n".join(lines[max(0, number - 6) : number])
                assert "SAFETY" in before or "# Safety" in before, f"{relative(file)}:{number + 1}"


def test_lock_files_name_no_host() -> None:
    """Lock files hold no download addresses but the public registry of Rust."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    sources = {package.get("source") for package in lock["package"]}
    assert sources <= {None, "registry+https://github.com/rust-lang/crates.io-index"}
    for file in tracked("package-lock.json"):
        assert '"resolved"' not in file.read_text(), relative(file)
