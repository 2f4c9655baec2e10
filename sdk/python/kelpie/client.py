"""A client: asks nodes until the deadline, under one request id, so that what it asks for is done once."""
import json
import math
import os
import random
import threading
import time
import urllib.parse
import uuid

from . import errors
from .connection import Address, Connection, Lost, socket_path

DEADLINE_MS = 5000
DEADLINE_MS_MAX = 600000
ATTEMPT_MS_MIN = 1000  # with several nodes: one that is silent for so long is left for another
PAUSE_MS_MIN = 20
PAUSE_MS_MAX = 2000
IDLE_S_MAX = 60  # a connection that was not used for longer may be closed at the other end
IDLE_MAX = 8     # connections kept for each node
PAGE = 100
EVENTS_SILENCE_S = 45  # the node says something every 15 s


class _Age:
    """How old the first attempt is at most: a machine that slept knows it by one clock, one whose clock was
    set by the other."""

    def __init__(self, older_ms):
        self._older_ms, self._wall, self._monotonic = older_ms, time.time(), time.monotonic()

    def passed_ms(self):
        return max(time.time() - self._wall, time.monotonic() - self._monotonic, 0.0) * 1000

    def ms(self):
        return self._older_ms + math.ceil(self.passed_ms())


class Client:
    """`nodes`: "HOST:PORT" or the path of a node's Unix socket, or several of them (a list, or with commas).
    By default $KELPIE_NODE, or else the socket in the data directory. May be used by many threads."""

    def __init__(self, nodes=None, deadline_ms=DEADLINE_MS):
        nodes = nodes or os.environ.get("KELPIE_NODE") or socket_path()
        if isinstance(nodes, str):
            nodes = nodes.split(",")
        self._nodes = [Address(n) for n in nodes]
        self._deadline_ms = deadline_ms
        self._idle = {n: [] for n in self._nodes}
        self._lock = threading.Lock()
        self._at = random.randrange(len(self._nodes))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the connections that nobody uses now."""
        with self._lock:
            for idle in self._idle.values():
                for connection in idle:
                    connection.close()
                idle.clear()

    # ---- calls

    def call(self, type, id, method, body="", **options):
        """Calls a method and returns the reply as text. Options: deadline_ms; request_id with age_ms, when
        the id is the caller's own: how long ago at most it was first used, in milliseconds (0: never yet)."""
        return self.call_bytes(type, id, method, body, **options).decode()

    def call_bytes(self, type, id, method, body=b"", **options):
        """As call(), with the reply as bytes."""
        return self._ask_once(_path("/v1/actors", type, id, method), body, **options).body

    def send(self, type, id, method, body="", after_ms=0, **options):
        """Sends a message, that comes after so many milliseconds and is applied exactly once. Returns when
        it is durable. Options as of call()."""
        path = _path("/v1/actors", type, id, method) + "?after_ms=%d" % after_ms
        self._ask_once(path, body, **options)

    def _ask_once(self, path, body, deadline_ms=None, request_id=None, age_ms=None):
        if (request_id is None) != (age_ms is None):
            raise ValueError("request_id and age_ms go together: age_ms is 0 for an id that is new")
        deadline_ms = self._deadline_ms if deadline_ms is None else deadline_ms
        if not 1 <= deadline_ms <= DEADLINE_MS_MAX:
            raise ValueError("deadline_ms is %r; 1 to %d are allowed" % (deadline_ms, DEADLINE_MS_MAX))
        body = body.encode() if isinstance(body, str) else bytes(body)
        headers = [("Kelpie-Request-Id", request_id or str(uuid.uuid4()))]
        return self._until_deadline("POST", path, headers, body, deadline_ms, _Age(age_ms or 0))

    def _until_deadline(self, method, path, headers, body, deadline_ms, age):
        """Attempts with pauses of full jitter. What an attempt may have done stays in mind: only a reply says
        more."""
        applied, last, pause_ms, attempt_ms = "no", None, PAUSE_MS_MIN, self._attempt_ms(deadline_ms)
        while True:
            left_ms = deadline_ms - age.passed_ms()
            if left_ms < 1:
                raise _out_of_time(applied, last)
            times = [("Kelpie-Request-Age-Ms", str(age.ms())),
                     ("Kelpie-Deadline-Ms", str(math.ceil(left_ms)))]
            wait_ms, node = 0, self._nodes[self._at]
            try:
                answer = self._attempt(node, method, path, headers + times, body, min(left_ms, attempt_ms))
                last = _error_of(answer)
                if last is None:
                    return answer
                wait_ms = 1000 * _number(answer.headers.get("retry-after"))
            except Lost as e:
                last = errors.make("unreachable", str(e), applied="unknown" if e.sent else "no")
                attempt_ms *= 2
            if last.applied == "unknown" and applied == "no":
                applied = "unknown"
            if not last.retry:
                last.applied = applied if last.applied == "no" else last.applied
                raise last
            self._turn_away(node)
            left_ms = deadline_ms - age.passed_ms()
            time.sleep(max(0, min(left_ms, max(wait_ms, random.uniform(0, pause_ms)))) / 1000)
            pause_ms = min(2 * pause_ms, PAUSE_MS_MAX)

    def _attempt_ms(self, deadline_ms):
        return deadline_ms if len(self._nodes) == 1 else max(ATTEMPT_MS_MIN, deadline_ms / 4)

    # ---- what there is

    def list(self, type=None, node=None):
        """All actors, in order: dictionaries as in docs/http-api.md."""
        return self._pages("/v1/actors", "actors", {"type": type, "node": node})

    def messages(self, type=None, id=None):
        """Messages that wait for an actor, or the dead letters of all."""
        return self._pages(_path("/v1/messages", *([type, id] if type else [])), "messages", {})

    def nodes(self):
        return self._pages("/v1/nodes", "nodes", {})

    def status(self):
        """Of the node that answers."""
        return self._get("/v1/status")

    def get(self, type, id):
        """Where an actor is."""
        return self._get(_path("/v1/actors", type, id))

    def _get(self, path):
        answer = self._until_deadline("GET", path, [], b"", self._deadline_ms, _Age(0))
        return json.loads(answer.body)

    def _pages(self, path, what, query):
        query = {k: v for k, v in query.items() if v}
        query["limit"] = PAGE
        while True:
            page = self._get(path + "?" + urllib.parse.urlencode(query))
            yield from page[what]
            if page.get("next") is None:
                return
            query["after"] = page["next"]

    def events(self, after=None):
        """The events of one node, as they happen, without end: dictionaries, with the `id` that `after` takes.
        When the connection ends, it goes on behind the last one at the same node, as soon as that is there."""
        node, pause_ms = self._nodes[self._at], PAUSE_MS_MIN
        while True:
            connection = Connection(node)
            try:
                headers = [("Last-Event-ID", after)] if after else []
                answer, lines = connection.stream("/v1/events", headers, EVENTS_SILENCE_S)
                error = _error_of(answer)
                if error is not None and not error.retry:
                    raise error
                for event in _events(lines):
                    pause_ms, after = PAUSE_MS_MIN, event["id"]
                    yield event
            except Lost:
                pass
            finally:
                connection.close()
            time.sleep(random.uniform(0, pause_ms) / 1000)
            pause_ms = min(2 * pause_ms, PAUSE_MS_MAX)

    # ---- connections

    def _turn_away(self, node):
        with self._lock:
            if self._nodes[self._at] is node:
                self._at = (self._at + 1) % len(self._nodes)

    def _attempt(self, node, method, path, headers, body, timeout_ms):
        """One that is given up closes its connection."""
        connection = self._take(node)
        answer = connection.ask(method, path, headers, body, timeout_ms / 1000 + 0.1)
        self._give_back(node, connection)
        return answer

    def _take(self, node):
        with self._lock:
            while self._idle[node]:
                connection = self._idle[node].pop()
                if time.monotonic() - connection.idle_since < IDLE_S_MAX:
                    return connection
                connection.close()
        return Connection(node)

    def _give_back(self, node, connection):
        connection.idle_since = time.monotonic()
        with self._lock:
            if len(self._idle[node]) < IDLE_MAX:
                self._idle[node].append(connection)
                return
        connection.close()


def _path(prefix, *names):
    return prefix + "".join("/" + urllib.parse.quote(n, safe="") for n in names)


def _number(text):
    return int(text) if text and text.isdigit() else 0


def _error_of(answer):
    """None: it is none."""
    name = answer.headers.get("kelpie-error")
    if name is None:
        if answer.status < 300:
            return None
        return errors.make("protocol", "the node answered with the status %d and no error" % answer.status)
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = {}
    return errors.make(name, said.get("message", ""), said.get("code", ""), said.get("retry"), said.get("applied"))


def _out_of_time(applied, last):
    sentence = "the deadline passed" + ("; the last attempt: %s" % last if last is not None else "")
    return errors.make("timeout" if applied == "no" else "unknown_result", sentence)


def _events(lines):
    event_id, data = None, []
    for line in lines:
        if line.startswith("id:"):
            event_id = line[3:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].strip())
        elif line == "" and data:
            yield dict(json.loads("\n".join(data)), id=event_id)
            data = []
