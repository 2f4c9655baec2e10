"""One HTTP/1.1 connection to a node, over TCP or its Unix socket, with what the API needs and no more."""
import os
import socket
import struct

HEAD_MAX = 32 * 1024
BODY_MAX = 16 * 1024 * 1024
SOCKET_PATH_MAX = 107  # what the system allows


class Lost(OSError):
    """The connection ended, or could not be made. `sent`: the request may have come to the node."""

    def __init__(self, why, sent):
        super().__init__(why)
        self.sent = sent


def data_dir():
    """As kelpied finds it."""
    state, home = os.environ.get("XDG_STATE_HOME", ""), os.environ.get("HOME", "")
    if os.environ.get("KELPIE_DATA_DIR"):
        return os.environ["KELPIE_DATA_DIR"]
    if os.geteuid() == 0:
        return "/var/lib/kelpie"
    if state.startswith("/"):
        return state + "/kelpie"
    return home + "/.local/state/kelpie"


def socket_path():
    return os.environ.get("KELPIE_SOCKET") or data_dir() + "/kelpied.sock"


class Address:
    """"HOST:PORT", "[IPv6]:PORT", or the path of a Unix socket (it has a slash), perhaps behind "unix:"."""

    def __init__(self, text):
        self.text = text.strip()
        self.path = self.host = self.port = None
        if self.text.startswith("unix:") or "/" in self.text.replace("http://", ""):
            self.path = self.text[5:] if self.text.startswith("unix:") else self.text
            if len(os.fsencode(self.path)) > SOCKET_PATH_MAX:
                raise ValueError("the socket's path has %d bytes, and the system allows %d: %s" % (
                    len(os.fsencode(self.path)), SOCKET_PATH_MAX, self.path))
            return
        host, colon, port = self.text.replace("http://", "").rpartition(":")
        if not (colon and host and port.isdigit() and int(port) < 65536):
            raise ValueError("%r is no node's address: HOST:PORT, or the path of a Unix socket" % text)
        self.host, self.port = host.strip("[]"), int(port)

    def connect(self, timeout_s):
        if self.path is None:
            made = socket.create_connection((self.host, self.port), timeout_s)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(timeout_s)
            made.connect(self.path)
        except BaseException:
            made.close()
            raise
        return made


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Connection:
    """Belongs to one thread at a time, but for interrupt()."""

    def __init__(self, address):
        self.address = address
        self.idle_since = None
        self._socket = None
        self._read = None
        self._head = "Host: localhost\r\n" if address.path else "Host: %s\r\n" % address.text.replace("http://", "")

    def ask(self, method, path, headers=(), body=b"", timeout_s=None):
        """Lost when there is no answer within the time; then the connection is closed."""
        request, sent = self._request(method, path, headers, body), False
        try:
            self._open(timeout_s)
            sent = True
            self._socket.sendall(request)
            return self._answer()
        except (OSError, ValueError) as e:
            self.close(abort=True)
            raise Lost("%s: %s" % (self.address.text, e or type(e).__name__), sent) from None

    def stream(self, path, headers, timeout_s):
        """The lines of an answer without an end, after its status. An answer that is an error has a body."""
        request = self._request("GET", path, headers, b"")
        try:
            self._open(timeout_s)
            self._socket.sendall(request)
            status, got = self._answer_head()
            if status != 200:
                return Answer(status, got, self._body(got)), iter(())
            return Answer(status, got, b""), self._lines()
        except (OSError, ValueError) as e:
            self.close(abort=True)
            raise Lost("%s: %s" % (self.address.text, e or type(e).__name__), True) from None

    def _lines(self):
        try:
            for line in self._read:
                yield line.decode().rstrip("\r\n")
        except (OSError, ValueError) as e:
            raise Lost("%s: %s" % (self.address.text, e or type(e).__name__), True) from None
        finally:
            self.close()

    def _open(self, timeout_s):
        if self._socket is None:
            self._socket = self.address.connect(timeout_s)
            self._read = self._socket.makefile("rb", 64 * 1024)
        self._socket.settimeout(timeout_s)

    def _request(self, method, path, headers, body):
        head = "%s %s HTTP/1.1\r\n%sContent-Length: %d\r\n" % (method, path, self._head, len(body))
        for name, value in headers:
            if "\r" in value or "\n" in value:
                raise ValueError("%s has a line's end in it: %r" % (name, value))
            head += "%s: %s\r\n" % (name, value)
        return (head + "\r\n").encode() + body

    def _answer_head(self):
        line = self._read.readline(HEAD_MAX)
        if not line:
            raise OSError("the node closed the connection")
        parts = line.split(None, 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
            raise ValueError("what answers there is no HTTP server")
        headers, size = {}, len(line)
        while True:
            line = self._read.readline(HEAD_MAX)
            size += len(line)
            if line in (b"\r\n", b"\n"):
                return int(parts[1]), headers
            if not line or size > HEAD_MAX:
                raise ValueError("the answer's head is cut off, or too long")
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()

    def _body(self, headers):
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_MAX or "transfer-encoding" in headers:
            raise ValueError("an answer of a length that is none")
        body = self._read.read(int(length))
        if len(body) < int(length):
            raise OSError("the connection ended in the midst of an answer")
        return body

    def _answer(self):
        status, headers = self._answer_head()
        body = b"" if status in (204, 304) else self._body(headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, headers, body)

    def is_open(self):
        return self._socket is not None

    def interrupt(self):
        """From any thread: whoever waits for an answer is told that the connection ended."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass

    def close(self, abort=False):
        """abort: with a reset, so that what nobody has read yet is not read any more."""
        if self._socket is None:
            return
        try:
            if abort and self.address.path is None:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._read.close()
            self._socket.close()
        except OSError:
            pass
        self._socket = self._read = None
