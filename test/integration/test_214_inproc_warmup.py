# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""AppCoreWarmUpPath and application initialization of an app in process: asked before
it counts as ready, as out of process."""

import re
import time

import pytest

import client
import inproc
from processes import wait_for

pytestmark = pytest.mark.mpm
WEB_CONFIG = """<configuration><system.webServer>
<aspNetCore processPath="dotnet" />
<applicationInitialization>
<add initializationPage="/note?page=1" />
<add initializationPage="/status?404" />
<add initializationPage="note?page=2" />
</applicationInitialization></system.webServer></configuration>
"""
# Children come and go until the app is no longer hosted.
FEW = "AppCoreRapidFailsPerMinute 2"
GIVEN_UP = r"app \w+ is no longer hosted in process"


@pytest.fixture
def httpd(env):
    env.write("htdocs", "still.txt", text="there")
    yield env
    env.stop()


def start(env, name, *lines, mount=None):
    folder = inproc.build(env, name, "warm")
    env.start("MaxRequestWorkers 16\nAppCoreDetailedErrors On\n"
              + inproc.app(name, folder, *lines, mount=mount))


def test_asked_before_it_is_ready(httpd):
    start(httpd, "warm", "AppCoreWarmUpPath /note?first /later /note?then")
    httpd.wait_log("app warm runs in process")
    text = httpd.log_text()
    assert re.search(r"app warm\W+noted /warm/note\?first at localhost:"
                     rf"{httpd.port} over http from 127\.0\.0\.1", text)
    assert re.search(r"noted /warm/note\?first(?s:.*)noted /warm/note\?then(?s:.*)"
                     r"app warm runs in process", text)
    assert int(re.search(r"ready after (\d+) ms", text)[1]) >= 300
    assert client.request(httpd.port, "/warm/").status == 200


def test_redirect_is_followed(httpd):
    start(httpd, "moved", "AppCoreWarmUpPath /redirect?/moved/note?once "
          "/redirect?http://elsewhere.example/")
    httpd.wait_log("app moved runs in process")
    wait_for(lambda: httpd.log_text().count("noted /moved/note?once")
             == httpd.log_text().count("app moved runs in process"), 20, "one per child")


@pytest.mark.parametrize("path", ["/endless", "/begin"])
def test_answer_without_an_end(httpd, path):
    name = path.strip("/")
    start(httpd, name, f"AppCoreWarmUpPath {path}", "AppCoreStartupTimeLimit 60")
    httpd.wait_log(f"app {name} runs in process")
    assert client.request(httpd.port, f"/{name}/").status == 200


def test_mount_that_is_spelt_otherwise_in_urls(httpd):
    start(httpd, "spelt", "AppCoreWarmUpPath /note", mount='"/caf\u00e9 au lait"')
    httpd.wait_log("app spelt runs in process")
    assert "noted /caf%C3%A9%20au%20lait/note at" in httpd.log_text()


@pytest.mark.parametrize("path, why", [
    ("/status?500", "was answered with status 500"),
    ("/redirect?/sick/status?404", "/sick/status.404 .* was answered with status 404"),
    ("/fail", "was not answered"),
    ("/declined", "was answered with status 404")])
def test_bad_answer_is_a_failed_start(httpd, path, why):
    """Children try again; the rest of the server goes on."""
    httpd.allow("app sick", GIVEN_UP)
    start(httpd, "sick", f"AppCoreWarmUpPath {path}", FEW)
    httpd.wait_log(r"app sick did not start in process \(500\.30\): the warm-up request "
                   rf"for .*{why}")
    httpd.wait_log(GIVEN_UP, 30)
    assert client.request(httpd.port, "/still.txt").text == "there"
    wait_for(lambda: client.request(httpd.port, "/sick/").status == 503, 20, "503")


def test_page_that_takes_too_long(httpd):
    httpd.allow("app slow")
    start(httpd, "slow", "AppCoreWarmUpPath /never", "AppCoreStartupTimeLimit 1",
          "AppCoreShutdownTimeLimit 2", "AppCoreHandlerSetting "
          "suppressRecycleOnStartupTimeout true")
    httpd.wait_log(r"app slow did not start in process \(500\.37\): the warm-up request "
                   r"for /slow/never \(AppCoreWarmUpPath\) was not answered within")
    answer = client.request(httpd.port, "/slow/")
    assert answer.status == 500 and "/slow/never" in answer.text


def test_initialization_pages(httpd):
    httpd.allow("app initial was asked for its initialization page /initial/status.404")
    folder = inproc.build(httpd, "initial", "warm")
    httpd.write("apps", "initial", "web.config", text=WEB_CONFIG)
    httpd.start("MaxRequestWorkers 16\n"
                + inproc.app("initial", folder, "AppCoreProcessPath warm.so"))
    httpd.wait_log("app initial runs in process")
    text = httpd.log_text()
    assert "noted /initial/note?page=1" in text and "noted /initial/note?page=2" in text
    assert "status?404, which was answered with status 404" in text
    assert "<applicationInitialization> needs" not in text


@pytest.mark.quiet
def test_short_limit_counts_from_the_start(httpd):
    httpd.allow("app hang", "ended while it hosted")
    folder = inproc.build(httpd, "hang")
    before = time.monotonic()
    httpd.start(inproc.app("hang", folder, "AppCoreEnvironmentVariable MODE never",
                           "AppCoreStartupTimeLimit 1", "AppCoreHandlerSetting "
                           "suppressRecycleOnStartupTimeout true"))
    httpd.wait_log(r"app hang did not start in process \(500\.37\)")
    assert 1 <= time.monotonic() - before < 4
