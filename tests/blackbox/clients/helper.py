"""A callee beside the clients: streams progressive results, and waits to be interrupted."""

import threading

from harness import messages as m
from harness.peers import Peers
from harness.session import Session
from harness.wire import Closed


class Helper:
    """Serves helper.count and helper.wait, and tells helper.events what happens to the latter.

    It announces call_canceling, which the callees of most JavaScript clients do not, and without which a router
    neither interrupts a callee nor asks it for progressive results.
    """

    def __init__(self, peers: Peers) -> None:
        self._session = peers.join()
        self._count = self._session.register("helper.count")
        self._wait = self._session.register("helper.wait")
        self._waiting: dict[int, object] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while True:
                self._serve(self._session, self._session.recv(timeout=3600))
        except (Closed, OSError):
            pass  # the test is over

    def _serve(self, session: Session, message: list) -> None:
        if message[0] == m.INTERRUPT:
            self._tell("interrupted", self._waiting.pop(message[1]))
            session.send(m.ERROR, m.INVOCATION, message[1], {}, "wamp.error.canceled")
        elif message[2] == self._count:
            assert message[3].get("receive_progress") is True, message
            for number in range(message[4][0]):
                session.reply(message, [number], progress=True)
            session.reply(message, ["done"])
        else:
            self._waiting[message[1]] = message[4][0]
            self._tell("called", message[4][0])

    def _tell(self, what: str, whose: object) -> None:
        self._session.publish("helper.events", [what, whose])
