# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Sample app: plain ASGI without a framework, for uvicorn or any other ASGI server.
The paths are those of the other sample apps: see ROUTES."""

import asyncio
import json
import os
import sys
from urllib.parse import parse_qs

BYTES_MAX = 16 * 1024 * 1024


def number(scope, name, otherwise):
    value = parse_qs(scope["query_string"].decode("latin-1")).get(name, [""])[0]
    return int(value) if value.lstrip("-").isdigit() else otherwise


def headers_of(scope):
    return {name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]}


async def start(send, status, kind, length=None):
    headers = [(b"content-type", kind.encode("latin-1"))]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def respond(send, status, body, kind="text/plain"):
    await start(send, status, kind, len(body))
    await send({"type": "http.response.body", "body": body})


async def respond_json(send, value):
    body = json.dumps(value, indent=2).encode() + b"\n"
    await respond(send, 200, body, "application/json")


async def root(scope, receive, send):
    await respond(send, 200, f"Hello from Python, process {os.getpid()}\n".encode())


async def headers(scope, receive, send):
    await respond_json(send, {
        "method": scope["method"],
        "path": scope["raw_path"].decode("latin-1"),
        "scheme": scope["scheme"],
        "client": scope["client"],
        "headers": headers_of(scope),
    })


async def echo(scope, receive, send):
    kind = headers_of(scope).get("content-type", "application/octet-stream")
    started, more = False, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message.get("more_body", False)
        if not started:
            await start(send, 200, kind)
            started = True
        await send({"type": "http.response.body", "body": message.get("body", b""),
                    "more_body": more})


async def slow(scope, receive, send):
    await asyncio.sleep(number(scope, "ms", 1000) / 1000)
    await respond(send, 200, b"done\n")


async def stream(scope, receive, send):
    count, pause = number(scope, "n", 5), number(scope, "ms", 200) / 1000
    await start(send, 200, "text/event-stream")
    for i in range(1, count + 1):
        await send({"type": "http.response.body", "body": f"data: {i}\n\n".encode(),
                    "more_body": True})
        if i < count:
            await asyncio.sleep(pause)
    await send({"type": "http.response.body"})


async def some_bytes(scope, receive, send):
    size = min(max(number(scope, "n", 1024), 0), BYTES_MAX)
    await respond(send, 200, bytes(size), "application/octet-stream")


async def status(scope, receive, send):
    await respond(send, number(scope, "code", 200), b"status\n")


async def env(scope, receive, send):
    await respond_json(send, dict(os.environ))


async def pid(scope, receive, send):
    await respond(send, 200, f"{os.getpid()}\n".encode())


async def leave(scope, receive, send):
    await respond(send, 200, b"leaving\n")
    # After this turn of the loop, so that the response is on its way.
    asyncio.get_running_loop().call_soon(os._exit, number(scope, "code", 0))


async def crash(scope, receive, send):
    print("crashing on request", file=sys.stderr, flush=True)
    os.abort()


ROUTES = {
    "/": root, "/headers": headers, "/echo": echo, "/slow": slow, "/stream": stream,
    "/bytes": some_bytes, "/status": status, "/env": env, "/pid": pid, "/exit": leave,
    "/crash": crash,
}


def path_in_app(scope):
    """The path below the URL prefix at which the app is mounted."""
    path, prefix = scope["path"], headers_of(scope).get("x-forwarded-prefix", "")
    if prefix and (path == prefix or path.startswith(prefix + "/")):
        return path[len(prefix):] or "/"
    return path


async def websocket(scope, receive, send):
    """Sends back what it gets."""
    if path_in_app(scope) != "/ws":
        await send({"type": "websocket.close"})
        return
    while True:
        message = await receive()
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif message["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message.get("text"),
                        "bytes": message.get("bytes")})
        else:
            return


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    else:
        route = ROUTES.get(path_in_app(scope))
        if route:
            await route(scope, receive, send)
        else:
            await respond(send, 404, b"no such path\n")
