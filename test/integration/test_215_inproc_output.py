# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Where the output of an app in process goes: AppCoreStdoutLog… and stdoutLog… of a
web.config, as for an app in a process of its own."""

import os
import re

import pytest

import client
import inproc
from env import SERVER_USER
from processes import wait_for

pytestmark = pytest.mark.mpm
NAME = re.compile(r"out_\d{14}_\d+\.log$")
WEB_CONFIG = """<configuration><system.webServer>
<aspNetCore processPath="dotnet" stdoutLogEnabled="{0}" stdoutLogFile=".\\logs\\out" />
</system.webServer></configuration>
"""


@pytest.fixture
def httpd(env):
    yield env
    env.stop()


def start(env, name, *lines, web_config=None):
    """In one child, with a folder for logs that httpd's user may write to."""
    folder = inproc.build(env, name, "warm")
    os.makedirs(os.path.join(folder, "logs"), exist_ok=True)
    env.give(os.path.join(folder, "logs"), env.owner(SERVER_USER))
    if web_config:
        env.write("apps", name, "web.config", text=web_config)
    env.start("MaxRequestWorkers 16\n" + inproc.app(name, folder, *lines))
    wait_for(lambda: f"app {name} runs in process" in env.log_text(), 20, "the app")
    return os.path.join(folder, "logs")


def get(env, path):
    answer = client.request(env.port, path)
    assert answer.status == 200, answer
    return answer.text


def text(logs):
    found = ""
    for name in sorted(os.listdir(logs)):
        with open(os.path.join(logs, name), encoding="utf-8") as f:
            found += f.read()
    return found


def test_file_of_the_directive(httpd):
    logs = start(httpd, "filed", "AppCoreStdoutLogFile logs/out")
    get(httpd, "/filed/print?one")
    wait_for(lambda: "first line\none\n" in text(logs), 20, "the line")
    names = os.listdir(logs)
    pids = {p.pid for p in httpd.workers()}
    assert all(NAME.match(n) for n in names)
    assert {int(n.split("_")[2][:-4]) for n in names} <= pids
    assert "app filed: one" not in httpd.log_text()


def test_file_of_web_config(httpd):
    logs = start(httpd, "webbed", "AppCoreProcessPath warm.so",
                 web_config=WEB_CONFIG.format("true"))
    get(httpd, "/webbed/print?one")
    wait_for(lambda: "first line\none\n" in text(logs), 20, "the line")


def test_file_of_web_config_that_is_off(httpd):
    logs = start(httpd, "unwebbed", "AppCoreProcessPath warm.so",
                 web_config=WEB_CONFIG.format("false"))
    get(httpd, "/unwebbed/print?one")
    httpd.wait_log("app unwebbed: one")
    assert not os.listdir(logs)


@pytest.mark.parametrize("where", ["errorlog", "logs/out"])
def test_last_word_does_not_wait_for_its_newline(httpd, where):
    name = "prompt-" + where[:4]
    logs = start(httpd, name, f"AppCoreStdoutLogFile {where}")
    get(httpd, f"/{name}/prompt?who-are-you")
    if where == "errorlog":
        httpd.wait_log(f"app {name}: who-are-you \\[continues\\]")
    else:
        wait_for(lambda: text(logs).endswith("\nwho-are-you"), 20, "the prompt")
        get(httpd, f"/{name}/print?-and-why")
        wait_for(lambda: text(logs).endswith("\nwho-are-you-and-why\n"), 20, "the rest")


def test_rotation(httpd):
    logs = start(httpd, "rotated", "AppCoreStdoutLogFile logs/out",
                 "AppCoreStdoutLogMaxSize 1K", "AppCoreStdoutLogKeep 2")
    line = "x" * 300

    def print_on():
        get(httpd, f"/rotated/print?{line}")
        return len(os.listdir(logs)) == 2 and "first line" not in text(logs)
    wait_for(print_on, 30, "the first file's end")
    assert all(NAME.match(n) for n in os.listdir(logs))


def test_program(httpd):
    where = httpd.path("files", "taken")
    program = httpd.write("files", "take.sh", text=f'#!/bin/sh\nexec cat >> "{where}"\n')
    os.chmod(program, 0o755)
    with open(where, "w", encoding="utf-8"):
        os.chmod(where, 0o666)
    start(httpd, "piped", f'AppCoreStdoutLogFile "|{program}"')
    get(httpd, "/piped/print?one")

    def taken():
        with open(where, encoding="utf-8") as f:
            return f.read().endswith("first line\none\n")
    wait_for(taken, 20, "the line")


def test_no_output(httpd):
    logs = start(httpd, "mute", "AppCoreStdoutLogEnabled Off")
    get(httpd, "/mute/print?nobody-hears-this")
    httpd.stop()
    assert not os.listdir(logs)
    assert "nobody-hears-this" not in httpd.log_text()


def test_file_that_cannot_be_made(httpd):
    httpd.allow(r'app blocked: the log file ".*/none/deep/out" cannot be opened')
    start(httpd, "blocked", "AppCoreStdoutLogFile none/deep/out")
    get(httpd, "/blocked/print?one")
    httpd.wait_log("app blocked: one")
