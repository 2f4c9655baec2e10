"""kelpie-worker, the process in which classes in C run, against a fake node."""
import base64
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD, SOURCE = os.environ["KELPIE_BUILD"], os.environ["KELPIE_SOURCE"]
sys.path.insert(0, HERE)

from fake_node import WorkerNode, eventually, run_tests

PAGES = 4 << 16  # more than the slots need
b64 = lambda b: base64.b64encode(b).decode()


def compile(source, to, *flags):
    subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-w",
                    "-I" + SOURCE + "/include", *flags, source, "-o", to], check=True)


class Process:
    def __init__(self, dir, object):
        self.told, tell = os.pipe()
        os.set_blocking(self.told, False)
        pages = os.memfd_create("pages")
        os.ftruncate(pages, PAGES)
        self.log = dir + "/log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [BUILD + "/kelpie-worker", str(tell), str(pages), object, dir + "/kelpied.sock", "n1", "1", "text"],
                pass_fds=(tell, pages), stderr=log, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        os.close(tell)
        os.close(pages)

    def said(self):
        try:
            return os.read(self.told, 100).decode()
        except BlockingIOError:
            return ""

    def text(self):
        with open(self.log) as f:
            return f.read()

    def end(self):
        self.process.kill()
        self.process.wait()
        os.close(self.told)


class CWorker(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        cls.object = cls.dir.name + "/thing.so"
        compile(HERE + "/thing.c", cls.object)
        cls.node = WorkerNode(cls.dir.name + "/kelpied.sock")
        cls.worker = Process(cls.dir.name, cls.object)

    @classmethod
    def tearDownClass(cls):
        cls.worker.end()
        cls.node.close()
        cls.dir.cleanup()

    def turn(self, method, body="", **more):
        said = self.node.run("thing", "x", method, body, **more)
        said.pop("ticket")
        return said

    def test_hello(self):
        eventually(lambda: len(self.node.hellos) >= 4)
        self.assertEqual(len(self.node.workers), 1)
        thing = self.node.hellos[0]["types"][0]
        self.assertEqual(thing, {"type": "thing", "version": 2, "idle_ms": 0, "remember_ms": 9000, "turn_ms": 1000,
                                 "placement": "round_robin", "expire_after_ms": 3600000,
                                 "reads": ["get", "writing_read"]})
        eventually(lambda: "worker_registered" in self.worker.text())

    def test_reply(self):
        self.assertEqual(self.turn("echo", "hällo"), {"reply": "hällo"})
        self.assertEqual(self.turn("echo", body64=b64(b"\xff\0")), {"reply64": b64(b"\xff\0")})
        # An activation is one turn's.
        self.assertEqual(self.turn("count"), {"reply": "1"})
        self.assertEqual(self.turn("count"), {"reply": "1"})

    def test_state(self):
        """What activate writes goes with the first change of a message."""
        self.assertEqual(self.turn("put", "5", state={"a": "1"}),
                         {"puts": {"b": "5", "activated": "1"}, "puts64": {}, "deletes": ["a"], "deletes64": []})
        self.assertEqual(self.turn("put_raw", state={"activated": "1"})["puts64"], {b64(b"\0"): b64(b"\xff")})
        self.assertEqual(self.turn("get", state={"b": "2"}, read=True), {"reply": "2"})
        self.assertEqual(self.turn("writing_read", read=True),
                         {"error": "refused", "sentence": "a method that is declared as a read cannot write"})
        self.assertEqual(self.turn("erase", state={"a": "1"}), {"erase": True})
        self.assertEqual(self.turn("too_long", "x" * 97), {"error": "invalid", "sentence":
                         "a state key has 97 bytes; at most 96 are allowed"})

    def test_messages(self):
        said = self.turn("sends")
        self.assertEqual(said["unsends"], ["m"])
        self.assertEqual(said["sends"][1], {"type": "thing", "id": "y", "method": "echo", "body64": b64(b"\xff"),
                                            "after_ms": 10, "every_ms": 200, "name": "n"})
        self.assertEqual(self.turn("whose", sender={"type": "t", "id": "i"}, due_ms=5, missed=2, attempt=3),
                         {"reply": "t i 5 2 3"})

    def test_errors(self):
        self.assertEqual(self.turn("fails"), {"fail": {"code": "sold_out", "sentence": "no seat"}})
        self.assertEqual(self.turn("says"), {"error": "not_found", "sentence": "nothing here"})
        self.assertEqual(self.turn("nonesuch")["error"], "unknown_method")
        self.assertIn("a call to wait for", self.turn("pends")["sentence"])
        self.assertIn("e/f -> thing/x -> thing/x", self.turn("cycle", chain=["e/f"])["sentence"])

    def test_calls(self):
        ticket = self.node.give("thing", "x", "calls", "b", calls=[[{"reply": "5"}], [
            {"error": "timeout", "applied": "unknown", "sentence": "late"}]])
        said = self.node.said(ticket, 3)
        self.assertEqual(said[0]["puts"], {"before": "1", "activated": "1"})
        self.assertEqual(said[0]["calls"], [{"type": "a", "id": "1", "method": "m", "body": "b", "deadline_ms": 0}])
        self.assertEqual(said[1]["puts"], {"after": "5"})
        self.assertEqual(said[1]["calls"][0]["deadline_ms"], 70)
        self.assertRegex(said[2]["reply"], r"^5 -\d+ late$")
        failed = [[{"error": "domain_error", "applied": "no", "code": "sold_out", "sentence": "none"}]]
        self.assertEqual(self.turn("calls", calls=failed), {"fail": {"code": "sold_out", "sentence": "none"}})
        self.assertEqual(self.turn("passes", calls=[[{"reply": "1"}], [
            {"error": "not_found", "applied": "no", "sentence": "nobody"}]]),
            {"error": "not_found", "sentence": "nobody"})

    def test_waits(self):
        """Turns that wait for others, or block, leave slots that ask."""
        waiting = [self.node.give("thing", str(i), "calls", "", calls=[None]) for i in range(6)]
        path = self.dir.name + "/go"
        blocking = [self.node.give("thing", "b%d" % i, "waits", path) for i in range(10)]
        for ticket in waiting:
            self.node.said(ticket)
        eventually(lambda: self.node.under_way() >= 10)
        open(path, "w").close()
        for ticket in blocking:
            self.assertEqual(self.node.said(ticket)[0]["reply"], "went")
        self.assertEqual(self.turn("echo", "1"), {"reply": "1"})

    def test_forks(self):
        """The child of a handler says nothing."""
        for _ in range(3):
            self.assertEqual(self.turn("forks"), {"reply": "forked"})
        self.assertEqual(self.turn("prints"), {"reply": "printed"})


class Replaced(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.node = WorkerNode(self.dir.name + "/kelpied.sock")
        self.addCleanup(self.dir.cleanup)
        self.addCleanup(self.node.close)

    def test_replaced(self):
        """The file may be another while it runs; a node that comes back is told again what the worker is."""
        object = self.dir.name + "/thing.so"
        compile(HERE + "/thing.c", object)
        worker = Process(self.dir.name, object)
        self.addCleanup(worker.end)
        self.assertEqual(self.node.run("thing", "x", "echo", "1")["reply"], "1")
        with open(object, "wb") as f:
            f.write(b"\x7fELF no more")
        self.assertEqual(self.node.run("thing", "x", "echo", "2")["reply"], "2")
        self.node.close()
        self.node = WorkerNode(self.node.path)
        self.assertEqual(self.node.run("thing", "x", "echo", "3")["reply"], "3")

    def test_bad(self):
        for what, text in (("cut", "is truncated"), ("machine", "for another architecture"), ("text", "is no shared")):
            object = self.dir.name + "/%s.so" % what
            compile(HERE + "/thing.c", object)
            with open(object, "r+b") as f:
                if what == "cut":
                    f.truncate(4000)
                elif what == "machine":
                    f.seek(18)
                    f.write(b"\xb7\0")
                else:
                    f.write(b"text")
            worker = Process(self.dir.name, object)
            self.assertEqual(worker.process.wait(60), 1)
            self.assertIn(text, worker.text())
            worker.end()


if __name__ == "__main__":
    run_tests()
