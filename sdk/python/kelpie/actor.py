"""What a class of actors is made of, and how one turn of it runs."""
import base64
import collections.abc
import inspect
import traceback

from . import errors


class Abandoned(BaseException):
    """Raised out of a call in a turn that nobody waits for any more. Not to be caught: the turn is over."""


# ---- bytes on the wire: text as it is, all else in base64 under the name with 64 behind it

def take_bytes(message, name):
    if name + "64" in message:
        return base64.b64decode(message[name + "64"])
    return message.get(name, "").encode()


def _text(data):
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def put_bytes(message, name, data):
    text = _text(data)
    if text is None:
        message[name + "64"] = base64.b64encode(data).decode()
    else:
        message[name] = text


def _bytes_of(value, what):
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError("%s is of type %s; text or bytes are allowed" % (what, type(value).__name__))


# ---- state

class _Values:
    """The actor's state, and what changed since it was last told."""

    def __init__(self, message):
        state = {k.encode(): v.encode() for k, v in message.get("state", {}).items()}
        for key, value in message.get("state64", {}).items():
            state[base64.b64decode(key)] = base64.b64decode(value)
        self.now, self.changed, self.read_only = state, {}, message.get("read", False)

    def set(self, key, value):
        if self.read_only:
            raise errors.Refused("a method that is declared as a read cannot write")
        if self.now.get(key) == value:
            return
        if value is None:
            del self.now[key]
        else:
            self.now[key] = value
        self.changed[key] = value

    def tell(self, out):
        changed, self.changed = self.changed, {}
        for key, value in changed.items():
            texts = _text(key), _text(value or b"")
            plain = None not in texts
            if value is None:
                out.setdefault("deletes" if plain else "deletes64", []).append(
                    texts[0] if plain else base64.b64encode(key).decode())
            elif plain:
                out.setdefault("puts", {})[texts[0]] = texts[1]
            else:
                out.setdefault("puts64", {})[base64.b64encode(key).decode()] = base64.b64encode(value).decode()


class State(collections.abc.MutableMapping):
    """An actor's state, in the order of its keys. What is changed in it is written with the turn's end, or not
    at all. Keys and values are text; `bytes` is the same state, shown as bytes."""

    def __init__(self, values, as_text=True):
        self._values, self._as_text = values, as_text

    @property
    def bytes(self):
        return State(self._values, False)

    def _show(self, key, data):
        if not self._as_text:
            return data
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise ValueError("the state under %r is not UTF-8; state.bytes shows it" % key) from None

    def __getitem__(self, key):
        data = self._values.now.get(_bytes_of(key, "a key"))
        if data is None:
            raise KeyError(key)
        return self._show(key, data)

    def __setitem__(self, key, value):
        self._values.set(_bytes_of(key, "a key"), _bytes_of(value, "the value of %r" % key))

    def __delitem__(self, key):
        data = _bytes_of(key, "a key")
        if data not in self._values.now:
            raise KeyError(key)
        self._values.set(data, None)

    def __iter__(self):
        return iter([self._show(k, k) for k in sorted(self._values.now)])

    def __len__(self):
        return len(self._values.now)

    def __repr__(self):
        return "State(%r)" % dict(self)


# ---- classes

class _Method:
    def __init__(self, function, read, raw, name):
        self.function, self.read, self.raw, self.name = function, read, raw, name or function.__name__
        self.takes_body = len(inspect.signature(function).parameters) > 1


def _declare(function, read, raw, name):
    def declare(f):
        f.kelpie_method = _Method(f, read, raw, name)
        return f
    return declare(function) if function else declare


def method(function=None, raw=False, name=None):
    """What others may call, by its name, or by `name`. It is given the body as text, or as bytes where `raw` is
    true, or nothing if it takes no argument; it returns the reply: text, bytes, or None."""
    return _declare(function, False, raw, name)


def read(function=None, raw=False, name=None):
    """A method that changes nothing: it runs beside others, on what is committed, and is not remembered."""
    return _declare(function, True, raw, name)


class Actor:
    """The base of classes. One object for each turn: what is to stay is in `state`.

    Class attributes: `type` (the class's name in small letters), `version` of the state that it writes,
    `idle_ms`, `remember_ms`, `turn_ms`, `placement`, `expire_after_ms`; see docs/workers.md."""

    type = None
    version = 0
    idle_ms = 0
    remember_ms = 0
    turn_ms = 0
    placement = None
    expire_after_ms = 0
    kelpie_methods = {}

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if "type" not in cls.__dict__:
            cls.type = cls.__name__.lower()
        for name in cls.__dict__:
            if hasattr(Actor, name) and hasattr(cls.__dict__[name], "kelpie_method"):
                raise TypeError("%s.%s would hide kelpie.Actor.%s: give it another name, and say name=%r" % (
                    cls.__name__, name, name, name))
        found = [getattr(getattr(cls, name), "kelpie_method", None) for name in dir(cls)]
        cls.kelpie_methods = {m.name: m for m in found if m}

    def __init__(self, message, exchange):
        """`exchange` says the node a message about this turn, and returns its answer."""
        self._exchange = exchange
        self._values = _Values(message)
        self._said = {}
        self._random = message.get("random", 0)
        self.id = message["id"]
        self.state = State(self._values)
        self.turn = Turn(message)

    @property
    def now_ms(self):
        """The node's wall clock, in milliseconds since 1970, when the turn began."""
        return self.turn.now_ms

    def random(self):
        """A number from 0 to 1; others at each call, all of them from the one that the node has drawn."""
        # (splitmix64: any worker can do it, and the simulator repeats it.)
        mask = 2**64 - 1
        self._random = (self._random + 0x9E3779B97F4A7C15) & mask
        z = self._random
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return ((z ^ (z >> 31)) >> 11) / 2**53

    def send(self, type, id, method, body="", after_ms=0, every_ms=0, name=None):
        """A message to any actor, itself too: it leaves with the turn's commit, and is applied exactly once.
        With every_ms it comes again and again, until unsend(name); it takes the place of the last one of its
        name."""
        self._may_write("send")
        message = {"type": type, "id": id, "method": method}
        put_bytes(message, "body", _bytes_of(body, "a body"))
        message.update({k: v for k, v in (("after_ms", after_ms), ("every_ms", every_ms), ("name", name)) if v})
        self._said.setdefault("sends", []).append(message)

    def unsend(self, name):
        """Withdraws this actor's message of that name, if it has not been applied."""
        self._may_write("unsend")
        self._said.setdefault("unsends", []).append(name)

    def erase(self):
        """The actor is gone with the turn's commit, and the next message finds it as new."""
        self._may_write("erase")
        self._values.now.clear()
        self._values.changed.clear()
        self._values.read_only = True
        self._said["erase"] = True

    def call(self, type, id, method, body="", deadline_ms=None):
        """Calls another actor, waits, and returns its reply as text. Raises what it was answered instead
        (kelpie.Fail, kelpie.errors...); not caught, that is the answer to this turn too. What it did stays done: the
        two are not one transaction."""
        return self.call_bytes(type, id, method, body, deadline_ms).decode()

    def call_bytes(self, type, id, method, body=b"", deadline_ms=None):
        answer = self.call_all([(type, id, method, body, deadline_ms)])[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def call_all(self, calls):
        """Several at once, at most 16: (type, id, method[, body[, deadline_ms]]). Returns a list in their order, of
        replies as bytes and of the errors of those that failed."""
        asked = []
        for type, id, method, *more in calls:
            call = {"type": type, "id": id, "method": method}
            put_bytes(call, "body", _bytes_of(more[0] if more else b"", "a body"))
            if len(more) > 1 and more[1]:
                call["deadline_ms"] = more[1]
            asked.append(call)
        if not asked:
            return []
        return [_answer(a) for a in self._exchange(self._tell({"calls": asked}))["answers"]]

    def _may_write(self, what):
        if self.turn.read:
            raise errors.Refused("a method that is declared as a read cannot " + what)

    def _tell(self, out):
        said, self._said = self._said, {}
        out.update(said)
        self._values.tell(out)
        return out


class Turn:
    """What is known of the message that is handled."""

    def __init__(self, message):
        self.method = message["method"]
        self.body = take_bytes(message, "body")
        self.request_id = message["request_id"]
        self.attempt = message.get("attempt", 1)
        self.deadline_ms = message.get("deadline_ms", 0)
        self.read = message.get("read", False)
        sender = message.get("sender")
        self.sender = (sender["type"], sender["id"]) if sender else None
        self.due_ms = message.get("due_ms", 0)
        self.missed = message.get("missed", 0)
        self.chain = message.get("chain", [])
        self.run = message.get("run", 0)
        self.now_ms = message.get("now_ms", 0)


def _answer(said):
    if "error" in said:
        return errors.make(said["error"], take_bytes(said, "sentence").decode(errors="replace"),
                           take_bytes(said, "code").decode(errors="replace"), None, said.get("applied"))
    return take_bytes(said, "reply")


# ---- one turn

def hello(classes):
    types = []
    for c in classes:
        told = {"type": c.type, "version": c.version, "idle_ms": c.idle_ms, "remember_ms": c.remember_ms,
                "turn_ms": c.turn_ms, "placement": c.placement, "expire_after_ms": c.expire_after_ms,
                "reads": sorted(n for n, m in c.kelpie_methods.items() if m.read)}
        types.append({k: v for k, v in told.items() if v})
    return {"worker": 1, "types": types}


def _failed(error):
    cut = lambda text: text.encode()[:1024].decode(errors="ignore")
    if isinstance(error, errors.Fail):
        return {"fail": {"code": error.code, "sentence": cut(error.sentence)}}
    if isinstance(error, errors.Error):
        return {"error": error.error, "sentence": cut(error.sentence or str(error))}
    where = traceback.extract_tb(error.__traceback__)[-1]
    return {"error": "handler_failed", "sentence": cut("%s: %s (%s, line %d)" % (
        type(error).__name__, error, where.filename.rpartition("/")[2], where.lineno))}


def _call(cls, message, exchange):
    found = cls.kelpie_methods.get(message["method"])
    if found is None:
        raise errors.UnknownMethod("actors of type %s have no method '%s'" % (cls.type, message["method"]))
    actor = cls(message, exchange)
    body = actor.turn.body
    if found.takes_body and not found.raw:
        try:
            body = body.decode()
        except UnicodeDecodeError:
            raise errors.Invalid("the body is not UTF-8, and this method takes text") from None
    reply = found.function(actor, body) if found.takes_body else found.function(actor)
    out = actor._tell({})
    if reply is not None:
        put_bytes(out, "reply", _bytes_of(reply, "the reply of %s" % message["method"]))
    return out


def run_turn(classes, message, exchange, log):
    """The answer that ends the turn. `classes`: by type. Raises Abandoned when nobody waits for it."""
    try:
        answer = _call(classes[message["type"]], message, exchange)
    except errors.Error as e:
        answer = _failed(e)
    except (Exception, SystemExit) as e:  # nothing that a handler calls ends the slot
        log.exception("%s/%s %s failed", message["type"], message["id"], message["method"])
        answer = _failed(e)
    answer["ticket"] = message["ticket"]
    return answer
