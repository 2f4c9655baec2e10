"""A small node for the tests of the SDKs: what they are asked is written down, what they are answered is told
beforehand. It says POST /v1/worker/next as docs/workers.md has it, and no more of it than the tests need."""
import json
import os
import socket
import sys
import threading
import time
import unittest


WAIT_S = 60  # for what comes at once, on a machine that is not busy


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body

    @property
    def json(self):
        return json.loads(self.body)


def read_request(stream):
    line = stream.readline()
    if not line:
        return None
    method, path, _ = line.decode().split()
    headers = {}
    while True:
        line = stream.readline().decode().strip()
        if not line:
            break
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Request(method, path, headers, stream.read(int(headers.get("content-length", 0))))


def answer(body=b"", status=200, **headers):
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    elif isinstance(body, str):
        body = body.encode()
    head = "HTTP/1.1 %d X\r\nContent-Length: %d\r\n" % (status, len(body))
    return (head + "".join("%s: %s\r\n" % (k.replace("_", "-"), v) for k, v in headers.items()) + "\r\n").encode() + body


def error(name, status, retry, applied, message="for a test", **headers):
    said = {"error": name, "message": message, "retry": retry, "applied": applied}
    if "code" in headers:
        said["code"] = headers.pop("code")
    return answer(said, status, Kelpie_Error=name, **headers)


def run_tests():
    """Of the program. It ends at once: threads may still wait for connections, and the interpreter can crash when it is
    taken down under them."""
    ran = unittest.main("__main__", warnings="ignore", exit=False)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if ran.result.wasSuccessful() else 1)


CLOSE = object()  # instead of an answer


class Server:
    """Answers each request with what `handle(request)` returns: bytes, or CLOSE, or an iterator of bytes."""

    def __init__(self, path=None, handle=None):
        self.handle = handle or self.handle
        self.path = path
        self.connections = []
        self.down = False
        if path:
            if os.path.exists(path):
                os.unlink(path)
            self._listen = socket.socket(socket.AF_UNIX)
            self._listen.bind(path)
        else:
            self._listen = socket.socket()
            self._listen.bind(("127.0.0.1", 0))
            self.path = "127.0.0.1:%d" % self._listen.getsockname()[1]
        self._listen.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                made = self._listen.accept()[0]
            except OSError:
                return
            if self.down: # it came in the last moment
                made.close()
                return
            self.connections.append(made)
            threading.Thread(target=self._serve, args=(made,), daemon=True).start()

    def _serve(self, made):
        stream = made.makefile("rb")
        try:
            while True:
                request = read_request(stream)
                if request is None:
                    break
                request.connection = made
                said = CLOSE if self.down else self.handle(request)
                if said is CLOSE:
                    break
                for piece in [said] if isinstance(said, bytes) else said:
                    made.sendall(piece)
        except (OSError, ValueError):
            pass
        self.closed(made)
        stream.close()
        made.close()

    def closed(self, connection):
        pass

    def close(self):
        self.down = True
        try:
            self._listen.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listen.close()
        for c in list(self.connections):
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class WorkerNode(Server):
    """Hands out the turns that are given to give(), and keeps what they came to."""

    POLL_S = 0.3

    def __init__(self, path):
        self.hellos, self.seen, self.workers = [], {}, set()
        self.refuses = None  # an answer for hellos
        self.calls_take_s = 0
        self._turns, self._holds, self._known, self._answers = [], {}, set(), {}
        self._changed = threading.Condition()
        self._ticket = 0
        super().__init__(path)

    def give(self, type, id, method, body="", calls=(), close=False, **more):
        """Returns the ticket. `calls`: what each round of calls is answered."""
        with self._changed:
            self._ticket += 1
            turn = dict({"ticket": self._ticket, "run": 1, "type": type, "id": id, "method": method,
                         "request_id": "u%d" % self._ticket, "attempt": 1, "deadline_ms": 5000, "body": body,
                         "state": {}, "now_ms": 1700000000000, "random": 7}, **more)
            if "body64" in turn:
                del turn["body"]
            self._turns.append(turn)
            self._answers[self._ticket] = list(calls)
            self.seen[self._ticket] = []
            self._changed.notify_all()
            return self._ticket

    def said(self, ticket, count=1, within_s=WAIT_S):
        """The first `count` answers to that ticket."""
        with self._changed:
            ok = self._changed.wait_for(lambda: len(self.seen[ticket]) >= count, within_s)
            assert ok, "ticket %d has %d answers" % (ticket, len(self.seen[ticket]))
            return self.seen[ticket][:count]

    def run(self, *a, **k):
        """What a turn comes to at last."""
        ticket = self.give(*a, **k)
        return self.said(ticket, 1 + len(k.get("calls", ())))[-1]

    def under_way(self):
        """Turns that workers have."""
        with self._changed:
            return len(self._holds)

    def handle(self, request):
        assert request.path == "/v1/worker/next" and request.method == "POST", request.path
        said, me = request.json, id(request.connection)
        with self._changed:
            self.workers.add(request.headers["kelpie-worker"])
            if me not in self._known:
                assert "worker" in said, "the first request of a connection says no hello"
                if self.refuses:
                    return self.refuses
                self._known.add(me)
                self.hellos.append(said)
            elif "ticket" in said:
                if self._holds.get(me) != said["ticket"]:
                    return error("invalid", 400, False, "no", "it does not hold the ticket")
                self.seen[said["ticket"]].append(said)
                self._changed.notify_all()
                if "calls" in said and self._answers[said["ticket"]]:
                    answers = self._answers[said["ticket"]].pop(0)
                    self._changed.wait_for(lambda: False, self.calls_take_s)
                    if answers is not None:
                        return answer({"ticket": said["ticket"], "answers": answers})
            self._holds.pop(me, None)
            if said.get("last"):
                return answer({})
            if not self._changed.wait_for(lambda: self._turns, self.POLL_S):
                return answer({})
            turn = self._turns.pop(0)
            self._holds[me] = turn["ticket"]
            return answer(turn)


def eventually(what, within_s=WAIT_S):
    end = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < end, "not within %g s" % within_s
        time.sleep(0.01)
