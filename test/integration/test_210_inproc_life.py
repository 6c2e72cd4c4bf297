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
