#!/usr/bin/env python3
"""A worker on Python's standard library (docs/workers.md): purses. Arguments: the node's socket, how many slots."""
import http.client
import json
import os
import socket
import sys
import threading
import time
import uuid

NAME = str(uuid.uuid4())
HELLO = {"worker": 1, "types": [{"type": "purse", "version": 1, "turn_ms": 1500, "reads": ["balance"]}]}


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])


def turn(t, ask):
    n, method, body = int(t["state"].get("n", "0")), t["method"], t.get("body", "")
    if method == "add":
        n += int(body or 1)
        return {"puts": {"n": str(n)}, "reply": str(n)}
    if method == "balance":
        return {"reply": str(n)}
    if method == "take" and n < int(body):
        return {"fail": {"code": "too_little", "sentence": "the purse holds %d" % n}}
    if method == "give":
        return {"sends": [{"type": "purse", "id": body, "method": "add", "body": "1"}], "reply": "sent"}
    if method == "move":  # to another purse, by a call
        said = ask({"puts": {"n": str(n - 1)}, "calls": [{"type": "purse", "id": body, "method": "add", "body": "1"}]})
        return {"reply": "there: " + said["answers"][0].get("reply", "?")}
    if method == "sleep":
        print("%s sleeps in %d" % (t["id"], os.getpid()), file=sys.stderr, flush=True)
        time.sleep(float(body))
        return {"puts": {"n": str(n + 1)}, "reply": "slept"}
    if method == "once":  # ends the process the first time that it runs
        if t["attempt"] == 1:
            os._exit(1)
        return {"reply": "attempt %d" % t["attempt"]}
    if method == "die":
        os._exit(1)
    if method == "lie":
        return {"nothing": 1}
    return {"error": "unknown_method"}


def slot():
    connection = Connection("node")

    def ask(said):
        connection.request("POST", "/v1/worker/next", json.dumps(said), {"Kelpie-Worker": NAME})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        return told if answer.status == 200 else {}

    told = ask(HELLO)
    while True:
        said = {}
        if "type" in told:
            said = turn(told, lambda more: ask(dict(more, ticket=told["ticket"])))
            said["ticket"] = told["ticket"]
        told = ask(said)


def run():
    try:
        slot()
    finally:
        os._exit(0)  # the node has ended: whoever started this process starts it anew


for _ in range(int(sys.argv[2])):
    threading.Thread(target=run).start()
