# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""HTTP clients: a polite one and a raw one."""

import http.client
import json
import socket


class Response:
    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    def header(self, name, otherwise=None):
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        return ", ".join(values) if values else otherwise

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def seen(self, name):
        """A header as the app saw it (routes that tell), or None."""
        values = [v for n, v in self.json()["headers"] if n.lower() == name.lower()]
        return ", ".join(values) if values else None

    def __repr__(self):
        return f"{self.status} {self.reason} {self.headers} {self.text[:2000]}"


def request(port, path, method="GET", headers=None, body=None, host=None, timeout=30):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        fields = dict(headers or {})
        if host:
            fields["Host"] = host
        connection.request(method, path, body=body, headers=fields)
        answer = connection.getresponse()
        return Response(answer.status, answer.reason, answer.getheaders(), answer.read())
    finally:
        connection.close()


class Raw:
    """One connection, bytes as given."""

    def __init__(self, port, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def receive(self, until=None):
        """What comes, up to and with `until`, or to the end."""
        data = b""
        while until is None or until not in data:
            piece = self.socket.recv(65536)
            if not piece:
                break
            data += piece
        return data

    def response(self):
        answer = http.client.HTTPResponse(self.socket)
        answer.begin()
        return Response(answer.status, answer.reason, answer.getheaders(), answer.read())


def raw_request(port, target, headers=(), method="GET", timeout=30):
    """A request whose target is sent exactly as written."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close",
             *headers]
    with Raw(port, timeout) as raw:
        raw.send("\r\n".join(lines) + "\r\n\r\n")
        return raw.response()
