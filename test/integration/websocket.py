# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""A small WebSocket client: frames as RFC 6455 has them, no extensions."""

import base64
import hashlib
import os
import struct

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(payload, opcode=BINARY, is_masked=True):
    """As clients send it; servers do not mask."""
    mask = os.urandom(4) if is_masked else b""
    bit = 0x80 if is_masked else 0
    length = len(payload)
    head = bytes([0x80 | opcode])
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", length)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", length)
    if is_masked:
        stream = (mask * (length // 4 + 1))[:length]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")) \
            .to_bytes(length, "big")
    return head + mask + payload


class WebSocket:
    def __init__(self, raw, target, *headers):
        """raw: a client.Raw. Raises AssertionError with the answer if refused."""
        self.raw, self.data = raw, b""
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET {target} HTTP/1.1", "Host: localhost", "Connection: Upgrade",
                 "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Key: {key.decode()}", *headers]
        raw.send("\r\n".join(lines) + "\r\n\r\n")
        head, _, self.data = raw.receive(b"\r\n\r\n").partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        assert self.head.startswith("HTTP/1.1 101 "), self.head
        assert accept in head, self.head

    def send(self, payload, opcode=BINARY):
        self.raw.send(frame(payload, opcode))

    def take(self, n):
        while len(self.data) < n:
            piece = self.raw.socket.recv(65536)
            assert piece, "the connection ended within a frame"
            self.data += piece
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def frame(self):
        first, second = self.take(2)
        length = second & 0x7f
        if length == 126:
            length, = struct.unpack(">H", self.take(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.take(8))
        return first & 0x80, first & 0x0f, self.take(length)

    def receive(self):
        """Opcode and payload of the next message."""
        last, opcode, payload = self.frame()
        while not last:
            last, _, more = self.frame()
            payload += more
        return opcode, payload
