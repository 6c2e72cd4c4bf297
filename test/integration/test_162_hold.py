# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""A worker that waits for the next request of its connection: it gets it, and nobody
else waits for that."""

import select
import threading
import time
from http.client import RemoteDisconnected

import pytest

import env as environment
from client import Raw
from many import at_once
from processes import wait_for
from rawapp import RawApp
from test_015_tls import make_certificate
from test_160_park import TLS, TlsRaw, ask

pytestmark = pytest.mark.skipif(environment.MPM != "event" or environment.PARK == "never",
                                reason="only the event MPM gives connections back")
THREADS = 8


def settings(env, held, plain, still):
    tls = f"""Listen 127.0.0.1:{env.port2}
<VirtualHost *:{env.port2}>
    SSLEngine On
    {make_certificate(env)}
    AppCoreMount /held held
    AppCoreMount /still still
</VirtualHost>
""" if TLS else ""
    return f"""StartServers 1
ServerLimit 4
ThreadsPerChild {THREADS}
MaxRequestWorkers {THREADS}
KeepAliveTimeout 5
MaxKeepAliveRequests 20
LogFormat "%{{tid}}P %k %>s %U" hold
CustomLog {env.path("access.log")} hold
<AppCoreApp held>
    AppCorePath {held.folder}
    AppCoreKeepAliveHold 400ms
</AppCoreApp>
# One whose requests stay on a worker although the answer takes its time.
<AppCoreApp still>
    AppCorePath {still.folder}
    AppCoreKeepAliveHold 400ms
    AppCoreAsync Off
</AppCoreApp>
<AppCoreApp plain>
    AppCorePath {plain.folder}
    AppCoreKeepAliveHold Off
</AppCoreApp>
AppCoreMount /held held
AppCoreMount /still still
AppCoreMount /plain plain
{tls}"""


@pytest.fixture(scope="module")
def httpd(env):
    env.modules += ["log_config"]
    if TLS:
        env.modules += ["socache_shmcb", "ssl"]
    env.write("htdocs", "static.txt", text="static")
    # Eight workers are few on purpose.
    env.always_allowed += [environment.FULL]
    env.made = settings(env, *(RawApp(env, name) for name in ("held", "plain", "still")))
    env.start(env.made)
    assert env.get("/held/pid").status == 200
    assert env.get("/plain/pid").status == 200
    assert env.get("/still/pid").status == 200
    return env


def requests(raw, target, n):
    found = []
    for _ in range(n):
        ask(raw, target)
        found.append(raw.response().status)
    return found


def threads_of(httpd, count):
    """Of the last `count` requests in the log."""
    def lines():
        with open(httpd.path("access.log"), encoding="utf-8") as f:
            found = [line.split() for line in f if line.endswith("\n")]
        return found if len(found) >= count else None
    return [line[0] for line in wait_for(lines)[-count:]]


def logged(httpd):
    with open(httpd.path("access.log"), encoding="utf-8") as f:
        return len(f.readlines())


def new_lines(httpd, before, count):
    wait_for(lambda: logged(httpd) >= before + count)
    return threads_of(httpd, count)


@pytest.mark.parametrize("kind", ["http", pytest.param("https", marks=pytest.mark.skipif(
    not TLS, reason="needs mod_ssl and openssl"))])
def test_the_connection_stays_on_its_worker(httpd, kind):
    """The event MPM alone gives every request to the worker that is next in line. How
    soon the next one comes is not known before there was a second."""
    before = logged(httpd)
    raw = Raw(httpd.port) if kind == "http" else TlsRaw(httpd.port2)
    assert requests(raw, "/still/pid", 10) == [200] * 10
    raw.socket.close()
    assert len(set(new_lines(httpd, before, 10)[1:])) == 1
    before = logged(httpd)
    with httpd.raw() as raw:
        assert requests(raw, "/plain/pid", 10) == [200] * 10
    assert len(set(new_lines(httpd, before, 10))) > 1


def test_a_connection_that_pauses_is_not_held(httpd):
    """Half of the time is too long: it is another worker's turn every time."""
    before = logged(httpd)
    with httpd.raw() as raw:
        for _ in range(5):
            began = time.monotonic()
            assert requests(raw, "/still/pid", 1) == [200]
            wait_for(lambda: time.monotonic() > began + 0.25)
    found = new_lines(httpd, before, 5)
    assert all(a != b for a, b in zip(found, found[1:]))


def test_keep_alive_ends_as_configured(httpd):
    with httpd.raw() as raw:
        assert requests(raw, "/held/pid", 20) == [200] * 20
        assert raw.socket.recv(1) == b""


def test_pipelined_requests(httpd):
    with httpd.raw() as raw:
        for _ in range(5):
            ask(raw, "/held/pid")
        text = b""
        while text.count(b"HTTP/1.1 200 OK") < 5:
            piece = raw.socket.recv(65536)
            assert piece, text
            text += piece


@pytest.mark.quiet
def test_no_more_than_half_of_the_workers(httpd):
    """Sixteen connections that pause leave the rest of the server alone."""
    stop = threading.Event()

    def hot():
        while not stop.is_set():
            try:
                with httpd.raw() as raw:
                    while not stop.is_set():
                        requests(raw, "/held/pid", 1)
                        stop.wait(0.02)
            except (RemoteDisconnected, OSError):
                pass    # the end of keep-alive
    crowd = [threading.Thread(target=hot) for _ in range(2 * THREADS)]
    for thread in crowd:
        thread.start()
    times = []
    for _ in range(20):
        began = time.monotonic()
        assert httpd.get("/static.txt", timeout=30).text == "static"
        times.append(time.monotonic() - began)
    stop.set()
    for thread in crowd:
        thread.join()
    # Held workers come back after 400 ms; half of the requests need none of these.
    assert sorted(times)[len(times) // 2] < 0.2


def test_everybody_is_served(httpd):
    """Many more connections than workers. While all of these are busy the MPM closes
    connections between two requests, held or not."""
    def many(i):
        answered = 0
        while answered < 5:
            with httpd.raw() as raw:
                try:
                    while answered < 5:
                        assert requests(raw, "/held/pid", 1) == [200]
                        answered += 1
                except (RemoteDisconnected, ConnectionResetError):
                    pass
        return answered
    assert at_once(40, many) == [5] * 40


class Loop:
    """Connections that each ask again as soon as they are answered."""

    def __init__(self, port, n):
        self.port, self.counts = port, [0] * n
        self.epoll, self.sockets = select.epoll(), {}
        for i in range(n):
            self.connect(i)

    def connect(self, i):
        raw = Raw(self.port)
        self.sockets[raw.socket.fileno()] = (i, raw.socket)
        self.epoll.register(raw.socket.fileno(), select.EPOLLIN)
        self.ask(raw.socket)

    @staticmethod
    def ask(one):
        one.sendall(b"GET /held/pid HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def listen(self, fd):
        i, one = self.sockets[fd]
        try:
            answer = one.recv(65536)
            if answer:
                assert answer.startswith(b"HTTP/1.1 200"), answer
                self.counts[i] += 1
                self.ask(one)
                return
        except ConnectionError:
            pass
        # An MPM without idle threads closes connections between two requests.
        self.epoll.unregister(fd)
        del self.sockets[fd]
        one.close()
        self.connect(i)

    def run(self, seconds, each):
        """So long, and until there are so many answers for each that it tells something
        who got how many."""
        began = time.monotonic()
        while time.monotonic() < began + seconds or sum(self.counts) < each \
                * len(self.counts):
            assert time.monotonic() < began + 60, sorted(self.counts)
            for fd, _ in self.epoll.poll(0.1):
                self.listen(fd)
        for _, one in self.sockets.values():
            one.close()
        return sorted(self.counts)


@pytest.mark.parametrize("n", (16, 64, 256))
def test_everybody_gets_the_same(httpd, n):
    """More connections than workers may hold, than there are, and four times as many:
    those that are held are not served on behalf of the others."""
    httpd.reload("AsyncRequestWorkerFactor 50\nAppCoreMaxWorkers 90%\n" + httpd.made
                 .replace("KeepAliveHold 400ms", "KeepAliveHold 2ms")
                 .replace(f"ThreadsPerChild {THREADS}", "ThreadsPerChild 64")
                 .replace(f"MaxRequestWorkers {THREADS}", "MaxRequestWorkers 64")
                 .replace("MaxKeepAliveRequests 20", "MaxKeepAliveRequests 0"))
    counts = Loop(httpd.port, n).run(2, each=40)
    httpd.reload(httpd.made)
    median = counts[n // 2]
    assert counts[0] >= median / 4 and counts[-1] <= median * 4, counts


def test_a_reload_does_not_wait(httpd):
    """The worker that holds gives up at once, so the old child goes."""
    with httpd.raw() as raw:
        assert requests(raw, "/held/pid", 2) == [200] * 2
        old = {p.pid for p in httpd.workers()}
        httpd.reload(httpd.made.replace("KeepAliveHold 400ms", "KeepAliveHold 1s"),
                     wait_workers=False)
        wait_for(lambda: not old & {p.pid for p in httpd.workers()}, 10)
    assert httpd.get("/held/pid").status == 200


def test_at_server_level_for_everything(httpd):
    httpd.reload("AppCoreKeepAliveHold 400ms\n" + httpd.made)
    before = logged(httpd)
    with httpd.raw() as raw:
        assert requests(raw, "/static.txt", 10) == [200] * 10
    assert len(set(new_lines(httpd, before, 10)[1:])) == 1
    httpd.reload(httpd.made)
