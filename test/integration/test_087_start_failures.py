# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""ASP.NET Core apps that do not start, each for another reason: the detailed page says
what is wrong, what shows it and what helps, and the error log says the same."""

import html
import json
import os
import re
import socket

import pytest

import dotnet
import env as environment
from dotnet import put, remove
from processes import wait_for

PROGRAM = os.path.join(environment.HERE, "apps", "failing", "Program.cs")
ELF_MACHINE = 18
AARCH64 = (183).to_bytes(2, "little")


def mode(name, bits):
    return lambda folder: os.chmod(os.path.join(folder, name), bits)


def framework(version, **options):
    """The runtimeconfig.json, with another version asked for."""
    def prepare(folder):
        path = os.path.join(folder, "Own.runtimeconfig.json")
        with open(path, encoding="utf-8") as f:
            config = json.load(f)
        config["runtimeOptions"].update(options)
        for one in config["runtimeOptions"]["frameworks"]:
            one["version"] = version or one["version"]
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f)
    return prepare


def other_processor(folder):
    with open(os.path.join(folder, "Own"), "r+b") as f:
        f.seek(ELF_MACHINE)
        f.write(AARCH64)


def nothing(_folder):
    pass


def fail(how):
    return f"AppCoreEnvironmentVariable FAIL {how}\n"


APPHOST = "AppCoreProcessPath ./Own\n"
NEEDS = "The app needs another .NET runtime"
# What is done to the folder, the app's directives, what the page says: the reason, the
# evidence, the help.
CASES = {
    "no-program": (nothing, "AppCoreProcessPath /no/such/dotnet\n",
                   ["names /no/such/dotnet, which is not there",
                    "check the path, the permissions and the processor"]),
    "not-executable": (mode("Own", 0o644), APPHOST,
                       ["Own, which may not be executed by the app's user (chmod +x)"]),
    "no-dll": (remove("Own.dll"), "",
               ["Own.dll is not in {folder}: the deployment is incomplete"]),
    "apphost-no-dll": (remove("Own.dll"), APPHOST,
                       ["The program's .dll is missing",
                        "The application to execute does not exist: '{folder}/Own.dll'",
                        "copy the whole publish output"]),
    "no-runtimeconfig": (remove("Own.runtimeconfig.json"), "",
                         ["not complete publish output", "'libhostpolicy.so'",
                          "run 'dotnet publish'"]),
    "no-framework": (framework("2.9.9", rollForward="LatestPatch"), "",
                     [NEEDS, "'Microsoft.NETCore.App', version '2.9.9'",
                      "| found: {runtime} at [", "DOTNET_ROLL_FORWARD=Major"]),
    "newer-framework": (framework("99.0.0"), APPHOST,
                        [NEEDS, "version '99.0.0'", "found: {runtime}"]),
    "roll-forward": (nothing, "AppCoreEnvironmentVariable DOTNET_ROLL_FORWARD Further\n",
                     ["DOTNET_ROLL_FORWARD has a value that .NET does not know",
                      "Invalid value for environment variable 'DOTNET_ROLL_FORWARD'",
                      "LatestMajor or Disable"]),
    "bad-runtimeconfig": (put("Own.runtimeconfig.json", "{ \"runtimeOptions\": "), "",
                          [".runtimeconfig.json or .deps.json is damaged",
                           "Failed to parse file [{folder}/Own.runtimeconfig.json]",
                           "deploy again"]),
    "bad-deps": (put("Own.deps.json", "{"), "",
                 [".runtimeconfig.json or .deps.json is damaged", "Own.deps.json]",
                  "deploy again"]),
    "corrupt-dll": (put("Own.dll", "no program at all"), "",
                    ["A .dll is damaged", "System.BadImageFormatException",
                     "deploy again"]),
    "no-assembly": (nothing, "AppCoreListen tcp\n"
                    "AppCoreEnvironmentVariable DOTNET_STARTUP_HOOKS /no/such/Hook.dll\n",
                    ["A .dll that the app needs is missing", "/no/such/Hook.dll",
                     "copy the whole publish output"]),
    "no-library": (nothing, fail("library"),
                   ["A native library that the app needs is missing",
                    "Unable to load shared library 'no-such-library'", "its package"]),
    "bad-settings": (put("appsettings.json", '{ "a": '), "",
                     ["appsettings.json is not valid JSON",
                      "Failed to load configuration from file '{folder}/appsettings",
                      "LineNumber: "]),
    "throws": (nothing, fail("throw"),
               ["The app threw while it started",
                "System.InvalidOperationException: no <database> to be had | at "]),
    "hosted": (nothing, fail("hosted"),
               ["The app threw while it started", "the queue is not there | at Failing"]),
    "limits": (nothing, "AppCoreLimit as 2000000000\n",
               ["a limit is too tight", "AppCoreLimit as"]),
    "overflow": (nothing, fail("overflow") + "AppCoreLimit core 0\n",
                 ["The app ran out of stack", "Stack overflow.", "endless recursion"]),
    "exits": (nothing, fail("exit"),
              ["with exit code 12", "the license has expired",
               "The program itself decided to end"]),
    "silent": (nothing, fail("hang") + "AppCoreStartupTimeLimit 2\n",
               ["did not accept connections within 2 seconds (AppCoreStartupTimeLimit)",
                "waiting for a lock", "does not listen where it is told"]),
    "other-processor": (other_processor, APPHOST,
                        ["Exec format error", "built for another processor"]),
    "port-taken": (nothing, "AppCoreEnvironmentVariable ASPNETCORE_PORT {port}\n",
                   ["port {port} is listened to by user id 0",
                    "Another program took the app's port"]),
    "unreadable": (mode("Own.dll", 0o000), "",
                   ["Own.dll", "cannot be read by the app's user"]),
}
NEEDS_ROOT = ("port-taken", "unreadable")


def block(name, folder, directives):
    return f"<AppCoreApp {name}>\nAppCorePath {folder}\n{directives}</AppCoreApp>\n" \
           f"AppCoreMount /{name} {name}\n"


@pytest.fixture(scope="module")
def httpd(env):
    with open(PROGRAM, encoding="utf-8") as f:
        published = dotnet.program(f.read())
    runtime = re.search(r"Microsoft\.NETCore\.App (\S+)",
                        dotnet.run("--list-runtimes")).group(1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        env.words = {"port": taken.getsockname()[1], "runtime": runtime}
        text = "AppCoreDetailedErrors On\nAppCoreRapidFailsPerMinute 100\n"
        for name, (prepare, directives, _) in CASES.items():
            if name in NEEDS_ROOT and not environment.AS_ROOT:
                continue
            folder = dotnet.app(env, name, published)
            prepare(folder)
            text += block(name, folder, directives.format(**env.words))
        for name, directives in (("plain", fail("throw")), ("works", ""), (
                "configure", fail("configure")), ("bare", fail("exit")
                + "AppCoreDisableStartUpErrorPage On\n"), ("link", fail("exit")
                + "AppCoreEnvironmentVariable ANCM_ADDITIONAL_ERROR_PAGE_LINK "
                "https://help.example/x\n")):
            text += block(name, dotnet.app(env, name, published), directives + (
                "AppCoreDetailedErrors Off\n" if name == "plain" else ""))
        env.always_allowed = [r"app [-\w]+: ", r"app [-\w]+ does not run"]
        env.start(text)
        yield env


def on_page(answer):
    assert answer.text.rstrip().endswith("</html>")
    return html.unescape(re.sub("<[^>]*>", " ", answer.text))


@pytest.mark.parametrize("name", CASES)
def test_says_what_is_wrong(httpd, name):
    if name in NEEDS_ROOT and not environment.AS_ROOT:
        pytest.skip("needs apps of other users")
    words = [word.format(folder=httpd.path("apps", name), **httpd.words)
             for word in CASES[name][2]]
    answer = httpd.get(f"/{name}/")
    page = on_page(answer)
    assert answer.status == 502, page
    assert "HTTP Error 502.5 - The app failed to start" in page
    for word in words:
        assert word in page, f"{word!r} is not on the page: {page}"
    pattern = rf"app {name}: did not start; .*"
    line = wait_for(lambda: re.search(pattern, httpd.log_text()), what=pattern).group(0)
    assert words[0] in line
    assert httpd.get("/works/").text == "runs"


def test_page_has_ancms_parts(httpd):
    answer = httpd.get("/throws/")
    at = 0
    for part in ("<title>HTTP Error 502.5 - ", "<h1>HTTP Error 502.5 - ",
                 "<h2>Common solutions to this issue:</h2>",
                 "<h2>Specific error detected:</h2>", "<h2>Troubleshooting steps:</h2>",
                 "For more information visit: <a href=", "</html>"):
        at = answer.text.index(part, at)
    again = httpd.get("/link/").text
    assert '<a href="https://help.example/x"><cite>' in again
    assert httpd.get("/link/").text.count("<h1>") == 1


def test_public_page_names_no_reason(httpd):
    answer = httpd.get("/plain/")
    assert answer.status == 502 and "502.5" in answer.text
    for word in ("database", "Exception", "Own.dll", "Specific error"):
        assert word not in answer.text
    assert "no <database> to be had" in httpd.log_text()


def test_start_up_exceptions_that_the_app_shows_itself(httpd):
    """CaptureStartupErrors, which the integration for IIS switches on: what Configure
    throws is the app's own page, and the app runs on."""
    answer = httpd.get("/configure/")
    assert answer.status == 500 and answer.header("Server") == "Kestrel", answer
    assert "appcore" not in answer.text.lower()
    assert len(httpd.app_processes(httpd.path("apps", "configure"))) == 1
    assert "Application startup exception" in httpd.log_text()
