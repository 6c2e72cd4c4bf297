# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Many clients at a time."""

import re
import threading

import client
from processes import wait_for


def at_once(count, ask):
    """Results of ask(0) to ask(count - 1), in threads of their own; an exception is a
    result, too."""
    results = [None] * count

    def run(i):
        try:
            results[i] = ask(i)
        except Exception as e:      # whatever it is, the test wants to see it
            results[i] = e
    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


class NamedRequests:
    """Clients that ask again and again until the block ends, each request with an X-Id
    of its own."""

    def __init__(self, port, path, clients=32, method="GET", body=None):
        self.port, self.path, self.method, self.body = port, path, method, body
        self.stop = threading.Event()
        self.results = []           # (id, Response or exception)
        self.counts = [0] * clients
        self.threads = [threading.Thread(target=self.run, args=(n,))
                        for n in range(clients)]

    def run(self, number):
        while not self.stop.is_set():
            name = f"{self.method}-{number}-{self.counts[number]}"
            try:
                result = client.request(self.port, self.path, self.method,
                                        {"X-Id": name}, self.body, timeout=60)
            except OSError as e:
                result = e
            self.results.append((name, result))
            self.counts[number] += 1

    def wait_round(self, timeout=30):
        """Until every client had an answer to a request that it made from now on."""
        goals = [n + 2 for n in self.counts]
        wait_for(lambda: all(n >= goal for n, goal in zip(self.counts, goals)), timeout,
                 "answers for all clients")

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        for t in self.threads:
            t.join()

    def answers(self):
        return [(name, r) for name, r in self.results if not isinstance(r, Exception)]

    def check(self, *statuses):
        """All were answered with one of these."""
        bad = [(name, f"{r.status} {re.findall('<title>.*</title>', r.text)}"
                if not isinstance(r, Exception) else repr(r)) for name, r in self.results
               if isinstance(r, Exception) or r.status not in statuses]
        assert not bad, f"{len(bad)} of {len(self.results)}: {bad[:5]}"
