"""Errors by the table of docs/http-api.md: each name has a class, `unknown_type` is UnknownType."""

# name: HTTP status, whether the same request id may be sent again, whether it was applied
TABLE = {
    "invalid": (400, False, "no"),
    "too_large": (413, False, "no"),
    "not_found": (404, False, "no"),
    "unknown_type": (404, True, "no"),
    "unknown_method": (404, False, "no"),
    "method_not_allowed": (405, False, "no"),
    "refused": (409, False, "no"),
    "handler_failed": (500, True, "no"),
    "state_full": (507, False, "no"),
    "mailbox_full": (429, True, "no"),
    "node_full": (503, True, "no"),
    "unavailable": (503, True, "no"),
    "unreachable": (503, True, "unknown"),
    "unknown_result": (504, True, "unknown"),
    "timeout": (504, True, "no"),
    "applied_reply_not_kept": (200, False, "yes"),
    "not_here": (503, True, "no"),
    "cancelled": (503, True, "unknown"),
    "conflict": (503, True, "no"),
    "too_old": (503, True, "no"),
    "store_unavailable": (503, True, "no"),
    "store_full": (507, True, "no"),
    "store_corrupt": (500, False, "no"),
    "store_newer": (500, False, "no"),
    "store_foreign": (409, False, "no"),
    "protocol": (400, False, "no"),
    "version": (400, False, "no"),
    "limit": (503, True, "no"),
    "io": (500, False, "unknown"),
    "alive": (409, False, "no"),
    "forbidden": (403, False, "no"),
    "too_late": (409, False, "unknown"),
    "request_id_reused": (409, False, "no"),
    "too_many": (429, True, "no"),
    "call_cycle": (409, False, "no"),
    "call_depth": (409, False, "no"),
    "domain_error": (422, False, "no"),
    "class_older": (503, True, "no"),
    "poisoned": (503, False, "no"),
}


class Error(Exception):
    """What a node or an actor answered instead of a reply. `error` is its name in the table, `sentence` is
    for people, `retry` says whether the same request id may be sent again, and `applied` whether what was
    asked for was done: "no", "unknown" or "yes"."""

    error = "io"
    retry = False
    applied = "unknown"

    def __init__(self, sentence="", applied=None):
        super().__init__(sentence)
        self.sentence = sentence
        if applied is not None:
            self.applied = applied

    def __str__(self):
        return "%s: %s" % (self.error, self.sentence) if self.sentence else self.error


class Fail(Error):
    """A domain error: the actor understood, and says no. An actor raises it, and who called catches it.
    `code` is for programs: 1 to 64 of a-z, 0-9, _ and -."""

    error = "domain_error"
    retry = False
    applied = "no"

    def __init__(self, code, sentence=""):
        super().__init__(sentence)
        self.code = code

    def __str__(self):
        return "%s: %s" % (self.code, self.sentence) if self.sentence else self.code


def _class(name):
    return "".join(word.capitalize() for word in name.split("_"))


_BY_NAME = {"domain_error": Fail}
for _name, (_status, _retry, _applied) in TABLE.items():
    if _name not in _BY_NAME:
        _BY_NAME[_name] = type(_class(_name), (Error,), {
            "__module__": __name__, "error": _name, "status": _status, "retry": _retry, "applied": _applied})
    else:
        _BY_NAME[_name].status = _status
    globals()[_class(_name)] = _BY_NAME[_name]


def make(name, sentence="", code="", retry=None, applied=None):
    """The error of that name; one that this version does not know is an Error with the name as `error`."""
    if name == "domain_error":
        return Fail(code, sentence)
    made = _BY_NAME.get(name, Error)(sentence)
    made.error = name
    if retry is not None:
        made.retry = retry
    if applied is not None:
        made.applied = applied
    return made
