# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Modules that put a name into the request without having verified it, at a location
that requires no user."""

import base64
import hashlib
import os

import pytest

import env as environment

pytestmark = pytest.mark.skipif(
    not os.path.exists(os.path.join(environment.MODULE_DIR, "mod_lua.so")),
    reason="needs mod_lua")

# ap_get_basic_auth_pw(), which names the user, whoever asks for the password.
READER = """require "apache2"
function read(r)
    local password = r.basic_auth_pw
    return apache2.DECLINED
end
"""


@pytest.fixture(scope="module")
def httpd(env):
    env.modules += ["auth_basic", "authn_core", "authn_file", "authz_user", "lua"]
    env.always_allowed = ["AH01617", "AH01618"]
    sha = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
    users = env.write("files", "users", text=f"alice:{{SHA}}{sha}\n")
    script = env.write("files", "read.lua", text=READER)
    folder = env.app("shop", "kinds", files={"Procfile": "web: python3 listen.py --fd 3"})
    env.start(f"""
AppCoreMount /shop {folder}
<Location /shop>
    AuthType Basic
    AuthName realm
    AuthUserFile {users}
    LuaHookAccessChecker {script} read
    Require all granted
</Location>
<Location /shop/strict>
    Require valid-user
</Location>
""")
    return env


def get(httpd, path, pair=None):
    word = base64.b64encode((pair or "").encode()).decode()
    return httpd.get(path, headers={"Authorization": f"Basic {word}"} if pair else {})


@pytest.mark.parametrize("pair", ["alice:wrong", "root:", "root:secret"])
@pytest.mark.parametrize("path", ["/shop/x", "/shop/strict/x"])
def test_name_without_a_password_is_no_user(httpd, path, pair):
    answer = get(httpd, path, pair)
    assert answer.status == 401
    assert answer.header("WWW-Authenticate") == 'Basic realm="realm"'


@pytest.mark.parametrize("path", ["/shop/x", "/shop/strict/x"])
def test_user_whose_password_was_right(httpd, path):
    assert get(httpd, path, "alice:secret").seen("X-Forwarded-User") == "alice"


def test_nobody(httpd):
    assert get(httpd, "/shop/x").seen("X-Forwarded-User") is None
