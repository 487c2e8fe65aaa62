"""Reports what a client managed to do: one JSON object a line, which `test_clients.py` reads."""

import json
import sys
import traceback
from collections.abc import Awaitable


class Steps:
    """Runs named steps and prints whether each went well."""

    def __init__(self) -> None:
        self.failed = False

    async def step(self, name: str, doing: Awaitable[object]) -> None:
        """Awaits one step; a failure is reported, and the next step still runs."""
        text = ""
        try:
            await doing
        except Exception:
            text = traceback.format_exc()
            self.failed = True
        print(json.dumps({"step": name, "ok": not text, "text": text}), flush=True)

    def end(self) -> None:
        """Ends the program with a status that says whether all went well."""
        sys.exit(1 if self.failed else 0)


def expect(got: object, wanted: object) -> None:
    """The two are equal."""
    assert got == wanted, f"expected {wanted!r}, got {got!r}"
