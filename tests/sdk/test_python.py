"""The package for Python, against a fake node: worker, pipes, client, packaging."""
import ast
import base64
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("KELPIE_SOURCE", os.path.dirname(os.path.dirname(HERE)))
PYTHON = os.path.join(SOURCE, "sdk/python")
sys.path[:0] = [HERE, PYTHON]

from fake_node import CLOSE, Server, WorkerNode, answer, error, eventually, run_tests
from kelpie import Actor, Client, Error, Fail, errors, method, read, run
from kelpie.actor import run_turn
from kelpie.client import _Age
from kelpie.connection import Address

COMMAND = [sys.executable, os.path.join(HERE, "all_of_it.py")]
b64 = lambda b: base64.b64encode(b).decode()


class Worker(unittest.TestCase):
    """One process for all, over the socket; and the same over pipes."""

    NUMBERS = r"^ZeroDivisionError: .* \(all_of_it.py, line \d+\)$"
    ERASE = "erase"

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        cls.node = WorkerNode(cls.dir.name + "/kelpied.sock")
        cls.log = open(cls.dir.name + "/log", "w+")
        cls.process = start(cls.dir.name, cls.log)

    @classmethod
    def tearDownClass(cls):
        cls.process.kill()
        cls.process.wait()
        cls.node.close()
        cls.log.close()
        cls.dir.cleanup()

    def turn(self, method, body="", **more):
        said = self.node.run("thing", "x", method, body, **more)
        said.pop("ticket")
        return said

    def test_hello(self):
        eventually(lambda: len(self.node.hellos) == 3)
        self.assertEqual(len(self.node.workers), 1)
        self.assertEqual(self.node.hellos[0], {"worker": 1, "types": [
            {"type": "thing", "version": 2, "remember_ms": 9000, "reads": ["get", "raw_get", "writing_read"]},
            {"type": "Other", "turn_ms": 500}]})

    def test_reply(self):
        self.assertEqual(self.turn("echo", "hällo"), {"reply": "hällo"})
        self.assertEqual(self.turn("echo", body64=b64(b"\xff\0")), {"error": "invalid", "sentence":
                         "the body is not UTF-8, and this method takes text"})
        self.assertEqual(self.turn("raw_echo", body64=b64(b"\xff\0")), {"reply64": b64(b"\xff\0")})
        self.assertEqual(self.turn("nothing"), {})

    def test_state(self):
        self.assertEqual(self.turn("put", "5", state={"a": "1"}), {"puts": {"b": "5"}, "deletes": ["a"]})
        self.assertEqual(self.turn("put", "5", state={"b": "5"}), {})
        self.assertEqual(self.turn("put_raw", state64={b64(b"\xff"): b64(b"\xfe")}),
                         {"puts64": {b64(b"\0"): b64(b"\xfe")}, "deletes64": [b64(b"\xff")]})
        self.assertEqual(self.turn("get", state={"b": "2", "a": "1"}, read=True), {"reply": "a=1 b=2"})
        self.assertEqual(self.turn("writing_read", read=True)["error"], "refused")
        self.assertEqual(self.turn(self.ERASE, state={"a": "1"}), {"erase": True, "reply": "0"})
        self.assertEqual(self.turn("not_text", state64={b64(b"a"): b64(b"\xff")})["error"], "handler_failed")

    def test_messages(self):
        self.assertEqual(self.turn("sends"), {"sends": [
            {"type": "thing", "id": "y", "method": "echo", "body": "1"},
            {"type": "thing", "id": "y", "method": "echo", "body64": b64(b"\xff"), "after_ms": 10, "every_ms": 200,
             "name": "n"}], "unsends": ["m"]})
        self.assertEqual(self.turn("whose", sender={"type": "t", "id": "i"}, due_ms=5, missed=2, attempt=3),
                         {"reply": "('t', 'i') 5 2 3"})

    def test_errors(self):
        self.assertEqual(self.turn("fails"), {"fail": {"code": "sold_out", "sentence": "no seat"}})
        self.assertEqual(self.turn("not_found"), {"error": "not_found", "sentence": "nothing here"})
        self.assertEqual(self.turn("helper")["error"], "unknown_method")
        said = self.turn("raises")
        self.assertEqual(said["error"], "handler_failed")
        self.assertRegex(said["sentence"], self.NUMBERS)
        self.assertEqual(self.turn("bad_reply")["error"], "handler_failed")

    def test_calls(self):
        ticket = self.node.give("thing", "x", "calls", calls=[[{"reply": "5"}], [
            {"reply64": b64(b"\xff")}, {"error": "timeout", "applied": "unknown", "sentence": "late"}]])
        said = self.node.said(ticket, 3)
        self.assertEqual(said[0], {"ticket": ticket, "puts": {"before": "1"},
                                   "calls": [{"type": "a", "id": "1", "method": "m", "body": "b"}]})
        self.assertEqual(said[1]["calls"][1], {"type": "a", "id": "3", "method": "m", "body": "", "deadline_ms": 70})
        self.assertEqual(said[1]["puts"], {"after": "5"})
        self.assertEqual(said[2], {"ticket": ticket, "reply": "ff timeout unknown"})
        # What is not caught is passed on.
        failed = [[{"error": "domain_error", "applied": "no", "code": "sold_out", "sentence": "none"}]]
        self.assertEqual(self.turn("calls", calls=failed), {"fail": {"code": "sold_out", "sentence": "none"}})
        self.assertEqual(self.turn("calls", calls=[[{"error": "call_cycle", "applied": "no", "sentence": "s"}]]),
                         {"error": "call_cycle", "sentence": "s"})

    def test_random(self):
        self.assertEqual(self.turn("draws"), self.turn("draws"))
        self.assertNotEqual(self.turn("draws", random=8), self.turn("draws"))

    def test_slots(self):
        """Three turns at a time, and the fourth when one is over."""
        tickets = [self.node.give("thing", str(i), "waits", "0.3") for i in range(4)]
        for ticket in tickets:
            self.node.said(ticket)
        over = [self.node.said(t)[0]["reply"] for t in tickets]
        self.assertEqual(len(set(over)), 3)


class Pipes(Worker):
    """The same program, as kelpie-sim runs it."""

    @classmethod
    def setUpClass(cls):
        cls.process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, env=environment(KELPIE_WORKER="pipes"))
        cls.said_first = json.loads(cls.process.stdout.readline())
        cls.ticket = 0

    @classmethod
    def tearDownClass(cls):
        cls.process.stdin.close()
        assert cls.process.wait(60) == 0
        cls.process.stdout.close()

    def say(self, message):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def begin(self, method, body="", calls=(), id="x", **more):
        type(self).ticket += 1
        turn = dict({"ticket": self.ticket, "run": 1, "type": "thing", "id": id, "method": method, "request_id": "u",
                     "attempt": 1, "deadline_ms": 5000, "body": body, "state": {}, "now_ms": 1, "random": 7}, **more)
        return self.say(turn)

    def turn(self, method, body="", calls=(), **more):
        said = self.begin(method, body, **more)
        for answers in calls:
            said = self.say({"ticket": said["ticket"], "answers": answers})
        said.pop("ticket")
        return said

    def test_hello(self):
        self.assertEqual(self.said_first["types"][1], {"type": "Other", "turn_ms": 500})

    def test_calls(self):
        """Two turns wait, and go on in another order; one is forgotten when its actor gets another."""
        one, two = self.begin("calls", id="one"), self.begin("calls", id="two")
        self.begin("calls", id="three")
        self.assertEqual(self.turn("echo", "1", id="three"), {"reply": "1"})
        for waits in (two, one):
            said = self.say({"ticket": waits["ticket"], "answers": [{"reply": "5"}]})
            self.assertEqual(said["ticket"], waits["ticket"])
            self.assertEqual(len(said["calls"]), 2)
        self.assertEqual(self.turn("calls", calls=[[{"error": "call_cycle", "applied": "no", "sentence": "s"}]]),
                         {"error": "call_cycle", "sentence": "s"})

    def test_prints(self):
        """What a class prints is no line of the protocol."""
        self.assertEqual(self.turn("prints"), {"reply": "printed"})

    test_slots = None


class Connections(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.node = WorkerNode(self.dir.name + "/kelpied.sock")
        self.log = open(self.dir.name + "/log", "w+")
        self.process = start(self.dir.name, self.log)

    def tearDown(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.node.close()
        self.log.close()
        self.dir.cleanup()

    def test_node_comes_back(self):
        eventually(lambda: len(self.node.hellos) == 3)
        ticket = self.node.give("thing", "x", "waits", "0.2")
        time.sleep(0.1)
        self.node.close()
        self.node = WorkerNode(self.node.path)
        self.assertEqual(self.node.run("thing", "x", "echo", "1")["reply"], "1")
        eventually(lambda: len(self.node.hellos) == 3)
        self.assertEqual(self.node.seen, {1: [{"reply": "1", "ticket": 1}]})
        self.assertEqual(ticket, 1)

    def test_abandoned(self):
        """The turn of which nobody waits for the answers ends, whatever it would have caught."""
        eventually(lambda: len(self.node.hellos) == 3)
        first = self.node.give("thing", "x", "calls", calls=[None])
        self.node.said(first)
        for i in range(6):
            self.assertEqual(self.node.run("thing", str(i), "echo", "1")["reply"], "1")
        self.assertEqual(len(self.node.seen[first]), 1)

    def test_term(self):
        """The turn that is under way ends, and its answer comes."""
        eventually(lambda: len(self.node.hellos) == 3)
        ticket = self.node.give("thing", "x", "waits", "0.5")
        time.sleep(0.2)
        self.process.send_signal(signal.SIGTERM)
        self.assertTrue(self.node.said(ticket)[0]["last"])
        self.assertEqual(self.process.wait(60), 0)

    def test_term_in_calls(self):
        """So does one that waits for what it called."""
        eventually(lambda: len(self.node.hellos) == 3)
        self.node.calls_take_s = 0.3
        two = [{"reply": ""}, {"error": "timeout", "applied": "unknown", "sentence": "late"}]
        ticket = self.node.give("thing", "x", "calls", calls=[[{"reply": "5"}], two])
        self.node.said(ticket)
        self.process.send_signal(signal.SIGTERM)
        self.assertTrue(self.node.said(ticket, 3)[2]["last"])
        self.assertEqual(self.process.wait(60), 0)

    def test_hangs(self):
        """What takes longer than it may ends the process, and is named."""
        eventually(lambda: len(self.node.hellos) == 3)
        self.node.give("Other", "slow", "hangs")
        self.assertEqual(self.process.wait(60), 70)
        self.log.seek(0)
        self.assertIn("Other/slow hangs", self.log.read())

    def test_refused_hello(self):
        self.node.close()
        self.node = WorkerNode(self.node.path)
        self.node.refuses = error("refused", 409, False, "no", "thing has the version 1 here")
        self.assertEqual(self.process.wait(60), 1)
        self.log.seek(0)
        self.assertIn("thing has the version 1 here", self.log.read())


class Clients(unittest.TestCase):
    def serve(self, *answers):
        """A node that gives these, and then the last one for ever."""
        asked, left = [], list(answers)

        def handle(request):
            asked.append(request)
            said = left.pop(0) if len(left) > 1 else left[0]
            return said(request) if callable(said) else said

        server = Server(handle=handle)
        self.addCleanup(server.close)
        return server, asked

    def test_call(self):
        server, asked = self.serve(answer("5"))
        with Client(server.path) as client:
            self.assertEqual(client.call("counter", "café / 1", "add", "5"), "5")
            self.assertEqual(client.call_bytes("counter", "a", "add", b"\xff", deadline_ms=70), b"5")
        self.assertEqual(asked[0].path, "/v1/actors/counter/caf%C3%A9%20%2F%201/add")
        self.assertEqual(asked[1].headers["kelpie-deadline-ms"], "70")
        self.assertNotEqual(asked[0].headers["kelpie-request-id"], asked[1].headers["kelpie-request-id"])
        self.assertIn(int(asked[0].headers["kelpie-request-age-ms"]), range(5000))
        self.assertEqual(len(server.connections), 1)

    def test_retries(self):
        """Under one request id, with its age, and the deadline that is left."""
        server, asked = self.serve(error("unavailable", 503, True, "no"), CLOSE,
                                   error("mailbox_full", 429, True, "no", Retry_After=1), answer("ok"))
        self.assertEqual(Client(server.path).call("t", "i", "m"), "ok")
        self.assertEqual(len({a.headers["kelpie-request-id"] for a in asked}), 1)
        ages = [int(a.headers["kelpie-request-age-ms"]) for a in asked]
        self.assertEqual(ages, sorted(ages))
        self.assertGreaterEqual(ages[3], 1000)
        self.assertLessEqual(int(asked[3].headers["kelpie-deadline-ms"]), 4000)

    def test_typed(self):
        server, _ = self.serve(error("domain_error", 422, False, "no", "no seat", code="sold_out"),
                               error("too_late", 409, False, "unknown"), CLOSE, error("invalid", 400, False, "no"),
                               error("new_one", 503, False, "no"))
        client = Client(server.path)
        with self.assertRaises(Fail) as caught:
            client.call("t", "i", "m")
        self.assertEqual((caught.exception.code, caught.exception.sentence), ("sold_out", "no seat"))
        with self.assertRaises(errors.TooLate) as caught:
            client.call("t", "i", "m")
        self.assertEqual(caught.exception.applied, "unknown")
        # An attempt before it was lost: what this one says of itself does not decide.
        with self.assertRaises(errors.Invalid) as caught:
            client.call("t", "i", "m")
        self.assertEqual(caught.exception.applied, "unknown")
        with self.assertRaises(Error) as caught:
            client.call("t", "i", "m")
        self.assertEqual((caught.exception.error, caught.exception.retry), ("new_one", False))

    def test_deadline(self):
        server, asked = self.serve(error("unavailable", 503, True, "no"))
        with self.assertRaises(errors.Timeout):
            Client(server.path).call("t", "i", "m", deadline_ms=200)
        self.assertGreater(len(asked), 1)
        lost, _ = self.serve(CLOSE)
        with self.assertRaises(errors.UnknownResult):
            Client(lost.path).call("t", "i", "m", deadline_ms=200)
        with self.assertRaises(errors.Timeout):  # nobody is there, so nobody did it
            Client("127.0.0.1:1").call("t", "i", "m", deadline_ms=100)

    def test_other_node(self):
        """A node that is silent is left for another, its connection closed."""
        closed = threading.Event()

        def silent(request):
            request.connection.settimeout(5)
            try:
                if request.connection.recv(1) == b"":
                    closed.set()
            except ConnectionResetError:
                closed.set()
            return CLOSE

        slow, asked = self.serve(silent)
        good, asked_too = self.serve(answer("ok"))
        client = Client([slow.path, good.path])
        client._at = 0
        self.assertEqual(client.call("t", "i", "m"), "ok")
        self.assertTrue(closed.wait(60))
        self.assertEqual(asked[0].headers["kelpie-request-id"], asked_too[0].headers["kelpie-request-id"])
        self.assertGreaterEqual(int(asked_too[0].headers["kelpie-request-age-ms"]), 1000)

    def test_own_id(self):
        server, asked = self.serve(answer("ok"))
        Client(server.path).call("t", "i", "m", request_id="r1", age_ms=90000)
        self.assertGreaterEqual(int(asked[0].headers["kelpie-request-age-ms"]), 90000)
        with self.assertRaises(ValueError):
            Client(server.path).call("t", "i", "m", request_id="r1")
        # What is no header's value is the caller's mistake, and is asked of nobody.
        with self.assertRaisesRegex(ValueError, "Kelpie-Request-Id has a line's end in it"):
            Client(server.path).call("t", "i", "m", request_id="r2\r\n\r\nPOST /x HTTP/1.1", age_ms=0)
        self.assertEqual(len(asked), 1)

    def test_age(self):
        """By whichever clock has gone further."""
        age = _Age(0)
        age._wall -= 50
        self.assertGreaterEqual(age.ms(), 50000)
        age = _Age(7)
        age._monotonic -= 3
        age._wall += 100
        self.assertGreaterEqual(age.ms(), 3007)

    def test_send(self):
        server, asked = self.serve(answer("", 202))
        Client(server.path).send("t", "i", "m", "b", after_ms=60)
        self.assertEqual(asked[0].path, "/v1/actors/t/i/m?after_ms=60")

    def test_pages(self):
        server, asked = self.serve(answer({"actors": [{"id": "1"}], "next": "t/1 x"}),
                                   answer({"actors": [{"id": "2"}], "next": None}))
        self.assertEqual([a["id"] for a in Client(server.path).list(type="t")], ["1", "2"])
        self.assertEqual(asked[1].path, "/v1/actors?type=t&limit=100&after=t%2F1+x")

    def test_events(self):
        def stream(request):
            yield b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
            n = int(request.headers.get("last-event-id", "b-0")[2:]) + 1
            yield b": silence\n\nid: b-%d\nevent: x\ndata: {\"n\":%d}\n\n" % (n, n)
            request.connection.shutdown(2)

        server, _ = self.serve(stream)
        events = Client(server.path).events()
        self.assertEqual([next(events) for _ in range(3)], [{"n": n, "id": "b-%d" % n} for n in (1, 2, 3)])

    def test_threads(self):
        server, asked = self.serve(lambda r: answer(r.body))
        client = Client(server.path)
        got = []
        threads = [threading.Thread(target=lambda i=i: [got.append(client.call("t", "i", "m", str(i)) == str(i))
                                                        for _ in range(20)]) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual((len(got), all(got)), (80, True))

    def test_no_address(self):
        for bad in ("", "host", "host:99999", "/" + "x" * 107):
            with self.assertRaises(ValueError):
                Address(bad)


class Package(unittest.TestCase):
    def test_exit_in_a_handler(self):
        class Leaves(Actor):
            @method
            def leave(self):
                sys.exit(3)

        turn = {"ticket": 1, "run": 1, "type": "leaves", "id": "x", "method": "leave", "request_id": "r", "attempt": 1,
                "deadline_ms": 1000, "body": "", "state": {}, "now_ms": 1, "random": 1}
        quiet = logging.getLogger("quiet")
        quiet.disabled = True
        self.assertEqual(run_turn({"leaves": Leaves}, turn, None, quiet)["error"], "handler_failed")

    def test_hidden(self):
        with self.assertRaisesRegex(TypeError, "hide kelpie.Actor.send"):
            type("Hides", (Actor,), {"send": method(lambda self: None)})

    def test_old_python(self):
        for folder, _, names in os.walk(PYTHON):
            for name in names:
                if name.endswith(".py"):
                    with open(os.path.join(folder, name)) as f:
                        ast.parse(f.read(), name, feature_version=(3, 9))

    def test_table(self):
        with open(SOURCE + "/docs/http-api.md") as f:
            rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (yes|no) \| (\w+) \|", f.read(), re.M)
        self.assertEqual({name: (int(status), retry == "yes", applied) for name, status, retry, applied in rows},
                         errors.TABLE)

    def test_wheel(self):
        """What pip does where it is, and the same without it."""
        with tempfile.TemporaryDirectory() as dir:
            code = "import sys, build_kelpie as b; print(b.build_wheel(sys.argv[1])); b.build_sdist(sys.argv[1])"
            made = subprocess.run([sys.executable, "-c", code, dir], cwd=PYTHON, check=True, capture_output=True,
                                  text=True).stdout.strip()
            imported = subprocess.run([sys.executable, "-c", "import kelpie; print(kelpie.__file__)"],
                                      env=environment(PYTHONPATH=os.path.join(dir, made)), check=True,
                                      capture_output=True, text=True).stdout
            self.assertIn(made, imported)

    def test_pip(self):
        if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
            self.skipTest("no pip")
        with tempfile.TemporaryDirectory() as dir:
            subprocess.run([sys.executable, "-m", "pip", "-q", "install", "--no-index", "--no-cache-dir",
                            "--target", dir, PYTHON], check=True, capture_output=True,
                           env=environment(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore"))
            self.assertTrue(os.path.exists(dir + "/kelpie/__init__.py"))


def environment(**more):
    return dict(os.environ, KELPIE_SOURCE=SOURCE, PYTHONPATH=more.pop("PYTHONPATH", PYTHON), PYTHONDONTWRITEBYTECODE="1", **more)


def start(dir, log):
    return subprocess.Popen(COMMAND, env=environment(KELPIE_DATA_DIR=dir),
                            stdin=subprocess.DEVNULL, stderr=log)


if __name__ == "__main__":
    run_tests()
