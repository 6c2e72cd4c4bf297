# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Acceptance list of the ASP.NET Core Module: several apps of both hosting models beside
each other, a change of the model, and what is not hosted in process where a part of the
installation is missing."""

import os
import shutil
import signal

import pytest

import dotnet
import env as environment
from acceptance import OWN_LINE, ids, published, web_config
from load import Load
from processes import alive, wait_for

pytestmark = [pytest.mark.mpm, pytest.mark.skipif(
    environment.MPM == "prefork", reason="the prefork MPM hosts no runtime")]
ONE_CHILD = "MaxRequestWorkers 16\n"
APP = """
<AppCoreApp {name}>
    AppCorePath {folder}
    {lines}
</AppCoreApp>
AppCoreMount /{name} {name}
"""
INSIDE = "AppCoreHostingModel InProcess"
OUTSIDE = "AppCoreHostingModel OutOfProcess"


@pytest.fixture
def httpd(env):
    env.always_allowed = [OWN_LINE]
    module = env.module
    yield env
    env.stop()
    env.module = module


def deploy(env, name):
    """A folder of root's: both httpd and the supervisor may run it."""
    if not os.path.isdir(env.path("apps", name)):
        dotnet.app(env, name, published(), user="root" if env.is_root else None)
    return env.path("apps", name)


def app(env, name, *lines):
    return APP.format(name=name, folder=deploy(env, name), lines="\n    ".join(lines))


def text(env, path):
    answer = env.get(path)
    assert answer.status == 200, answer
    return answer.text


def pid(env, name):
    return int(text(env, f"/{name}/ProcessId"))


def runs_inside(env, name):
    return pid(env, name) in [p.pid for p in env.workers()]


@ids("MA2")
def test_two_apps_that_want_to_be_in_process(httpd):
    """There is one runtime in a process: IIS refuses the second with 500.35, here it
    gets a process of its own."""
    httpd.start(ONE_CHILD + app(httpd, "first", INSIDE) + app(httpd, "second", INSIDE))
    where = {name: runs_inside(httpd, name) for name in ("first", "second")}
    assert sorted(where.values()) == [False, True]
    other = next(name for name in where if not where[name])
    assert f"app {other} is hosted out of process, although AppCoreHostingModel says " \
        "InProcess: there is one .NET runtime in a process of httpd" in httpd.log_text()
    assert httpd.app_processes() == [pid(httpd, other)]


@ids("MA3")
@pytest.mark.parametrize("first, second", [(INSIDE, OUTSIDE), (OUTSIDE, INSIDE)])
def test_both_models_beside_each_other(httpd, first, second):
    """IIS refuses the second with 500.34."""
    httpd.start(ONE_CHILD + app(httpd, "first", first) + app(httpd, "second", second))
    assert runs_inside(httpd, "first") == (first == INSIDE)
    assert runs_inside(httpd, "second") == (second == INSIDE)
    assert len(httpd.app_processes()) == 1


@ids("SD12")
@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("first, second", [(OUTSIDE, INSIDE), (INSIDE, OUTSIDE)])
def test_change_of_the_model(httpd, first, second, loaded):
    """By httpd's configuration: that is where the administrator says it. No request is
    lost, and nothing is left of where it ran."""
    httpd.allow("still had requests in flight")
    httpd.start(ONE_CHILD + app(httpd, "site", first))
    before = pid(httpd, "site")
    with Load(httpd, "/site/HelloWorld", threads=3 if loaded else 0) as load:
        httpd.reload(ONE_CHILD + app(httpd, "site", second))
        wait_for(lambda: not alive(before), 30, "the end of the old process")
        load.wait(20 if loaded else 0)
    if loaded:
        load.check()
    assert runs_inside(httpd, "site") == (second == INSIDE)
    server = "AppCore." if second == INSIDE else "Microsoft.AspNetCore.Server.Kestrel."
    assert text(httpd, "/site/ServerType").startswith(server)
    wait_for(lambda: len(httpd.app_processes()) == (second == OUTSIDE), 30,
             "the end of what is not needed")


@ids("SD12")
def test_last_request_of_before_the_change(httpd):
    """Its child still looks for a process."""
    httpd.start(ONE_CHILD + app(httpd, "site", OUTSIDE))
    before = pid(httpd, "site")
    with httpd.raw() as raw:
        raw.send("GET /site/ProcessId HTTP/1.1\r\nHost: localhost\r\n")
        assert pid(httpd, "site") == before
        httpd.reload(ONE_CHILD + app(httpd, "site", INSIDE), wait_workers=False)
        assert wait_for(lambda: runs_inside(httpd, "site"), 30, "the app in process")
        raw.send("Connection: close\r\n\r\n")
        assert raw.response().text == str(before)
    wait_for(lambda: not httpd.app_processes(), 30, "the end of what is not needed")


@ids("SD12")
def test_web_config_changes_the_model(httpd):
    """It may say that the app is not to run in process, where it is allowed to; no
    reload of httpd is needed, and no request is lost."""
    httpd.allow("still had requests in flight")
    folder = deploy(httpd, "site")
    httpd.start(f"{ONE_CHILD}{INSIDE}\nAppCoreMount /site {folder}\n")
    assert runs_inside(httpd, "site")
    for model in ("outofprocess", "inprocess", "outofprocess"):
        before = pid(httpd, "site")
        with Load(httpd, "/site/HelloWorld") as load:
            httpd.write("apps", "site", "web.config",
                        text=web_config(hostingModel=model))
            wait_for(lambda: runs_inside(httpd, "site") == (model == "inprocess"), 30,
                     f"the app {model}")
            wait_for(lambda: not alive(before), 30, "the end of where it ran")
            load.wait(20)
        load.check()
        wait_for(lambda: len(httpd.app_processes()) == (model != "inprocess"), 30,
                 "the end of what is not needed")


@ids("SD12")
def test_change_of_the_model_that_the_supervisor_notices_late(httpd):
    """The child notices by itself, and its successor is there before the supervisor
    knows what for: it ends the process all the same."""
    folder = deploy(httpd, "late")
    models = [web_config(hostingModel=m) for m in ("outofprocess", "inprocess")]
    httpd.write("apps", "late", "web.config", text=models[0])
    httpd.start(f"{ONE_CHILD}{INSIDE}\nAppCoreMount /late {folder}\n")
    before = pid(httpd, "late")
    assert not runs_inside(httpd, "late")
    manager = httpd.helper("manager")
    os.kill(manager, signal.SIGSTOP)
    try:
        httpd.write("apps", "late", "web.config", text=models[1])
        wait_for(lambda: runs_inside(httpd, "late"), 30, "the app in process")
    finally:
        os.kill(manager, signal.SIGCONT)
    wait_for(lambda: not alive(before), 30, "the end of where it ran")
    assert runs_inside(httpd, "late")


@ids("ST16")
@pytest.mark.parametrize("missing", ["appcore-dotnet.so", "AppCore.AspNetCore.dll"])
def test_what_hosts_it_in_process_is_not_installed(httpd, missing):
    """IIS says 500.33; here the app does not need it so much."""
    folder = httpd.path("modules")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(os.path.join(os.path.dirname(httpd.module), "appcore"),
                    os.path.join(folder, "appcore"))
    httpd.module = shutil.copy(httpd.module, folder)
    for where, _, names in os.walk(folder):
        if missing in names:
            os.unlink(os.path.join(where, missing))
    httpd.start(ONE_CHILD + app(httpd, "site", INSIDE))
    assert [pid(httpd, "site")] == httpd.app_processes()
    assert f"says InProcess: {missing} is not installed" in httpd.log_text()
