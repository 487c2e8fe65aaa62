"""Figures of single runs to tables."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One column of the table: where it is in the report of a scenario, and what is better."""

    title: str
    scenario: str
    phase: str
    path: tuple[str, ...]
    divisor: float = 1
    more_is_better: bool = False

    def of(self, report: dict) -> float | None:
        """The figure; none where the harness could not tell."""
        phases = {phase["name"]: phase for phase in report["phases"]}
        value = phases.get(self.phase)
        for name in self.path:
            value = (value or {}).get(name)
        return None if value is None else value / self.divisor


FIGURES = [
    Figure("1 → 100, CPU µs", "fanout100", "measured", ("router", "cpu_us_per_unit")),
    Figure("1 → 1,000, CPU µs", "fanout1000", "measured", ("router", "cpu_us_per_unit")),
    Figure("50/s p50, ms", "latency", "measured", ("latency", "p50_us"), divisor=1000),
    Figure("50/s p99, ms", "latency", "measured", ("latency", "p99_us"), divisor=1000),
    Figure("10 × 4 calls, CPU µs", "calls", "measured", ("router", "cpu_us_per_unit")),
    Figure("1 × 1 call p50, µs", "roundtrip", "measured", ("latency", "p50_us")),
    Figure("sessions/s", "connect", "connect", ("per_second",), more_is_better=True),
    Figure("KiB per session", "connect", "idle", ("router", "rss_per_session"), divisor=1024),
]

# Of one row: the figure of each title, where there is one.
Row = dict[str, float]


def best(reports: Iterable[tuple[str, dict]]) -> Row:
    """The best figures of several passes, each for itself, from pairs of scenario and report."""
    row: Row = {}
    for scenario, report in reports:
        for figure in FIGURES:
            value = figure.of(report) if figure.scenario == scenario else None
            if value is not None:
                choose = max if figure.more_is_better else min
                row[figure.title] = choose(row.get(figure.title, value), value)
    return row


def ratios(row: Row, ours: Row) -> Row:
    """How many times as good as a row ours is: above 1 where ours is better."""
    better = {figure.title: figure.more_is_better for figure in FIGURES}
    return {
        title: ours[title] / value if better[title] else value / ours[title]
        for title, value in row.items()
        if ours.get(title) and value
    }


def markdown(rows: dict[str, Row], head: str) -> str:
    """A table with a line for each row, and a column for each figure that any row has."""
    titles = [figure.title for figure in FIGURES if any(figure.title in row for row in rows.values())]
    lines = [[head, *titles], ["---"] + ["--:"] * len(titles)]
    for name, row in rows.items():
        lines.append([name, *(number(row[title]) if title in row else "–" for title in titles)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """Two digits behind the point of small numbers, fewer of large ones."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"
