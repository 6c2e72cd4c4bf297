# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The kernel refuses to wait for a request that was parked before: it holds a worker
then, which counts."""

import os
import subprocess

import pytest

import env as environment
from processes import wait_for
from rawapp import RawApp

pytestmark = pytest.mark.skipif(
    environment.MPM != "event" or environment.PARK == "never"
    or bool(os.environ.get("APPCORE_PRELOAD")),
    reason="only the event MPM can park, and a sanitizer is loaded in the same way")

# For the child of httpd whose number is in a file, and the module's own calls alone.
REFUSAL = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static int is_refused(const void *caller)
{
    FILE *f = fopen(REFUSED, "re");
    int pid = 0;
    Dl_info info;

    if (f) {
        pid = fscanf(f, "%d", &pid) == 1 ? pid : 0;
        fclose(f);
    }
    return pid == getpid() && dladdr(caller, &info) && info.dli_fname
           && strstr(info.dli_fname, "mod_appcore");
}

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    int (*real)(int, int, int, struct epoll_event *) = dlsym(RTLD_NEXT, "epoll_ctl");

    if (op != EPOLL_CTL_DEL && is_refused(__builtin_return_address(0))) {
        errno = ENOMEM;
        return -1;
    }
    return real(epfd, op, fd, event);
}
"""


@pytest.fixture(scope="module")
def httpd(env):
    env.made = RawApp(env, "raw")
    env.refused = env.path("files", "refused")
    source = env.write("files", "refusal.c", text=REFUSAL)
    library = env.path("files", "refusal.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source,
                    f'-DREFUSED="{env.refused}"', "-ldl"], check=True)
    env.variables["LD_PRELOAD"] = library
    env.modules.append("log_config")
    env.always_allowed = [r"app raw is not available: it holds all workers"]
    env.start(f"""Define APPCORE_PARK_ALWAYS
AsyncRequestWorkerFactor 50
ServerLimit 1
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 8
MinSpareThreads 1
MaxSpareThreads 8
Timeout 3
CustomLog {env.path("access.log")} "%U %>s"
<AppCoreApp raw>
    AppCorePath {env.made.folder}
    AppCoreMaxWorkers 1
</AppCoreApp>
AppCoreMount /raw raw
""")
    assert env.get("/raw/pid").status == 200
    return env


def refuse(httpd):
    worker, = httpd.workers()
    path = httpd.write("files", "refused.new", text=str(worker.pid))
    os.rename(path, httpd.refused)


def wait_status(httpd, status):
    wait_for(lambda: httpd.get("/raw/pid").status == status, 20, f"{status}")


def test_what_cannot_be_parked_again_counts(httpd):
    """Two go on beyond the limit of one, since the app is at work on them; others are
    refused for as long as they do."""
    head = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab<gate>cd<gate>ef"
    waiting = []
    for _ in range(2):
        target, name = httpd.made.answer(head)
        raw = httpd.raw()
        raw.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                 "\r\n")
        raw.receive(b"ab")
        waiting.append((raw, name))
    # Neither holds the one worker that there is.
    wait_status(httpd, 200)
    refuse(httpd)
    for raw, name in waiting:
        httpd.made.open(f"{name}.1")
        assert raw.receive(b"cd").endswith(b"cd")
    wait_status(httpd, 503)
    for raw, name in waiting:
        assert httpd.get("/raw/pid").status == 503
        httpd.made.open(f"{name}.2")
        assert raw.receive() == b"ef"
        raw.socket.close()
    # What they took is given back, also beyond the limit.
    wait_status(httpd, 200)
    os.unlink(httpd.refused)
    wait_status(httpd, 200)


def test_a_request_that_the_mpm_gives_up(httpd):
    """Nobody of ours can wake it, so the MPM closes the connection at its own limit. No
    answer was on its way, and the log does not say that there was one."""
    gate = httpd.made.gate()
    with httpd.raw() as raw:
        raw.send(f"GET {httpd.made.target('hold', gate=gate)} HTTP/1.1\r\n"
                 "Host: localhost\r\n\r\n")
        httpd.made.wait_gate(gate)
        wait_status(httpd, 200)
        refuse(httpd)
        assert raw.receive() == b""
    os.unlink(httpd.refused)
    httpd.made.wait_event("closed")

    def logged():
        with open(httpd.path("access.log"), encoding="utf-8") as f:
            return [line for line in f.read().splitlines() if "/raw/hold" in line]
    wait_for(logged, what="a line in the access log")
    assert logged() == ["/raw/hold 499"]
