# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""ASP.NET Core apps that httpd cannot run in its children although it is told to: they
have a process of their own, and a line in the log says why."""

import json
import os

import pytest

import dotnet
import env as environment
import inproc

PREFORK = environment.MPM == "prefork"
pytestmark = pytest.mark.mpm


@pytest.fixture
def httpd(env):
    yield env
    env.stop()


def runs_outside(env, name, published, why, change=None):
    folder = dotnet.app(env, name, published, user="root" if env.is_root else None)
    if change:
        change(folder)
    env.start(inproc.app(name, folder))
    answer = env.get(f"/{name}/", timeout=60)
    assert (answer.status, answer.text) == (200, "Hello World!")
    assert len(env.app_processes(folder)) == 1
    assert f"app {name} is hosted out of process, although AppCoreHostingModel says " \
        f"InProcess: {why}" in env.log_text()


@pytest.mark.skipif(not PREFORK, reason="of the prefork MPM")
def test_where_processes_have_one_thread(httpd):
    runs_outside(httpd, "single", dotnet.template("web"), "the prefork MPM would bring "
                 "one .NET runtime per request at a time")


@pytest.mark.skipif(PREFORK, reason="not on the prefork MPM in any case")
def test_single_file(httpd):
    """Without the runtime, so that the SDK need fetch nothing."""
    published = dotnet.template_variant(
        "web", None, "-r", "linux-x64", "--no-self-contained",
        "-p:PublishSingleFile=true")
    if not os.path.isdir(published):
        pytest.skip(f"cannot be published here: {published}")
    runs_outside(httpd, "file", published, "it is published as a single file")


def switch_hooks_off(folder):
    """As trimming does."""
    path = os.path.join(folder, "Unmodified.runtimeconfig.json")
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    config["runtimeOptions"].setdefault("configProperties", {})[
        "System.StartupHookProvider.IsSupported"] = False
    dotnet.write_json(folder, "Unmodified.runtimeconfig.json", config)


@pytest.mark.skipif(PREFORK, reason="not on the prefork MPM in any case")
def test_app_without_start_up_hooks(httpd):
    runs_outside(httpd, "trimmed", dotnet.template("web"), "AppCore.AspNetCore.dll is "
                 "not installed beside the module, or the app is trimmed",
                 switch_hooks_off)
