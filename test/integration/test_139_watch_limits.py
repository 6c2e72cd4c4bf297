# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Folders that the kernel cannot watch: changes are noticed when somebody asks, and the
log says once why. The limits are those of a user namespace that httpd runs in."""

import os
import subprocess
import sys
import time

import pytest

import env as environment
from processes import wait_for

LAUNCHER = os.path.join(environment.HERE, "few_watches.py")
LIMITS = {"watches": ("3", "8"), "instances": ("1000", "0")}
PAGE = "<p>Back at noon</p>"


def launcher(limits):
    return [sys.executable, LAUNCHER, *limits]


def can_limit():
    return environment.AS_ROOT and subprocess.run(
        [*launcher(("3", "3")), "/bin/true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not can_limit(), reason="needs root and user namespaces")


@pytest.fixture(scope="module")
def folders(env):
    return {name: env.app(name, "plain") for name in ("site", "other")}


@pytest.fixture(scope="module", params=LIMITS)
def httpd(request, env, folders):
    env.around = launcher(LIMITS[request.param])
    env.kind = request.param
    env.always_allowed = [r"changes of its folder are noticed with requests only"]
    env.start("".join(f"AppCoreMount /{name} {path}\n" for name, path in folders.items()))
    env.since = len(env.log_text())
    yield env
    env.stop()


def pid(httpd, name="site"):
    answer = httpd.get(f"/{name}/pid")
    return int(answer.text) if answer.status == 200 else None


def put(httpd, path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    httpd.give(path, httpd.owner())


def test_is_said_once(httpd):
    assert pid(httpd) and pid(httpd, "other")
    wait_for(lambda: "noticed with requests only" in httpd.log_text()[httpd.since:])
    lines = [line for line in httpd.log_text()[httpd.since:].splitlines()
             if "noticed with requests only" in line]
    assert len(lines) == 1 and "[appcore:warn]" in lines[0]
    assert f"too many inotify {httpd.kind}" in lines[0]
    assert f"fs.inotify.max_user_{httpd.kind}" in lines[0]


def test_a_request_causes_a_look(httpd, folders):
    assert pid(httpd)
    page = os.path.join(folders["site"], "app_offline.htm")
    put(httpd, page, PAGE)
    try:
        wait_for(lambda: httpd.get("/site/pid").text == PAGE, 20, "the page")
        assert pid(httpd, "other")
    finally:
        os.unlink(page)
    wait_for(lambda: pid(httpd), 20, "the app online")
    before = pid(httpd)
    path = os.path.join(folders["site"], "tmp")
    os.makedirs(path, exist_ok=True)
    put(httpd, os.path.join(path, "restart.txt"), "")
    wait_for(lambda: pid(httpd) not in (None, before), 20, "another process")


def test_without_requests_nothing_is_noticed(httpd, folders):
    """Else the test above shows nothing."""
    before = pid(httpd)
    put(httpd, os.path.join(folders["site"], "tmp", "restart.txt"), "x")
    time.sleep(2)       # time for a mistake
    assert httpd.app_processes(folders["site"]) == [before]
    wait_for(lambda: pid(httpd) not in (None, before), 20, "another process")
