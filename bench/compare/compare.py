#!/usr/bin/env python3
"""Runs Crosspoint and the servers it is compared with in turn under one load, and prints their figures side by side.

Python 3.11 or later, nothing but the standard library. See README.md for how to read the tables.
"""

import argparse
import json
import os
import platform
import resource
import sys
import time
from pathlib import Path

import table
from measure import ALL_CPUS, SCENARIOS, Failed, Settings, run, running
from peers import PEERS, Missing, Subject, crosspoint, router

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
OPEN_FILES = 65_536


def main() -> int:
    """Runs what was asked for."""
    options = parse()
    raise_open_files()
    for binary in (options.crosspoint, options.loadtest):
        if not binary.exists():
            sys.exit(f"{binary} is missing: run `make compare`, which builds it")
    settings = Settings(
        loadtest=options.loadtest.resolve(),
        seconds=1 if options.quick else options.duration,
        warmup=0.3 if options.quick else options.warmup,
        sessions=min(1000 if options.quick else options.sessions, open_files() - 200),
        server_cpus=options.server_cpus,
        load_cpus=options.load_cpus,
    )
    notes: list[str] = []
    subjects = chosen(options, notes)
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in options.scenarios]
    measured = []
    for turn in range(1 if options.quick else options.passes):
        for subject in subjects:
            measured += measure(subject, scenarios, settings, turn, notes)
    report = summary(subjects, measured, settings, notes)
    text = tables(report)
    print(text)
    if options.markdown:
        options.markdown.write_text(text + "\n")
    if options.json:
        options.json.write_text(json.dumps(report | {"runs": measured}, indent=2) + "\n")
    return 0 if measured else 1


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [scenario.name for scenario in SCENARIOS]
    binary = os.environ.get("CROSSPOINT_BIN", TARGET / "release/crosspoint")
    add = parser.add_argument
    add("--peers", type=choice(PEERS), default=list(PEERS), metavar="NAMES", help=f"of {', '.join(PEERS)}; or none")
    add("--scenarios", type=choice(names), default=names, metavar="NAMES", help=f"of {', '.join(names)}")
    add("--router", type=router, action="append", default=[], metavar="NAME=COMMAND=URL",
        help="one more server; {port} in COMMAND and URL is its port, {dir} an empty directory")
    add("--only", default="", metavar="TEXT", help="of Crosspoint, only rows whose name contains this, and the first one")
    add("--crosspoint", type=Path, default=binary, metavar="FILE", help="the router's program")
    add("--loadtest", type=Path, default=TARGET / "release/crosspoint-loadtest", metavar="FILE",
        help="the load harness")
    add("--shards", type=int, default=len(ALL_CPUS), help="of the last row of Crosspoint (one for each usable CPU)")
    add("--duration", type=float, default=5, metavar="SECONDS", help="of each measured phase (5)")
    add("--warmup", type=float, default=1, metavar="SECONDS", help="before it (1)")
    add("--sessions", type=int, default=15_000, help="that are opened for sessions/s and memory (15000)")
    add("--passes", type=int, default=2, help="over all rows, of which the best figures count (2)")
    add("--quick", action="store_true", help="one pass of 1 s each with 1,000 sessions: does it work at all?")
    add("--server-cpus", type=cpus, default=ALL_CPUS, metavar="LIST", help="that servers may use, such as 0,2 (all)")
    add("--load-cpus", type=cpus, default=ALL_CPUS, metavar="LIST", help="that the load harness may use (all)")
    add("--json", type=Path, metavar="FILE", help="write all of it to this file, reports of single runs included")
    add("--markdown", type=Path, metavar="FILE", help="write the tables to this file, too")
    return parser.parse_args()


def choice(names):
    """A list of some of `names`."""

    def parse_list(text: str) -> list[str]:
        asked = [] if text == "none" else text.split(",")
        if unknown := set(asked) - set(names):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
        return asked

    return parse_list


def cpus(text: str) -> frozenset[int]:
    """A list of usable CPUs."""
    asked = frozenset(int(number) for number in text.split(","))
    if not asked <= ALL_CPUS:
        raise argparse.ArgumentTypeError(f"not usable: {sorted(asked - ALL_CPUS)}")
    return asked


def chosen(options: argparse.Namespace, notes: list[str]) -> list[Subject]:
    """The rows; what is missing becomes a note. The first is the one that others are compared with."""
    first, *others = crosspoint(options.crosspoint.resolve(), options.shards)
    subjects = [first, *(row for row in others if options.only.lower() in row.name.lower())]
    for name in options.peers:
        try:
            subjects += PEERS[name](TARGET / "compare")
        except Missing as missing:
            notes.append(f"{name} is skipped: {missing}.")
    return subjects + options.router


def measure(subject: Subject, scenarios: list, settings: Settings, turn: int, notes: list[str]) -> list[dict]:
    """One pass over one row. Sessions are opened on a server that nobody has used: memory is seldom given back."""
    measured = []
    fits = [scenario for scenario in scenarios if subject.has_calls or not scenario.calls]
    for fresh in (False, True):
        group = [scenario for scenario in fits if scenario.connects == fresh]
        if not group:
            continue
        try:
            with running(subject, settings) as server:
                for scenario in group:
                    say(f"pass {turn + 1}: {subject.name}: {scenario.name}")
                    try:
                        report = run(subject, scenario, server, settings)
                    except Failed as failed:
                        notes.append(f"{subject.name}, {scenario.name}, pass {turn + 1}: {failed}.")
                        continue
                    notes += (f"{subject.name}, {scenario.name}: {warning}." for warning in report["warnings"])
                    one = {"row": subject.name, "scenario": scenario.name, "pass": turn + 1, "report": report}
                    measured.append(one)
        except Failed as failed:
            notes.append(f"{subject.name}, pass {turn + 1}: {failed}.")
    return measured


def summary(subjects: list[Subject], measured: list[dict], settings: Settings, notes: list[str]) -> dict:
    """What is printed, for programs."""
    rows = {
        subject.name: table.best((one["scenario"], one["report"]) for one in measured if one["row"] == subject.name)
        for subject in subjects
    }
    ours = rows[subjects[0].name]
    return {
        "machine": machine(settings),
        "sessions": settings.sessions,
        "seconds": settings.seconds,
        "figures": rows,
        "ratios": {name: table.ratios(row, ours) for name, row in rows.items()},
        "notes": list(dict.fromkeys(notes)),
    }


def tables(report: dict) -> str:
    """What is printed, for people."""
    first = next(iter(report["figures"]))
    notes = "\n".join("- " + note for note in report["notes"])
    return "\n".join(
        [
            report["machine"] + "\n",
            table.markdown(report["figures"], f"128 octets, {report['sessions']:,} sessions"),
            f"\nHow many times as good {first} is:\n",
            table.markdown(report["ratios"], ""),
            *(["\n" + notes] if notes else []),
        ]
    )


def machine(settings: Settings) -> str:
    """Where and when it ran."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    servers, harness = (",".join(map(str, sorted(which))) for which in (settings.server_cpus, settings.load_cpus))
    return (
        f"{model}, {len(ALL_CPUS)} usable CPUs (servers on {servers}, harness on {harness}), {memory:.0f} GiB, "
        f"Linux {platform.release()}, load average at the end {load:.1f}, {time.strftime('%Y-%m-%d')}"
    )


def raise_open_files() -> None:
    """Servers inherit the limit; root may raise the hard one, too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in ((max(OPEN_FILES, hard),) * 2, (hard, hard)):
        try:
            return resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        except (ValueError, OSError):
            continue


def open_files() -> int:
    """How many files a process may open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def say(what: str) -> None:
    """Tells whoever waits what is going on."""
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
