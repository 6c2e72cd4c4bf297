#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""An app for tests that listens how its arguments say: --fd N, --socket PATH or
--port N; without any of them at LISTEN_FDS, then at PORT. Says how it was run."""

import json
import os
import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


def option(name):
    words = sys.argv[1:]
    return words[words.index(name) + 1] if name in words else None


def listen():
    path, fd, port = option("--socket"), option("--fd"), option("--port")
    if path:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
    elif fd or (not port and os.environ.get("LISTEN_FDS")):
        return socket.socket(fileno=int(fd or 3))
    else:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(port or os.environ["PORT"])))
    listener.listen(64)
    return listener


class Handler(BaseHTTPRequestHandler):
    def address_string(self):
        return "client"

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        family = self.server.socket.family
        body = json.dumps({
            "pid": os.getpid(), "argv": sys.argv, "env": dict(os.environ),
            "target": self.path, "headers": self.headers.items(),
            "how": "socket" if family == socket.AF_UNIX else "port",
            "address": self.server.socket.getsockname()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    server = HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listen()
    server.serve_forever()


if __name__ == "__main__":
    main()
