#!/usr/bin/env python3
"""Every acknowledged effect once, whatever is killed: nodes, hosts with their supervisors, and the store's process, in
turn, under calls, sends, timers and chains of calls between actors. Run by bench/failover --kind all."""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import time

from nodes import NODES, Cluster, Conn

WRITERS = 16         # of each kind
PATIENCE_S = 60
GAP_S = (0.3, 1.2)   # between a kill's end and the next
VICTIMS = ("node", "host", "store")
FINAL = {400, 404, 409, 413, 422, 500}   # to be repeated is only what is not


class All:
    def __init__(self, cluster, options):
        self.cluster, self.options = cluster, options
        self.rng = random.Random(options.seed)
        self.wanted = {}     # actor: how often it must have counted
        self.acknowledged = self.repeats = self.failed = 0
        self.kills = dict.fromkeys(VICTIMS, 0)
        self.over = False

    async def ask(self, conn, what, body):
        """Under one id until it is answered; False: it was refused for good, or never answered."""
        headers = "Kelpie-Request-Id: %032x\r\n" % random.getrandbits(128)
        begun = time.monotonic()
        while time.monotonic() < begun + PATIENCE_S:
            try:
                status, said = await asyncio.wait_for(
                    conn.ask("POST", "/v1/actors/mail/" + what, body.encode(), headers +
                             "Kelpie-Request-Age-Ms: %d\r\n" % ((time.monotonic() - begun) * 1000)), 6)
                if status in (200, 202):
                    self.acknowledged += 1
                    return said
                if b'"poisoned"' in said or (status in FINAL and b'"retry":true' not in said):
                    print("failover: %s: %d %s" % (what, status, said), file=sys.stderr)
                    break
            except (OSError, EOFError, asyncio.TimeoutError):
                pass
            conn.close()
            conn.port = random.choice(self.cluster.ports)
            self.repeats += 1
            await asyncio.sleep(0.05)
        self.failed += 1
        return None

    async def writer(self, kind, i):
        conn, to = Conn(self.cluster.ports[i % NODES]), "%s%d" % (kind, i)
        other = "%s%d-to" % (kind, i)
        asks = {
            "call": ("%s/once" % to, "", (to,)),
            "send": ("%s/pass" % to, other, (other,)),
            "timer": ("%s/note?after_ms=%d" % (to, 700), "", (to,)),
            "chain": ("%s/ask" % to, other, (to, other)),
        }
        what, body, counted = asks[kind]
        while not self.over:
            if await self.ask(conn, what, body) is not None:
                for actor in counted:
                    self.wanted[actor] = self.wanted.get(actor, 0) + 1
            await asyncio.sleep(0.02)
        conn.close()

    async def kill(self, n):
        kind, i = VICTIMS[n % len(VICTIMS)], self.rng.randrange(NODES)
        pid = self.cluster.store_pid() if kind == "store" else self.cluster.node_pid(i)
        if pid is None:
            return
        self.kills[kind] += 1
        if kind == "host":
            self.cluster.kill_host(i)
            await asyncio.sleep(0.5)
            self.cluster.start(i)
            await asyncio.to_thread(self.cluster.wait_ready, i)
        else:
            os.kill(pid, signal.SIGKILL)

    async def seen(self, conn, actor):
        said = await self.ask(conn, actor + "/seen", "")
        return int(said.split()[0]) if said else 0

    async def run(self):
        writers = [asyncio.ensure_future(self.writer(kind, i))
                   for kind in ("call", "send", "timer", "chain") for i in range(self.options.writers)]
        n = 0
        while sum(self.kills.values()) < self.options.runs and not self.failed:
            await asyncio.sleep(self.rng.uniform(*GAP_S))
            await self.kill(n)
            n += 1
        self.over = True
        await asyncio.gather(*writers)
        conn, lost, twice = Conn(self.cluster.ports[0]), 0, 0
        counted = self.acknowledged
        for actor, wanted in sorted(self.wanted.items()):
            end = time.monotonic() + PATIENCE_S
            while (have := await self.seen(conn, actor)) < wanted and time.monotonic() < end:
                await asyncio.sleep(0.2)
            lost, twice = lost + max(0, wanted - have), twice + max(0, have - wanted)
            if have != wanted:
                print("failover: %s has %d, wanted %d" % (actor, have, wanted), file=sys.stderr)
        status, said = await conn.ask("GET", "/v1/messages")
        dead = len(json.loads(said)["messages"]) if status == 200 else -1
        conn.close()
        ok = not (lost or twice or dead or self.failed) and counted > 0 and self.repeats > 0
        return {"kind": "all", "runs": sum(self.kills.values()), "kills": self.kills,
                "acknowledged": counted, "repeats": self.repeats, "lost": lost, "duplicated": twice,
                "failed_calls": self.failed, "dead_letters": dead, "ok": ok}


def main():
    p = argparse.ArgumentParser(prog="bench/failover --kind all", description=__doc__)
    p.add_argument("--runs", type=int, default=60, help="kills (default: 60)")
    p.add_argument("--writers", type=int, default=WRITERS, help="of each kind (default: 16)")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--build", default=os.environ.get("KELPIE_BUILD", "build"), help="the build folder")
    p.add_argument("--keep", action="store_true", help="keep the nodes' logs")
    options = p.parse_args()
    build = os.path.realpath(options.build)
    cluster = Cluster(build, "failover", ["--actors-in-node", os.path.join(build, "bench", "mail.so")])
    out = {"ok": False}
    try:
        out = asyncio.run(All(cluster, options).run())
    finally:
        cluster.end()
        if out["ok"] and not options.keep:
            shutil.rmtree(cluster.work, ignore_errors=True)
        else:
            print("failover: the nodes' logs are in " + cluster.work, file=sys.stderr)
    print(json.dumps(out))
    return 0 if out["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
