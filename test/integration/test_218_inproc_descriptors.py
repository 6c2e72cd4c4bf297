# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""A client's descriptor that httpd closes while an app in process has its request: the
number may be another client's, or the app's, and nothing happens to those."""

import os
import subprocess

import pytest

import env as environment
import probe
from processes import wait_for

pytestmark = pytest.mark.mpm

# For the child of httpd whose number is in a file: the MPM cannot poll the descriptor of
# a request that is parked, and closes it; then the thread waits after it closed a socket.
REFUSAL = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

static __thread int was_refused;

static int is_meant(void)
{
    FILE *f = fopen(FOLDER "/refused", "re");
    int pid = 0;

    if (f) {
        pid = fscanf(f, "%d", &pid) == 1 ? pid : 0;
        fclose(f);
    }
    return pid == getpid();
}

static int is_epoll(int fd)
{
    char path[40], what[40] = "";

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return readlink(path, what, sizeof(what) - 1) > 0 && strstr(what, "eventpoll");
}

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    int (*real)(int, int, int, struct epoll_event *) = dlsym(RTLD_NEXT, "epoll_ctl");

    if (op == EPOLL_CTL_ADD && is_epoll(fd) && is_meant()) {
        was_refused = 1;
        errno = ENOMEM;
        return -1;
    }
    return real(epfd, op, fd, event);
}

int close(int fd)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "close");
    struct stat st;
    int waits = was_refused && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    int rv = real(fd), i;

    if (waits) {
        real(open(FOLDER "/closed", O_CREAT | O_WRONLY, 0644));
        for (i = 0; i < 3000 && access(FOLDER "/go", F_OK) != 0; i++) {
            usleep(10000);
        }
    }
    return rv;
}
"""


@pytest.fixture
def httpd(env):
    yield env
    env.stop()
    env.variables.pop("LD_PRELOAD", None)


def preload(env, app):
    source = env.write("files", "refusal.c", text=REFUSAL)
    library = env.path("files", "refusal.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source,
                    f'-DFOLDER="{app.shared}"', "-ldl"], check=True)
    env.variables["LD_PRELOAD"] = library


@pytest.mark.skipif(
    environment.MPM != "event" or environment.PARK == "never"
    or bool(os.environ.get("APPCORE_PRELOAD")),
    reason="only the event MPM parks, and a sanitizer is loaded in the same way")
def test_connection_that_the_mpm_cannot_poll(httpd):
    """Of three clients that come while the fourth's request is being given up, none has
    to do with it, though one has its number."""
    httpd.allow("apr_pollset_add failure", "still has a request whose connection is")
    app = probe.Probe(httpd, "given")
    preload(httpd, app)
    httpd.start("Define APPCORE_PARK_ALWAYS\nServerLimit 4\nStartServers 1\n"
                "ThreadsPerChild 8\nMaxRequestWorkers 8\nMinSpareThreads 1\n"
                "MaxSpareThreads 8\n" + app.conf())
    worker = httpd.get("/given/pid").text
    with open(app.path("refused"), "w", encoding="ascii") as f:
        f.write(worker)
    lost = probe.ask(httpd, "http", "GET", "/given/wait?gate=never&tag=lost")
    number = app.wait_event("wait", tag="lost")["id"]
    wait_for(lambda: os.path.exists(app.path("closed")), 20, "the end of the descriptor")
    clients = [probe.ask(httpd, "http", "GET", f"/given/hold?gate=others&tag={i}")
               for i in range(3)]
    app.wait_event("hold", count=3)
    assert httpd.get(f"/given/sever?id={number}").text == "cut off"
    app.open("others")
    assert [client.response().text for client in clients] == ["held"] * 3
    app.open("../go")
    app.wait_event("disconnect", tag="lost")
    for client in (lost, *clients):
        client.socket.close()
    app.check()


def test_there_is_none_for_a_request_that_waits(httpd):
    """What its app posts is run all the same."""
    httpd.allow("no thread for the time limits of waiting requests", "pollset")
    app = probe.Probe(httpd, "starved")
    httpd.start(app.conf())
    assert httpd.get("/starved/starve").text == "later"
    app.check()


@pytest.mark.skipif(environment.MPM == "prefork", reason="no other thread can close it")
def test_stop_closes_it_under_the_app(httpd):
    httpd.allow("app cling")
    app = probe.Probe(httpd, "cling")
    httpd.start(app.conf())
    client = probe.ask(httpd, "http", "GET", "/cling/cling")
    assert app.wait_event("cling")["fd"] > 0
    httpd.stop()
    found = app.wait_event("clung")
    assert found["taken"] == 1 and found["cut"] == 0
    client.socket.close()
