# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Two apps of apps/life, "one" and "many" (three processes), for tests of what they
notice of whatever happens to supervisor and httpd. `started` and `httpd` are
fixtures for modules to import."""

import os
import signal

import pytest

import processes
from processes import wait_for

LIFE = """
<AppCoreApp {name}>
    AppCorePath {folder}
    {lines}
</AppCoreApp>
AppCoreMount /{name} {name}
"""
KILLED = r"appcore-(manager|relay) ended \(signal 9\)"


def block(env, name, lines="", user=None):
    folder = env.path("apps", name)
    if not os.path.isdir(folder):
        env.app(name, "life", user)
    return LIFE.format(name=name, folder=folder, lines=lines)


def usual(env, lines=""):
    many = block(env, "many", "AppCoreProcessesPerApplication 3")
    return block(env, "one") + many + lines


@pytest.fixture(scope="module")
def started(env):
    env.expected = {env.path("apps", "many"): 3}
    env.start(usual(env))
    return env


@pytest.fixture
def httpd(started):
    """With the usual two apps running, whatever the test before did."""
    if not started.httpd_pid():
        started.start(usual(started))
    elif not hasattr(started, "conf_now") or started.conf_now != usual(started):
        started.reload(usual(started))
    started.conf_now = usual(started)
    wait_for(lambda: len(pids(started, "many")) == 3 or not get(started, "many"), 20,
             "three processes")
    get(started, "one")
    return started


def reload(env, conf, **options):
    env.conf_now = conf
    env.reload(conf, **options)


def get(env, name, route="pid", **query):
    text = "&".join(f"{k}={v}" for k, v in query.items())
    answer = env.get(f"/{name}/{route}?{text}", timeout=60)
    assert answer.status == 200, answer
    return answer.text


def pids(env, name):
    return sorted(env.app_processes(env.path("apps", name)))


def kill(*victims):
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(map(processes.alive, victims)))


def wait_helper(env, name, old):
    wait_for(lambda: env.helper(name) not in (0, old), 15, f"another {name}")
