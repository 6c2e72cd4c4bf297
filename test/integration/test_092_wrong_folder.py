# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Folders in which nothing can be run: what is wrong is on the page and in the log,
and only that app is affected."""

import html
import os
import shutil

import pytest

from kinds import LISTEN, NOTHING, PYTHON, WEB_CONFIG
from processes import wait_for

# What is wrong in a folder, the status, the words on the page.
WRONG = {
    "empty": (NOTHING, "", "500.0", [
        "nothing to run was found in", "looked for: AppCoreProcessPath",
        "web.config with", "NAME.runtimeconfig.json", "Procfile", "package.json",
        "asgi.py", "main.py", "wsgi.py", "config.ru"]),
    "worker": ({"Work.runtimeconfig.json": '{"runtimeOptions": {"framework":'
                ' {"name": "Microsoft.NETCore.App", "version": "10.0.0"}}}',
                "Work.dll": ""}, "", "500.0",
               ["that of a worker or console app, which does not listen"]),
    "two": ({n + s: '{"runtimeOptions":'
             ' {"framework": {"name": "Microsoft.AspNetCore.App"}}}'
             for n in ("One", "Two") for s in (".runtimeconfig.json", ".dll")}, "",
            "500.0", ["more than one ASP.NET Core app (One,Two)"]),
    "no-web-line": ({"Procfile": "worker: run\n"}, "", "500.0",
                    ["Procfile has no web: line"]),
    "no-program": ({"Procfile": "web: no-such-program --x\n"}, "", "502.5",
                   ["no-such-program", "was found neither in"]),
    "bad-json": ({"package.json": '{"main": "x.js"'}, "", "500.0", ["package.json"]),
    "malformed": ({"web.config": "<configuration>\n<system.webServer>\n"}, "",
                  "500.19", ["web.config, line 3: it is not well-formed XML: no element"
                             " found"]),
    "open-tag": ({"web.config": WEB_CONFIG.format(inner="<aspNetCore>")}, "", "500.19",
                 ["web.config, line 10: it is not well-formed XML: mismatched tag"]),
    "no-path": ({"web.config": WEB_CONFIG.format(inner="<aspNetCore arguments='x' />")},
                "", "500.0",
                ["web.config, line 9: Attribute 'processPath' is required."]),
    "range": ({"web.config": WEB_CONFIG.format(
        inner='<aspNetCore processPath="dotnet" startupTimeLimit="3601" />')}, "",
        "500.19", ["web.config, line 9: attribute 'startupTimeLimit' is \"3601\"",
                   "between 0 and 3600"]),
    "model": ({"web.config": WEB_CONFIG.format(
        inner='<aspNetCore processPath="dotnet" hostingModel="somewhere" />')}, "",
        "500.0", ["Unknown hosting model 'somewhere'"]),
    "no-dll": ({"web.config": WEB_CONFIG.format(
        inner='<aspNetCore processPath="dotnet" arguments=".\\Gone.dll" />')}, "",
        "502.5", ["Gone.dll is not in", "deployment is incomplete"]),
    "launcher": ({"web.config": WEB_CONFIG.format(
        inner='<aspNetCore processPath="%LAUNCHER_PATH%"'
              ' arguments="%LAUNCHER_ARGS%" />')}, "",
        "500.0", ["the folder of the project", "dotnet publish"]),
    "rules": ({"web.config": WEB_CONFIG.format(inner=f"""
        <aspNetCore processPath="{PYTHON}" arguments="listen.py" />
        <security><authorization><deny users="?" /></authorization></security>""")},
        "", "500.19", ["restricts access", "security/authorization in line 11",
                       "AppCoreWebConfig IgnoreAccessRules"]),
    "listen": ({"Procfile": f"web: {PYTHON} listen.py --port $PORT\n"},
               "AppCoreListen socket", "502.5", ["AppCoreListen socket"]),
    "ports": (NOTHING, f"AppCoreProcessPath {PYTHON}\n"
              "AppCoreEnvironmentVariable PORT 80", "502.5",
              ["PORT is \"80\"", "1025 to 48000"]),
}


def block(name, folder, directives):
    return f"<AppCoreApp {name}>\nAppCorePath {folder}\n{directives}\n</AppCoreApp>\n" \
           f"AppCoreMount /{name} {name}\n"


def give_program(env, folder):
    program = os.path.join(folder, "listen.py")
    shutil.copy(LISTEN, program)
    env.give(program, env.owner())


@pytest.fixture(scope="module")
def httpd(env):
    text = "AppCoreDetailedErrors On\n"
    for name, (files, directives, _, _) in WRONG.items():
        text += block(name, env.app(name, files=files), directives)
    allowed = env.app("allowed", files={"web.config": WRONG["rules"][0]["web.config"]})
    give_program(env, allowed)
    text += block("allowed", allowed, "AppCoreWebConfig IgnoreAccessRules")
    env.always_allowed = [r"\[appcore:\w+\].* app [-\w]+: ", r"app [-\w]+ does not run"]
    env.start(text)
    return env


def ask(httpd, name):
    return httpd.get(f"/{name}/")


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(httpd, name):
    _, _, status, words = WRONG[name]
    if name == "no-dll" and not shutil.which("dotnet"):
        pytest.skip("without dotnet that is what is missed first")
    answer = ask(httpd, name)
    assert answer.status == int(status[:3]), answer
    page = html.unescape(answer.text)
    assert status in page
    for word in words:
        assert word in page, f"{word!r} is not on the page: {page}"
    wait_for(lambda: words[0][:40] in httpd.log_text(), 5, "the same in the log")


def test_wrong_folder_is_looked_at_again(httpd):
    """What was missing is there after all: no reload is needed."""
    folder = httpd.path("apps", "no-web-line")
    assert ask(httpd, "no-web-line").status == 500
    give_program(httpd, folder)
    with open(os.path.join(folder, "Procfile"), "a", encoding="ascii") as f:
        f.write("web: python3 listen.py\n")
    wait_for(lambda: ask(httpd, "no-web-line").status == 200, 15, "the repaired app")


def test_no_process_for_a_wrong_folder(httpd):
    for name in ("empty", "rules", "malformed"):
        assert httpd.app_processes(httpd.path("apps", name)) == []
    assert ask(httpd, "allowed").status == 200


def test_access_rules_can_be_ignored(httpd):
    assert ask(httpd, "allowed").json()["how"] == "port"
    assert "access rules are ignored, as AppCoreWebConfig says" in httpd.log_text()
