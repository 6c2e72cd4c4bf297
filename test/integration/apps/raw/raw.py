# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""An app for tests that speaks HTTP with its own hands, so that it can get everything
wrong. It answers with bytes that the test left in answers/, waits at gates until the
test makes a file in gates/, and writes down in events what it sees. It listens where
it is told: descriptor 3, a path as its argument, or $PORT."""

import base64
import hashlib
import json
import os
import random
import select
import socket
import struct
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

PIECE = 65536
GATE = b"<gate>"
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Gone(Exception):
    """The other side closed."""


def note(what, **facts):
    line = json.dumps({"what": what, "pid": os.getpid(), **facts}) + "\n"
    fd = os.open("events", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    os.write(fd, line.encode())
    os.close(fd)


class Request:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.fields = [[n, v.strip(" ")]
                       for n, v in (line.split(":", 1) for line in lines[1:])]
        self.route = urlsplit(self.target).path.rsplit("/", 1)[-1]
        self.query = parse_qs(urlsplit(self.target).query)
        self.framing, self.trailers = "none", []

    def header(self, name):
        values = [v for n, v in self.fields if n.lower() == name.lower()]
        return values[0] if values else None

    def get(self, name, otherwise=""):
        return self.query.get(name, [otherwise])[0]


class Connection:
    count = 0
    listener = None

    def __init__(self, sock):
        self.sock, self.data, self.served = sock, b"", 0
        Connection.count += 1
        self.number = Connection.count

    def fill(self):
        try:
            piece = self.sock.recv(PIECE)
        except OSError:
            piece = b""
        if not piece:
            raise Gone
        self.data += piece

    def take_until(self, end):
        while end not in self.data:
            self.fill()
        line, self.data = self.data.split(end, 1)
        return line

    def take(self, n):
        """Pieces that are n bytes together."""
        while n:
            if not self.data:
                self.fill()
            piece, self.data = self.data[:n], self.data[n:]
            n -= len(piece)
            yield piece

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            raise Gone from None

    def send_head(self, status, *lines, body=b""):
        head = "\r\n".join([f"HTTP/1.1 {status}", *lines]) + "\r\n\r\n"
        self.send(head.encode("latin-1") + body)

    def respond(self, body, status="200 OK", *lines):
        self.send_head(status, f"Content-Length: {len(body)}", *lines, body=body)

    def read_request(self):
        if not self.data:
            self.fill()
        if not self.served:
            note("connection", conn=self.number)
        request = Request(self.take_until(b"\r\n\r\n"))
        self.served += 1
        note("request", conn=self.number, method=request.method, target=request.target,
             fields=request.fields, id=request.header("X-Id"))
        return request

    def read_chunks(self, request):
        while True:
            size = int(self.take_until(b"\r\n").split(b";")[0], 16)
            yield from self.take(size)
            if not size:
                break
            if self.take_until(b"\r\n"):
                raise ValueError("no line end after a chunk")
        while True:
            line = self.take_until(b"\r\n").decode("latin-1")
            if not line:
                return
            request.trailers.append(line)

    def body(self, request):
        if request.header("Transfer-Encoding"):
            request.framing = "chunked"
            yield from self.read_chunks(request)
        elif request.header("Content-Length") is not None:
            request.framing = "length"
            yield from self.take(int(request.header("Content-Length")))

    def skip_body(self, request):
        for _ in self.body(request):
            pass

    def closed_by_peer(self, patience):
        poller = select.poll()
        poller.register(self.sock, select.POLLRDHUP)
        return bool(poller.poll(patience))

    def wait_gate(self, name):
        end = time.monotonic() + 60
        note("gate", gate=name, conn=self.number)
        while not os.path.exists(os.path.join("gates", name)):
            if self.closed_by_peer(2) or time.monotonic() > end:
                raise Gone

    def wait_gone(self):
        self.closed_by_peer(60000)
        raise Gone

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone


def answer(conn, request):
    """Bytes from a file; <gate> in it waits for gates/NAME.1, .2 and so on."""
    if request.get("body") == "read":
        conn.skip_body(request)
    name = request.get("name")
    with open(os.path.join("answers", name), "rb") as f:
        parts = f.read().split(GATE)
    for i, part in enumerate(parts):
        if i:
            conn.wait_gate(f"{name}.{i}")
        conn.send(part)
    {"keep": lambda: None, "close": conn.sock.close, "hang": conn.wait_gone,
     "reset": conn.reset}[request.get("then", "close")]()


def pid(conn, request):
    conn.skip_body(request)
    conn.respond(str(os.getpid()).encode())


def digest(conn, request):
    total, sha = 0, hashlib.sha256()
    if request.get("gate"):
        conn.wait_gate(request.get("gate"))
    if request.get("continue"):
        conn.send_head("100 Continue")
    for piece in conn.body(request):
        total += len(piece)
        sha.update(piece)
    conn.respond(json.dumps({
        "length": total, "sha256": sha.hexdigest(), "framing": request.framing,
        "trailers": request.trailers, "fields": request.fields}).encode())


def big(conn, request):
    body = random.Random(7).randbytes(int(request.get("n")))
    framing = request.get("framing")
    if framing == "length":
        conn.respond(body)
    elif framing == "eof":
        conn.send_head("200 OK")
        conn.send(body)
        conn.sock.close()
    else:
        conn.send_head("200 OK", "Transfer-Encoding: chunked")
        for at in range(0, len(body), 50000):
            piece = body[at:at + 50000]
            conn.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        conn.send(b"0\r\n\r\n")


def echo(conn, request):
    """Every piece goes back at once, while the rest is still to come."""
    conn.send_head("200 OK", "Transfer-Encoding: chunked")
    for piece in conn.body(request):
        conn.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    conn.send(b"0\r\n\r\n")


def hold(conn, request):
    """Waits for a gate between body and answer."""
    conn.skip_body(request)
    conn.wait_gate(request.get("gate"))
    conn.respond(str(os.getpid()).encode(), "200 OK", *request.query.get("line", []))


def swallow(conn, request):
    """Reads some of the body, then neither reads nor answers."""
    for _ in conn.body(request):
        break
    note("swallow", conn=conn.number)
    conn.wait_gone()


def endless(conn, request):
    conn.send_head("200 OK", "Transfer-Encoding: chunked")
    while True:
        conn.send(b"%x\r\n%b\r\n" % (PIECE, b"x" * PIECE))


def die(conn, request):
    conn.skip_body(request)
    os._exit(9)


def quit_after(conn, request):
    """Answers as if the connection stayed, and closes it."""
    conn.skip_body(request)
    conn.respond(b"bye")
    conn.sock.close()
    note("left", conn=conn.number)


class Busy:
    lock, now = threading.Lock(), 0


def busy(conn, request):
    """Works for a while; the answer tells how many do so at a time."""
    with Busy.lock:
        Busy.now += 1
        seen = Busy.now
    time.sleep(int(request.get("ms")) / 1000)
    with Busy.lock:
        Busy.now -= 1
    conn.respond(f"{os.getpid()} {seen}".encode())


def retire(conn, request):
    """Takes no connection any more, but lives on."""
    # A mere close() would leave the thread that accepts with it.
    Connection.listener.shutdown(socket.SHUT_RDWR)
    Connection.listener.close()
    conn.respond(b"bye", "200 OK", "Connection: close")
    conn.sock.close()


def websocket(conn, request):
    """Says hello unless it is to be quiet, then what it hears unless it is deaf; "bye"
    makes it close. Frames are not looked into."""
    key = request.header("Sec-WebSocket-Key").encode()
    accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest()).decode()
    conn.send_head("101 Switching Protocols", "Upgrade: websocket",
                   "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}")
    if not request.get("quiet"):
        conn.send(b"hello")
    if request.get("deaf"):
        conn.wait_gone()
    while True:
        if not conn.data:
            conn.fill()
        data, conn.data = conn.data, b""
        if data == b"bye":
            conn.sock.close()
            raise Gone
        conn.send(data)


ROUTES = {f.__name__: f for f in (answer, pid, digest, big, echo, hold, swallow, endless,
                                  die, quit_after, busy, retire, websocket)}


def idle_too_long(conn):
    """Like a server whose keep-alive time is over, by its own clock; or one whose end
    of the connection always crosses the next request on the way."""
    limit, crosses = os.environ.get("RAW_KEEP_ALIVE_MS"), os.environ.get("RAW_CROSS_MS")
    if conn.data or not (limit or crosses):
        return False
    poller = select.poll()
    poller.register(conn.sock, select.POLLIN)
    began = time.monotonic()
    if not poller.poll(int(limit) if limit else None):
        return True
    return crosses and time.monotonic() - began > int(crosses) / 1000


def serve(conn):
    try:
        while conn.sock.fileno() >= 0 and not (conn.served and idle_too_long(conn)):
            request = conn.read_request()
            ROUTES[request.route](conn, request)
    except Gone:
        pass
    finally:
        conn.sock.close()
        if conn.served:
            note("closed", conn=conn.number)


def listen():
    if os.environ.get("LISTEN_FDS"):
        return socket.socket(fileno=3)
    if len(sys.argv) > 1:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(sys.argv[1])
    else:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", int(os.environ["PORT"])))
    sock.listen(512)
    return sock


def main():
    note("start")
    gate = os.environ.get("RAW_START_GATE")
    while gate and not os.path.exists(os.path.join("gates", gate)):
        time.sleep(0.002)
    listener = Connection.listener = listen()
    while True:
        try:
            sock = listener.accept()[0]
        except OSError:
            threading.Event().wait()
        threading.Thread(target=serve, args=[Connection(sock)], daemon=True).start()


if __name__ == "__main__":
    main()
