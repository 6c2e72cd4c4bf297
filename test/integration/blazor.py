# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""A circuit of Blazor Server as its script holds one: SignalR's hub protocol in
MessagePack over a WebSocket, as much of both as it takes to press a button."""

import json
import re
import struct

import websocket

MARKER = re.compile(r"<!--Blazor:(\{\"type\":\"server\".*?\})-->")
INVOCATION, COMPLETION, PING = 1, 3, 6


def pack(value):
    if value is None:
        return b"\xc0"
    if isinstance(value, int):
        return struct.pack(">Bi", 0xd2, value)
    if isinstance(value, str):
        data = value.encode()
        return struct.pack(">BI", 0xdb, len(data)) + data
    if isinstance(value, dict):
        assert not value
        return b"\x80"
    return bytes([0x90 | len(value)]) + b"".join(map(pack, value))


# Of those with a size of their own: its format, and what is made of the bytes.
SIZED = {0xc4: (">B", bytes), 0xc5: (">H", bytes), 0xc6: (">I", bytes),
         0xd9: (">B", bytes.decode), 0xda: (">H", bytes.decode),
         0xdb: (">I", bytes.decode)}
FIXED = {0xcc: ">B", 0xcd: ">H", 0xce: ">I", 0xcf: ">Q", 0xd0: ">b", 0xd1: ">h",
         0xd2: ">i", 0xd3: ">q", 0xca: ">f", 0xcb: ">d"}
PLAIN = {0xc0: None, 0xc2: False, 0xc3: True}


class Unpacker:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self):
        first = self.number(">B")
        if first < 0x80 or first >= 0xe0:
            return first if first < 0x80 else first - 256
        if first < 0x90:
            return {self.value(): self.value() for _ in range(first & 15)}
        if first < 0xa0:
            return [self.value() for _ in range(first & 15)]
        if first < 0xc0:
            return self.take(first & 31).decode()
        if first in SIZED:
            form, make = SIZED[first]
            return make(self.take(self.number(form)))
        if first in FIXED:
            return self.number(FIXED[first])
        if first == 0xdc:
            return [self.value() for _ in range(self.number(">H"))]
        return PLAIN[first]


def frame(data):
    """With its length in front, seven bits at a time."""
    head, n = b"", len(data)
    while n > 127:
        head += bytes([n & 127 | 128])
        n >>= 7
    return head + bytes([n]) + data


def frames(data):
    at = 0
    while at < len(data):
        n = shift = 0
        while True:
            n |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                break
        yield data[at:at + n]
        at += n


class Circuit:
    """raw: a connection; page: that with the component; url: of the app."""

    def __init__(self, raw, url, path, page, token):
        self.waiting = []
        mount = "/" + url.split("/", 3)[3]
        self.talk = websocket.WebSocket(raw, f"{mount}_blazor?id={token}")
        self.talk.send(b'{"protocol":"blazorpack","version":1}\x1e', websocket.TEXT)
        assert self.talk.receive()[1] == b"{}\x1e"
        self.invoke("StartCircuit", url, url + path, "[]", "", number="0")
        kind, _, number, *answer = self.expect(lambda m: m[0] == COMPLETION)
        assert (kind, number) == (COMPLETION, "0") and answer[-1], answer
        marker = json.loads(MARKER.search(page).group(1))
        operation = {"type": "add", "ssrComponentId": 1, "marker": marker}
        self.invoke("UpdateRootComponents", json.dumps(
            {"batchId": 1, "operations": [operation]}), "")

    def invoke(self, name, *arguments, number=None):
        self.talk.send(frame(pack([INVOCATION, {}, number, name, list(arguments)])))

    def expect(self, wanted):
        """The next message for which that is true."""
        while True:
            while self.waiting:
                message = self.waiting.pop(0)
                assert message[0] != 7, f"the hub closes the connection: {message}"
                assert message[0] != INVOCATION or message[3] != "JS.Error", message
                if wanted(message):
                    return message
            opcode, data = self.talk.receive()
            assert opcode == websocket.BINARY, (opcode, data)
            self.waiting += [Unpacker(each).value() for each in frames(data)]

    def rendered(self, text):
        """Until a batch of what changed on the page has that."""
        def is_it(message):
            if message[0] != INVOCATION or message[3] != "JS.RenderBatch":
                return False
            number, batch = message[4]
            self.invoke("OnRenderCompleted", number, None)
            return text in batch
        self.expect(is_it)

    def click(self, handler):
        event = {"eventHandlerId": handler, "eventName": "click", "eventFieldInfo": None}
        self.invoke("BeginInvokeDotNetFromJS", "1", None, "DispatchEventAsync", 1,
                    json.dumps([event, {"detail": 1, "type": "click"}]))
