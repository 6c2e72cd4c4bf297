# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""HTTP/2 as far as it goes without a library. The first answer has a PING in front of
more than is read at a time, and its end follows what the PING is answered with. All
others say how many such answers came."""

import os
import socket
import threading

DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
ACK = END_STREAM = 1
STATUS_200 = b"\x88"
asked = answered = 0


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) \
        + stream.to_bytes(4, "big") + payload


def serve(one):
    global asked, answered
    stream, f = 0, one.makefile("rb")
    f.read(len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
    one.sendall(frame(SETTINGS, 0, 0))
    while head := f.read(9):
        f.read(int.from_bytes(head[:3], "big"))
        kind, flags = head[3:5]
        if kind == SETTINGS and not flags & ACK:
            one.sendall(frame(SETTINGS, ACK, 0))
        elif kind == PING and flags & ACK:
            answered += 1
            one.sendall(frame(DATA, END_STREAM, stream))
        elif kind == HEADERS:
            asked, stream = asked + 1, int.from_bytes(head[5:], "big")
            text = frame(HEADERS, 4, stream, STATUS_200)
            if asked == 1:
                one.sendall(frame(PING, 0, 0, b"are you?") + text
                            + frame(DATA, 0, stream, bytes(16384)) * 3)
            else:
                one.sendall(text + frame(DATA, END_STREAM, stream, b"%d" % answered))


with socket.create_server(("127.0.0.1", int(os.environ["PORT"]))) as server:
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
