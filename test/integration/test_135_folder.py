# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What happens in an app's folder: app_offline.htm takes the app offline, web.config,
tmp/restart.txt and another folder behind the path replace it, new before old."""

import os
import signal
import threading
import time

import pytest

import processes
from load import Load
from processes import wait_for

pytestmark = pytest.mark.mpm

PAGE = "<html><body>Back at noon &#9200;</body></html>"
WEB_CONFIG = """<?xml version="1.0"?>
<configuration><system.webServer>
<aspNetCore processPath="/usr/bin/env" arguments="python3 plain.py">
<environmentVariables><environmentVariable name="ROUND" value="{round}" />
</environmentVariables>{more}</aspNetCore></system.webServer></configuration>
"""
KEEP = """<handlerSettings>
<handlerSetting name="DisallowRotationOnConfigChange" value="true" />
</handlerSettings>"""
CONF = """
AppCoreMount /site {root}/apps/site
AppCoreMount /other {root}/apps/other
AppCoreMount /calm {root}/apps/calm
<AppCoreApp configured>
    AppCorePath {root}/apps/configured
    AppCoreListen tcp
</AppCoreApp>
AppCoreMount /configured configured
<AppCoreApp eager>
    AppCorePath {root}/apps/eager
    AppCoreStartMode AlwaysRunning
</AppCoreApp>
AppCoreMount /eager eager
<AppCoreApp linked>
    AppCorePath {root}/current
</AppCoreApp>
AppCoreMount /linked linked
<AppCoreApp named>
    AppCorePath {root}/apps/named
    AppCoreRecycleOnFileChange *.py conf/live/*.json
</AppCoreApp>
AppCoreMount /named named
<AppCoreApp broken>
    AppCorePath {root}/apps/broken
    AppCoreDetailedErrors On
</AppCoreApp>
AppCoreMount /broken broken
<AppCoreApp slow>
    AppCorePath {root}/apps/slow
    AppCoreEnvironmentVariable START_GATE now
</AppCoreApp>
AppCoreMount /slow slow
"""


@pytest.fixture(scope="module")
def httpd(env):
    for name in ("site", "other", "configured", "eager", "first", "second", "slow",
                 "named", "calm"):
        env.app(name, "plain")
    env.app("broken")
    put(env, "eager", "app_offline.htm", PAGE)
    put(env, "configured", "web.config", WEB_CONFIG.format(round=0, more=""))
    os.symlink("apps/first", env.path("current"))
    env.give(env.path("current"), env.owner())
    env.start(CONF.format(root=env.root))
    return env


def put(env, app, name, text="", user=None):
    """As a deployment writes a file: complete when it gets its name."""
    path = env.path("apps", app, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    env.give(os.path.dirname(path), env.owner(user))
    with open(path + ".part", "w", encoding="utf-8") as f:
        f.write(text)
    env.give(path + ".part", env.owner(user))
    os.rename(path + ".part", path)
    return path


def pid(env, name="site"):
    answer = env.get(f"/{name}/pid")
    assert answer.status == 200, answer
    return int(answer.text)


def is_offline(env, name="site", page=PAGE):
    answer = env.get(f"/{name}/pid")
    return answer.status == 503 and answer.text == page


def wait_offline(env, name="site", page=PAGE):
    wait_for(lambda: is_offline(env, name, page), what=f"the page of {name}")


def wait_online(env, name="site"):
    wait_for(lambda: env.get(f"/{name}/pid").status == 200, what=f"{name} online")


def test_page_as_the_folder_has_it(httpd):
    before = pid(httpd)
    path = put(httpd, "site", "app_offline.htm", PAGE)
    try:
        wait_offline(httpd)
        answer = httpd.get("/site/any/where?x=1")
        assert (answer.status, answer.text) == (503, PAGE)
        assert answer.header("Content-Type") == "text/html"
        assert int(answer.header("Retry-After")) > 0
        assert answer.header("Cache-Control") == "no-store"
        head = httpd.get("/site/", method="HEAD")
        assert (head.status, head.body) == (503, b"")
        assert int(head.header("Content-Length")) == len(PAGE)
        posted = httpd.get("/site/echo", method="POST", body=b"x" * 70000)
        assert (posted.status, posted.text) == (503, PAGE)
        wait_for(lambda: not processes.alive(before), what="the end of the app")
        assert httpd.get("/other/pid").status == 200
    finally:
        os.unlink(path)
    wait_online(httpd)
    assert pid(httpd) != before
    httpd.wait_log("app site: has app_offline.htm in its folder")
    httpd.wait_log("app site: app_offline.htm is gone")


def test_nobody_is_disturbed_by_other_files(httpd):
    before = pid(httpd)
    for name in ("app_offline.html", "xapp_offline.htm", "tmp/other.txt", "log.txt"):
        put(httpd, "site", name, "x")
    os.mkdir(httpd.path("apps", "site", "app_offline.htm"))
    time.sleep(0.5)     # time for a mistake
    assert pid(httpd) == before
    os.rmdir(httpd.path("apps", "site", "app_offline.htm"))


@pytest.mark.parametrize("name", ["App_Offline.htm", "APP_OFFLINE.HTM"])
def test_name_in_any_case(httpd, name):
    pid(httpd)
    path = put(httpd, "site", name, PAGE)
    wait_offline(httpd)
    os.unlink(path)
    wait_online(httpd)


def test_page_that_changes_while_it_is_shown(httpd):
    pid(httpd)
    path = put(httpd, "site", "app_offline.htm", "one")
    wait_offline(httpd, page="one")
    with open(path, "w", encoding="ascii") as f:
        f.write("half")
        f.flush()
        f.write(" and half")
    wait_offline(httpd, page="half and half")
    put(httpd, "site", "app_offline.htm", "two")
    wait_offline(httpd, page="two")
    os.rename(path, path + "l")
    wait_online(httpd)
    os.rename(path + "l", path)
    wait_offline(httpd, page="two")
    os.unlink(path)
    wait_online(httpd)


@pytest.mark.parametrize("kind", ["empty", "locked", "link", "huge"])
def test_page_without_text(httpd, kind):
    """It counts, and what cannot be shown is shown as nothing, as in IIS."""
    pid(httpd)
    path = httpd.path("apps", "site", "app_offline.htm")
    if kind == "link":
        os.symlink("/etc/passwd", path)
    else:
        put(httpd, "site", "app_offline.htm", "x" * ((1 << 20) + 1)
            if kind == "huge" else "")
    if kind == "locked":
        os.chmod(path, 0)
    if kind != "empty" and not (kind == "locked" and not httpd.is_root):
        httpd.allow("everybody gets an empty page")
    wait_offline(httpd, page="")
    if kind in ("link", "huge"):
        httpd.wait_log("everybody gets an empty page: app_offline.htm in .*cannot be")
    os.unlink(path)
    wait_online(httpd)


def test_page_present_at_the_start(httpd):
    wait_offline(httpd, "eager")
    assert not httpd.app_processes(httpd.path("apps", "eager"))
    os.unlink(httpd.path("apps", "eager", "app_offline.htm"))
    # AlwaysRunning: no request is needed.
    wait_for(lambda: httpd.app_processes(httpd.path("apps", "eager")),
             what="the start of the app")
    wait_online(httpd, "eager")


@pytest.mark.ancm("SD16")
def test_page_that_appears_during_a_start(httpd):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(httpd.get("/slow/pid")))
    thread.start()
    wait_for(lambda: httpd.app_processes(httpd.path("apps", "slow")),
             what="the start of the app")
    path = put(httpd, "slow", "app_offline.htm", PAGE)
    thread.join()
    assert (answers[0].status, answers[0].text) == (503, PAGE)
    wait_for(lambda: not httpd.app_processes(httpd.path("apps", "slow")),
             what="the end of the app that was starting")
    put(httpd, "slow", "now")
    os.unlink(path)
    wait_for(lambda: not is_offline(httpd, "slow"), what="a start")


@pytest.mark.ancm("SD5", "SD6")
def test_page_of_a_broken_app(httpd):
    """The page wins over the error, and taking it away tries the start again."""
    httpd.allow("app broken")
    assert httpd.get("/broken/").status == 500
    path = put(httpd, "broken", "app_offline.htm", PAGE)
    wait_offline(httpd, "broken")
    put(httpd, "broken", "Procfile", "web: /usr/bin/env python3 plain.py\n")
    with open(httpd.path("apps", "site", "plain.py"), encoding="utf-8") as f:
        put(httpd, "broken", "plain.py", f.read())
    os.unlink(path)
    wait_online(httpd, "broken")


def test_restart_txt(httpd):
    before = pid(httpd)
    put(httpd, "site", "tmp/restart.txt")
    wait_for(lambda: pid(httpd) != before, what="a new process")
    before = pid(httpd)
    os.utime(httpd.path("apps", "site", "tmp", "restart.txt"))
    wait_for(lambda: pid(httpd) != before, what="a new process")
    before = pid(httpd)
    os.unlink(httpd.path("apps", "site", "tmp", "restart.txt"))
    time.sleep(0.5)     # time for a mistake
    assert pid(httpd) == before


def round_of(env, name="configured"):
    answer = env.get(f"/{name}/self")
    assert answer.status == 200, answer
    return answer.json()["env"]["ROUND"]


def test_web_config(httpd):
    assert round_of(httpd) == "0"
    before = pid(httpd, "configured")
    path = put(httpd, "configured", "web.config", WEB_CONFIG.format(round=1, more=""))
    wait_for(lambda: round_of(httpd) == "1", what="the new settings")
    httpd.wait_log(f"process {before} .*folder changed, so it is replaced")
    before = pid(httpd, "configured")
    os.utime(path)
    wait_for(lambda: pid(httpd, "configured") != before, what="a new process")


def test_bad_web_config_leaves_the_old_process(httpd):
    path = httpd.path("apps", "configured", "web.config")
    before = pid(httpd, "configured")
    with open(path, "a", encoding="ascii") as f:
        f.write("<")
    httpd.wait_log("app configured: did not start; .*web.config")
    assert pid(httpd, "configured") == before
    put(httpd, "configured", "web.config", WEB_CONFIG.format(round=2, more=""))
    wait_for(lambda: round_of(httpd) == "2", what="the new settings")


def test_web_config_may_be_left_for_later(httpd):
    before = pid(httpd, "configured")
    put(httpd, "configured", "web.config", WEB_CONFIG.format(round=3, more=KEEP))
    time.sleep(1)       # time for a mistake
    assert pid(httpd, "configured") == before
    put(httpd, "configured", "tmp/restart.txt")
    wait_for(lambda: round_of(httpd) == "3", what="the new settings")
    put(httpd, "configured", "web.config", WEB_CONFIG.format(round=4, more=""))
    wait_for(lambda: round_of(httpd) == "4", what="the new settings")


@pytest.mark.parametrize("how", ["link", "folder"])
def test_another_folder_behind_the_path(httpd, how):
    before = pid(httpd, "linked")
    if how == "link":
        os.symlink("apps/second", httpd.path("next"))
        env_owner = httpd.owner()
        httpd.give(httpd.path("next"), env_owner)
        os.rename(httpd.path("next"), httpd.path("current"))
    else:
        os.rename(httpd.path("apps", "second"), httpd.path("apps", "third"))
        httpd.app("second", "plain")
    wait_for(lambda: pid(httpd, "linked") != before, what="a new process")
    after = pid(httpd, "linked")
    assert processes.link(after, "cwd") == httpd.path("apps", "second")


def test_replacement_under_load(httpd):
    """web.config and restart.txt again and again: no request fails."""
    pid(httpd, "configured"), pid(httpd)
    with Load(httpd, "/site/pid", "/configured/pid") as load:
        for number in range(10, 14):
            put(httpd, "configured", "web.config",
                WEB_CONFIG.format(round=number, more=""))
            put(httpd, "site", "tmp/restart.txt")
            wait_for(lambda: round_of(httpd) == str(number), what="the new settings")
            load.wait(20)
    load.check()


def test_page_comes_and_goes_under_load(httpd):
    """Every answer is one of the app or the page."""
    pid(httpd)
    path = httpd.path("apps", "site", "app_offline.htm")
    with Load(httpd, "/site/pid", "/site/echo") as load:
        for pause in (0, 0, 0.01, 0.05, 0.3, 0, 0.6, 0.02, 0.1, 0):
            put(httpd, "site", "app_offline.htm", PAGE)
            time.sleep(pause)
            os.unlink(path)
            time.sleep(pause)
        put(httpd, "site", "app_offline.htm", PAGE)
        wait_offline(httpd)
        load.wait(20)
        os.unlink(path)
        wait_online(httpd)
        load.wait(20)
    assert not load.errors, load.errors[0]
    odd = [a for a in load.answers
           if a.status != 200 and (a.status, a.text) != (503, PAGE)]
    assert not odd, f"{len(odd)} of {len(load.answers)}: {odd[0]}"


def test_next_manager_goes_on_watching(httpd):
    before = pid(httpd)
    os.kill(httpd.helper("manager"), 9)
    httpd.allow("manager ended")
    path = put(httpd, "site", "app_offline.htm", PAGE)
    wait_offline(httpd)
    os.kill(httpd.helper("manager"), 9)
    assert is_offline(httpd)
    os.unlink(path)
    wait_online(httpd)
    assert pid(httpd) != before


def test_files_that_were_named(httpd):
    """Also in folders that are not there yet; new before old."""
    def replaced(before):
        answer = httpd.get("/named/pid")
        assert answer.status == 200, answer
        return int(answer.text) != before
    for change in (
            lambda: put(httpd, "named", "more.py", "x = 1"),
            lambda: os.utime(httpd.path("apps", "named", "plain.py")),
            lambda: os.mkdir(httpd.path("apps", "named", "conf")) or os.mkdir(
                httpd.path("apps", "named", "conf", "live")) or put(
                httpd, "named", "conf/live/a.json", "{}"),
            lambda: put(httpd, "named", "conf/live/a.json", "{ }"),
            lambda: os.unlink(httpd.path("apps", "named", "conf", "live", "a.json"))):
        before = pid(httpd, "named")
        change()
        wait_for(lambda: replaced(before), 20, "another process")
    before = pid(httpd, "named")
    for name in ("more.txt", "conf/a.json", "conf/live/a.txt", "lib/x.py"):
        put(httpd, "named", name, "x")
    time.sleep(0.5)     # time for a mistake
    assert not replaced(before)
    httpd.wait_log("app named: .*its app's folder changed, so it is replaced")


def test_more_events_than_the_kernel_keeps(httpd):
    """What got lost among them is found all the same, without a request. Nothing else
    hints at a look: no other test touches this folder, and the noise is none."""
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as f:
        limit = int(f.read())
    if limit > 200000:
        pytest.skip(f"the kernel keeps {limit} events")
    before = pid(httpd, "calm")
    noise = [httpd.path("apps", "calm", name) for name in ("a.log", "b.log")]
    for path in noise:
        with open(path, "wb"):
            pass
    manager = httpd.helper("manager")
    os.kill(manager, signal.SIGSTOP)
    try:
        # Two by turns, since the kernel keeps one of several equal ones.
        for i in range(limit + 100):
            os.utime(noise[i % 2])
        page = put(httpd, "calm", "app_offline.htm", PAGE)
    finally:
        os.kill(manager, signal.SIGCONT)
    try:
        wait_for(lambda: not processes.alive(before), 20, "the end of the app")
        assert is_offline(httpd, "calm")
    finally:
        for path in (page, *noise):
            os.unlink(path)
    wait_online(httpd, "calm")
