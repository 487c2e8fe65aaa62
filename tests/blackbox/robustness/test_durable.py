"""Histories that outlive the router's process: a store of type cfxdb."""

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import config
from harness.meta import past_events
from harness.peers import Peers, eventually
from harness.router import Router, StartFailed, binary
from harness.serializers import ALL, CBOR
from harness.session import Session
from harness.wire import Address

HISTORIES = [("com.exact", "exact"), ("com.", "prefix"), ("com..wild", "wildcard")]
SEALED = {"ppt_scheme": "x_sealed", "ppt_serializer": "cbor", "ppt_cipher": "aes256gcm", "ppt_keyid": "key 7"}
LAUNCH = Path(__file__).parent / "launch.py"
# Long enough that nothing but the end of the router writes anything.
NEVER = 60_000


class Node:
    """A realm with a store, whose router starts again and again."""

    def __init__(self, workdir: Path) -> None:
        self._workdir = workdir
        self.router: Router | None = None
        self._peers: list[Peers] = []

    @property
    def file(self) -> Path:
        """The store's file."""
        return self._workdir / "db" / "history.redb"

    def configuration(self, port: int, bounds: dict, **store: object) -> dict:
        """The configuration, with these bounds of every history."""
        histories = [{"uri": uri, "match": match, **bounds} for uri, match in HISTORIES]
        store = {"type": "cfxdb", "path": "db", "limit": 1000, "event-history": histories, **store}
        paths = {name: config.websocket(role) for name, role in (("ws", "anonymous"), ("alice", "alice"))}
        web = config.universal(port, paths, config.rawsocket())
        return config.node([config.realm("realm1") | {"store": store}], [web])

    def start(self, shards: int = 1, launch: tuple[str, ...] = (), bounds: dict | None = None, **store: object) -> "Node":
        """Starts the router."""
        self.router = Router(
            self._workdir,
            lambda ports: self.configuration(ports[0], bounds or {}, **store),
            arguments=("--shards", str(shards)),
            launch=launch,
        ).start()
        return self

    def join(self, transport: str = "websocket", path: str = "/ws", serializer=CBOR) -> Session:
        """A session."""
        addresses = {(transport, "anonymous"): Address(self.router.ports[0], path)}
        self._peers.append(Peers(addresses, transport, serializer))
        return self._peers[-1].join()

    def stop(self) -> None:
        """Ends the router in order."""
        self._close()
        self.router.stop()

    def kill(self) -> None:
        """Ends the router at once."""
        self._close()
        self.router.kill()

    def _close(self) -> None:
        for peers in self._peers:
            peers.close()
        self._peers.clear()

    def histories(self, session: Session | None = None) -> list[list[dict]]:
        """All that the histories say, but for the ids of subscriptions, which a start gives anew."""
        session = session or self.join()
        found = []
        for uri, match in HISTORIES:
            subscription = session.subscribe(uri, match=match)
            session.unsubscribe(subscription)
            found.append(past_events(session, subscription))
            assert all(event.pop("subscription") == subscription for event in found[-1])
        return found

    def args(self) -> list[list]:
        """The first arguments of all events, by history."""
        return [[event["args"][0] for event in history] for history in self.histories()]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A realm whose router has not been started."""
    node = Node(tmp_path)
    yield node
    if node.router:
        node.kill()


def publish_everything(node: Node) -> None:
    """Events of all serializers and with all that an event can have."""
    for transport in ("websocket", "rawsocket"):
        for serializer in ALL:
            publisher = node.join(transport, serializer=serializer)
            publisher.publish_ack("com.exact", [1, "two", [3.5, None, True], {"four": [4]}], {"a": {"b": []}, "c": -7})
            publisher.publish_ack("com.any.wild", ["ä☃", 2**53], disclose_me=True)
            publisher.publish_ack("com.empty")
    publisher = node.join(path="/alice")
    publisher.publish_ack("com.exact", [publisher.transport.serializer.bytes_value(bytes(range(256)))])
    publisher.publish_ack("com.sealed", [publisher.transport.serializer.bytes_value(b"secret")], **SEALED)
    publisher.publish_ack("com.exact", ["frontend"], eligible_authrole=["frontend"], disclose_me=True)
    publisher.publish_ack("com.exact", ["not alice"], exclude_authid=["alice"])
    publisher.publish_ack("com.exact", ["only this session"], eligible=[publisher.id])


def seen_by_everybody(node: Node) -> list[list[list[dict]]]:
    """What the histories say to readers of each serializer, and to one of another role."""
    readers = [node.join(serializer=serializer) for serializer in ALL] + [node.join(path="/alice")]
    return [node.histories(reader) for reader in readers]


@pytest.mark.parametrize(("before", "after"), [(1, 1), (1, 4), (4, 2)])
def test_everything_comes_back_after_sigterm(node: Node, before: int, after: int) -> None:
    """Histories are the same after a restart, for every reader, whatever the number of shards."""
    node.start(before, **{"buffer-flush": NEVER})
    publish_everything(node)
    seen = seen_by_everybody(node)
    each = 2 * len(ALL)
    assert all(list(map(len, histories)) == [each + 2, 3 * each + 3, each] for histories in seen)
    for _ in range(2):
        node.stop()
        node.start(after, **{"buffer-flush": NEVER})
        assert seen_by_everybody(node) == seen
    # And goes on from there.
    publication = node.join().publish_ack("com.exact", ["later"])
    exact, *_ = node.histories()
    assert exact[:-1] == seen[ALL.index(CBOR)][0] and exact[-1]["publication"] == publication


def test_kill(node: Node) -> None:
    """What is older than the flush interval survives kill -9."""
    node.start(4, **{"buffer-flush": 20})
    publish_everything(node)
    before = node.histories()
    # Nothing tells from outside when the batch is on the disk.
    time.sleep(0.5)
    node.router.signal(signal.SIGKILL)
    node.router.wait()
    node.kill()
    node.start(2)
    assert node.histories() == before


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "nosync"])
def test_kill_amid_writing(node: Node, sync: bool) -> None:
    """Whenever the router is killed, there is a whole beginning of what was published: nothing torn, nothing missing."""
    published, found = 0, 0
    for _ in range(4):
        node.start(2, bounds={"limit": 100_000}, sync=sync, **{"buffer-flush": 1, "max-buffer": 10})
        session = node.join("rawsocket")
        numbers = [event["args"][0] for event in events_of(session)]
        assert len(numbers) >= found and numbers == list(range(len(numbers)))
        found = published = len(numbers)
        for number in range(published, published + 300):
            session.publish_ack("com.exact", [number])
        node.kill()
    assert found > 0


def events_of(session: Session) -> list[dict]:
    """All past events of the exact topic."""
    subscription, events = session.subscribe("com.exact"), []
    while True:
        after = {"after_publication": events[-1]["publication"]} if events else {}
        page = past_events(session, subscription, **after)
        if not page:
            session.unsubscribe(subscription)
            return events
        events += page


def test_bounds_hold_for_what_is_stored(node: Node) -> None:
    """Of an earlier run there is no more than the bounds allow, and what they do not allow is gone for good."""
    node.start(bounds={"limit": 5})
    publisher = node.join()
    for number in range(8):
        publisher.publish_ack("com.exact", [number])
    node.stop()
    node.start(2, bounds={"limit": 3})
    assert node.args() == [[5, 6, 7], [5, 6, 7], []]
    node.stop()
    node.start(bounds={"limit": 5})
    assert node.args() == [[5, 6, 7], [5, 6, 7], []]
    node.stop()
    # They are older than that when the router is back.
    time.sleep(1)
    node.start(bounds={"max_age": 1})
    assert node.args() == [[], [], []]
    node.stop()
    node.start()
    assert node.args() == [[], [], []]


def test_readonly(node: Node) -> None:
    """A store that is only read says what it has; what comes is kept in memory only."""
    node.start()
    node.join().publish_ack("com.exact", [1])
    node.stop()
    content = node.file.read_bytes()
    node.start(2, readonly=True)
    node.join().publish_ack("com.exact", [2])
    assert node.args() == [[1, 2], [1, 2], []]
    node.stop()
    assert node.file.read_bytes() == content
    node.start()
    assert node.args() == [[1], [1], []]


def test_second_router(node: Node, tmp_path: Path) -> None:
    """A second router with the same store does not start, and says why."""
    node.start()
    other = Router(
        tmp_path / "other",
        lambda ports: node.configuration(ports[0], {}, path=str(node.file.parent)),
    )
    (tmp_path / "other").mkdir()
    with pytest.raises(StartFailed) as failed:
        other.start()
    text = str(failed.value)
    assert "exit status 1" in text and str(node.file) in text and "another process" in text and "realm1" in text, text


@pytest.mark.parametrize("damage", ["begin", "end", "other"])
def test_damaged_file(node: Node, damage: str) -> None:
    """A file that is damaged is named, with what to do about it."""
    node.start()
    for number in range(100):
        node.join().publish_ack("com.exact", [number])
    node.stop()
    content = bytearray(node.file.read_bytes())
    match damage:
        case "begin":
            content[64:1024] = bytes(960)
        case "end":
            del content[len(content) // 2 :]
        case "other":
            content[:] = b"something else\n" * 1000
    node.file.write_bytes(content)
    with pytest.raises(StartFailed) as failed:
        node.start()
    text = str(failed.value)
    assert "exit status 1" in text and str(node.file) in text and "move it away" in text and "panicked" not in text, text


def test_no_directory(node: Node, tmp_path: Path) -> None:
    """A path where no directory can be is named."""
    (tmp_path / "db").write_text("a file")
    with pytest.raises(StartFailed, match=r"realms\[0\]\.store\.path: found .*/db, which is no directory"):
        node.start()


def test_signal_while_reading(node: Node, tmp_path: Path) -> None:
    """A router that still reads its store ends by a signal, in order."""
    node.start(**{"buffer-flush": NEVER})
    node.join().publish_ack("com.exact", [1])
    node.stop()
    router = node.router
    with router.log_file.open("wb") as log:
        command = [binary(), "start", "--config", str(tmp_path / "config.json")]
        router.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    router.await_log("reading store")
    router.stop()
    node.start()
    assert node.args() == [[1], [1], []]


def test_moved_away(node: Node) -> None:
    """A store that is moved away while the disk is full is made anew, and the next start takes it."""
    node.start(launch=(sys.executable, str(LAUNCH), "nothing"), **{"buffer-flush": 10})
    publisher = node.join()
    publisher.publish_ack("com.exact", ["before"])
    size = node.file.stat().st_size
    resource.prlimit(node.router.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    for number in range(20):
        publisher.publish_ack("com.exact", [number, "x" * 100_000])
    eventually(lambda: "cannot store events" in node.router.log, "an error in the log")
    node.file.rename(node.file.with_name("moved"))
    resource.prlimit(node.router.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    eventually(lambda: node.file.exists() and node.file.stat().st_size > 2_000_000, "a file that grows")
    node.stop()
    node.start()
    assert [event["args"][0] for event in events_of(node.join())][-20:] == list(range(20))


def test_full_disk(node: Node) -> None:
    """A disk that is full harms no session; what was published meanwhile is stored when there is room again."""
    node.start(launch=(sys.executable, str(LAUNCH), "nothing"), **{"buffer-flush": 10})
    size = node.file.stat().st_size

    def limit(files: int) -> None:
        resource.prlimit(node.router.pid, resource.RLIMIT_FSIZE, (files, resource.RLIM_INFINITY))

    limit(size)
    publisher, count = node.join(), 50
    for number in range(count):
        publisher.publish_ack("com.exact", [number, "x" * 100_000])
    eventually(lambda: "cannot store events" in node.router.log, "an error in the log")
    assert "File too large" in node.router.log
    subscription = publisher.subscribe("com.exact")
    last = past_events(publisher, subscription, reverse=True, limit=1)
    assert last[0]["args"][0] == count - 1
    limit(resource.RLIM_INFINITY)
    publisher.publish_ack("com.exact", [count, ""])
    eventually(lambda: node.file.stat().st_size > count * 100_000, "a file that grows")
    node.stop()
    node.start()
    assert [event["args"][0] for event in events_of(node.join())] == list(range(count + 1))


def test_end_on_a_full_disk(node: Node) -> None:
    """The router ends in time even if it cannot store what it has, and says how much is lost."""
    node.start(launch=(sys.executable, str(LAUNCH), "nothing"), **{"buffer-flush": NEVER})
    size = node.file.stat().st_size
    resource.prlimit(node.router.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    for _ in range(30):
        node.join().publish_ack("com.exact", ["x" * 100_000])
    node.stop()
    assert "events are not stored" in node.router.log and "lost=60" in node.router.log, node.router.log
    node.start()
    assert node.args() == [[], [], []]
