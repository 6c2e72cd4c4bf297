# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Reloads and stops: an unchanged app keeps its process, a changed one is replaced,
a removed one goes, and with httpd everything goes."""

import os
import signal
import threading

import pytest

import processes
from processes import wait_for

pytestmark = pytest.mark.mpm

KEEP = "AppCoreMount /keep {root}/apps/keep\n"
SWAP = """
<AppCoreApp swap>
    AppCorePath {root}/apps/swap
    AppCoreEnvironmentVariable ROUND {round}
</AppCoreApp>
AppCoreMount /swap swap
"""


@pytest.fixture(scope="module")
def httpd(env):
    env.app("keep", "plain")
    env.app("swap", "plain")
    env.start(conf(env, 1))
    return env


def conf(env, number, extra=""):
    return (KEEP + SWAP + extra).format(root=env.root, round=number)


def pid(env, name):
    answer = env.get(f"/{name}/pid")
    assert answer.status == 200, answer
    return int(answer.text)


def round_of(env):
    return int(env.get("/swap/self").json()["env"]["ROUND"])


@pytest.fixture
def plain_conf(httpd):
    """Back to the module's configuration, whatever the test before left."""
    if not httpd.httpd_pid():
        httpd.start(conf(httpd, 1))
    else:
        httpd.reload(conf(httpd, 1))
    return httpd


@pytest.mark.parametrize("sig", [signal.SIGUSR1, signal.SIGHUP],
                         ids=["graceful", "restart"])
def test_unchanged_app_keeps_its_process(plain_conf, sig):
    httpd = plain_conf
    before = pid(httpd, "keep"), pid(httpd, "swap"), httpd.helpers()
    for _ in range(3):
        httpd.reload(sig=sig)
        assert (pid(httpd, "keep"), pid(httpd, "swap"), httpd.helpers()) == before


def test_changed_app_is_replaced(plain_conf):
    httpd = plain_conf
    kept, swapped = pid(httpd, "keep"), pid(httpd, "swap")
    httpd.reload(conf(httpd, 2))
    wait_for(lambda: not processes.alive(swapped), what="the end of the old process")
    assert round_of(httpd) == 2
    assert pid(httpd, "keep") == kept


def test_replacement_fails_no_request(plain_conf):
    """New before old: while it is replaced twice every request is answered."""
    httpd = plain_conf
    pid(httpd, "swap")
    stop, answers = threading.Event(), []

    def ask():
        while not stop.is_set():
            answers.append(httpd.get("/swap/pid").status)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        for number in (7, 8):
            httpd.reload(conf(httpd, number))
            wait_for(lambda: round_of(httpd) == number)
    finally:
        stop.set()
        for t in threads:
            t.join()
    # httpd itself takes about a second until a new child accepts.
    assert len(answers) > 8
    assert set(answers) == {200}


def test_slow_request_ends_before_its_process(plain_conf):
    httpd = plain_conf
    old = pid(httpd, "swap")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(
        httpd.get("/swap/slow?ms=1500")))
    thread.start()
    httpd.wait_log("app swap: slow begins")
    httpd.reload(conf(httpd, 3), wait_workers=False)
    wait_for(lambda: round_of(httpd) == 3)
    thread.join()
    assert answers[0].status == 200 and int(answers[0].text) == old
    wait_for(lambda: not processes.alive(old), what="the end of the old process")


def test_added_and_removed(plain_conf):
    httpd = plain_conf
    if not os.path.isdir(httpd.path("apps", "extra")):
        httpd.app("extra", "plain")
    assert httpd.get("/extra/pid").status == 404
    kept = pid(httpd, "keep")
    httpd.reload(conf(httpd, 1, "AppCoreMount /extra {root}/apps/extra\n"))
    extra = pid(httpd, "extra")
    httpd.reload(conf(httpd, 1))
    assert httpd.get("/extra/pid").status == 404
    wait_for(lambda: not processes.alive(extra), 15, "the end of the removed app")
    assert pid(httpd, "keep") == kept


def test_mistake_keeps_the_old_configuration(plain_conf):
    """As `apachectl graceful` does it: configtest first."""
    httpd = plain_conf
    kept = pid(httpd, "keep")
    assert "must be auto, socket or tcp" in httpd.configtest(
        conf(httpd, 1, "AppCoreListen udp\n"))
    assert pid(httpd, "keep") == kept


def test_all_apps_removed_and_back(plain_conf):
    httpd = plain_conf
    old = [pid(httpd, "keep"), pid(httpd, "swap")]
    httpd.reload("# nothing mounted\n")
    assert httpd.get("/keep/pid").status == 404
    wait_for(lambda: not any(map(processes.alive, old)), 15, "the end of all apps")
    httpd.reload(conf(httpd, 1))
    assert pid(httpd, "keep") not in old


def test_stop_ends_all(plain_conf):
    httpd = plain_conf
    pid(httpd, "keep"), pid(httpd, "swap")
    httpd.stop()
    # httpd's parent waits for its apps: nothing is left at the very moment it ends.
    assert httpd.leftovers() == []


def test_graceful_stop_ends_all(plain_conf):
    httpd = plain_conf
    pid(httpd, "keep"), pid(httpd, "swap")
    httpd.stop(signal.SIGWINCH)
    assert httpd.leftovers() == []


def test_killed_httpd_takes_all_with_it(plain_conf):
    httpd = plain_conf
    apps = [pid(httpd, "keep"), pid(httpd, "swap")]
    ours = httpd.helpers() + apps
    workers = httpd.kill()
    wait_for(lambda: not any(map(processes.alive, ours)), 15, "the end of all apps")
    httpd.clear_killed(workers)


def test_starts_again_after_a_kill(plain_conf):
    """Leftovers of the killed server, sockets and all, are no obstacle."""
    assert pid(plain_conf, "keep") > 0


def test_stubborn_app_is_killed_at_its_limit(plain_conf):
    httpd = plain_conf
    if not os.path.isdir(httpd.path("apps", "stubborn")):
        httpd.app("stubborn", "plain")
    httpd.reload(conf(httpd, 1, """
<AppCoreApp stubborn>
    AppCorePath {root}/apps/stubborn
    AppCoreEnvironmentVariable IGNORE_TERM 1
    AppCoreShutdownTimeLimit 1
</AppCoreApp>
AppCoreMount /stubborn stubborn
"""))
    stubborn = pid(httpd, "stubborn")
    httpd.allow(r"app stubborn: .*")
    httpd.reload(conf(httpd, 1))
    wait_for(lambda: not processes.alive(stubborn), 10, "the end of the stubborn process")
