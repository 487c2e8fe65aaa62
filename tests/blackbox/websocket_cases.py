"""Runs the WebSocket cases of the Autobahn test suite against a testee, by way of kosoku.

    websocket_cases.py URL RESULTS [CASE…]   runs these cases (globs), or all, and writes what became of each
    websocket_cases.py --table               writes docs/websocket-cases.md from out/websocket-cases.json
"""

import asyncio
import json
import os
import sys
from itertools import groupby
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "out" / "websocket-cases.json"
TABLE = HERE.parents[1] / "docs" / "websocket-cases.md"

CHAPTERS = {
    "1": "Framing",
    "2": "Pings and pongs",
    "3": "Reserved bits",
    "4": "Opcodes",
    "5": "Fragmentation",
    "6": "UTF-8",
    "7": "Closing",
    "9": "Limits and performance",
    "10": "Automatic fragmentation",
    "12": "Compression of different payloads",
    "13": "Compression with different parameters",
}

INTRODUCTION = """\
# WebSocket cases

What became of the cases of the Autobahn test suite, which [kosoku](https://pypi.org/project/kosoku/) ran against a
`websocket-testee` worker: it shares all code for frames, handshake and compression with the router's own connections. This page
is written by `make autobahn`; do not edit it. (The suite has no chapters 8 and 11.)

OK is what the case demands; INFORMATIONAL cases have no right answer; NON-STRICT is right by RFC 6455, but not the best that could
be done: 6.4.3 and 6.4.4 send a frame in pieces and want invalid UTF-8 in it to be found before it is complete, while here a frame
is looked at when it is.
"""


def run(url: str, cases: list[str] | None) -> list[dict]:
    """What became of these cases."""
    import kosoku

    async def all_of_them() -> list:
        try:
            return await kosoku.run_fuzzingclient(url, cases)
        except kosoku.FailureError as error:
            return error.results

    return [
        {
            "id": case.case_id,
            "behavior": case.behavior.value,
            "close": case.behavior_close.value,
            "passed": case.passed,
            "result": f"{case.result} {case.result_close}",
            "milliseconds": case.duration,
        }
        for case in asyncio.run(all_of_them())
    ]


def table(results: list[dict]) -> str:
    """The page."""
    passed = sum(result["passed"] for result in results)
    parts = [INTRODUCTION, f"{passed} of {len(results)} cases passed.\n"]
    parts.append("| chapter | | cases | OK | NON-STRICT | INFORMATIONAL | failed |\n|---|---|---|---|---|---|---|")
    for chapter, group in groupby(results, key=lambda result: result["id"].split(".")[0]):
        cases = list(group)
        passes = [result["behavior"] for result in cases if result["passed"]]
        counts = [passes.count(kind) or "" for kind in ("OK", "NON-STRICT", "INFORMATIONAL")]
        row = [chapter, CHAPTERS[chapter], len(cases), *counts, len(cases) - len(passes) or ""]
        parts.append("| " + " | ".join(map(str, row)) + " |")
    parts.append("\nAll that is not simply OK:\n\n| case | verdict | |\n|---|---|---|")
    for result in results:
        if not result["passed"] or result["behavior"] != "OK":
            verdict = result["behavior"] if result["passed"] else f"**{result['behavior']}**"
            parts.append(f"| {result['id']} | {verdict} | {result['result'].replace('|', '&#124;')} |")
    return "\n".join(parts) + "\n"


def main() -> None:
    """The command line."""
    if sys.argv[1:] == ["--table"]:
        TABLE.write_text(table(json.loads(RESULTS.read_text())))
        return
    url, results, *cases = sys.argv[1:]
    Path(results).write_text(json.dumps(run(url, cases or None), indent=0))
    # kosoku's threads do not survive the end of the interpreter, which they would turn into a crash.
    os._exit(0)


if __name__ == "__main__":
    main()
