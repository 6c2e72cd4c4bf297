# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""An app for tests of its supervisor: it starts and ends as its environment says, and
starts processes of its own."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LINGER = [sys.executable, "-c", "import signal; signal.pause()"]
STUBBORN = [sys.executable, "-c", "import signal\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "while True: signal.pause()"]


def notify(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "client"

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = parse_qs(urlsplit(self.path).query)
        name = urlsplit(self.path).path.rsplit("/", 1)[-1]
        body = str(getattr(self, "get_" + name, self.get_pid)(
            **{k: v[0] for k, v in query.items()})).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def get_pid(self):
        return os.getpid()

    def get_round(self):
        return os.environ.get("ROUND", "")

    def get_slow(self, ms):
        print("slow begins", flush=True)
        time.sleep(int(ms) / 1000)
        return os.getpid()

    def get_child(self, kind="plain"):
        """In the same group, in a session of its own, or deaf to SIGTERM as well."""
        return subprocess.Popen(STUBBORN if kind == "stubborn" else LINGER,
                                start_new_session=kind != "plain",
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL).pid

    def get_count(self, first, n):
        for i in range(int(first), int(first) + int(n)):
            print(f"counted {i}.", flush=True)
        return "printed"


def on_term(sig, frame):
    def leave():
        print("goodbye begins", flush=True)
        time.sleep(int(os.environ["TERM_TAKES_MS"]) / 1000)
        print("goodbye", flush=True)
        os._exit(0)
    threading.Thread(target=leave).start()


def wait_gate():
    while not os.path.exists("gate"):
        time.sleep(0.002)


def main():
    time.sleep(int(os.environ.get("START_DELAY_MS", "0")) / 1000)
    if os.environ.get("START_EXIT"):
        sys.exit(int(os.environ["START_EXIT"]))
    if os.environ.get("TERM_TAKES_MS"):
        signal.signal(signal.SIGTERM, on_term)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=3)
    server.daemon_threads = True
    for text in os.environ.get("ANNOUNCE", "").split():
        wait_gate()
        os.unlink("gate")
        notify(text)
    if os.environ.get("ANNOUNCE"):
        wait_gate()
    server.serve_forever(poll_interval=3600)


if __name__ == "__main__":
    main()
