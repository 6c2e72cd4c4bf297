# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Keeper, manager and relay may die: what apps and requests notice of it. What an
app says of itself."""

import os
import re
import signal
import socket
import threading

import pytest

import env as environment
import processes
from life import (KILLED, block, get, httpd, kill, pids, reload,  # noqa: F401
                  started, usual, wait_helper)
from load import Load
from processes import wait_for

pytestmark = pytest.mark.mpm


def test_manager_dies_under_load(httpd):
    httpd.allow(KILLED)
    before = pids(httpd, "one"), pids(httpd, "many")
    with Load(httpd, "/one/pid", "/many/pid") as load:
        for _ in range(3):
            load.wait(20)
            old = httpd.helper("manager")
            kill(old)
            wait_helper(httpd, "manager", old)
        load.wait(20)
    load.check()
    assert (pids(httpd, "one"), pids(httpd, "many")) == before
    assert load.texts() <= {str(pid) for group in before for pid in group}


def test_new_manager_knows_its_apps(httpd):
    """It ends, replaces and counts processes that another one started."""
    httpd.allow(KILLED, r"app (one|many): process \d+ ")
    old = httpd.helper("manager")
    kill(old)
    wait_helper(httpd, "manager", old)
    victim = pids(httpd, "many")[1]
    kill(victim)
    wait_for(lambda: len(pids(httpd, "many")) == 3 and victim not in pids(httpd, "many"),
             20, "three processes again")
    former = pids(httpd, "many")
    reload(httpd, usual(httpd).replace("Application 3", "Application 2"))
    wait_for(lambda: len(pids(httpd, "many")) == 2
             and not set(former) & set(pids(httpd, "many")), 20, "two new processes")
    assert get(httpd, "one") == str(pids(httpd, "one")[0])


def test_app_dies_together_with_the_manager(httpd):
    httpd.allow(KILLED, r"app one: process \d+ ")
    old, app = httpd.helper("manager"), pids(httpd, "one")[0]
    kill(old, app)
    assert get(httpd, "one") != str(app)
    assert len(pids(httpd, "one")) == 1


def test_manager_dies_while_an_app_starts(httpd):
    httpd.allow(KILLED)
    reload(httpd, usual(httpd, block(httpd, "late", "AppCoreEnvironmentVariable"
                                     " START_DELAY_MS 1500")))
    answers = []
    thread = threading.Thread(target=lambda: answers.append(get(httpd, "late")))
    thread.start()
    httpd.wait_log(r"app late: process \d+ .*was started")
    started = pids(httpd, "late")
    old = httpd.helper("manager")
    kill(old)
    wait_helper(httpd, "manager", old)
    thread.join()
    assert answers == [str(pid) for pid in started]
    assert pids(httpd, "late") == started


def test_relay_dies_and_no_line_is_lost(httpd):
    httpd.allow(KILLED)
    pid = get(httpd, "one")
    for turn in range(3):
        old = httpd.helper("relay")
        kill(old)
        # Meanwhile the pipe takes what the app prints.
        get(httpd, "one", "count", first=turn * 100, n=100)
        wait_helper(httpd, "relay", old)
        # What the next one has read, and not passed on, would go with it.
        wait_for(lambda: f"counted {turn * 100 + 99}." in httpd.recent_log(),
                 what="the last line")
    found = [int(n) for n in re.findall(r"app one: counted (\d+)\.", httpd.recent_log())]
    assert found == list(range(300))
    assert get(httpd, "one") == pid


def test_manager_and_relay_die_together(httpd):
    httpd.allow(KILLED)
    pid = get(httpd, "one")
    old = httpd.helper("manager"), httpd.helper("relay")
    kill(*old)
    for name, former in zip(("manager", "relay"), old):
        wait_helper(httpd, name, former)
    assert get(httpd, "one") == pid
    get(httpd, "one", "count", first=9000, n=1)
    wait_for(lambda: "app one: counted 9000." in httpd.recent_log())


def replaced(env, name, old):
    """True when all processes of before are gone, and as many run under the keeper."""
    return len(pids(env, name)) == len(old) and not any(map(processes.alive, old))


def test_keeper_dies_under_load(httpd):
    """Requests of all kinds go on; the new processes are there before the old ones
    go, so none has to wait for a start."""
    httpd.allow(r"\[appcore:\w+\].*keeper")
    conf = usual(httpd, block(httpd, "heavy",
                              "AppCoreEnvironmentVariable START_DELAY_MS 4000"))
    reload(httpd, conf)
    get(httpd, "heavy")
    old = {name: pids(httpd, name) for name in ("one", "many", "heavy")}
    keeper = httpd.keeper()
    with Load(httpd, "/one/pid", "/many/pid", "/heavy/pid", "/many/slow?ms=300",
              method="POST", threads=4) as load:
        load.wait(20)
        kill(keeper)
        for name, before in old.items():
            wait_for(lambda: replaced(httpd, name, before), 30, f"new ones of {name}")
        load.wait(20)
    load.check()
    assert load.slowest < 3.5
    assert httpd.keeper() != keeper
    httpd.wait_log("took over 5 processes from a keeper that is gone")
    get(httpd, "one", "count", first=9100, n=1)
    wait_for(lambda: "app one: counted 9100." in httpd.recent_log())


def test_output_outlives_the_keeper(httpd):
    """Between two keepers and until it is replaced an app prints to somebody."""
    httpd.allow(r"\[appcore:\w+\].*keeper")
    old, relay = pids(httpd, "one"), httpd.helper("relay")
    kill(httpd.keeper())
    assert get(httpd, "one", "count", first=9500, n=1) == "printed"
    wait_for(lambda: "app one: counted 9500." in httpd.recent_log())
    wait_for(lambda: replaced(httpd, "one", old), 30, "another process")
    wait_for(lambda: not processes.alive(relay), 15, "the end of the old relay")


def test_app_and_keeper_die_together(httpd):
    httpd.allow(r"\[appcore:\w+\].*keeper", r"app one: process \d+ ")
    old = pids(httpd, "one")
    kill(httpd.keeper(), *old)
    assert get(httpd, "one") not in map(str, old)
    wait_for(lambda: replaced(httpd, "one", old), 30, "another process")


def test_change_while_there_is_no_keeper(httpd):
    """A removed app ends, a changed one is replaced, whoever started it."""
    httpd.allow(r"\[appcore:\w+\].*keeper")
    reload(httpd, usual(httpd, block(httpd, "extra")))
    get(httpd, "extra")
    old = pids(httpd, "extra") + pids(httpd, "many")
    kill(httpd.keeper())
    reload(httpd, usual(httpd).replace(
        "Application 3", "Application 3\nAppCoreEnvironmentVariable ROUND kept"))
    wait_for(lambda: not any(map(processes.alive, old)), 30, "the end of the old ones")
    assert get(httpd, "many", "round") == "kept"


def test_keeper_and_httpd_die_together(httpd):
    """Nobody is left to end the apps; the next httpd does it before it starts any."""
    old = pids(httpd, "one") + pids(httpd, "many")
    relay, keeper = httpd.helper("relay"), httpd.keeper()
    # Stopped, it does not notice the end of httpd, which it shall not see.
    os.kill(keeper, signal.SIGSTOP)
    kill(keeper, *httpd.kill())
    assert all(map(processes.alive, old))
    os.unlink(httpd.path("run", "httpd.pid"))
    httpd.start(httpd.conf_now)
    assert get(httpd, "one")
    assert not any(map(processes.alive, old))
    wait_for(lambda: not processes.alive(relay), 15, "the end of the old relay")


def open_gate(env, name):
    with open(env.path("apps", name, "gate"), "w", encoding="ascii"):
        pass


def test_ready_is_what_the_app_says(httpd):
    """READY=1 counts before a connection is accepted, and from the app alone."""
    reload(httpd, usual(httpd, block(httpd, "herald", "AppCoreEnvironmentVariable"
                                     ' ANNOUNCE "STATUS=here READY=1"')))
    answers = []
    thread = threading.Thread(target=lambda: answers.append(get(httpd, "herald")))
    thread.start()
    pid = int(httpd.wait_log(r"app herald: process (\d+) .*was started").group(1))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"READY=1", httpd.path("run", "appcore", "notify"))
    open_gate(httpd, "herald")
    httpd.wait_log(rf"app herald: process {pid} .*says: here")
    assert not re.search(r"app herald: .*is ready", httpd.recent_log())
    open_gate(httpd, "herald")
    httpd.wait_log(rf"app herald: process {pid} .*is ready")
    assert not answers
    wait_for(lambda: not os.path.exists(httpd.path("apps", "herald", "gate")))
    open_gate(httpd, "herald")
    thread.join()
    assert answers == [str(pid)]


def test_nothing_runs_as_a_stranger(httpd):
    """After all of that: helpers and apps are those of one keeper."""
    family = processes.descendants(httpd.keeper())
    assert {p.pid for p in httpd.leftovers()} <= \
        {p.pid for p in family} | {httpd.keeper(), httpd.httpd_pid()} \
        | {p.pid for p in httpd.workers()}
    assert environment.AS_ROOT == (os.stat(f"/proc/{httpd.keeper()}").st_uid == 0)
