# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What a web.config says happens: limits, variables, logs; and who wins where httpd's
configuration says something else."""

import glob
import os
import pwd
import re
import shutil
import time

import pytest

import env as environment
import processes
from processes import wait_for

PYTHON = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")
WEB_CONFIG = """\
<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <system.webServer>
    <aspNetCore processPath="{python}" arguments="plain.py" {attributes}>
      <environmentVariables>{variables}</environmentVariables>
      <handlerSettings>{handlers}</handlerSettings>
    </aspNetCore>
    {more}
  </system.webServer>
</configuration>
"""
VARIABLE = '<environmentVariable name="{}" value="{}" />'


def web_config(attributes="", more="", handlers="", **variables):
    return WEB_CONFIG.format(
        python=PYTHON, attributes=attributes, more=more, handlers=handlers,
        variables="".join(VARIABLE.format(*pair) for pair in variables.items()))


# Web.config and the directives of the app.
APPS = {
    "limits": (web_config('shutdownTimeLimit="33"'), ""),
    "overruled": (web_config('shutdownTimeLimit="33"', A="web.config", B="web.config",
                             C="web.config"),
                  "AppCoreShutdownTimeLimit 21\nAppCoreEnvironmentVariable A app\n"),
    "logging": (web_config('stdoutLogEnabled="true" stdoutLogFile=".\\logs\\stdout"'),
                ""),
    "unlogged": (web_config('stdoutLogEnabled="false" stdoutLogFile=".\\logs\\stdout"'),
                 ""),
    "silent": (web_config(handlers='<handlerSetting value="FALSE"'
                          ' name="enableoutofprocessconsoleredirection" />'), ""),
    "blocked": (web_config('stdoutLogEnabled="true" stdoutLogFile=".\\file\\stdout"'),
                ""),
    "drive": (web_config('stdoutLogEnabled="true" stdoutLogFile="C:\\logs\\stdout"'), ""),
    "impatient": (web_config('requestTimeout="00:00:01"'), ""),
    "late": (web_config('startupTimeLimit="1"', START_NEVER_LISTEN="1"), ""),
    "fragile": (web_config('rapidFailsPerMinute="0"', START_EXIT="3"), ""),
    "bare": (web_config('disableStartUpErrorPage="true"', START_EXIT="3"),
             "AppCoreDetailedErrors On\n"),
    "double": (web_config('processesPerApplication="2"'), ""),
    "small": (web_config(more="<security><requestFiltering><requestLimits"
                              " maxAllowedContentLength='1000' /></requestFiltering>"
                              "</security>"), ""),
    "others": (web_config(more="<httpCompression /><rewrite><rules><rule name='x' />"
                               "</rules></rewrite><unheardOf />"), ""),
}


@pytest.fixture(scope="module")
def httpd(env):
    text = """
AppCoreShutdownTimeLimit 55
AppCoreEnvironmentVariable A server
AppCoreEnvironmentVariable B server
AppCoreEnvironmentVariable D server
"""
    for name, (config, directives) in APPS.items():
        folder = env.app(name, "plain")
        with open(os.path.join(folder, "web.config"), "w", encoding="utf-8-sig") as f:
            f.write(config)
        if name == "blocked":
            env.write("apps", name, "file", text="no folder")
        env.give_tree(folder, env.owner())
        text += f"<AppCoreApp {name}>\nAppCorePath {folder}\n{directives}" \
                f"</AppCoreApp>\nAppCoreMount /{name} {name}\n"
    env.always_allowed = [r"app (late|fragile|bare): ",
                          r"app (late|fragile|bare) does not run"]
    env.expected = {env.path("apps", "double"): 2}
    env.start(text)
    return env


def environ(httpd, name):
    answer = httpd.get(f"/{name}/self")
    assert answer.status == 200, answer
    return answer.json()["env"]


def test_precedence_of_a_limit(httpd):
    """App over web.config over server; seen in what the app is told of it."""
    name = "ASPNETCORE_SHUTDOWNTIMEOUTSECONDS"
    assert environ(httpd, "overruled")[name] == "20"
    assert environ(httpd, "limits")[name] == "32"
    assert environ(httpd, "impatient")[name] == "54"


def test_precedence_of_variables(httpd):
    found = environ(httpd, "overruled")
    assert [found[n] for n in "ABCD"] == ["app", "web.config", "web.config", "server"]
    assert environ(httpd, "limits")["A"] == "server"


def test_output_goes_to_the_file_it_names(httpd):
    assert httpd.get("/logging/print?text=into+the+file").text == "printed"
    pattern = httpd.path("apps", "logging", "logs", "stdout_*.log")
    def written():
        files = glob.glob(pattern)
        return [f for f in files if b"into the file" in open(f, "rb").read()]
    found, = wait_for(written, what=f"a line in {pattern}")
    pid = httpd.app_processes(httpd.path("apps", "logging"))[0]
    assert re.search(rf"stdout_\d{{14}}_{pid}\.log$", found)
    if environment.AS_ROOT:
        assert os.stat(found).st_uid == pwd.getpwnam(environment.APP_USERS[0]).pw_uid
    assert "into the file" not in httpd.log_text()


@pytest.mark.parametrize("name", ["unlogged", "drive"])
def test_output_goes_to_the_error_log_otherwise(httpd, name):
    """Every published web.config says "false", which is nobody's wish."""
    httpd.get(f"/{name}/print?text=into+the+log")
    wait_for(lambda: f"app {name}: into the log" in httpd.recent_log())
    assert not glob.glob(httpd.path("apps", name, "**", "stdout*"), recursive=True)
    if name == "drive":
        assert "is a path of Windows" in httpd.log_text()


def test_log_file_that_cannot_be_made(httpd):
    """The app runs, and the log says why there is no file."""
    httpd.allow(r"app blocked: the log")
    assert httpd.get("/blocked/pid").status == 200
    wait_for(lambda: re.search(r'app blocked: the log .*file/stdout.* cannot be opened',
                               httpd.log_text()), what="the line in the log")


def test_output_can_be_switched_off(httpd):
    assert httpd.get("/silent/print?text=into+nothing").text == "printed"
    httpd.get("/unlogged/print?text=behind+it")
    wait_for(lambda: "app unlogged: behind it" in httpd.recent_log())
    assert "into nothing" not in httpd.log_text()


def test_request_timeout(httpd):
    httpd.allow("app impatient")
    began = time.monotonic()
    assert httpd.get("/impatient/slow?ms=5000").status == 504
    assert 0.9 < time.monotonic() - began < 4
    assert httpd.get("/impatient/pid").status == 200


def test_startup_time_limit(httpd):
    began = time.monotonic()
    assert httpd.get("/late/").status == 502
    assert 0.9 < time.monotonic() - began < 6


def test_rapid_fails(httpd):
    """None is tolerated: after the first failed start requests are refused."""
    assert httpd.get("/fragile/").status in (502, 503)
    answer = wait_for(lambda: [a for a in [httpd.get("/fragile/")] if a.status == 503],
                      10, "the breaker's 503")[0]
    assert int(answer.header("Retry-After")) > 0
    assert "app fragile: failed more than 0 times within a minute" in httpd.log_text()


def test_start_up_error_page_can_be_off(httpd):
    answer = httpd.get("/bare/")
    assert answer.status == 502
    assert "502.5" not in answer.text and "plain.py" not in answer.text


def test_processes(httpd):
    httpd.get("/double/pid")
    folder = httpd.path("apps", "double")
    wait_for(lambda: len(httpd.app_processes(folder)) == 2, what="two processes")
    environments = {processes.read(p, "environ").split(b"APPCORE_PROCESS=")[1][:1]
                    for p in httpd.app_processes(folder)}
    assert environments == {b"0", b"1"}


def test_content_length(httpd):
    httpd.allow("app small")
    def post(**options):
        return httpd.get("/small/echo", method="POST", **options)
    assert post(body=bytes(1000)).body == bytes(1000)
    assert post(body=bytes(1001)).status == 413
    pieces = [bytes(500)] * 3
    assert post(body=iter(pieces[:2])).status == 200
    assert post(body=iter(pieces)).status == 413
    assert httpd.get("/limits/echo", method="POST", body=bytes(5000)).status == 200


def test_what_has_no_effect_is_named(httpd):
    assert httpd.get("/others/pid").status == 200
    log = httpd.log_text()
    for words in ("<httpCompression> has no effect; httpd has",
                  "<rewrite> has no effect; httpd has", "<unheardOf> is not known"):
        assert f"app others: web.config: {words}" in log
