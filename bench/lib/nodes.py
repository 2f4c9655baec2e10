"""Three real nodes on one embedded store, for the benches that are scripts; and HTTP to them."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import tempfile

NODES = 3


def free_port():
    """A node keeps its port over a restart, so it cannot let the system choose each time."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Cluster:
    def __init__(self, build, name="repeat", options=()):
        self.build, self.work, self.options = build, tempfile.mkdtemp(prefix="kelpie-%s-" % name), list(options)
        self.name = name
        self.nodes, self.ports = [None] * NODES, [free_port() for _ in range(NODES)]
        for i in range(NODES):
            self.start(i)
        for i in range(NODES):
            self.wait_ready(i)

    def start(self, i):
        log = open(os.path.join(self.work, "n%d.log" % i), "a", encoding="utf-8")
        self.nodes[i] = subprocess.Popen(
            [os.path.join(self.build, "kelpied"), "--node-id", "n%d" % i,
             "--data-dir", os.path.join(self.work, "n%d" % i),
             "--store", "lmdb:" + os.path.join(self.work, "store"),
             "--listen", "127.0.0.1:%d" % self.ports[i], "--rpc-listen", "127.0.0.1:0"] + self.options,
            stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)

    def wait_ready(self, i):
        line = self.nodes[i].stdout.readline()
        if " ready " not in line:
            raise SystemExit("%s: node n%d did not start: %s (see %s)" % (self.name, i, line.strip(),
                                                                          self.work))

    def store_pid(self):
        """The process of the store, known by its folder; None: there is none now."""
        for name in os.listdir("/proc"):
            try:
                with open("/proc/%s/cmdline" % name, "rb") as f:
                    words = f.read().split(b"\0")
            except OSError:
                continue
            if name.isdigit() and b"--store-process" in words and self.work.encode() in b" ".join(words):
                return int(name)
        return None

    def kill_host(self, i):
        """The supervisor first: it must not see its child die."""
        child = self.node_pid(i)
        os.kill(self.nodes[i].pid, signal.SIGKILL)
        if child:
            os.kill(child, signal.SIGKILL)
        self.nodes[i].wait()

    def node_pid(self, i):
        """The process of the node itself; its supervisor is the one that was started."""
        path = "/proc/%d/task/%d/children" % (self.nodes[i].pid, self.nodes[i].pid)
        with open(path, encoding="ascii") as f:
            children = f.read().split()
        for child in children:
            with open("/proc/%s/cmdline" % child, "rb") as f:
                if b"--node-process" in f.read():
                    return int(child)
        return None

    def end(self):
        for node in self.nodes:
            node.terminate()
        for node in self.nodes:
            try:
                node.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(node.pid, signal.SIGKILL)
                node.wait()


async def attempt(port, path, headers, body, drop):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(("POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%sContent-Length: %d\r\n\r\n%s" %
                      (path, port, headers, len(body), body)).encode())
        await writer.drain()
        if drop:
            return None, b""
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head).group(1))
        return int(head.split()[1]), await reader.readexactly(length)
    finally:
        writer.close()


class Conn:
    """Requests one after the other on a connection that is kept."""

    def __init__(self, port):
        self.port, self.reader, self.writer = port, None, None

    async def ask(self, method, path, body=b"", headers=""):
        """Status and body. Whatever goes wrong is an OSError or EOFError, and the connection is a new one then."""
        try:
            if not self.writer:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.writer.write(("%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%sContent-Length: %d\r\n\r\n" %
                               (method, path, self.port, headers, len(body))).encode() + body)
            head = await self.reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            said = await self.reader.readexactly(int(found.group(1))) if found else b""
            return int(head[9:12]), said
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.writer:
            self.writer.close()
        self.writer = None


async def metric(port, *names):
    """The sum of those of one node; 0 where it does not answer."""
    conn = Conn(port)
    try:
        _, text = await conn.ask("GET", "/metrics")
    except (OSError, EOFError):
        return [0] * len(names)
    finally:
        conn.close()
    out = []
    for name in names:
        found = re.search(r"^kelpie_%s (\d+)" % name, text.decode(), re.M)
        out.append(int(found.group(1)) if found else 0)
    return out
