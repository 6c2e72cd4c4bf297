# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The ASP.NET Core apps of apps/failing and apps/ending inside of httpd's child: how
they are deployed and configured, and a server of the second one."""

import os

import pytest

import dotnet
import env as environment
from processes import alive, wait_for

ENDED = r"the process \d+ of httpd ended while it hosted apps in process"


def source(name):
    with open(os.path.join(environment.HERE, "apps", name, "Program.cs"),
              encoding="utf-8") as f:
        return f.read()


def deploy(env, name, program):
    """A folder of root's, as the app will run as httpd's user."""
    return dotnet.app(env, name, dotnet.program(source(program)),
                      user="root" if env.is_root else None)


def inside(name, folder, *lines):
    """One child has all workers, so there is one of the app but for its replacement."""
    body = "\n".join(["AppCoreHostingModel InProcess", f"AppCorePath {folder}", *lines])
    return (f"MaxRequestWorkers 16\n<AppCoreApp {name}>\n{body}\n</AppCoreApp>\n"
            f"AppCoreMount /{name} {name}\n")


def started(httpd, name, timeout=30):
    return wait_for(lambda: f"app {name} runs in process" in httpd.recent_log(), timeout,
                    f"the start of {name}")


def fail(how):
    return f"AppCoreEnvironmentVariable FAIL {how}"


class Server:
    """An httpd with the app, started once for those tests that leave it as it was."""

    def __init__(self, env):
        self.env = env
        self.folder = deploy(env, "own", "ending")

    def start(self, *lines):
        self.env.start(inside("own", self.folder, "AppCoreRapidFailsPerMinute 100",
                              "AppCoreMaxWorkers 100%", *lines))
        started(self.env, "own")

    def get(self, path, **options):
        return self.env.get("/own" + path, **options)

    def pid(self):
        return int(self.get("/pid").text)

    def has_another(self, old):
        """Of the children that httpd has now one answers, and the old one is gone."""
        wait_for(lambda: not alive(old), 30, "the end of the child")
        answer = wait_for(lambda: self.tries("/pid"), 30, "an answer of another child")
        assert int(answer.text) != old

    def loses_its_child(self, path, **options):
        """With the request, and nothing else of httpd goes."""
        httpd, old = self.env.httpd_pid(), self.pid()
        self.env.allow(r"app own\b", ENDED)
        with pytest.raises(OSError):
            self.get(path, **options)
        self.has_another(old)
        assert self.env.httpd_pid() == httpd

    def tries(self, path):
        try:
            answer = self.get(path)
        except OSError:
            return None
        return answer if answer.status == 200 else None
