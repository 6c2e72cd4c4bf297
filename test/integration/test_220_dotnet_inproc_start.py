# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""ASP.NET Core apps inside of httpd's children: starts that fail, one by one, and ends,
one by one. There is one runtime per child, so each start is one of httpd."""

import html
import json
import os
import re
import signal
import subprocess
import threading

import pytest

import dotnet
import env as environment
from dotnet import put, remove
from ending import ENDED, deploy, fail, inside
from load import Clients, InFlight
from processes import alive, wait_for

pytestmark = [pytest.mark.mpm, pytest.mark.skipif(
    environment.MPM == "prefork", reason="the prefork MPM hosts no runtime")]


@pytest.fixture
def httpd(env):
    yield env
    env.stop()


# Starts that fail: what is done to the folder, the directives, the sub-status, and what
# the log says.

def cut(name):
    def prepare(folder):
        path = os.path.join(folder, name)
        os.truncate(path, os.path.getsize(path) - 1)
    return prepare


def other_framework(folder):
    path = os.path.join(folder, "Own.runtimeconfig.json")
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    for one in config["runtimeOptions"]["frameworks"]:
        one["version"] = "99.0.0"
    dotnet.write_json(folder, "Own.runtimeconfig.json", config)


def broken_host(folder):
    where = os.path.join(folder, "root", "host", "fxr", "99.0.0")
    os.makedirs(where)
    put("libhostfxr.so", "no library")(where)


def nothing(_folder):
    pass


ROOT = "AppCoreDotnetRoot"       # of the whole server


CASES = {
    "no-framework": (other_framework, "", 31, [
        "The .NET runtime for the app could not be loaded",
        "You must install or update .NET", "version '99.0.0'"]),
    "bad-deps": (put("Own.deps.json", "{"), "", 31, ["Failed to parse file"]),
    "no-runtime": (nothing, ROOT + " /nowhere", 31, [
        "No .NET runtime was found", "AppCoreDotnetRoot, /nowhere"]),
    "no-host": (broken_host, ROOT + " {folder}/root", 32, [
        "host/fxr/99.0.0/libhostfxr.so cannot be loaded"]),
    "cut-off": (cut("Own.dll"), "", 38, ["Own.dll is cut off"]),
    "no-dll": (remove("Own.dll"), "", 38, ["Own.dll"]),
    "ends": (nothing, fail("exit"), 30, [
        "Main exited prematurely: the app ended with exit code 12"]),
    "throws": (nothing, fail("throw"), 30, [
        "The app threw an exception: no <database> to be had",
        "System.InvalidOperationException", "at Program."]),
    "hosted": (nothing, fail("hosted"), 30, ["the queue is not there"]),
    "library": (nothing, fail("library"), 30, ["no-such-library"]),
    "settings": (put("appsettings.json", "{"), "", 30, ["appsettings.json"]),
}


@pytest.mark.parametrize("name", CASES)
def test_start_that_fails_says_why(httpd, name):
    prepare, lines, substatus, words = CASES[name]
    folder = deploy(httpd, name, "failing")
    prepare(folder)
    lines = lines.format(folder=folder)
    everywhere, own = (lines, "") if ROOT in lines else ("", lines)
    httpd.allow(rf"app {name}\b")
    httpd.start(f"AppCoreDetailedErrors On\n{everywhere}\n" + inside(name, folder, own))
    httpd.wait_log(rf"app {name} did not start in process \(500\.{substatus}\): ")
    worker = [p.pid for p in httpd.workers()]
    answer = httpd.get(f"/{name}/")
    for word in words:
        httpd.wait_log(re.escape(word))
        assert word in html.unescape(answer.text)
    assert answer.status == 500
    assert f"HTTP Error 500.{substatus} - " in answer.text
    # The page is that of a process that goes on.
    assert [p.pid for p in httpd.workers()] == worker
    assert httpd.get(f"/{name}/").status == 500


NO_ICU = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

void *dlopen(const char *name, int flags)
{
    void *(*real)(const char *, int) = dlsym(RTLD_NEXT, "dlopen");

    return name && strstr(name, "libicu") ? NULL : real(name, flags);
}
"""


@pytest.mark.skipif(bool(os.environ.get("APPCORE_PRELOAD")),
                    reason="a sanitizer is loaded in the same way")
def test_machine_without_icu(httpd):
    """The runtime would abort the process again and again."""
    source = httpd.write("files", "no-icu.c", text=NO_ICU)
    library = httpd.path("files", "no-icu.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    folder = deploy(httpd, "icu", "failing")
    httpd.allow(r"app icu\b")
    httpd.variables["LD_PRELOAD"] = library
    try:
        httpd.start("AppCoreDetailedErrors On\n" + inside("icu", folder))
        httpd.wait_log(r"app icu did not start in process \(500\.30\): .*libicu")
        page = httpd.get("/icu/").text
        assert "HTTP Error 500.30" in page and "libicu" in page
        httpd.stop()
        httpd.start(inside("icu", folder, "AppCoreEnvironmentVariable "
                           "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT 1"))
        assert httpd.get("/icu/").text == "runs"
    finally:
        del httpd.variables["LD_PRELOAD"]


def test_start_that_takes_too_long_gives_the_child_up(httpd):
    """As ANCM does; the next one tries again."""
    folder = deploy(httpd, "hangs", "failing")
    httpd.allow(r"app hangs\b", ENDED)
    httpd.start("AppCoreDetailedErrors On\n"
                + inside("hangs", folder, fail("hang"), "AppCoreStartupTimeLimit 2"))
    server = httpd.httpd_pid()
    worker = wait_for(httpd.workers, what="the child")[0].pid
    httpd.wait_log(r"app hangs did not start in process \(500\.37\): ")
    wait_for(lambda: not alive(worker), 30, "the end of the child")
    answer = wait_for(lambda: page(httpd, "/hangs/"), 30, "the page")
    assert "HTTP Error 500.37 - " in answer.text
    assert httpd.httpd_pid() == server


def page(httpd, path):
    """Of a child that is still there."""
    try:
        answer = httpd.get(path)
    except OSError:
        return None
    return answer if answer.status == 500 else None


def test_requests_wait_for_a_start_although_their_child_is_to_end(httpd):
    """What it got is its to answer, once its app has started."""
    folder, gate = deploy(httpd, "slow", "failing"), httpd.path("gate")
    httpd.allow("app slow is not available: too many requests wait")
    httpd.start(inside("slow", folder, fail("slow"), "AppCoreQueueLimit 1",
                       f"AppCoreEnvironmentVariable GATE {gate}"))
    old = [p.pid for p in httpd.workers()]
    # The second one of them finds the queue full.
    flight = InFlight(httpd, "/slow/?1", "/slow/?2")
    wait_for(lambda: flight.answers, 30, "the answer of one")
    httpd.reload(wait_workers=False)
    assert any(map(alive, old)) and len(flight.answers) == 1
    httpd.write("gate", text="")
    answers = flight.finish()
    assert sorted(answer.status for answer in answers.values()) == [200, 503], answers
    wait_for(lambda: not any(map(alive, old)), 30, "the end of the child")


# Ends

@pytest.fixture
def server(own, env):
    if not env.httpd_pid():
        own.start()
    yield own


def test_serves_from_the_child(server):
    assert server.get("/").text == "runs"
    assert server.pid() in [p.pid for p in server.env.workers()]
    assert not server.env.app_processes()


def test_lives_in_its_folder(server):
    folder = server.folder
    current, content, base, home, arguments = server.get("/where").text.split("\n")
    assert (current, content, base) == (folder, folder, folder + "/")
    assert home.startswith(server.env.path("state") + "/own") and arguments == ""


def foreign(seen):
    return [name for name, file in seen.items()
            if file.startswith(("libcoreclr", "libSystem", "libclr"))]


def test_signals_are_httpds(server):
    """Soon again when the app has used what installs handlers of its own."""
    assert server.get("/run").text == "7 143"
    wait_for(lambda: not foreign(server.get("/signals").json()), 5, "httpd's handlers")
    assert "mpm_" in server.get("/signals").json()["TERM"]


def test_programs_that_it_starts_end_and_are_waited_for(server):
    """They can be ended, which they could not with the signal mask of a worker."""
    assert server.get("/run").text == "7 143"


@pytest.mark.parametrize("code", [0, 1, 2, 3, 7, 15])
def test_exit_ends_the_child_alone(server, code):
    server.loses_its_child(f"/exit?code={code}")


@pytest.mark.parametrize("path, words", [
    ("/abort", "there is no way on"), ("/throw", "nobody catches this")])
def test_abort_ends_the_child_alone(server, path, words):
    server.env.allow(r"exit signal Abort", words)
    server.loses_its_child(path)
    server.env.wait_log(re.escape(words))


def test_stop_application_replaces_the_child(server):
    old = server.pid()
    assert server.get("/stop").status == 200
    server.env.wait_log(r"app own: it stops itself \(StopApplication\); this process of "
                        "httpd is replaced")
    server.has_another(old)


def test_stop_application_fails_no_request(server):
    """The app goes on until its child has no connection left."""
    server.env.allow(r"app own\b")
    clients = Clients(server.env.port, "/own/", (False, False, True, True),
                      patient=True)
    for _ in range(4):
        old = server.pid()
        server.get("/stop")
        server.has_another(old)
    wait_for(lambda: len(clients.answers) > 100, 30, "answers")
    assert set(clients.finish()) == {200}


@pytest.mark.parametrize("code", [0, 4])
def test_end_of_main_replaces_the_child(server, code):
    old = server.pid()
    server.env.allow(r"app own\b")
    server.get(f"/return?code={code}")
    server.env.wait_log(rf"app own has ended with exit code {code}: Main returned")
    server.has_another(old)


def test_end_of_main_with_a_request_that_waits(own, env):
    """Nobody will answer it, and its client learns that at once. The child does not wait
    for it either."""
    env.stop()
    own.start("AppCoreShutdownTimeLimit 120")
    env.allow(r"app own\b")
    old = own.pid()
    flight = InFlight(env, "/own/wait?ms=100000")
    wait_for(lambda: own.get("/waiting").text == "1", what="the request that waits")
    own.get("/return?code=3")
    own.has_another(old)
    [answer] = flight.finish().values()
    assert answer.status == 500, answer
    env.stop()


def test_child_is_replaced_when_the_server_of_the_app_is_closed(server):
    """Not only when Main returns, which may take its time. The server is gone at once,
    on a slow machine before this answer."""
    old = server.pid()
    server.env.allow(r"app own\b")
    server.tries("/close?ms=2000")
    server.env.wait_log("app own has ended with exit code 0: its server is stopped")
    server.has_another(old)


def test_end_waits_for_requests(server):
    old = server.pid()
    answers = []
    slow = threading.Thread(target=lambda: answers.append(server.get("/wait?ms=1500")))
    slow.start()
    wait_for(lambda: server.get("/waiting").text == "1", what="the request that waits")
    server.env.allow(r"app own\b")
    server.get("/stop")
    slow.join()
    assert answers[0].text == "waited"
    server.has_another(old)


def test_collector_stops_all_workers(server):
    """Every worker of the child in a loop, and collections meanwhile."""
    answers = []

    def ask(path):
        answers.append(server.get(path, timeout=120).text)
    threads = [threading.Thread(target=ask, args=(path,))
               for path in ["/spin?ms=1500"] * 7 + ["/collect?n=20"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["collected"] + ["spun"] * 7


def test_graceful_restarts_lose_no_request(server):
    failures, done = [], threading.Event()

    def ask():
        while not done.is_set():
            answer = server.get("/")
            if answer.text != "runs":
                failures.append(answer)
    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(3):
        server.env.reload()
    done.set()
    thread.join()
    assert not failures


def test_terminated_child_goes_on_or_is_replaced(server):
    old = server.pid()
    os.kill(old, signal.SIGTERM)
    assert server.get("/").text == "runs"


def test_stop_is_clean(own, env):
    if not env.httpd_pid():
        own.start()
    assert own.get("/").text == "runs"
    env.stop()
    assert "exit signal" not in env.recent_log()
    assert "did not end" not in env.recent_log()


def test_stuck_app_ends_at_its_limit(own, env):
    env.stop()
    own.start("AppCoreEnvironmentVariable MODE stuck", "AppCoreShutdownTimeLimit 1")
    assert own.get("/").text == "runs"
    env.allow(r"app own\W+it did not end in time")
    env.stop()
    env.wait_log("it did not end in time")
    assert "exit signal" not in env.recent_log()
