# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Apps in process that do not start: each has a sub-status of ANCM's, a page for the
public, one with details, and a line in the log."""

import html
import re

import pytest

import client
import inproc
from processes import wait_for

# How the app is made or what its MODE is: the sub-status, and what page and log say.
FAILURES = {
    "no-app": (0, "nothing to run was found"),
    "no-object": (0, "no-object/life.so, which is not there"),
    "no-symbol": (33, "does not export appcore_app_v1"),
    "damaged": (33, "the shared object could not be loaded"),
    "version": (33, "was built for version 7 of the interface"),
    "null": (30, "answered NULL: it cannot run here"),
    "fail": (30, "there is no <tea>"),
    "pending-fail": (31, "the framework 'Tea' 2.9.9 was not found"),
    "never": (37, "did not start within AppCoreStartupTimeLimit (1 s)"),
    "hang": (37, "did not start within AppCoreStartupTimeLimit (1 s)"),
}
EVIDENCE = {"fail": "cup: empty", "pending-fail": "looked in /cup\nand in /pot"}


def make_failing(env, name):
    """Configuration of an app that does not start."""
    lines = [f"AppCoreEnvironmentVariable MODE {name}", "AppCoreStartupTimeLimit 1",
             "AppCoreHandlerSetting suppressRecycleOnStartupTimeout true"]
    folder = env.path("apps", name)
    if name == "no-app":
        env.app(name, user="root")
    elif name == "no-object":
        env.app(name, user="root")
        lines.append("AppCoreProcessPath life.so")
    elif name == "damaged":
        env.app(name, user="root", files={"life.so": "no ELF"})
        lines.append("AppCoreProcessPath life.so")
    elif name == "no-symbol":
        inproc.build(env, name, "life", "-Dappcore_app_v1=something_else")
        lines.append("AppCoreProcessPath life.so")
    else:
        flags = {"version": ["-DWRONG_VERSION"], "null": ["-DNO_TABLE"]}.get(name, [])
        inproc.build(env, name, "life", *flags)
    return inproc.app(name, folder, *lines)


@pytest.fixture(scope="module")
def failing(env):
    env.allow(r": no tea in the pot", r"app [a-z-]+ did not start in process \(500\.",
              r"app [a-z-]+ does not run, answered with 500\.\d+")
    env.always_allowed += env.allowed
    conf = "".join(make_failing(env, name) for name in FAILURES)
    env.start(conf + inproc.app("fine", inproc.build(env, "fine")))
    wait_for(lambda: env.log_text().count("did not start in process")
             >= len(FAILURES), 20, "all failures in the log")
    yield conf
    env.stop()


def test_failed_start_has_a_page(env, failing):
    for name, (substatus, said) in FAILURES.items():
        response = client.request(env.port, f"/{name}/")
        page = html.unescape(response.body.decode())
        assert response.status == 500
        assert f"<title>HTTP Error 500.{substatus} - " in page
        assert "Please try again" in page and said not in page
        assert re.search(rf"app {name} did not start in process \(500\.{substatus}\): .*"
                         + re.escape(said), env.log_text()), name


def test_detailed_page_says_why(env, failing):
    env.reload("AppCoreDetailedErrors On\n" + failing)
    wait_for(lambda: env.log_text().count("did not start in process")
             >= 2 * len(FAILURES), 20, "all failures in the log")
    for name, (substatus, said) in FAILURES.items():
        page = html.unescape(client.request(env.port, f"/{name}/").body.decode())
        assert f"HTTP Error 500.{substatus} - " in page and said in page, name
        assert "Common solutions to this issue:" in page
        assert EVIDENCE.get(name, "") in page
    page = client.request(env.port, "/fail/").text
    assert "What it printed" in page and "no tea in the pot" in page
