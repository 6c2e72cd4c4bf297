# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The test's end of apps/raw: what the app should say, when, and what it saw."""

import hashlib
import itertools
import json
import os
import random

from processes import wait_for

numbers = itertools.count(1)


def data(n):
    """What the app's route "big" sends."""
    return random.Random(7).randbytes(n)


def sha256(body):
    return hashlib.sha256(body).hexdigest()


class RawApp:
    def __init__(self, env, name, source="raw"):
        self.env, self.name = env, name
        self.folder = env.app(name, source)
        for sub in ("answers", "gates"):
            os.mkdir(os.path.join(self.folder, sub), 0o755)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def say(self, data):
        """Bytes to be sent literally; the target that makes the app send them."""
        name = f"a{next(numbers)}"
        with open(self.path("answers", name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode("latin-1"))
        return name

    def target(self, route, **query):
        text = "&".join(f"{n}={v}" for n, v in query.items())
        return f"/{self.name}/{route}" + (f"?{text}" if text else "")

    def answer(self, data, then="close", body=""):
        """Target of a request that gets these bytes, and their name for open()."""
        name = self.say(data)
        return self.target("answer", name=name, then=then, body=body), name

    def gate(self):
        return f"g{next(numbers)}"

    def open(self, gate):
        with open(self.path("gates", gate), "wb"):
            pass

    def events(self, what=None, **facts):
        try:
            with open(self.path("events"), encoding="utf-8") as f:
                found = [json.loads(line) for line in f if line.endswith("\n")]
        except FileNotFoundError:
            return []
        return [e for e in found if what in (None, e["what"])
                and all(e.get(n) == v for n, v in facts.items())]

    def forget(self):
        if os.path.exists(self.path("events")):
            os.truncate(self.path("events"), 0)

    def wait_event(self, what, timeout=10, count=1, **facts):
        """The last of `count` such events."""
        def enough():
            found = self.events(what, **facts)
            return found[count - 1:count]
        return wait_for(enough, timeout, f"{count} of event {what} {facts}")[0]

    def wait_gate(self, gate, timeout=10):
        return self.wait_event("gate", timeout, gate=gate)
