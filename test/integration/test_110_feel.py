# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""How it feels: starts, memory, silence, many mounts. The limits here are those of a
machine that is busy with something else; the figures are printed (pytest -s -rP)."""

import http.client
import os
import re
import signal
import statistics
import subprocess
import threading
import time

import pytest

import env as environment
import processes
from processes import wait_for

pytestmark = pytest.mark.quiet

STARTS = 11
MOUNTS = 500
ROUNDS = 5
INSTRUMENTED = bool(os.environ.get("APPCORE_PRELOAD"))

uninstrumented = pytest.mark.skipif(INSTRUMENTED, reason="sanitizers cost time and room")


def report(text):
    print(f"\n{text}")


def put_program(env):
    folder = env.app("c", "program")
    env.compile(folder, "portserver.c", "portserver")
    env.expected = {folder: 3 * STARTS + 1}
    return folder


@pytest.fixture(scope="module")
def httpd(env):
    folder = put_program(env)
    text = f"AppCoreMount /warm {folder}\n"
    for way, arguments in (("port", "{port}"), ("socket", "--fd {fd}")):
        for i in range(STARTS):
            text += f"""
<AppCoreApp {way}-{i}>
    AppCorePath {folder}
    AppCoreProcessPath portserver
    {f'AppCoreArguments "{arguments}"' if way == "socket" else "AppCoreListen tcp"}
</AppCoreApp>
AppCoreMount /{way}-{i} {way}-{i}
"""
    for i in range(8):
        env.app(f"slow-{i}", "plain")
        text += f"""
<AppCoreApp slow-{i}>
    AppCorePath {env.path("apps", f"slow-{i}")}
    AppCoreEnvironmentVariable START_DELAY_MS 500
</AppCoreApp>
AppCoreMount /slow-{i} slow-{i}
"""
    env.folder = folder
    env.start(text)
    # The first request of all also starts what httpd's child needs.
    timed(env, "/warm/pid")
    return env


def timed(env, path):
    """Milliseconds until the answer, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", env.port, timeout=30)
    began = time.monotonic()
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    span = time.monotonic() - began
    connection.close()
    assert answer.status == 200
    return span * 1000


def own_start(folder):
    """Milliseconds that the program itself needs until it listens."""
    began = time.monotonic()
    with subprocess.Popen([os.path.join(folder, "portserver")], stdout=subprocess.PIPE,
                          env={"PORT": str(environment.free_port())}) as process:
        process.stdout.readline()
        span = time.monotonic() - began
        process.kill()
    return span * 1000


@uninstrumented
@pytest.mark.parametrize("way", ["port", "socket"])
def test_cold_start(httpd, way):
    """The first request takes the app's own time, and how much more?"""
    own = statistics.median(own_start(httpd.folder) for _ in range(STARTS))
    cold = [timed(httpd, f"/{way}-{i}/pid") for i in range(STARTS)]
    warm = statistics.median(timed(httpd, "/warm/pid") for _ in range(STARTS))
    median = statistics.median(cold)
    report(f"cold start by {way}: {median:.1f} ms ({min(cold):.1f} to {max(cold):.1f}),"
           f" the program's own {own:.1f} ms, a warm request {warm:.1f} ms")
    assert median - own - warm < 40


def test_log_tells_the_time_of_a_start(httpd):
    """It counts from the fork, not from when somebody had time to look."""
    for i in range(3):
        assert httpd.get(f"/slow-{i}/pid").status == 200

    def told():
        found = re.findall(r"app slow-\d: process \d+ .*is ready after (\d+) ms",
                           httpd.log_text())
        return found if len(found) == 3 else None
    said = wait_for(told, what="three lines about starts")
    assert all(500 <= int(ms) < 3000 for ms in said), said


@uninstrumented
def test_starts_are_parallel(httpd):
    with open(httpd.conf, encoding="utf-8") as f:
        text = f.read()
    httpd.stop()
    httpd.start(text[text.index("AppCoreMount"):])
    httpd.get("/warm/pid")
    began = time.monotonic()
    threads = [threading.Thread(target=httpd.get, args=[f"/slow-{i}/pid"])
               for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    span = time.monotonic() - began
    report(f"8 apps that need 500 ms each: all there after {span * 1000:.0f} ms")
    assert span < 3


def private(pid):
    rollup = processes.read(pid, "smaps_rollup").decode()
    return sum(int(n) for n in re.findall(r"Private_\w+:\s+(\d+) kB", rollup))


@uninstrumented
@pytest.mark.root
def test_private_memory(httpd):
    for i in range(STARTS):
        timed(httpd, f"/port-{i}/pid")
    for _ in range(3):
        httpd.reload()
    sizes = {name: private(pid) for name, pid in zip(
        ("keeper", "manager", "relay"), httpd.helpers())}
    report(f"private memory with {len(httpd.app_processes())} apps: {sizes} kB")
    assert 0 < sum(sizes.values()) < 4096


def switches(pid):
    text = processes.read(pid, "status").decode()
    return int(re.search(r"^voluntary_ctxt_switches:\t(\d+)", text, re.M).group(1))


def test_idle_means_asleep(httpd):
    """Two seconds in which nobody asks for anything and no helper wakes up."""
    timed(httpd, "/warm/pid")

    def silent():
        before = [switches(pid) for pid in httpd.helpers()]
        time.sleep(2)
        return [switches(pid) for pid in httpd.helpers()] == before
    # Output pipes of processes that ended are closed some seconds later.
    wait_for(silent, 20, "two seconds without a wake-up")


@uninstrumented
def test_death_is_noticed_at_once(httpd):
    httpd.allow(r"app warm: process \d+ ")
    spans = []
    for _ in range(3):
        old = int(httpd.get("/warm/pid").text)
        began = time.monotonic()
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: int(httpd.get("/warm/pid").text) != old)
        spans.append((time.monotonic() - began) * 1000)
    report(f"from kill -9 to the next answer: {[round(s) for s in spans]} ms")
    assert min(spans) < 500


class Many:
    """Two servers that differ in the number of mounts."""

    def __init__(self, env):
        self.one, self.many = env, environment.Env()
        folder = put_program(self.many)
        text = "".join(f"AppCoreMount /mount-{i}/inner {self.folder(i)}\n"
                       for i in range(MOUNTS - 1))
        self.many.start(text + f"AppCoreMount /warm {folder}\n")
        self.servers = (self.one, self.many)

    def folder(self, i):
        folder = self.many.path("files", str(i))
        os.mkdir(folder)
        return folder

    def alternate(self, measure):
        """Median of either; the rounds change places with each other."""
        measure(self.one), measure(self.many)
        values = [(measure(self.one), measure(self.many)) for _ in range(ROUNDS)]
        return [statistics.median(column) for column in zip(*values)]


@pytest.fixture(scope="module")
def both(env):
    if not env.httpd_pid():
        pytest.skip("no server to compare with")
    env.reload(f"AppCoreMount /warm {env.folder}\n")
    made = Many(env)
    yield made
    made.many.destroy()


def configtest(env):
    began = time.monotonic()
    assert env.run_httpd("-t", "-f", env.conf).returncode == 0
    return (time.monotonic() - began) * 1000


def graceful(env):
    position = len(env.log_text())
    began = time.monotonic()
    os.kill(env.httpd_pid(), signal.SIGUSR1)
    while "resuming normal operations" not in env.log_text()[position:]:
        assert time.monotonic() - began < 20
        time.sleep(0.001)
    return (time.monotonic() - began) * 1000


@uninstrumented
@pytest.mark.parametrize("measure", [configtest, graceful])
def test_many_mounts_cost_a_reload_little(httpd, both, measure):
    one, many = both.alternate(measure)
    report(f"{measure.__name__} with 1 mount {one:.0f} ms, with {MOUNTS} {many:.0f} ms:"
           f" {many - one:.0f} ms more")
    assert many - one < 500


def latency(env):
    """Microseconds per request, one after the other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", env.port, timeout=30)
    spans = []
    for _ in range(200):
        began = time.monotonic()
        connection.request("GET", "/warm/pid")
        answer = connection.getresponse()
        answer.read()
        spans.append(time.monotonic() - began)
        assert answer.status == 200
    connection.close()
    return statistics.median(spans) * 1e6


@uninstrumented
def test_many_mounts_cost_a_request_nothing(httpd, both):
    one, many = both.alternate(latency)
    report(f"a request with 1 mount {one:.0f} us, with {MOUNTS} {many:.0f} us")
    assert many < one * 1.5 + 50
