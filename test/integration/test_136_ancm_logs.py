# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Acceptance list of the ASP.NET Core Module: what becomes of the app's output."""

import os
import re

import pytest

from acceptance import Site, hosting_model, ids, outside  # noqa: F401
from processes import wait_for

NAME = re.compile(r"stdout_\d{14}_\d+\.log$")
STDOUT = {"stdoutLogEnabled": "true", "stdoutLogFile": ".\\logs\\stdout"}
# Apps whose output goes to files of web.config: mode and prefix.
FILES = {
    "written": ("", ".\\logs\\stdout"),
    "out-first": ("ConsoleWriteStartServer", ".\\logs\\stdout"),
    "err-first": ("ConsoleErrorWriteStartServer", "logs/stdout"),
    "foreign": ("ConsoleWriteForeign", ".\\\u5f61\u2f94\\stdout"),
}


@pytest.fixture(scope="module")
def site(env, hosting_model):  # noqa: F811
    made = Site(env, hosting_model)
    for name, (mode, prefix) in FILES.items():
        made.add(name, mode, stdoutLogEnabled="true", stdoutLogFile=prefix)
    made.add("errorlog", "ConsoleWriteForeign")
    made.add("blocked", **STDOUT)
    made.write("blocked", "logs", "a file where the folder should be")
    made.add("traced", variables={"COREHOST_TRACE": "1", "COREHOST_TRACE_VERBOSITY": "4"},
             **STDOUT)
    made.add("muted", settings={"enableOutOfProcessConsoleRedirection": "false"})
    made.add("debugged", settings={"debugLevel": "file",
                                   "debugFile": "subdirectory\\debug.txt"})
    made.add("debugged-env", variables={"ASPNETCORE_MODULE_DEBUG": "file"})
    return made.start()


def logs(site, app):
    folder = os.path.dirname(site.path(app, FILES.get(app, ("", STDOUT["stdoutLogFile"]))
                                       [1].replace(".\\", "").replace("\\", "/")))
    return [os.path.join(folder, n) for n in os.listdir(folder)] \
        if os.path.isdir(folder) else []


def log_text(site, app):
    text = b""
    for name in logs(site, app):
        with open(name, "rb") as f:
            text += f.read()
    return text


@ids("LG1", "LG9", "V13")
def test_file_of_web_config(site):
    for path in ("/ConsoleWrite", "/ConsoleErrorWrite"):
        site.text_of(path, "written")
    wait_for(lambda: log_text(site, "written").count(b"TEST MESSAGE\n") == 2)
    name, = logs(site, "written")
    assert NAME.search(name)
    assert name.endswith(f"_{site.pid('written')}.log")
    assert b"\r" not in log_text(site, "written")


@ids("LG13")
@pytest.mark.parametrize("app", ["out-first", "err-first"])
def test_first_line_is_not_lost(site, app):
    site.text_of("/HelloWorld", app)
    wait_for(lambda: b"TEST MESSAGE\n" in log_text(site, app))


@ids("LG8")
def test_every_character_survives(site):
    site.text_of("/HelloWorld", "foreign")
    wait_for(lambda: "\u5f61\u2f94".encode() in log_text(site, "foreign"))
    site.text_of("/HelloWorld", "errorlog")
    # httpd escapes such bytes in its log, as in every line.
    wait_for(lambda: "\u5f61\u2f94" in site.env.log_text()
             or "\\xe5\\xbd\\xa1\\xe2\\xbe\\x94" in site.env.log_text())


@ids("LG2", "V13")
def test_file_that_cannot_be_made(site):
    site.env.allow("appcore:(warn|error)")
    assert site.text_of("/HelloWorld", "blocked") == "Hello World"
    site.text_of("/ConsoleWrite", "blocked")
    site.env.wait_log(r"app blocked: .*logs")


@ids("LG14", "LG9")
def test_trace_of_the_host(site):
    site.text_of("/HelloWorld", "traced")
    wait_for(lambda: b"Invoked" in log_text(site, "traced")
             and b"hostfxr" in log_text(site, "traced"))
    assert len(logs(site, "traced")) == 1


@outside
@ids("LG11")
def test_no_redirection(site):
    site.text_of("/ConsoleWrite", "muted")
    site.text_of("/HelloWorld", "muted")
    assert "app muted: TEST MESSAGE" not in site.env.recent_log()


@ids("LG3")
@pytest.mark.parametrize("app", ["debugged", "debugged-env"])
def test_debug_log_is_the_error_log(site, app):
    """Nothing is written beside the app: LogLevel appcore:trace is the debug log."""
    site.text_of("/HelloWorld", app)
    assert not os.path.exists(site.path(app, "subdirectory"))
    assert not os.path.exists(site.path(app, "aspnetcore-debug.log"))
