# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Clients of bench/soak that leave in the middle of something, or talk in both
directions: guests.py PORT SECONDS APPS. Prints what went wrong, and how many they
were."""

import os
import random
import select
import socket
import struct
import sys
import threading
import time
import traceback
import zlib

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                             "test", "integration"))

from client import Raw              # noqa: E402
from websocket import WebSocket     # noqa: E402

THREADS = 2         # for each app
BODY = random.Random(1).randbytes(70000)
PIECE = b"11170\r\n" + BODY + b"\r\n"     # the same as a chunk

# Asked, and left alone: target, fields, what is sent of the body.
LEFT = {
    "c": [("GET", "/probe/wait", "", b""), ("GET", "/probe/later?ms=5", "", b""),
          ("GET", "/probe/stream?n=100000", "", b""),
          ("GET", "/probe/big?n=3000000", "", b""),
          ("GET", "/probe/big-async?n=3000000", "", b""),
          ("POST", "/probe/digest-async", "Content-Length: 90000\r\n", BODY),
          ("POST", "/probe/echo-async", "Transfer-Encoding: chunked\r\n", PIECE),
          ("POST", "/probe/digest", "Content-Length: 90000\r\n", BODY)],
    "dotnet": [("GET", "/inside/forever", "", b""), ("GET", "/inside/busy", "", b""),
               ("GET", "/inside/stream/1000", "", b""),
               ("GET", "/inside/large/3000000", "", b""),
               ("GET", "/inside/endless", "", b""), ("GET", "/inside/delay/5", "", b""),
               ("POST", "/inside/count", "Content-Length: 90000\r\n", BODY),
               ("POST", "/inside/pipe", "Transfer-Encoding: chunked\r\n", PIECE),
               ("POST", "/inside/item", "Content-Length: 30\r\n", b'{"name": ')],
}


def leave(raw, dice):
    """Politely, or at once."""
    if dice.random() < 0.5:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              struct.pack("ii", 1, 0))
    raw.socket.close()


def head(method, target, fields):
    return f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode()


def one_that_leaves(port, app, dice):
    method, target, fields, body = dice.choice(LEFT[app])
    raw = Raw(port)
    raw.send(head(method, target, fields) + body[:dice.randrange(len(body) + 1)])
    select.select([raw.socket], [], [], dice.choice([0, 0.001, 0.01, 0.03]))
    leave(raw, dice)


def exactly(raw, n):
    data = b""
    while len(data) < n:
        piece = raw.socket.recv(n - len(data))
        assert piece, f"a stream ended after {len(data)} of {n} bytes"
        data += piece
    return data


def socket_of_dotnet(port, dice):
    raw = Raw(port)
    talk = WebSocket(raw, "/inside/socket")
    for _ in range(3):
        payload = BODY[:dice.randrange(2000)]
        talk.send(payload)
        assert talk.receive()[1] == payload, "a WebSocket said something else"
    leave(raw, dice)


def stream_of_c(port, dice):
    raw = Raw(port)
    raw.send(head("GET", "/probe/tunnel-async",
                  "Connection: Upgrade\r\nUpgrade: echo\r\n"))
    answer = raw.receive(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101 "), answer[:100]
    for _ in range(3):
        payload = BODY[:dice.randrange(1, 2000)]
        raw.send(payload)
        assert exactly(raw, len(payload)) == payload, "a stream said something else"
    leave(raw, dice)


def whole_answer(port, app, dice):
    """wrk and h2load look at the status alone."""
    size = dice.randrange(1, len(BODY))
    target = "/probe/digest-async" if app == "c" else "/inside/count"
    with Raw(port) as raw:
        raw.send(head("POST", target, f"Content-Length: {size}\r\n") + BODY[:size])
        answer = raw.response()
    if app == "c":
        digest = f"{size} {zlib.adler32(BODY[:size])} 0"
        assert answer.text == digest, answer
    else:
        assert answer.json() == {"n": size, "sum": sum(BODY[:size])}, answer


def one_guest(port, app, dice):
    kind = dice.randrange(10)
    if kind == 0:
        whole_answer(port, app, dice)
    elif kind == 1:
        (stream_of_c if app == "c" else socket_of_dotnet)(port, dice)
    else:
        one_that_leaves(port, app, dice)


class Guests(threading.Thread):
    def __init__(self, port, app, until):
        super().__init__()
        self.port, self.app, self.until = port, app, until
        self.dice = random.Random()
        self.done, self.failure = 0, ""

    def run(self):
        try:
            while time.monotonic() < self.until:
                one_guest(self.port, self.app, self.dice)
                self.done += 1
        except (OSError, AssertionError, ValueError):
            self.failure = f"{self.app}: {traceback.format_exc(-3)}"


def main():
    port, seconds, apps = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3].split(",")
    until = time.monotonic() + seconds
    guests = [Guests(port, app, until) for app in apps for _ in range(THREADS)]
    for guest in guests:
        guest.start()
    for guest in guests:
        guest.join()
        if guest.failure:
            print(guest.failure)
    print(sum(guest.done for guest in guests))


if __name__ == "__main__":
    main()
