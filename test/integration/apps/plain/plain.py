# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""An app for tests: a plain program that listens at $PORT (or, started by a
web.config, at $ASPNETCORE_PORT) and does what the URL says, misbehaviour included.
START_* variables make its start go wrong."""

import json
import os
import resource
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


def status_fields():
    wanted = ("Sig", "Uid", "Gid", "Groups", "NoNewPrivs", "Shd")
    with open("/proc/self/status", encoding="ascii") as f:
        pairs = (line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        return {name: value for name, value in pairs if name.startswith(wanted)}


def open_files():
    files = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            files[name] = os.readlink("/proc/self/fd/" + name)
        except OSError:
            pass        # the one that listed
    return files


def myself():
    umask = os.umask(0)
    os.umask(umask)
    limits = {name.lower()[7:]: resource.getrlimit(getattr(resource, name))
              for name in ("RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_AS", "RLIMIT_CPU",
                           "RLIMIT_CORE")}
    return {"pid": os.getpid(), "pgid": os.getpgid(0), "sid": os.getsid(0),
            "cwd": os.getcwd(), "uid": os.getuid(), "gid": os.getgid(),
            "groups": os.getgroups(), "umask": umask, "limits": limits, "fds": AT_START,
            "status": status_fields(), "argv": sys.argv, "env": dict(os.environ)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        pass

    def query(self, name, otherwise=""):
        return parse_qs(urlsplit(self.path).query).get(name, [otherwise])[0]

    def number(self, name, otherwise):
        return int(self.query(name, str(otherwise)))

    def respond(self, body, status=200, kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def respond_json(self, value):
        self.respond(json.dumps(value).encode(), kind="application/json")

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if not size:
                    return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_headers(self):
        self.respond_json({"method": self.command, "target": self.path,
                           "version": self.request_version,
                           "headers": self.headers.items(),
                           "body": self.read_body().decode("latin-1")})

    def do_echo(self):
        self.respond(self.read_body(), kind="application/octet-stream")

    def do_self(self):
        self.respond_json(myself())

    def do_pid(self):
        self.respond(str(os.getpid()).encode())

    def do_slow(self):
        print("slow begins", flush=True)
        time.sleep(self.number("ms", 1000) / 1000)
        self.respond(str(os.getpid()).encode())

    def do_status(self):
        self.respond(b"the app's own page", self.number("code", 200))

    def do_interim(self):
        """So many answers before the answer."""
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * self.number("n", 1))
        self.respond(b"at last")

    def do_redirect(self):
        self.send_response(302)
        self.send_header("Location", self.query("to"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_remember(self):
        with open("remembered", "a", encoding="utf-8") as f:
            f.write(json.dumps([self.path, dict(self.headers.items())]) + "\n")
        self.respond(b"noted")

    def do_bytes(self):
        self.respond(b"x" * self.number("n", 1000))

    def do_print(self):
        stream = sys.stderr if self.query("to") == "stderr" else sys.stdout
        for i in range(self.number("n", 1)):
            stream.write(self.query("text", "line") + (f" {i}" if i else "") + "\n")
        stream.flush()
        self.respond(b"printed")

    def do_exit(self):
        self.respond(b"leaving")
        self.wfile.flush()
        os._exit(self.number("code", 0))

    def do_crash(self):
        os.abort()

    def do_count(self):
        """Counts by a file, so that a restarted app goes on counting."""
        with open("count", "a", encoding="ascii") as f:
            f.write(self.command + "\n")
        if self.query("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        self.respond(b"counted")

    def do_truncate(self):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"half")
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def do_stream(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i in range(self.number("n", 3)):
            self.wfile.write(b"2\r\n%d\n\r\n" % (i % 10))
            self.wfile.flush()
            time.sleep(self.number("ms", 100) / 1000)
        self.wfile.write(b"0\r\n\r\n")

    def handle_any(self):
        name = unquote(urlsplit(self.path).path).rstrip("/").rsplit("/", 1)[-1]
        getattr(self, "do_" + name, self.do_headers)()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = handle_any


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def start():
    if os.environ.get("START_TEXT"):
        print(os.environ["START_TEXT"], file=sys.stderr, flush=True)
    time.sleep(int(os.environ.get("START_DELAY_MS", "0")) / 1000)
    while os.environ.get("START_GATE") and not os.path.exists(os.environ["START_GATE"]):
        time.sleep(0.002)
    if os.environ.get("START_EXIT"):
        sys.exit(int(os.environ["START_EXIT"]))
    if os.environ.get("IGNORE_TERM"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.environ.get("START_NEVER_LISTEN"):
        signal.pause()
    port = os.environ.get("ASPNETCORE_PORT") or os.environ["PORT"]
    Server(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    AT_START = open_files()
    start()
