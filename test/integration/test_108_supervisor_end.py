# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Apps, httpd and whoever watches over both end, in time and with all they started."""

import os
import re
import signal
import socket
import sys
import time

import pytest

import env as environment
import processes
from life import (KILLED, block, get, httpd, kill, pids, reload,  # noqa: F401
                  started, usual)
from processes import wait_for

pytestmark = pytest.mark.mpm


def with_parent(env, limit=2):
    """An app whose user has no other one."""
    return usual(env, block(env, "parent", f"AppCoreShutdownTimeLimit {limit}",
                            environment.APP_USERS[1]))


def have_children(env):
    """In the app's session, in one of its own, and there deaf to SIGTERM."""
    children = [int(get(env, "parent", "child", kind=kind))
                for kind in ("plain", "own", "stubborn")]
    assert all(map(processes.alive, children))
    return children


@pytest.mark.parametrize("how", ["crash", "remove", "stop"])
def test_grandchildren_end_with_the_app(httpd, how):
    httpd.allow(r"\[appcore:\w+\].* app parent: ")
    reload(httpd, with_parent(httpd))
    family = have_children(httpd)
    if how == "crash":
        kill(int(get(httpd, "parent")))
        # Its successor, of the same user, is no reason to live.
        wait_for(lambda: not any(map(processes.alive, family)), 10,
                 "the end of the children")
    if how == "stop":
        httpd.stop()
        assert not any(map(processes.alive, family))
    else:
        reload(httpd, usual(httpd))
    wait_for(lambda: not any(map(processes.alive, family)), 10,
             f"the end of the app's processes {family}")


@pytest.mark.parametrize("victim", ["keeper", "manager"])
def test_request_waits_for_the_next_supervisor(httpd, victim):
    httpd.allow(r"keeper.*ended after \d+ s; starting another", KILLED)
    reload(httpd, usual(httpd, block(httpd, "cold" + victim)))
    kill(httpd.keeper() if victim == "keeper" else httpd.helper("manager"))
    assert int(get(httpd, "cold" + victim)) in pids(httpd, "cold" + victim)


def test_stop_does_not_wait_for_a_keeper_that_starts_late(httpd):
    """One that ended often is started later and later; httpd's end is not delayed
    by that, nobody waits for it, and the port that the late one inherited is free."""
    httpd.allow(r"keeper.*ended after \d+ s; starting another",
                "app coldest is not available: the supervisor")
    reload(httpd, usual(httpd, block(httpd, "coldest")))
    for n in range(1, 8):
        kill(wait_for(httpd.keeper, 15, "a keeper"))
        wait_for(lambda: httpd.recent_log().count("starting another") == n)
    begin = time.monotonic()
    answer = httpd.get("/coldest/pid")
    assert answer.status == 503 and answer.header("Retry-After")
    assert time.monotonic() - begin < 4
    begin = time.monotonic()
    httpd.stop()
    assert time.monotonic() - begin < 4
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", httpd.port))


def test_stop_waits_for_apps(httpd):
    reload(httpd, usual(httpd, block(httpd, "slow-end", "AppCoreEnvironmentVariable"
                                     " TERM_TAKES_MS 1200")))
    pid = int(get(httpd, "slow-end"))
    httpd.stop()
    assert not processes.alive(pid)
    log = httpd.recent_log()
    assert "app slow-end: goodbye begins" in log
    assert re.search(r"app slow-end: goodbye$", log, re.M), log


def test_one_that_does_not_end_is_killed_at_its_limit(httpd):
    httpd.allow(r"\[appcore:\w+\].* app endless: ")
    reload(httpd, usual(httpd, block(
        httpd, "endless", "AppCoreEnvironmentVariable TERM_TAKES_MS 60000\n"
        "AppCoreShutdownTimeLimit 1")))
    pid = int(get(httpd, "endless"))
    reload(httpd, usual(httpd))
    httpd.wait_log(rf"app endless: process {pid} .*did not end within 1(\.0)? s"
                   r".*AppCoreShutdownTimeLimit", 15)
    wait_for(lambda: not processes.alive(pid))


def test_killed_httpd_leaves_nothing(httpd):
    httpd.allow(r"\[appcore:\w+\].* app parent: ")
    reload(httpd, with_parent(httpd, 1))
    ours = have_children(httpd)
    ours += [int(get(httpd, "parent")), *pids(httpd, "many"), *httpd.helpers()]
    workers = httpd.kill()
    wait_for(lambda: not any(map(processes.alive, ours)), 15, f"the end of {ours}")
    httpd.clear_killed(workers)


def with_limits(env, term_ms):
    """One app whose folder asks for more time than httpd's configuration gives, one
    that asks for less."""
    text = "AppCoreShutdownTimeLimit 5\n"
    for name, limit, takes in (("patient", 12, term_ms), ("hasty", 1, 60000)):
        text += block(env, name)
        with open(env.path("apps", name, "web.config"), "w", encoding="utf-8") as f:
            f.write(f"""<configuration><system.webServer>
                <aspNetCore processPath="{sys.executable}" arguments="life.py {{fd}}"
                            shutdownTimeLimit="{limit}"><environmentVariables>
                <environmentVariable name="TERM_TAKES_MS" value="{takes}" />
                </environmentVariables></aspNetCore>
                </system.webServer></configuration>""")
    return usual(env, text)


@pytest.mark.parametrize("how", ["stop", "killed"])
def test_limit_of_the_folder_counts_at_the_end(httpd, how):
    """httpd waits longer than its own configuration says; without httpd the keeper
    does."""
    httpd.allow(r"\[appcore:\w+\].* app hasty: ")
    reload(httpd, with_limits(httpd, 8500 if how == "stop" else 6000))
    patient, hasty = (int(get(httpd, name)) for name in ("patient", "hasty"))
    httpd.wait_quiet()
    begin = time.monotonic()
    if how == "killed":
        workers = httpd.kill()
    else:
        os.kill(httpd.httpd_pid(), signal.SIGTERM)
    wait_for(lambda: not processes.alive(hasty), 20, "the end of the hasty one")
    assert processes.alive(patient)
    assert 0.9 < time.monotonic() - begin < 5
    wait_for(lambda: not processes.alive(patient), 20, "the end of the patient one")
    assert re.search(r"app patient: goodbye$", httpd.recent_log(), re.M)
    if how == "killed":
        httpd.clear_killed(workers)
    wait_for(lambda: httpd.leftovers() == [], 20, "the end of all")
    assert "apps did not end" not in httpd.recent_log()
