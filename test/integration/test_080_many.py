# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Many mounts: what they cost a reload and a request."""

import os
import signal
import statistics
import time

import pytest

from processes import wait_for

MOUNTS = 500
# Milliseconds that they may add. A checked build is slower by nature.
RELOAD_LIMIT = 200 if not os.environ.get("APPCORE_PRELOAD") else 2000


@pytest.fixture(scope="module")
def httpd(env):
    env.few = f"AppCoreMount /plain {env.app('plain', 'plain')}\n"
    env.many = env.few + "".join(
        f"AppCoreMount /many/{i} /srv/nowhere/{i}\n" for i in range(MOUNTS))
    env.start(env.few)
    env.get("/plain/pid")
    return env


def reload_time(env, conf):
    """From the signal to the line that the configuration is in force."""
    env.write_conf(conf)
    position = len(env.log_text())
    began = time.monotonic()
    os.kill(env.httpd_pid(), signal.SIGUSR1)
    wait_for(lambda: "resuming normal operations" in env.log_text()[position:])
    took = time.monotonic() - began
    wait_for(lambda: env.get("/plain/pid").status == 200)
    return took * 1000


def test_reload(httpd):
    few = statistics.median(reload_time(httpd, httpd.few) for _ in range(5))
    many = statistics.median(reload_time(httpd, httpd.many) for _ in range(5))
    assert many - few < RELOAD_LIMIT, f"{few:.0f} ms and {many:.0f} ms"


def test_reload_keeps_the_app(httpd):
    before = httpd.get("/plain/pid").text
    httpd.reload(httpd.few)
    httpd.reload(httpd.many)
    assert httpd.get("/plain/pid").text == before
    # None of them exists, and nobody looked before somebody asked.
    assert "app 7:" not in httpd.recent_log()
    httpd.allow(r"app 7(:| does not)")
    assert httpd.get("/many/7/x").status in (500, 502)
