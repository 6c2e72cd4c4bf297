# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""An app in process: found, loaded and started in every child of httpd."""

import pytest

import inproc
from processes import wait_for

pytestmark = pytest.mark.mpm


@pytest.fixture
def httpd(env):
    yield env
    env.stop()


def logged(env, text):
    wait_for(lambda: text in env.log_text(), 20, f"{text!r} in the error log")


def test_shared_object_is_loaded(httpd):
    folder = inproc.build(httpd, "tea")
    httpd.start(inproc.app("tea", folder))
    logged(httpd, f"app tea runs in process, from {folder}/life.so")
    workers = {p.pid for p in httpd.workers()}
    assert workers
    assert not httpd.app_processes()


def test_app_may_take_its_time(httpd):
    folder = inproc.build(httpd, "later")
    httpd.start(inproc.app("later", folder, "AppCoreEnvironmentVariable MODE pending"))
    logged(httpd, "app later runs in process")


def worker_pids(env):
    return {p.pid for p in env.workers()}


def replaced(env, old):
    """Until none of these children is left, and another one is there."""
    wait_for(lambda: worker_pids(env) and not worker_pids(env) & set(old), 30,
             "the replacement of httpd's child")


def answer(env, path):
    return env.client().get(path)


def test_shutdown_at_a_stop(env):
    folder = inproc.build(env, "stop")
    env.start(inproc.app("stop", folder, "AppCoreShutdownTimeLimit 7"))
    logged(env, "app stop runs in process")
    env.stop()
    text = env.log_text()
    assert text.index("app stop: quiesce") < text.index("app stop: shutdown within 7000")


def test_shutdown_at_a_graceful_restart(httpd):
    folder = inproc.build(httpd, "graceful")
    httpd.start(inproc.app("graceful", folder))
    old = worker_pids(httpd)
    httpd.reload()
    logged(httpd, "app graceful: shutdown within")
    replaced(httpd, old)


def test_stuck_shutdown_ends_at_the_limit(env):
    env.allow(r"app stuck did not end within AppCoreShutdownTimeLimit \(1 s\)")
    folder = inproc.build(env, "stuck")
    env.start(inproc.app("stuck", folder, "AppCoreShutdownTimeLimit 1",
                         "AppCoreEnvironmentVariable MODE stuck"))
    logged(env, "app stuck runs in process")
    env.stop()
    assert "app stuck did not end within" in env.log_text()


def test_child_is_replaced_when_the_app_ends(httpd):
    httpd.allow(r"app ending has ended with exit code 3: asked for")
    folder = inproc.build(httpd, "ending")
    httpd.start(inproc.app("ending", folder, "AppCoreEnvironmentVariable MODE ending"))
    logged(httpd, "app ending has ended with exit code 3")
    old = worker_pids(httpd)
    replaced(httpd, old)
    assert "httpd is exiting" not in httpd.log_text()
