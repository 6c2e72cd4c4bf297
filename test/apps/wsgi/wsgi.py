# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Sample app: plain WSGI without a framework, for gunicorn or any other WSGI server.
The paths are those of the other sample apps: see ROUTES."""

import json
import os
import sys
import threading
import time
from urllib.parse import parse_qs

BYTES_MAX = 16 * 1024 * 1024


def number(environ, name, otherwise):
    value = parse_qs(environ.get("QUERY_STRING", "")).get(name, [""])[0]
    return int(value) if value.lstrip("-").isdigit() else otherwise


def headers_of(environ):
    found = {name[5:].replace("_", "-").title(): value
             for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            found[name.replace("_", "-").title()] = environ[name]
    return found


def respond(start, body, status="200 OK", kind="text/plain"):
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def respond_json(start, value):
    return respond(start, json.dumps(value, indent=2).encode() + b"\n",
                   kind="application/json")


def headers(environ, start):
    return respond_json(start, {
        "method": environ["REQUEST_METHOD"],
        "path": environ.get("RAW_URI", environ["PATH_INFO"]),
        "scheme": environ["wsgi.url_scheme"],
        "client": environ.get("REMOTE_ADDR", ""),
        "headers": headers_of(environ),
    })


def echo(environ, start):
    start("200 OK", [("Content-Type", environ.get("CONTENT_TYPE")
                      or "application/octet-stream")])
    return iter(lambda: environ["wsgi.input"].read(65536), b"")


def slow(environ, start):
    time.sleep(number(environ, "ms", 1000) / 1000)
    return respond(start, b"done\n")


def stream(environ, start):
    count, pause = number(environ, "n", 5), number(environ, "ms", 200) / 1000
    start("200 OK", [("Content-Type", "text/event-stream")])
    for i in range(1, count + 1):
        yield f"data: {i}\n\n".encode()
        if i < count:
            time.sleep(pause)


def some_bytes(environ, start):
    size = min(max(number(environ, "n", 1024), 0), BYTES_MAX)
    return respond(start, bytes(size), kind="application/octet-stream")


def leave(environ, start):
    # Later, so that the response is on its way.
    threading.Timer(0.05, os._exit, [number(environ, "code", 0)]).start()
    return respond(start, b"leaving\n")


def crash(environ, start):
    print("crashing on request", file=sys.stderr, flush=True)
    os.abort()


ROUTES = {
    "/": lambda environ, start: respond(
        start, f"Hello from Python, process {os.getpid()}\n".encode()),
    "/headers": headers, "/echo": echo, "/slow": slow, "/stream": stream,
    "/bytes": some_bytes,
    "/status": lambda environ, start: respond(
        start, b"status\n", f"{number(environ, 'code', 200)} Status"),
    "/env": lambda environ, start: respond_json(start, dict(os.environ)),
    "/pid": lambda environ, start: respond(start, f"{os.getpid()}\n".encode()),
    "/exit": leave, "/crash": crash,
}


def path_in_app(environ):
    """The path below the URL prefix at which the app is mounted."""
    path = environ["PATH_INFO"] or "/"
    prefix = environ.get("HTTP_X_FORWARDED_PREFIX", "")
    if prefix and (path == prefix or path.startswith(prefix + "/")):
        return path[len(prefix):] or "/"
    return path


def application(environ, start):
    route = ROUTES.get(path_in_app(environ))
    if route:
        return route(environ, start)
    return respond(start, b"no such path\n", "404 Not Found")


app = application
