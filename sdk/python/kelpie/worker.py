"""Runs classes of actors: for a node over its Unix socket, or over pipes under kelpie-sim."""
import json
import logging
import os
import random
import signal
import sys
import threading
import time
import uuid

from .actor import Abandoned, hello, run_turn
from .client import _error_of
from .connection import Address, Connection, Lost, socket_path

SLOTS = 8
SLOTS_MAX = 256
POLL_S = 60         # a node says something after 20 s
ANSWERS_S = 30      # beyond the deadline of the turn that calls
PAUSE_MS_MIN = 50
PAUSE_MS_MAX = 5000
STOP_S = 10         # for the turns under way
TURN_MS = 30000     # that one may take, where its class says nothing else
WATCH_S = 0.5
EXIT_HANGS = 70     # the status with which a process ends in which a turn hangs

log = logging.getLogger("kelpie")


def run(*classes, socket=None, slots=SLOTS, pipes=None):
    """Runs until SIGTERM or SIGINT, or (over pipes) until the input ends.

    socket: of the node; by default $KELPIE_SOCKET, or kelpied.sock in the data directory ($KELPIE_DATA_DIR).
    slots: turns that run at a time, each in a thread. pipes: true where kelpie-sim runs it; it says so in
    $KELPIE_WORKER."""
    if pipes is None:
        pipes = os.environ.get("KELPIE_WORKER") == "pipes"
    if not classes:
        raise ValueError("a worker needs a class")
    by_type = {c.type: c for c in classes}
    if len(by_type) < len(classes):
        raise ValueError("two classes are of one type")
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if pipes:
        _Pipes(by_type).run()
    else:
        Worker(by_type, Address(socket or socket_path()), slots).run()


class Worker:
    def __init__(self, classes, address, slots):
        if not 1 <= slots <= SLOTS_MAX:
            raise ValueError("slots is %r; 1 to %d are allowed" % (slots, SLOTS_MAX))
        self.classes, self.address = classes, address
        self.hello = json.dumps(hello(classes.values())).encode()
        self.name = str(uuid.uuid4())
        self.stopping = threading.Event()
        self.failed = None  # why it can do nothing for this node
        self.told = None
        self._lock = threading.Lock()
        self._slots = [_Slot(self) for _ in range(slots)]

    def run(self):
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGTERM, signal.SIGINT):
                signal.signal(signum, lambda *_: self.stopping.set())
        threads = [threading.Thread(target=slot.run, name="slot", daemon=True) for slot in self._slots]
        for thread in threads:
            thread.start()
        while not self.stopping.wait(WATCH_S):
            for slot in self._slots:
                slot.watch()
        for slot in self._slots:
            slot.stop()
        end = time.monotonic() + STOP_S
        for thread in threads:
            thread.join(max(0, end - time.monotonic()))
        if self.failed:
            raise self.failed

    def tell(self, what):
        """Once, until there is something else to tell."""
        with self._lock:
            if what == self.told:
                return
            self.told = what
        log.info("%s", what)

    def fail(self, error):
        self.failed = error
        self.stopping.set()


class _Slot:
    """A connection, and a thread that runs the turns which come over it."""

    def __init__(self, worker):
        self._worker = worker
        self._connection = Connection(worker.address)
        self._polls = False
        self._runs = None  # the turn, since when

    def watch(self):
        """What takes longer than it may, may do so for ever: the process ends, and whoever started it starts it again."""
        runs = self._runs
        if not runs or time.monotonic() - runs[1] < (self._worker.classes[runs[0]["type"]].turn_ms or TURN_MS) / 1000:
            return
        log.critical("%s/%s %s (%s) takes longer than it may: the process ends", runs[0]["type"], runs[0]["id"],
                     runs[0]["method"], runs[0]["request_id"])
        logging.shutdown()
        os._exit(EXIT_HANGS)

    def stop(self):
        if self._polls:
            self._connection.interrupt()

    def run(self):
        worker, pause_ms = self._worker, PAUSE_MS_MIN
        while not worker.stopping.is_set():
            try:
                message = self._ask(worker.hello, POLL_S)
                worker.tell("hosts %s at %s" % (", ".join(sorted(worker.classes)), worker.address.text))
                pause_ms = PAUSE_MS_MIN
                while "type" in message or not worker.stopping.is_set():
                    message = self._next(message)
            except Lost as e:
                if not worker.stopping.is_set():
                    worker.tell("waits for the node: %s" % e)
                    worker.stopping.wait(random.uniform(0, pause_ms) / 1000)
                    pause_ms = min(2 * pause_ms, PAUSE_MS_MAX)
            except Exception as e:
                self._connection.close()
                worker.fail(e)
        self._connection.close()

    def _next(self, message):
        if "type" not in message:
            return self._ask(b"{}", POLL_S)
        late = []  # what came instead of the answers
        self._runs = message, time.monotonic()
        try:
            answer = run_turn(self._worker.classes, message, lambda said: self._exchange(message, said, late), log)
        except Abandoned:
            if not late:
                raise Lost("the connection ended in the midst of a turn", True) from None
            return late[0]
        finally:
            self._runs = None
        if self._worker.stopping.is_set():
            answer["last"] = True
        return self._ask(json.dumps(answer).encode(), POLL_S)

    def _exchange(self, turn, said, late):
        said["ticket"] = turn["ticket"]
        self._runs = None
        try:
            message = self._ask(json.dumps(said).encode(), turn.get("deadline_ms", 0) / 1000 + ANSWERS_S, polls=False)
        except Lost:
            raise Abandoned from None
        self._runs = turn, time.monotonic()
        if message.get("ticket") != turn["ticket"]:
            late.append(message)
            raise Abandoned
        return message

    def _ask(self, body, timeout_s, polls=True):
        """What the node says next. `polls`: nothing is lost when the process ends meanwhile. A refusal of what a turn came to is told, and all goes on."""
        hello = body is self._worker.hello
        if not hello and not self._connection.is_open():
            raise Lost("the node closed the connection", True)
        self._polls = polls
        try:
            answer = self._connection.ask("POST", "/v1/worker/next", [("Kelpie-Worker", self._worker.name)], body,
                                          timeout_s)
        finally:
            self._polls = False
        error = _error_of(answer)
        if error is None:
            return json.loads(answer.body)
        if hello and error.retry:
            raise Lost(str(error), False)
        if hello:
            raise error
        log.warning("the node refuses: %s", error)
        return {}


class _Pipes:
    """A line in, a line out. Each turn has a thread, that sleeps while the turn waits for its calls."""

    def __init__(self, classes):
        self._classes = classes
        self._open = {}  # (type, id): the turn that waits
        # What a class prints is no line of ours.
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def run(self):
        self._say(hello(self._classes.values()))
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if "answers" in message:
                turn = next(t for t in self._open.values() if t.message["ticket"] == message["ticket"])
            else:
                self._forget((message["type"], message["id"]))
                turn = _PipeTurn(self._classes, message)
            self._say(self._step(turn, message))
        os._exit(0)  # (threads of turns that nobody waits for)

    def _step(self, turn, message):
        said = turn.step(message)
        key = (turn.message["type"], turn.message["id"])
        if "calls" in said:
            self._open[key] = turn
        else:
            self._open.pop(key, None)
        return said

    def _forget(self, key):
        turn = self._open.pop(key, None)
        if turn:
            turn.abandon()

    def _say(self, message):
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()


class _PipeTurn:
    def __init__(self, classes, message):
        self.message = message
        self._classes = classes
        self._told, self._said = threading.Semaphore(0), threading.Semaphore(0)
        self._line = self._answer = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def step(self, message):
        """What it says next. The threads take turns: one of them runs at a time."""
        self._line = message
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._told.release()
        self._said.acquire()
        return self._answer

    def abandon(self):
        self._line = None
        self._told.release()
        self._thread.join()

    def _run(self):
        try:
            self._answer = run_turn(self._classes, self.message, self._exchange, log)
        except Abandoned:
            return
        self._said.release()

    def _exchange(self, said):
        said["ticket"] = self.message["ticket"]
        self._answer = said
        self._said.release()
        self._told.acquire()
        if self._line is None:
            raise Abandoned
        return self._line
