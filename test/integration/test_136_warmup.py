# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""AppCoreWarmUpPath: asked before a process is ready, and judged; the pages of a
web.config's application initialization: asked."""

import json
import os

import pytest

import processes
from processes import wait_for

WEB_CONFIG = """<?xml version="1.0"?>
<configuration><system.webServer>
<aspNetCore processPath="/usr/bin/env" arguments="python3 plain.py" />
<applicationInitialization>
<add initializationPage="/remember?page=1" />
<add initializationPage="/status?code=404" />
<add initializationPage="remember?page=2" hostName="shop.example" />
</applicationInitialization></system.webServer></configuration>
"""
CONF = """
<AppCoreApp warm>
    AppCorePath {root}/apps/warm
    AppCoreWarmUpPath /slow?ms=300 /remember /redirect?to=/warm/remember%3Fagain
    AppCoreWarmUpPath /redirect?to=http://elsewhere.example/ /stream?n=2&ms=10
    AppCoreWarmUpPath /interim?n=16 /bytes?n=3000000
</AppCoreApp>
AppCoreMount /warm warm
<AppCoreApp spelt>
    AppCorePath {root}/apps/spelt
    AppCoreWarmUpPath /remember /redirect?to=/caf%25C3%25A9%2520au%2520lait/remember
</AppCoreApp>
AppCoreMount "/caf\u00e9 au lait" spelt
<AppCoreApp sick>
    AppCorePath {root}/apps/sick
    AppCoreDetailedErrors On
    AppCoreWarmUpPath {sick}
    AppCoreStartupTimeLimit 3
</AppCoreApp>
AppCoreMount /sick sick
<AppCoreApp eager>
    AppCorePath {root}/apps/eager
    AppCoreListen tcp
    AppCoreStartMode AlwaysRunning
</AppCoreApp>
AppCoreMount /eager eager
<AppCoreApp lazy>
    AppCorePath {root}/apps/lazy
    AppCoreListen tcp
</AppCoreApp>
AppCoreMount /lazy lazy
"""


@pytest.fixture(scope="module")
def httpd(env):
    for name in ("warm", "spelt", "sick", "eager", "lazy"):
        env.app(name, "plain")
    for name in ("eager", "lazy"):
        env.write("apps", name, "web.config", text=WEB_CONFIG)
    env.always_allowed += ["initialization page /eager/status.* status 404"]
    env.start(CONF.format(root=env.root, sick="/status?code=200"))
    return env


def cure(env):
    env.reload(CONF.format(root=env.root, sick="/status?code=200"))
    wait_for(lambda: env.get("/sick/pid").status == 200, 20, "the healthy app")


@pytest.fixture
def sick(httpd):
    httpd.allow("app sick")
    cure(httpd)
    yield httpd
    cure(httpd)


def remembered(env, name):
    with open(env.path("apps", name, "remembered"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def test_asked_before_it_is_ready(httpd):
    answer = httpd.get("/warm/pid")
    assert answer.status == 200
    (first, headers), (second, _) = remembered(httpd, "warm")
    assert (first, second) == ("/warm/remember", "/warm/remember?again")
    assert headers["Host"] == f"localhost:{httpd.port}"
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "http"
    assert headers["X-Forwarded-Prefix"] == "/warm"
    ready = httpd.wait_log(r"app warm: .* is ready after (?:(\d+) ms|\d+\.\d s)")
    assert not ready[1] or int(ready[1]) >= 300


def test_mount_that_is_spelt_otherwise_in_urls(httpd):
    path = "/caf%C3%A9%20au%20lait"
    assert httpd.get(path + "/pid").status == 200
    asked = remembered(httpd, "spelt")
    assert [target for target, _ in asked] == [path + "/remember"] * 2
    assert asked[0][1]["X-Forwarded-Prefix"] == path


@pytest.mark.parametrize("path, why", [
    ("/status?code=500", "was answered with status 500"),
    ("/redirect?to=/sick/status%3Fcode=404", "was answered with status 404"),
    ("/interim?n=17", "was not answered with HTTP"),
    ("/truncate /crash", "(was not answered: the connection ended|ended by signal)"),
    ("/slow?ms=60000", "was not answered within AppCoreStartupTimeLimit")])
def test_bad_answer_is_a_failed_start(sick, path, why):
    httpd = sick
    before = int(httpd.get("/sick/pid").text)
    httpd.reload(CONF.format(root=httpd.root, sick=path))
    httpd.wait_log(f"app sick: .*{why}", 20)
    # What works is not replaced by what does not.
    assert int(httpd.get("/sick/pid").text) == before
    os.kill(before, 9)
    wait_for(lambda: not processes.alive(before))
    answer = wait_for(lambda: next((a for a in [httpd.get("/sick/pid")]
                                    if a.status in (502, 503)), None), 30, "an error")
    assert answer.status == 503 or "warm-up" in answer.text or "signal" in answer.text


def test_initialization_pages(httpd):
    """Of an app that starts with httpd, without a request, whatever they answer."""
    def pages():
        path = httpd.path("apps", "eager", "remembered")
        return os.path.exists(path) and [p for p, _ in remembered(httpd, "eager")]
    wait_for(lambda: pages() == ["/eager/remember?page=1", "/eager/remember?page=2"],
             what="the initialization pages")
    assert httpd.get("/eager/pid").status == 200
    assert httpd.get("/lazy/pid").status == 200
    assert not os.path.exists(httpd.path("apps", "lazy", "remembered"))
    assert "app lazy: web.config: <applicationInitialization> needs" in httpd.log_text()
