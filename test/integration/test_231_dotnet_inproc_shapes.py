# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""ASP.NET Core apps of every builder inside of httpd's child: none of them was told of
httpd, and none listens to anything."""

import os
import platform
import subprocess

import pytest

import dotnet
import env as environment
import inproc

pytestmark = [pytest.mark.mpm, pytest.mark.skipif(
    environment.MPM == "prefork", reason="needs an MPM with threads")]
SHAPES = ["web", "slim", "empty", "bare-empty", "generic", "bare-generic", "webhost",
          "bare-webhost", "run-url", "use-urls", "listen", "two"]


def source():
    with open(os.path.join(environment.HERE, "apps", "shapes", "Program.cs"),
              encoding="utf-8") as f:
        return f.read()


def deploy(env, name, published):
    return dotnet.app(env, name, published, user="root" if env.is_root else None)


@pytest.fixture(scope="module")
def folder(env):
    return deploy(env, "shapes", dotnet.program(source(), "shapes"))


@pytest.fixture
def run(env, folder):
    def start(shape, *lines, folder=folder):
        env.start(inproc.app("shapes", folder,
                             f"AppCoreEnvironmentVariable SHAPE {shape}",
                             f"AppCoreEnvironmentVariable OWN_PORT {env.port2}", *lines,
                             mount="/base"))
        return env
    yield start
    env.stop()


def listening(env):
    """Ports of the children of httpd, but httpd's own."""
    listed = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True).stdout
    pids = {p.pid for p in env.workers()}
    return [line for line in listed.split("\n") if f":{env.port} " not in line
            and any(f"pid={pid}," in line for pid in pids)]


@pytest.mark.parametrize("shape", SHAPES)
def test_runs_in_process(run, shape):
    env = run(shape)
    seen = env.get("/base/x").json()
    assert seen["pid"] in {p.pid for p in env.workers()}
    assert (seen["pathBase"], seen["path"]) == ("/base", "/x")
    assert seen["addresses"] == [f"http://localhost:{env.port}/base"]
    assert seen["remote"] == "127.0.0.1" and seen["token"] == ""
    others = [line for line in listening(env) if f":{env.port2} " not in line
              or shape != "two"]
    assert not others


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runtimes are for x86-64")
@pytest.mark.parametrize("version", ["8.0", "9.0"])
@pytest.mark.parametrize("shape", ["web", "bare-webhost"])
def test_older_runtimes(run, env, version, shape):
    """One companion serves them all."""
    name = f"net{version}"
    if not os.path.isdir(env.path("apps", name)):
        deploy(env, name, dotnet.with_runtime(source(), version))
    seen = run(shape, folder=env.path("apps", name)).get("/base/x").json()
    assert seen["framework"].startswith(f".NET {version}.")
    assert seen["pid"] in {p.pid for p in env.workers()}
    assert (seen["pathBase"], seen["path"]) == ("/base", "/x")


def test_exception_before_it_serves(run):
    env = run("broken", "AppCoreDetailedErrors On")
    env.allow(r"app shapes")
    answer = env.get("/base/x")
    assert answer.status == 500 and "500.30" in answer.text
    assert "InvalidOperationException" in answer.text and "on purpose" in answer.text


@pytest.mark.parametrize("shape", ["console", "worker"])
def test_program_that_serves_nothing(run, shape):
    env = run(shape, "AppCoreStartupTimeLimit 4")
    env.allow(r"app shapes")
    assert env.get("/base/x").status == 500
