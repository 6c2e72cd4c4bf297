# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Thousands of clients in one process, and a prober in another: they share nothing
with whoever measures, so that neither waits for the other."""

import multiprocessing
import random
import select
import socket
import time

UPGRADE = ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")
# No more connections per address than it has ports, whatever of earlier ones the
# kernel still remembers.
ADDRESSES = [f"127.0.0.{i}" for i in range(2, 32)]


def message(target, fields):
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode()


class Client:
    """One connection; each of `words` is said before its part of `expect`, which ends
    what is to be heard."""

    def __init__(self, port, address, words, expect):
        self.words, self.expect = words, expect
        self.heard, self.turn, self.failed = b"", 0, False
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.bind((address, 0))
        self.socket.connect_ex(("127.0.0.1", port))
        self.fd = self.socket.fileno()

    def speak(self):
        try:
            self.socket.send(self.words[self.turn])
        except OSError:
            self.failed = True

    def listen(self):
        try:
            piece = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self.heard += piece
        if not piece or not b"HTTP/1.1 ".startswith(self.heard[:9]) and not self.turn:
            self.failed = True
        elif self.expect[self.turn] in self.heard:
            self.failed = not self.turn and self.heard[9:12] not in (b"200", b"101")
            self.turn += 1
            self.heard = b""

    def over(self):
        return self.failed or self.turn == len(self.expect)


# Fields of the request, what is said, what ends what is heard.
KINDS = {
    "wait": ("Connection: close\r\n", [b""], [b"waited\n"]),
    "events": ("", [b"", b""], [b"begin\n\n", b"tick\n\n"]),
    "sockets": (UPGRADE, [b"", b"hello\n"], [b"\r\n\r\n", b"hello\n"]),
}


class Crowd:
    """The clients' own process. One message after another through a pipe: when all
    have the first thing that they wait for, and when all have everything."""

    def __init__(self, port, kind, target, n):
        self.port, self.kind, self.target, self.n = port, kind, target, n
        self.pipe, self.theirs = multiprocessing.Pipe()
        self.answered = multiprocessing.Value("i", 0)
        self.first = multiprocessing.Value("d", float("inf"))   # when, by monotonic()
        self.process = multiprocessing.Process(target=self.run, daemon=True)

    def start(self):
        self.process.start()
        self.theirs.close()

    def wait(self, timeout):
        """For what comes next to all of them; false when that takes too long."""
        return self.pipe.poll(max(timeout, 0)) and self.pipe.recv()

    def stop(self):
        self.process.terminate()
        self.process.join()

    # In the process

    def run(self):
        fields, words, expect = KINDS[self.kind]
        words = [message(self.target, fields)] + words[1:]
        self.epoll, self.clients = select.epoll(), {}
        for i in range(self.n):
            client = Client(self.port, ADDRESSES[i % len(ADDRESSES)], words, expect)
            self.clients[client.fd] = client
            self.epoll.register(client.fd, select.EPOLLOUT)
        for turn in range(len(expect)):
            if turn and words[turn]:
                self.speak_again()
            self.wait_for_all(turn)
            self.theirs.send(True)
        time.sleep(3600)

    def speak_again(self):
        """Everybody within three seconds, in any order."""
        fds = list(self.clients)
        random.Random(1).shuffle(fds)
        began = time.monotonic()
        for i, fd in enumerate(fds):
            while time.monotonic() < began + 3 * i / len(fds):
                time.sleep(0.001)
            self.clients[fd].speak()

    def wait_for_all(self, turn):
        left = {fd for fd, c in self.clients.items()
                if not c.failed and c.turn <= turn}
        while left:
            for fd, events in self.epoll.poll():
                client = self.clients[fd]
                if events == select.EPOLLOUT:
                    client.speak()
                    self.epoll.modify(fd, select.EPOLLIN)
                else:
                    client.listen()
                if client.failed or client.turn > turn:
                    left.discard(fd)
                if client.over():
                    self.epoll.unregister(fd)
                    self.first.value = min(self.first.value, time.monotonic())
                    self.answered.value += not client.failed


class Prober:
    """Fetches one small thing over and over, each time on a connection of its own."""

    def __init__(self, port, target):
        self.port, self.request = port, message(target, "Connection: close\r\n")
        self.pipe, self.theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=self.run, daemon=True)
        self.process.start()
        self.theirs.close()

    def stop(self):
        """[(when it began, how long it took)], in seconds; inf for what failed."""
        self.pipe.send(None)
        found = self.pipe.recv() if self.pipe.poll(40) else [(0, float("inf"))]
        self.process.terminate()
        self.process.join()
        return found

    def run(self):
        found = []
        while not self.theirs.poll(0.01):
            began = time.monotonic()
            good = self.fetch()
            took = time.monotonic() - began
            found.append((began, took if good else float("inf")))
        self.theirs.send(found)

    def fetch(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 30) as s:
                s.sendall(self.request)
                answer = b""
                while piece := s.recv(65536):
                    answer += piece
            return answer.startswith(b"HTTP/1.1 200")
        except OSError:
            return False
