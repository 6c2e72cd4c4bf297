# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Cookies of ASP.NET Core apps stay valid over a restart, and over a switch of the link
that the app's folder is."""

import glob
import os
import signal

import pytest

import dotnet
import env as environment
from processes import wait_for

SHAPES = ["web", "slim", "named"]


@pytest.fixture(scope="module")
def httpd(env):
    companions = os.path.join(os.path.dirname(environment.MODULE), "appcore", "net*")
    if not glob.glob(companions):
        pytest.skip("the companion was not built")
    with open(os.path.join(environment.HERE, "apps", "cookies", "Program.cs"),
              encoding="utf-8") as f:
        published = dotnet.program(f.read(), "cookies")
    text = ""
    for shape in SHAPES:
        dotnet.app(env, shape + "-1", published)
        dotnet.app(env, shape + "-2", published)
        link(env, shape, 1)
        text += f"""
<AppCoreApp {shape}>
    AppCorePath {env.path("apps", shape)}
    AppCoreEnvironmentVariable SHAPE {shape}
</AppCoreApp>
AppCoreMount /{shape} {shape}
"""
    env.text = text
    env.start(text)
    return env


def link(env, shape, n):
    new = env.path("apps", shape + ".new")
    os.symlink(f"{shape}-{n}", new)
    env.give(new, env.owner())
    os.rename(new, env.path("apps", shape))


class Visitor:
    """Logs in, and is asked later who it is."""

    def __init__(self, httpd, shape):
        self.httpd, self.shape = httpd, shape
        answer = httpd.get(f"/{shape}/login")
        assert answer.status == 200, answer
        self.token = answer.text
        self.cookies = "; ".join(v.split(";")[0] for n, v in answer.headers
                                 if n.lower() == "set-cookie")

    def get(self, path, **options):
        headers = {"Cookie": self.cookies, "RequestVerificationToken": self.token}
        return self.httpd.get(f"/{self.shape}{path}", headers=headers, **options).text

    def is_known(self):
        return self.get("/who") == "alice" and self.get("/post", method="POST") == "true"


@pytest.mark.parametrize("shape", SHAPES)
def test_restart(httpd, shape):
    visitor = Visitor(httpd, shape)
    assert visitor.is_known()
    pid = visitor.get("/pid")
    httpd.allow(rf"app {shape}[:,] ")
    os.kill(int(pid), signal.SIGKILL)
    wait_for(lambda: visitor.get("/pid") != pid)
    assert visitor.is_known()


def test_restart_of_httpd(httpd):
    visitor = Visitor(httpd, "web")
    httpd.stop()
    httpd.start(httpd.text)
    assert visitor.is_known()


@pytest.mark.parametrize("shape", SHAPES)
def test_switch_of_the_folder(httpd, shape):
    visitor = Visitor(httpd, shape)
    root = visitor.get("/root")
    assert root.rstrip("/") == httpd.path("apps", shape + "-1")
    link(httpd, shape, 2)
    wait_for(lambda: visitor.get("/root") != root, 30, "the other version")
    assert visitor.is_known()


def test_name_is_that_of_the_app_or_the_path(httpd):
    path = httpd.path("apps", "web")
    assert httpd.get("/web/discriminator").text.rstrip("/") == path
    assert httpd.get("/named/discriminator").text == "of its own"
