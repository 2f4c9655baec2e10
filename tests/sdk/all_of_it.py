"""A worker that uses all that the package for Python has; of the tests."""
import threading
import time

from kelpie import Actor, Fail, errors, method, read, run


class Thing(Actor):
    version = 2
    remember_ms = 9000

    @method
    def echo(self, body):
        return body

    @method(raw=True)
    def raw_echo(self, body):
        return body

    @method
    def nothing(self):
        pass

    @method
    def put(self, body):
        self.state["b"] = body
        self.state.pop("a", None)

    @method
    def put_raw(self):
        self.state.bytes[b"\0"] = self.state.bytes.pop(b"\xff")

    @read
    def get(self):
        return " ".join("%s=%s" % item for item in self.state.items())

    @read(raw=True)
    def raw_get(self, body):
        return self.state.bytes[body]

    @read
    def writing_read(self):
        self.state["a"] = "1"

    @method(name="erase")
    def erase_it(self):
        self.erase()
        return str(len(self.state))

    @method
    def not_text(self):
        return self.state["a"]

    @method
    def sends(self):
        self.send("thing", "y", "echo", "1")
        self.send("thing", "y", "echo", b"\xff", after_ms=10, every_ms=200, name="n")
        self.unsend("m")

    @method
    def whose(self):
        t = self.turn
        return "%s %s %s %s" % (t.sender, t.due_ms, t.missed, t.attempt)

    @method
    def fails(self):
        self.state["a"] = "1"
        raise Fail("sold_out", "no seat")

    @method
    def not_found(self):
        raise errors.NotFound("nothing here")

    def helper(self):
        return "not for others"

    @method
    def raises(self):
        return 1 / 0

    @method
    def bad_reply(self):
        return 5

    @method
    def calls(self):
        self.state["before"] = "1"
        self.state["after"] = self.call("a", "1", "m", "b")
        raw, late = self.call_all([("a", "2", "m"), ("a", "3", "m", "", 70)])
        return "%s %s %s" % (raw.hex(), late.error, late.applied)

    @method
    def draws(self):
        return "%s %s %s" % (self.random(), self.random(), self.now_ms)

    @method
    def waits(self, seconds):
        time.sleep(float(seconds))
        return str(threading.get_ident())

    @method
    def prints(self):
        print("not for the protocol", flush=True)
        return "printed"


class Another(Actor):
    type = "Other"
    turn_ms = 500

    @method
    def hangs(self):
        time.sleep(100)


run(Thing, Another, slots=3)
