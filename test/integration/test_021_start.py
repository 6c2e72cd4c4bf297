# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Other ways to start httpd: in the foreground, as one process, with a runtime
directory that cannot be used, with a log that is a program."""

import os
import signal
import time

import pytest

from processes import wait_for

pytestmark = pytest.mark.mpm


@pytest.fixture
def stopped(env):
    if not os.path.isdir(env.path("apps", "plain")):
        env.app("plain", "plain")
    yield env
    env.stop()
    wait_for(lambda: env.leftovers() == [], 15, "the end of all")


CONF = "AppCoreMount /plain {root}/apps/plain\n"


@pytest.mark.parametrize("option", ["-DFOREGROUND", "-X"])
def test_attached(stopped, option):
    """With -X httpd's parent is its own child and must keep what is the parent's."""
    process = stopped.start_attached(CONF.format(root=stopped.root), option)
    first = stopped.get("/plain/pid")
    assert first.status == 200
    assert stopped.get("/plain/pid").text == first.text
    process.terminate()
    process.wait(30)
    wait_for(lambda: stopped.leftovers() == [], 15, "the end of all")


def test_runtime_dir_that_cannot_be_used(stopped):
    """httpd runs, says why apps do not, and a reload is enough once it is mended."""
    where = stopped.path("run", "blocked")
    with open(where, "w", encoding="ascii") as f:
        f.write("in the way\n")
    stopped.allow("AppCoreRuntimeDir .* cannot be used",
                  "the keeper of apps did not take")
    conf = "AppCoreRuntimeDir blocked\n" + CONF.format(root=stopped.root)
    stopped.start(conf)
    stopped.wait_log("AppCoreRuntimeDir .*blocked cannot be used")
    began = time.monotonic()
    answer = stopped.get("/plain/pid")
    assert answer.status == 503 and answer.header("Retry-After") == "10"
    assert time.monotonic() - began < 5     # nobody waits for AppCoreQueueTimeLimit
    stopped.wait_log("app plain is not available: the supervisor of apps does not run")
    os.unlink(where)
    stopped.reload(conf)
    wait_for(lambda: stopped.get("/plain/pid").status == 200, what="an answer")


def test_log_that_is_a_program(stopped):
    """Its pipe changes with every reload; lines of apps follow, and the logger of
    before ends because nobody holds its pipe."""
    sink = stopped.write("files", "logger", mode=0o755,
                         text="#!/bin/sh\nexec cat >>\"$1\"\n")
    target = stopped.write("files", "logged", text="")
    logger = f'ErrorLog "|{sink} {target}"\n'
    stopped.start(CONF.format(root=stopped.root) + logger)

    def logged(text):
        with open(target, encoding="utf-8") as f:
            return text in f.read()
    for number in range(3):
        stopped.get(f"/plain/print?text=line-{number}")
        wait_for(lambda: logged(f"app plain: line-{number}"), what="the app's line")
        old = loggers(stopped)
        assert len(old) == 1
        os.kill(stopped.httpd_pid(), signal.SIGUSR1)
        wait_for(lambda: loggers(stopped) and not old & loggers(stopped), 15,
                 "the end of the old logger")


def loggers(env):
    return {p.pid for p in env.leftovers() if p.name == "cat"}
