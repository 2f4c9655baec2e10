"""Purses that pay each other, as a worker for `kelpie-sim` (docs/testing-your-actors.md). With `bug` behind its name
it moves money by two calls, as if the two were one: what comes between them loses money."""
import json
import sys

BUG = "bug" in sys.argv[1:]


def purse(turn):
    state, method, body = turn["state"], turn["method"], turn.get("body", "")
    balance = int(state.get("balance", "0"))
    if method == "balance":
        return {"reply": str(balance)}
    if method in ("give", "take"):
        balance += int(body) if method == "give" else -int(body)
        return {"puts": {"balance": str(balance)}, "reply": str(balance)}
    if method == "pay" and not BUG:
        # One commit: what leaves here is in the message, and the message comes once.
        amount, to = body.split()
        left = str(balance - int(amount))
        send = {"type": "purse", "id": to, "method": "give", "body": amount}
        return {"puts": {"balance": left}, "sends": [send], "reply": left}
    return {"error": "unknown_method"}


def clerk(turn):
    if turn["method"] != "move":
        return {"error": "unknown_method"}
    amount, giver, taker = turn["body"].split()
    if not BUG:
        answers = yield {"calls": [call(giver, "pay", amount + " " + taker)]}
    else:
        answers = yield {"calls": [call(giver, "take", amount)]}
        if "error" not in answers[0]:
            answers = yield {"calls": [call(taker, "give", amount)]}
    if "error" in answers[0]:
        return {"error": answers[0]["error"]}
    return {"reply": "moved"}


def call(purse_id, method, body):
    return {"type": "purse", "id": purse_id, "method": method, "body": body}


def say(message):
    print(json.dumps(message), flush=True)


say({"worker": 1, "types": [{"type": "purse"}, {"type": "clerk"}]})
open_turns = {}  # (type, id) -> a turn that waits for its calls: an actor has one at a time
for line in sys.stdin:
    message = json.loads(line)
    if "answers" in message:
        key, going_on = open_turns.pop(message["ticket"])
        step = lambda: going_on.send(message["answers"])
    else:
        key = (message["type"], message["id"])
        going_on = clerk(message) if key[0] == "clerk" else None
        step = (lambda: next(going_on)) if going_on else (lambda: purse(message))
    try:
        result = step()
        if going_on:
            open_turns = {t: o for t, o in open_turns.items() if o[0] != key}
            open_turns[message["ticket"]] = (key, going_on)
    except StopIteration as end:
        result = end.value
    say(dict(result, ticket=message["ticket"]))
