"""Fixtures of the black-box tests, and the record of which conformance line passed where."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import config
from harness.peers import Peers
from harness.router import Router
from harness.serializers import ALL, BJDATA, CBOR, FLATBUFFERS, JSON, MSGPACK, OTHERS, UBJSON12, Serializer

OUT = Path(__file__).parent / "out"
SHARDS = (1, 4)
COMBINATIONS = [(transport, serializer) for transport in ("websocket", "rawsocket") for serializer in ALL]
# Groups of lines that run over long-poll twice: with JSON, and with a binary serializer in batches. Others run there once.
OFTEN_OVER_LONGPOLL = ("PS", "CA", "GB")
# Both dialects of UBJSON, for all lines.
UBJSON = [("rawsocket", BJDATA), ("websocket", UBJSON12)]
# The other serializers that each transport has at the addresses of the tests, for the lines of that transport.
OTHERS_OVER = {"websocket": OTHERS, "rawsocket": (BJDATA, FLATBUFFERS), "longpoll": OTHERS}
# Lines that run over FlatBuffers too: those whose messages its schema has words for, and that autobahn, which writes
# and reads them, does not refuse to.
IN_FLATBUFFERS = {
    "AU": (22,),
    "AZ": (1, 2, 3, 4),
    "CA": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 20),
    "CC": (1, 4, 5, 6, 7, 8, 9, 11, 13, 14, 16, 17, 18, 19, 20),
    "CT": (1, 2, 4, 5, 6, 7, 9, 11),
    "EH": (1, *range(3, 18), 20, 21, 22, 23),
    "ER": (*range(1, 10), 11, 12, 14),
    "GB": (1, 2, 3, 5, 6, 11, 12),
    "MB": tuple(range(1, 9)),
    "MR": tuple(range(1, 12)),
    "MS": (1, 2, 3, 5, *range(8, 19)),
    "PC": (1, 4, 5, 6, 7, 8, 9, 10, 11, 12),
    "PI": (5,),
    "PP": tuple(range(1, 15)),
    "PR": (*range(1, 14), 15),
    "PS": (*range(1, 27), 28),
    "PV": (6, 9, 13, 14, 15, 16, 17, 19, 20, 21, 22, 23, 32, 33, 37, 38),
    "PX": (1, 2, 3, 4, 5, 6, 7, 9, 10, 13, 14, 15, 16),
    "RE": tuple(range(1, 11)),
    "RV": (1, 5, 6),
    "SE": (1, 2, 3, 5, 7, 12, 13, 15, 16, 17, 18, 19, 20, 24, 25),
    "SR": (*range(1, 14), 15),
    "TM": (1, *range(3, 12)),
    "UR": (1, 9, 10, 12, 13, 14, 15, 16, 17, 18),
}
LINE = re.compile(r"test_([A-Z]{2})_(\d{3})_")


@pytest.fixture(scope="session", params=SHARDS, ids=lambda shards: f"shards{shards}")
def router(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """The router that the conformance tests share, once with one shard and once with four."""
    shards = request.param
    workdir = tmp_path_factory.mktemp(f"shards{shards}")
    router = Router(workdir, config.conformance, config.PORTS, ("--shards", str(shards)))
    router.start()
    assert len(router.shards()) == shards
    yield router
    router.stop()


def _peers(router: Router, transport: str, serializer: Serializer) -> Iterator[Peers]:
    peers = Peers(config.addresses(router.ports), transport, serializer)
    yield peers
    peers.close()


@pytest.fixture
def own_router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Router]]:
    """Starts routers of the test's own."""
    routers = []

    def start(shards: int = 1) -> Router:
        workdir = tmp_path_factory.mktemp("own")
        routers.append(Router(workdir, lambda ports: config.simple(ports[0]), arguments=("--shards", str(shards))))
        return routers[-1].start()

    yield start
    for router in routers:
        router.kill()
        router.has_not_panicked()


FIGURES = pytest.StashKey[list]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Notes a measured figure, which is printed at the end of the run."""
    return request.config.stash[FIGURES].append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the figures."""
    for line in terminalreporter.config.stash[FIGURES]:
        terminalreporter.write_line(line)


@pytest.fixture
def wamp_of(router: Router) -> Iterator[Callable[[str], Peers]]:
    """Sessions over a transport of the test's choice, for tests that choose the serializers too."""
    opened = []

    def peers(transport: str) -> Peers:
        opened.append(Peers(config.addresses(router.ports), transport, ALL[0]))
        return opened[-1]

    yield peers
    for each in opened:
        each.close()


@pytest.fixture
def wamp(request: pytest.FixtureRequest, router: Router) -> Iterator[Peers]:
    """Sessions over each transport with each serializer."""
    yield from _peers(router, *request.param)


@pytest.fixture
def websocket(request: pytest.FixtureRequest, router: Router) -> Iterator[Peers]:
    """Sessions over WebSocket with each serializer."""
    yield from _peers(router, *request.param)


@pytest.fixture
def rawsocket(request: pytest.FixtureRequest, router: Router) -> Iterator[Peers]:
    """Sessions over RawSocket with each serializer."""
    yield from _peers(router, *request.param)


@pytest.fixture
def longpoll(request: pytest.FixtureRequest, router: Router) -> Iterator[Peers]:
    """Sessions over long-poll with each serializer."""
    yield from _peers(router, *request.param)


def combinations(fixture: str, group: str, number: int) -> list[tuple[str, Serializer]]:
    """Where a test of `fixture` runs; without a `group` it is no line, and runs with fewer serializers."""
    if fixture in OTHERS_OVER:
        others = OTHERS_OVER[fixture] if group else ()
        return [(fixture, serializer) for serializer in (*ALL, *others)]
    if not group:
        return COMBINATIONS
    polled = (JSON, CBOR) if group in OFTEN_OVER_LONGPOLL else (MSGPACK,)
    return [
        *COMBINATIONS,
        *[("longpoll", serializer) for serializer in polled],
        *UBJSON,
        *([("websocket", FLATBUFFERS)] if number in IN_FLATBUFFERS.get(group, ()) else []),
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs each test of sessions wherever its line applies."""
    line = LINE.match(metafunc.function.__name__)
    group, number = (line[1], int(line[2])) if line else ("", 0)
    for fixture in {"wamp", *OTHERS_OVER}.intersection(metafunc.fixturenames):
        places = combinations(fixture, group, number)
        names = [f"{transport}-{serializer.name}" for transport, serializer in places]
        metafunc.parametrize(fixture, places, ids=names, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Notes the conformance line that a test stands for, and where it ran."""
    report = yield
    line = LINE.match(item.name)
    if line and report.when in ("setup", "call") and (report.when == "call" or not report.passed):
        combination = item.callspec.id if hasattr(item, "callspec") else ""
        text = " ".join((item.function.__doc__ or "").split())
        report.conformance = {
            "id": f"{line[1]}-{line[2]}",
            "text": text,
            "where": combination,
            "outcome": report.outcome,
        }
    return report


class Record:
    """Collects the conformance results of a run."""

    def __init__(self) -> None:
        self.results: list[dict] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes one result."""
        if hasattr(report, "conformance"):
            self.results.append(report.conformance)

    def pytest_sessionfinish(self) -> None:
        """Writes what `conformance_table.py` reads."""
        if self.results:
            OUT.mkdir(exist_ok=True)
            (OUT / "conformance.json").write_text(json.dumps(self.results, indent=0))


def pytest_configure(config: pytest.Config) -> None:
    """Installs the record."""
    config.stash[FIGURES] = []
    config.pluginmanager.register(Record())
