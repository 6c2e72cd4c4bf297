# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Shadow copies of ASP.NET Core apps: it runs from a copy, its own folder can be
written over, a changed .dll makes a new copy and a new process under load, old copies
go."""

import os
import shutil

import pytest

import dotnet
import processes
from load import Load
from processes import wait_for

PROGRAM = """
var app = WebApplication.CreateBuilder(args).Build();
app.MapGet("/pid", () => Environment.ProcessId.ToString());
app.MapGet("/where", (IWebHostEnvironment host) => string.Join("|",
    AppContext.BaseDirectory, host.ContentRootPath, Directory.GetCurrentDirectory(),
    Environment.GetEnvironmentVariable("ASPNETCORE_IIS_PHYSICAL_PATH")));
app.Run();
"""
WEB_CONFIG = """<?xml version="1.0"?>
<configuration><system.webServer>
<aspNetCore processPath="dotnet" arguments=".\\Own.dll"><handlerSettings>
<handlerSetting name="enableShadowCopy" value="true" />
<handlerSetting name="shadowCopyDirectory" value="{directory}" />
</handlerSettings></aspNetCore></system.webServer></configuration>
"""
APPS = {"inside": "Copies", "beside": "..\\\\copies-of-beside", "locked": "/proc/none"}


@pytest.fixture(scope="module")
def httpd(env):
    published = dotnet.program(PROGRAM, "shadow")
    conf = ""
    os.mkdir(env.path("apps", "copies-of-beside"))
    env.give(env.path("apps", "copies-of-beside"), env.owner())
    for name, directory in APPS.items():
        folder = dotnet.app(env, name, published)
        env.write("apps", name, "web.config", text=WEB_CONFIG.format(
            directory=directory.replace("\\\\", "\\")))
        conf += f"AppCoreMount /{name} {folder}\n"
    # That it is empty is seen 5 s later, perhaps during another test.
    env.always_allowed.append("app beside: ")
    env.start(conf)
    return env


def get(env, name, path="pid"):
    answer = env.get(f"/{name}/{path}", timeout=60)
    assert answer.status == 200, answer
    return answer.text


def copies(env, *names):
    return sorted(n for n in os.listdir(env.path("apps", *names)) if n.isdigit())


@pytest.mark.parametrize("name, at", [("inside", ("inside", "Copies")),
                                      ("beside", ("copies-of-beside",))])
def test_runs_from_a_copy(httpd, name, at):
    if name == "beside":
        # A number that is there already is left alone.
        os.makedirs(httpd.path("apps", *at, "0"), exist_ok=True)
    number = "1" if name == "beside" else "0"
    base, *others = get(httpd, name, "where").split("|")
    assert os.path.realpath(base) == httpd.path("apps", *at, number)
    own = httpd.path("apps", name)
    assert [path.rstrip("/") for path in others] == [own] * 3
    assert not os.path.exists(httpd.path("apps", *at, number, "Copies"))
    assert os.stat(base).st_uid == os.stat(own).st_uid


def test_changed_dll_makes_a_new_copy(httpd):
    """Written in place, as a copying deployment does, and under load."""
    before = get(httpd, "inside")
    own = httpd.path("apps", "inside", "Own.dll")
    with open(own, "rb") as f:
        data = f.read()
    with Load(httpd, "/inside/pid") as load:
        with open(own, "wb") as f:
            f.write(data)
        wait_for(lambda: get(httpd, "inside") != before, 40, "the new process")
        load.wait(20)
    load.check()
    assert "/Copies/1/" in get(httpd, "inside", "where")
    wait_for(lambda: not processes.alive(int(before)), 20, "the end of the old one")
    wait_for(lambda: copies(httpd, "inside", "Copies") == ["1"], 20,
             "the end of the old copy")


def test_own_folder_can_be_emptied(httpd):
    """Its files are not needed by what runs."""
    before = get(httpd, "beside")
    for name in os.listdir(httpd.path("apps", "beside")):
        if name != "web.config":
            path = httpd.path("apps", "beside", name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    assert get(httpd, "beside") == before


def test_where_no_copy_can_be_made(httpd):
    base = get(httpd, "locked", "where").split("|")[0]
    assert os.path.realpath(base) == httpd.path("apps", "locked")
    assert "app locked: no shadow copy, the app runs from its own folder: cannot make " \
           "/proc/none" in httpd.log_text()
