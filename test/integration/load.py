# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Requests without pause while a test does something to the server."""

import threading
import time

from processes import wait_for


class Load:
    """Use as a context; afterwards `answers` are client.Response, `errors` what went
    wrong without one."""

    def __init__(self, env, *paths, threads=3, method="GET"):
        self.env, self.paths, self.method = env, paths, method
        self.answers, self.errors = [], []
        self.slowest = 0.0      # seconds
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=[i])
                        for i in range(threads)]

    def run(self, i):
        while not self.stopped.is_set():
            i += 1
            begin = time.monotonic()
            try:
                self.answers.append(self.env.get(self.paths[i % len(self.paths)],
                                                 method=self.method, timeout=60))
            except OSError as error:
                self.errors.append(error)
            self.slowest = max(self.slowest, time.monotonic() - begin)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def wait(self, more):
        """Until so many more were answered."""
        goal = len(self.answers) + more
        wait_for(lambda: len(self.answers) >= goal, 30, f"{more} answers")

    def texts(self):
        return {answer.text for answer in self.answers}

    def check(self):
        assert len(self.answers) > 20
        bad = [a for a in self.answers if a.status != 200]
        assert not bad, f"{len(bad)} of {len(self.answers)} failed: {bad[0]}"
        assert not self.errors, f"{len(self.errors)} failed: {self.errors[0]!r}"
