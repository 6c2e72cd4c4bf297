# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Requests without pause while a test does something to the server."""

import http.client
import subprocess
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


class InFlight:
    """Requests that are under way, each on a thread and a connection of its own."""

    def __init__(self, env, *paths):
        self.env, self.answers = env, {}
        self.threads = [threading.Thread(target=self.run, args=(path,))
                        for path in paths]
        for thread in self.threads:
            thread.start()

    def run(self, path):
        try:
            self.answers[path] = self.env.get(path, timeout=60)
        except (OSError, http.client.HTTPException) as error:
            self.answers[path] = error

    def finish(self):
        """By path, an answer or what came instead."""
        for thread in self.threads:
            thread.join()
        return self.answers


class Clients:
    """Requests one after the other until told to stop, on fresh connections or on one
    that is kept. Where `patient`, a client whose kept connection was closed before any
    of the answer asks again, as all clients do: httpd may close while it asks."""

    def __init__(self, port, path, kinds=(False, True), tls=None, patient=False):
        self.port, self.path, self.tls, self.patient = port, path, tls, patient
        self.answers, self.stop = [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(kept,))
                        for kept in kinds]
        for thread in self.threads:
            thread.start()

    def connect(self):
        if not self.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60,
                                           context=self.tls)

    def run(self, kept):
        connection, used = None, False
        while not self.stop.is_set():
            if not connection:
                connection, used = self.connect(), False
            used = self.one(connection, kept, used)
            if not used:
                connection.close()
                connection = None
            time.sleep(0.01)

    def one(self, connection, kept, used):
        """Whether the connection may be used again."""
        answer = None
        try:
            connection.request("GET", self.path)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            if answer or not (used and self.patient
                              and isinstance(error, ConnectionError)):
                self.answers.append(error)
            return False
        self.answers.append(answer.status)
        return kept and not answer.will_close

    def finish(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        return self.answers


# Instead of asking again elsewhere curl (7.88) ends with this when a connection that it
# was about to use has said GOAWAY; it has not sent the request then.
CURL_HTTP2 = 16


class Curls:
    """The same by curl, which speaks HTTP/2 as well: connection after connection, each
    with many requests."""

    def __init__(self, command, url, each=50):
        """command: curl and its options."""
        self.command = [*command, "--fail-early", "-w", "%{http_code}\\n",
                        *[word for _ in range(each) for word in ("-o", "/dev/null", url)]]
        self.answers, self.stop = [], threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stop.is_set():
            made = subprocess.run(self.command, capture_output=True, text=True,
                                  timeout=120, check=False)
            codes = [int(code) for code in made.stdout.split()]
            if made.returncode == CURL_HTTP2 and codes.pop() != 0:
                self.answers.append("an answer broke off")
            elif made.returncode not in (0, CURL_HTTP2):
                self.answers.append(f"curl ended with {made.returncode}")
            self.answers += codes

    def finish(self):
        self.stop.set()
        self.thread.join()
        return self.answers
