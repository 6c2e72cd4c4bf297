# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Log entries of ASP.NET Core apps in httpd's error log: one line each, with the level,
unless the app wants another format."""

import glob
import json
import os
import re

import pytest

import dotnet
import env as environment
from processes import wait_for

FORMATTER = "AppCoreEnvironmentVariable Logging__Console__FormatterName"
APPS = {
    "web": "", "generic": "", "webhost": "", "simple": f"{FORMATTER} simple",
    "json": f"{FORMATTER} json", "filed": "AppCoreStdoutLogFile out",
    "tcp": "AppCoreListen tcp",
}


@pytest.fixture(scope="module")
def httpd(env):
    companions = os.path.join(os.path.dirname(environment.MODULE), "appcore", "net*")
    if not glob.glob(companions):
        pytest.skip("the companion was not built")
    with open(os.path.join(environment.HERE, "apps", "shapes", "Program.cs"),
              encoding="utf-8") as f:
        published = dotnet.program(f.read(), "shapes")
    text = ""
    for name, directive in APPS.items():
        text += f"""
<AppCoreApp {name}>
    AppCorePath {dotnet.app(env, name, published)}
    AppCoreEnvironmentVariable SHAPE {name if name in ("generic", "webhost") else "web"}
    {directive}
</AppCoreApp>
AppCoreMount /{name} {name}
"""
    env.start(text)
    return env


def logged(httpd, name):
    httpd.allow(rf"app {name}: ")
    assert httpd.get(f"/{name}/log").status == 200
    httpd.wait_log(rf"app {name}: .*the end")
    return re.findall(rf"\[appcore:(\w+)\] \[pid \d+\] app {name}: (.*)",
                      httpd.recent_log())


@pytest.mark.parametrize("name", ["web", "generic", "webhost"])
def test_an_entry_is_a_line_with_its_level(httpd, name):
    entries = [e for e in logged(httpd, name) if e[1].startswith("Sample[0] ")]
    assert entries[0] == ("info", "Sample[0] an entry of two lines")
    assert entries[1] == ("warn", 'Sample[0] take "care"')
    assert entries[2] == ("error", "Sample[0] it failed "
                          "System.InvalidOperationException: on purpose")
    assert entries[3] == ("crit", "Sample[0] the end")


def test_formatter_of_the_app(httpd):
    lines = [text for level, text in logged(httpd, "simple")]
    at = lines.index("      an entry")
    assert lines[at - 1:at + 2] == ["info: Sample[0]", "      an entry",
                                    "      of two lines"]


def test_json_stays_json(httpd):
    entries = [json.loads(text) for level, text in logged(httpd, "json")
               if text.startswith("{")]
    sample = {e["LogLevel"]: e["Message"] for e in entries if e["Category"] == "Sample"}
    assert sample["Information"] == "an entry\nof two lines"
    assert sample["Warning"] == 'take "care"'


def test_not_where_the_output_goes_elsewhere(httpd):
    assert httpd.get("/filed/log").status == 200
    name, = glob.glob(httpd.path("apps", "filed", "out_*.log"))

    def text():
        with open(name, encoding="utf-8") as f:
            return f.read()
    wait_for(lambda: "the end" in text())
    assert "info: Sample[0]" in text() and "<6>" not in text()


def test_not_without_the_companion(httpd):
    assert ("info", "warn: Sample[0]") in logged(httpd, "tcp")
