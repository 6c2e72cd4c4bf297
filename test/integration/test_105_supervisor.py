# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Keeper, manager and relay may die, httpd may be reloaded, restarted, stopped or
killed: what apps and requests notice of it."""

import os
import re
import signal
import socket
import sys
import threading
import time

import pytest

import env as environment
import processes
from load import Load
from processes import wait_for

pytestmark = pytest.mark.mpm

LIFE = """
<AppCoreApp {name}>
    AppCorePath {folder}
    {lines}
</AppCoreApp>
AppCoreMount /{name} {name}
"""
KILLED = r"appcore-(manager|relay) ended \(signal 9\)"


def block(env, name, lines="", user=None):
    folder = env.path("apps", name)
    if not os.path.isdir(folder):
        env.app(name, "life", user)
    return LIFE.format(name=name, folder=folder, lines=lines)


def usual(env, lines=""):
    many = block(env, "many", "AppCoreProcessesPerApplication 3")
    return block(env, "one") + many + lines


@pytest.fixture(scope="module")
def started(env):
    env.expected = {env.path("apps", "many"): 3}
    env.start(usual(env))
    return env


@pytest.fixture
def httpd(started):
    """With the usual two apps running, whatever the test before did."""
    if not started.httpd_pid():
        started.start(usual(started))
    elif not hasattr(started, "conf_now") or started.conf_now != usual(started):
        started.reload(usual(started))
    started.conf_now = usual(started)
    wait_for(lambda: len(pids(started, "many")) == 3 or not get(started, "many"), 20,
             "three processes")
    get(started, "one")
    return started


def reload(env, conf, **options):
    env.conf_now = conf
    env.reload(conf, **options)


def get(env, name, route="pid", **query):
    text = "&".join(f"{k}={v}" for k, v in query.items())
    answer = env.get(f"/{name}/{route}?{text}", timeout=60)
    assert answer.status == 200, answer
    return answer.text


def pids(env, name):
    return sorted(env.app_processes(env.path("apps", name)))


def kill(*victims):
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(map(processes.alive, victims)))


def wait_helper(env, name, old):
    wait_for(lambda: env.helper(name) not in (0, old), 15, f"another {name}")


# Helpers that die -----------------------------------------------------------------

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
    wait_for(lambda: "counted 299." in httpd.recent_log(), what="the last line")
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


# Reloads --------------------------------------------------------------------------

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
    wait_for(lambda: measure(httpd) == before, 15,
             f"as many descriptors as before, {before}, now {measure(httpd)}")
    assert len(processes.descendants(httpd.keeper())) == family
    left = os.listdir(httpd.path("run", "appcore", "s"))
    assert len(left) == 4, left


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


# Ends -----------------------------------------------------------------------------

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
    assert time.monotonic() - begin < 2
    begin = time.monotonic()
    httpd.stop()
    assert time.monotonic() - begin < 2
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
    text = "AppCoreShutdownTimeLimit 3\n"
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
    reload(httpd, with_limits(httpd, 8500 if how == "stop" else 4000))
    patient, hasty = (int(get(httpd, name)) for name in ("patient", "hasty"))
    httpd.wait_quiet()
    begin = time.monotonic()
    if how == "killed":
        workers = httpd.kill()
    else:
        os.kill(httpd.httpd_pid(), signal.SIGTERM)
    wait_for(lambda: not processes.alive(hasty), 20, "the end of the hasty one")
    assert processes.alive(patient)
    assert 0.9 < time.monotonic() - begin < 3
    wait_for(lambda: not processes.alive(patient), 20, "the end of the patient one")
    assert re.search(r"app patient: goodbye$", httpd.recent_log(), re.M)
    if how == "killed":
        httpd.clear_killed(workers)
    wait_for(lambda: httpd.leftovers() == [], 20, "the end of all")
    assert "apps did not end" not in httpd.recent_log()


# Announcements --------------------------------------------------------------------

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
    assert "is ready" not in httpd.recent_log()
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
