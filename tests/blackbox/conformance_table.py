"""Writes docs/conformance.md from the results of a test run.

    conformance_table.py           writes the file
    conformance_table.py --check   fails if the file is not what the results make of it
"""

import json
import sys
from collections import defaultdict
from itertools import groupby
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "out" / "conformance.json"
TABLE = HERE.parents[1] / "docs" / "conformance.md"

# Each group of lines: its title, and how many there are, numbered from 1.
GROUPS = {
    "SE": ("Opening sessions", 25),
    "GB": ("Closing sessions", 13),
    "PV": ("Protocol violations", 40),
    "UR": ("URIs and patterns", 18),
    "PS": ("Publish and subscribe", 28),
    "PX": ("Who receives an event", 16),
    "PI": ("Who published", 7),
    "PP": ("Pattern subscriptions", 14),
    "ER": ("Retained events", 14),
    "EH": ("Event history", 23),
    "RE": ("Registering procedures", 10),
    "CA": ("Calls", 20),
    "PR": ("Pattern registrations", 15),
    "SR": ("Shared registrations", 15),
    "CI": ("Who calls", 6),
    "CR": ("Call rerouting", 7),
    "PC": ("Progressive call results", 13),
    "PG": ("Progressive call invocations", 15),
    "PT": ("Payload passthru mode", 11),
    "CC": ("Cancelling calls", 20),
    "CT": ("Call timeouts", 11),
    "AU": ("Authentication", 26),
    "MS": ("Session meta API", 18),
    "MR": ("Registration meta API", 11),
    "MB": ("Subscription meta API", 8),
    "TM": ("Testaments", 11),
    "RV": ("Revocation", 6),
    "AZ": ("Authorisation", 6),
    "TW": ("WebSocket", 14),
    "TR": ("RawSocket", 18),
    "TL": ("Long-poll", 15),
    "SZ": ("Serializers", 14),
}

SERIALIZERS = ("json", "msgpack", "cbor")
OTHERS = ("bjdata", "ubjson12", "flatbuffers")

INTRODUCTION = """\
# Conformance

What the router does of the WAMP specification, line by line, as the black-box tests observed it. This page is
written by `tests/blackbox/conformance_table.py` from the results of `make test`; do not edit it.

Each line is one test (`test_PS_001_…` for PS-001), which runs wherever it applies: over WebSocket (ws) and
RawSocket (rs), with JSON, MessagePack and CBOR, against one shard and four, and once over long-poll (lp). It also runs
once with each of the other serializers, as far as they have words for it: BJData over RawSocket, UBJSON draft 12 and
FlatBuffers over WebSocket. The last column says where it passed.
"""

# Lines that have no test, and why: each line is one behaviour of the specification, whether it is built or not.
NOT_YET = {
    "The methods that exchange messages (`ticket`, `wampcra`, `scram`, `cryptosign`) are not built: sessions open anonymously.": (
        *(f"AU-{number:03}" for number in range(3, 22)),
        "AU-023",
        "AU-025",
        "SE-023",
    ),
    "Roles have static permissions only: there are no authorizers that are procedures.": ("AZ-005", "AZ-006"),
}


def all_lines() -> set[str]:
    """Every line there is."""
    return {f"{group}-{number:03}" for group, (_, count) in GROUPS.items() for number in range(1, count + 1)}


def check_lines(tested: set[str]) -> None:
    """Every line is tested, or is known not to be."""
    untested = {line for lines in NOT_YET.values() for line in lines}
    assert not tested & untested, f"lines that are tested by now: {sorted(tested & untested)}"
    assert tested | untested >= all_lines(), f"lines without a test: {sorted(all_lines() - tested - untested)}"
    assert tested | untested <= all_lines(), f"lines that do not exist: {sorted((tested | untested) - all_lines())}"


def in_words(lines: tuple[str, ...]) -> str:
    """The lines, those that follow each other as a range."""
    runs: list[list[str]] = []
    for line in lines:
        group, number = line.split("-")
        if runs and runs[-1][-1] == f"{group}-{int(number) - 1:03}":
            runs[-1].append(line)
        else:
            runs.append([line])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def rows(results: list[dict]) -> dict[str, tuple[str, str]]:
    """The text of each line and where it passed."""
    texts: dict[str, list[str]] = defaultdict(list)
    passed: dict[str, dict[tuple[str, str], bool]] = defaultdict(dict)
    for result in results:
        line = result["id"]
        if result["text"] not in texts[line]:
            texts[line].append(result["text"])
        if result["outcome"] == "skipped":
            continue
        shards, where = place(result["where"])
        before = passed[line].get((shards, where), True)
        passed[line][shards, where] = before and result["outcome"] == "passed"
    return {line: (" ".join(texts[line]), describe(passed[line])) for line in sorted(texts)}


def place(where: str) -> tuple[str, str]:
    """The number of shards, and transport and serializer where the test names them."""
    parts = where.split("-")
    shards = next((part.removeprefix("shards") for part in parts if part.startswith("shards")), "")
    transports = {"websocket": "ws", "rawsocket": "rs", "longpoll": "lp"}
    known = [transports.get(part, part) for part in parts if part in (*transports, *SERIALIZERS, *OTHERS)]
    return shards, " ".join(known)


def describe(passed: dict[tuple[str, str], bool]) -> str:
    """Where a line passed, in few words; where it failed, in all."""
    failed = sorted(f"{shards} shards {where}".strip() for (shards, where), good in passed.items() if not good)
    if failed:
        return "**failed**: " + ", ".join(failed)
    by_shards = {
        shards: tuple(sorted(where for _, (_, where) in group))
        for shards, group in groupby(sorted((key[0], key) for key in passed), key=lambda item: item[0])
    }
    places = set(by_shards.values())
    assert len(places) == 1, f"tests differ between shards: {by_shards}"
    (where,) = places
    return f"{places_in_words(where)}; {' and '.join(sorted(by_shards))} shards"


def places_in_words(where: tuple[str, ...]) -> str:
    """Transports and serializers."""
    names = set(where)
    passed = {part for name in names for part in name.split()}
    transports = [part for part in ("ws", "rs", "lp") if part in passed]
    serializers = [name for name in SERIALIZERS if name in passed] or ["all serializers"]
    others = [name for name in OTHERS if name in passed]
    also = f", also {' '.join(others)}" if others else ""
    return f"{' '.join(transports) or 'all transports'}, {' '.join(serializers)}{also}"


def table(results: list[dict]) -> str:
    """The whole page."""
    lines = rows(results)
    check_lines(set(lines))
    good = sum("**failed**" not in where for _, where in lines.values())
    count, untested = len(all_lines()), len(all_lines()) - len(lines)
    page = [INTRODUCTION, f"{good} of {count} lines pass; {untested} are of what is not built yet, see the end of the page.\n"]
    for group, (title, _) in GROUPS.items():
        members = {line: row for line, row in lines.items() if line.startswith(group)}
        if members:
            page += [f"## {title} ({group})\n", "| line | behaviour | passed |", "|---|---|---|"]
            page += [f"| {line} | {text.replace('|', chr(92) + '|')} | {where} |" for line, (text, where) in members.items()]
            page.append("")
    page += ["## Not yet\n", "| lines | why not |", "|---|---|"]
    page += [f"| {in_words(lines)} | {why} |" for why, lines in NOT_YET.items()]
    page.append("")
    return "\n".join(page)


def main() -> int:
    """Writes or checks; the exit status."""
    page = table(json.loads(RESULTS.read_text()))
    if "--check" not in sys.argv:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(page)
        return 0
    if TABLE.exists() and TABLE.read_text() == page:
        return 0
    print(f"{TABLE} is not what this run found; run `make test` without CI set, and commit what it writes there.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
