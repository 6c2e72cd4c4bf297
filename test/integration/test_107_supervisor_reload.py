# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""httpd is reloaded, restarted or started: what apps and requests notice of it."""

import os
import signal
import threading

import pytest

import processes
from life import block, get, httpd, pids, reload, started, usual  # noqa: F401
from load import Load
from processes import wait_for

pytestmark = pytest.mark.mpm


def test_graceful_under_load(httpd):
    before = pids(httpd, "one"), pids(httpd, "many"), httpd.helpers()
    with Load(httpd, "/one/pid", "/many/pid") as load:
        for _ in range(3):
            load.wait(20)
            httpd.reload()
        load.wait(20)
    load.check()
    assert (pids(httpd, "one"), pids(httpd, "many"), httpd.helpers()) == before


def test_restart_keeps_apps(httpd):
    """httpd breaks off requests then, as it always did; apps do not notice."""
    before = pids(httpd, "one"), pids(httpd, "many"), httpd.helpers()
    for _ in range(2):
        httpd.reload(sig=signal.SIGHUP)
        get(httpd, "one")
    assert (pids(httpd, "one"), pids(httpd, "many"), httpd.helpers()) == before


def test_change_under_load(httpd):
    """New before old, three processes at a time, with requests of all lengths."""
    with Load(httpd, "/many/pid", "/many/slow?ms=300", "/one/pid", threads=4) as load:
        for number in (1, 2):
            load.wait(20)
            old = pids(httpd, "many")
            changed = usual(httpd).replace(
                "Application 3",
                f"Application 3\nAppCoreEnvironmentVariable ROUND {number}")
            reload(httpd, changed)
            wait_for(lambda: not set(old) & set(pids(httpd, "many")), 20,
                     "the end of the old processes")
        load.wait(20)
    load.check()
    assert get(httpd, "many", "round") == "2"


def test_change_that_does_not_start_leaves_the_old_one(httpd):
    httpd.allow(r"\[appcore:\w+\].* app one: ")
    pid = get(httpd, "one")
    with Load(httpd, "/one/pid") as load:
        broken = usual(httpd).replace(
            block(httpd, "one"), block(httpd, "one",
                                       "AppCoreEnvironmentVariable START_EXIT 3"))
        reload(httpd, broken)
        httpd.wait_log(r"app one: process \d+ .*(status|code) 3")
        load.wait(30)
    load.check()
    assert load.texts() == {pid}
    # What is right again needs no new process of it.
    reload(httpd, usual(httpd))
    wait_for(lambda: len(pids(httpd, "one")) == 1, 15, "one process alone")
    assert get(httpd, "one")


def test_removed_app_ends_what_it_is_at(httpd):
    reload(httpd, usual(httpd, block(httpd, "extra")))
    answers, pid = [], get(httpd, "extra")
    thread = threading.Thread(
        target=lambda: answers.append(get(httpd, "extra", "slow", ms=1500)))
    thread.start()
    httpd.wait_log("app extra: slow begins")
    reload(httpd, usual(httpd), wait_workers=False)
    wait_for(lambda: httpd.get("/extra/pid").status == 404, what="the new configuration")
    thread.join()
    assert answers == [pid]
    wait_for(lambda: not pids(httpd, "extra"), 15, "the end of the removed app")


def test_app_that_is_always_running(httpd):
    reload(httpd, usual(httpd, block(httpd, "eager", "AppCoreStartMode AlwaysRunning")))
    pid = wait_for(lambda: pids(httpd, "eager"), what="a start without a request")[0]
    httpd.wait_log(rf"app eager: process {pid} .*is ready")
    httpd.stop()
    httpd.start(httpd.conf_now)
    pid = wait_for(lambda: pids(httpd, "eager"), what="a start together with httpd")[0]
    assert get(httpd, "eager") == str(pid)


def measure(env):
    """Descriptors without those of pipes of apps that ended, and of children. To an
    ordinary user our helpers, which cannot be traced, show none."""
    found = {}
    for name, pid in (("httpd", env.httpd_pid()), ("keeper", env.keeper()),
                      ("manager", env.helper("manager")), ("relay", env.helper("relay"))):
        found[name] = processes.descriptors(pid) or {}
        for kind in ("pipe", *processes.OF_A_CHILD):
            found[name].pop(kind, None)
    return found


def grown(before, now):
    """By how many descriptors of one kind a process has more; what only opens one for
    a moment, at either time, is no leak."""
    return max(n - before[process].get(kind, 0)
               for process, kinds in now.items() for kind, n in kinds.items())


def test_reloads_leak_nothing(httpd):
    """Five that change nothing, five that change an app."""
    def turn(number):
        reload(httpd, usual(httpd).replace(
            block(httpd, "one"),
            block(httpd, "one", f"AppCoreEnvironmentVariable ROUND {number}")))
        wait_for(lambda: get(httpd, "one", "round") == str(number))
        wait_for(lambda: len(pids(httpd, "one")) == 1, 15, "one process")
    turn(0)
    before, family = measure(httpd), len(processes.descendants(httpd.keeper()))
    for _ in range(5):
        httpd.reload()
    for number in range(1, 6):
        turn(number)
    wait_for(lambda: grown(before, measure(httpd)) < 5, 30,
             f"as many descriptors as before, {before}")
    wait_for(lambda: len(processes.descendants(httpd.keeper())) == family, 15,
             f"{family} processes")
    wait_for(lambda: len(os.listdir(httpd.path("run", "appcore", "s"))) == 4, 15,
             "four sockets")


def holders(path):
    """Processes that have the file open, whatever its name is by now."""
    found = os.stat(path)
    def holds(pid):
        try:
            return any((os.stat(f"/proc/{pid}/fd/{fd}").st_dev,
                        os.stat(f"/proc/{pid}/fd/{fd}").st_ino)
                       == (found.st_dev, found.st_ino)
                       for fd in os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            return False
    return [p for p in processes.everything() if holds(p)]


def test_rotated_log_is_let_go(httpd):
    """As logrotate does it: rename, then graceful."""
    ours = httpd.helpers()
    rotated = httpd.error_log + ".1"
    os.rename(httpd.error_log, rotated)
    httpd.log_position = 0
    try:
        os.kill(httpd.httpd_pid(), signal.SIGUSR1)
        wait_for(lambda: "resuming normal operations" in httpd.log_text(),
                 what="the reload")
        wait_for(lambda: not holders(rotated), 25, f"none of {ours} with the old log")
        get(httpd, "one", "count", first=9200, n=1)
        wait_for(lambda: "app one: counted 9200." in httpd.log_text())
        assert httpd.helpers() == ours
    finally:
        with open(rotated, encoding="utf-8") as old, \
                open(httpd.error_log, encoding="utf-8") as new:
            text = old.read() + new.read()
        httpd.log_position = len(text)
        with open(httpd.error_log, "w", encoding="utf-8") as f:
            f.write(text)
