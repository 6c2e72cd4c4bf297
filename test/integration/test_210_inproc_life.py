# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""An app in process: found, loaded and started in every child of httpd."""

import contextlib
import os
import re
import signal
import subprocess
import time

import pytest

import client
import inproc
import probe
import processes
from env import MPM
from processes import wait_for

pytestmark = pytest.mark.mpm

# The first file that a look at a folder opens stays away while another one is there.
SLOW_DISK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int openat(int at, const char *name, int flags, ...)
{
    int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, "openat");

    while (!strcmp(name, "web.config") && access(SLOW, F_OK) == 0) {
        usleep(10000);
    }
    return real(at, name, flags, 0600);
}
"""


SLOW_READER = """
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int close_range(unsigned first, unsigned last, int flags)
{
    char name[16] = "";

    prctl(PR_GET_NAME, name);
    while (!strcmp(name, "appcore-output") && access(SLOW, F_OK) == 0) {
        usleep(10000);
    }
    return syscall(SYS_close_range, first, last, flags);
}
"""


@pytest.fixture
def httpd(env):
    yield env
    env.stop()


@contextlib.contextmanager
def slowed(env, source):
    """httpd is started with that; gives a file, while which is there it waits."""
    slow = env.write("files", "slow", text="")
    source = env.write("files", "slow.c", text=source)
    library = env.path("files", "slow.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source,
                    f'-DSLOW="{slow}"', "-ldl"], check=True)
    env.variables["LD_PRELOAD"] = library
    try:
        yield slow
    finally:
        del env.variables["LD_PRELOAD"]


NO_PRELOAD = pytest.mark.skipif(bool(os.environ.get("APPCORE_PRELOAD")),
                                reason="a sanitizer is loaded in the same way")


def logged(env, text):
    wait_for(lambda: text in env.log_text(), 20, f"{text!r} in the error log")


def test_shared_object_is_loaded(httpd):
    folder = inproc.build(httpd, "tea")
    httpd.start(inproc.app("tea", folder, "AppCoreStartMode AlwaysRunning"))
    logged(httpd, f"app tea runs in process, from {folder}/life.so")
    assert re.search(r"\[appcore:notice\].* app tea runs in process", httpd.log_text())
    workers = {p.pid for p in httpd.workers()}
    assert workers
    assert not httpd.app_processes()


def test_app_may_take_its_time(httpd):
    folder = inproc.build(httpd, "later")
    httpd.start(inproc.app("later", folder, "AppCoreEnvironmentVariable MODE pending"))
    logged(httpd, "app later runs in process")


def worker_pids(env):
    return {p.pid for p in env.workers()}


def replaced(env, old):
    """Until none of these children is left, and another one is there."""
    wait_for(lambda: worker_pids(env) and not worker_pids(env) & set(old), 30,
             "the replacement of httpd's child")


def test_shutdown_at_a_stop(env):
    folder = inproc.build(env, "stop")
    env.start(inproc.app("stop", folder, "AppCoreShutdownTimeLimit 7"))
    logged(env, "app stop runs in process")
    env.stop()
    text = env.log_text()
    assert text.index("app stop: quiesce") < text.index("app stop: shutdown within 7000")


def test_shutdown_at_a_graceful_restart(httpd):
    folder = inproc.build(httpd, "graceful")
    httpd.start(inproc.app("graceful", folder))
    old = worker_pids(httpd)
    httpd.reload()
    logged(httpd, "app graceful: shutdown within")
    replaced(httpd, old)


def test_stuck_shutdown_ends_at_the_limit(env):
    env.allow(r"app stuck did not end within AppCoreShutdownTimeLimit \(1 s\)")
    folder = inproc.build(env, "stuck")
    env.start(inproc.app("stuck", folder, "AppCoreShutdownTimeLimit 1",
                         "AppCoreEnvironmentVariable MODE stuck"))
    logged(env, "app stuck runs in process")
    env.stop()
    assert "app stuck did not end within" in env.log_text()


def test_child_is_replaced_when_the_app_ends(httpd):
    httpd.allow(r"app ending has ended with exit code 3: asked for")
    folder = inproc.build(httpd, "ending")
    httpd.start(inproc.app("ending", folder, "AppCoreEnvironmentVariable MODE ending"))
    logged(httpd, "app ending has ended with exit code 3")
    old = worker_pids(httpd)
    replaced(httpd, old)
    assert "httpd is exiting" not in httpd.log_text()


def test_what_an_app_prints_is_logged(httpd):
    """By the levels that it says, and even its last words."""
    httpd.allow("app (crash|fail) ", "exit signal Abort", "ended while it hosted")
    folder = inproc.build(httpd, "printer")
    for mode in ("fail", "crash"):
        httpd.start(inproc.app("printer", folder, "AppCoreRapidFailsPerMinute 1",
                               f"AppCoreEnvironmentVariable MODE {mode}"))
        httpd.allow("app printer")
        logged(httpd, {"fail": "app printer: looking for tea",
                       "crash": "app printer: last words"}[mode])
        httpd.stop()
    text = httpd.log_text()
    for level, line in (("info", "looking for tea"), ("error", "no tea in the pot"),
                        ("crit", "last words")):
        assert re.search(rf"\[appcore:{level}\] \[pid \d+\] app printer: {line}", text)
    for name in os.listdir(httpd.path("core")):
        os.remove(httpd.path("core", name))


@pytest.mark.parametrize("mode", ["crash", "exit", "exit-0", "exit-thread"])
def test_start_that_takes_children_down(httpd, mode):
    """Again and again, until nobody tries any more; then httpd serves all the rest."""
    httpd.allow(r"called exit\(\d+\), which ends this process", r"exit signal Abort",
                r"process \d+ of httpd ended while it hosted apps in process",
                rf"app {mode} is no longer hosted in process: it took processes of httpd",
                rf"app {mode} does not run, answered with 503", "last words")
    httpd.write("htdocs", "still.txt", text="there")
    folder = inproc.build(httpd, mode)
    httpd.start(inproc.app(mode, folder, f"AppCoreEnvironmentVariable MODE {mode}",
                           "AppCoreRapidFailsPerMinute 2"))
    logged(httpd, f"app {mode} is no longer hosted in process")
    assert client.request(httpd.port, "/still.txt").text == "there"
    response = client.request(httpd.port, f"/{mode}/")
    assert response.status == 503 and response.header("Retry-After")
    assert httpd.log_text().count(f"app {mode} is no longer hosted in process") == 1
    for name in os.listdir(httpd.path("core")):
        os.remove(httpd.path("core", name))


def test_other_kinds_are_hosted_outside(httpd):
    folder = httpd.app("wsgi", "wsgi", user="root" if httpd.is_root else None)
    httpd.start(inproc.app("wsgi", folder))
    logged(httpd, "app wsgi is hosted out of process, although AppCoreHostingModel says "
           "InProcess: it is an app of the kind Python WSGI")
    assert client.request(httpd.port, "/wsgi/").status == 200
    assert httpd.app_processes(folder)


@pytest.mark.root
def test_folder_of_another_user_is_hosted_outside(httpd):
    """Whoever owns it could have httpd's user run anything."""
    folder = httpd.app("foreign", "wsgi")
    httpd.start(inproc.app("foreign", folder))
    logged(httpd, "app foreign is hosted out of process, although AppCoreHostingModel "
           "says InProcess")
    assert client.request(httpd.port, "/foreign/").status == 200


@NO_PRELOAD
def test_request_during_a_start_goes_on_outside(httpd):
    """Where the app is hosted is not known before its folder was looked at, which takes
    longer here than httpd waits for it."""
    folder = httpd.app("moves", "wsgi", user="root" if httpd.is_root else None)
    httpd.write("htdocs", "still.txt", text="there")
    with slowed(httpd, SLOW_DISK) as slow:
        httpd.start(inproc.app("moves", folder))
    with client.Raw(httpd.port) as early:
        early.send("GET /moves/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for _ in range(20):
            assert client.request(httpd.port, "/still.txt").text == "there"
        os.unlink(slow)
        assert early.response().status == 200


@NO_PRELOAD
def test_stopped_httpd_has_let_go_of_its_port(httpd):
    """What a child forked has it, too, until it closes it."""
    folder = inproc.build(httpd, "again")
    with slowed(httpd, SLOW_READER) as slow:
        httpd.start(inproc.app("again", folder))
    main = httpd.httpd_pid()
    wait_for(lambda: "appcore-output" in {p.name for p in httpd.leftovers()}, 20,
             "the reader of what the app prints")
    os.kill(main, signal.SIGTERM)
    end = time.monotonic() + 1
    while processes.alive(main) and time.monotonic() < end:
        time.sleep(0.01)
    if processes.alive(main):
        os.unlink(slow)
        wait_for(lambda: not processes.alive(main), 20, "the end of httpd")
    httpd.start(inproc.app("again", folder))
    logged(httpd, "app again runs in process")
    if os.path.exists(slow):
        os.unlink(slow)


def test_offline(httpd):
    """The page while the file is there, in the child that hosted the app and in the
    next one; then the app starts."""
    folder = inproc.build(httpd, "off")
    httpd.start(inproc.app("off", folder))
    logged(httpd, "app off runs in process")
    old = worker_pids(httpd)
    page = os.path.join(folder, "app_offline.htm")
    with open(page + ".new", "w", encoding="utf-8") as f:
        f.write("back soon")
    os.rename(page + ".new", page)
    logged(httpd, "app off: there is an app_offline.htm")
    replaced(httpd, old)
    response = client.request(httpd.port, "/off/")
    assert response.status == 503 and response.text == "back soon"
    os.unlink(page)
    logged(httpd, "app off is no longer offline")
    wait_for(lambda: httpd.log_text().count("app off runs in process") == 2, 20,
             "the app's second start")


@pytest.mark.ancm("SD16")
def test_offline_while_it_starts(httpd):
    """As on IIS its start comes to an end, and then it ends."""
    app = probe.Probe(httpd, "starts", init="late")
    httpd.start(app.conf())
    app.wait_event("init", 20)
    with client.Raw(httpd.port) as early:
        early.send("GET /starts/hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with open(os.path.join(app.folder, "app_offline.htm"), "w",
                  encoding="utf-8") as f:
            f.write("back soon")
        app.open("start")
        assert early.response().status in (200, 503)
    wait_for(lambda: client.request(httpd.port, "/starts/").text == "back soon", 20,
             "the page")
    logged(httpd, "app starts: there is an app_offline.htm")


@pytest.mark.parametrize("what", ["web.config", "tmp/restart.txt", "life.so"])
def test_change_replaces_the_child(httpd, what):
    name = what.split(".")[0].replace("/", "-")
    folder = inproc.build(httpd, name)
    os.mkdir(os.path.join(folder, "tmp"))
    httpd.start(inproc.app(name, folder))
    logged(httpd, f"app {name} runs in process")
    old = worker_pids(httpd)
    if what == "life.so":
        inproc.build(httpd, name)
    else:
        with open(os.path.join(folder, what), "w", encoding="utf-8") as f:
            f.write("<configuration/>")
    replaced(httpd, old)
    logged(httpd, "this process of httpd is replaced")
    assert httpd.log_text().count(f"app {name}: shutdown within") == len(old)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core, one set of sockets")
def test_sets_of_listening_sockets_are_mentioned(httpd):
    """Nobody could replace a child of the second set."""
    folder = inproc.build(httpd, "buckets")
    httpd.start("ListenCoresBucketsRatio 1\n" + inproc.app("buckets", folder))
    logged(httpd, "ListenCoresBucketsRatio gives children of httpd")
    assert client.request(httpd.port, "/buckets/").status == 200


def test_copies_are_mentioned(httpd):
    folder = inproc.build(httpd, "single", "life", "-DSINGLE")
    httpd.start(inproc.app("single", folder))
    logged(httpd, "app single wants to run once, but up to")
    httpd.stop()
    folder = inproc.build(httpd, "single2", "life", "-DSINGLE")
    httpd.start(inproc.app("single2", folder) + "ServerLimit 4\nMaxRequestWorkers "
                + ("1\n" if MPM == "prefork" else "16\n"))
    logged(httpd, "app single2 runs in process")
    assert "app single2 wants to run once" not in httpd.log_text()
