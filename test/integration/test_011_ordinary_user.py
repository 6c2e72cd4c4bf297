# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""httpd started by somebody who is not root: everything runs as that user."""

import os
import pwd

import pytest

import env as environment

AS_USER = environment.APP_USERS[2] if environment.AS_ROOT else None


@pytest.fixture(scope="module")
def httpd(env):
    env.plain = env.app("plain", "plain")
    env.start(f"""
AppCoreUser {environment.APP_USERS[0]}
AppCoreMount /plain {env.plain}
""")
    return env


def test_answers_as_that_user(httpd):
    me = httpd.get("/plain/self").json()
    owner = pwd.getpwnam(AS_USER).pw_uid if AS_USER else os.geteuid()
    assert me["uid"] == owner
    for helper in (httpd.keeper(), httpd.helper("manager"), httpd.helper("relay")):
        assert os.stat(f"/proc/{helper}").st_uid in (owner, 0)


def test_says_that_users_are_ignored(httpd):
    said = httpd.configtest(f"AppCoreUser {environment.APP_USERS[0]}\n"
                            f"AppCoreMount /plain {httpd.plain}")
    assert "is ignored for app plain: httpd was not started as root" in said
    assert said.strip().endswith("Syntax OK")


def test_crash_is_replaced(httpd):
    before = httpd.get("/plain/pid").text
    os.kill(int(before), 9)
    httpd.allow(r"app plain: .*", )
    assert httpd.get("/plain/pid").text != before
