# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""One line mounts a real app: programs, node, Python, C, each found by its folder."""

import os
import pwd
import re

import pytest

import env as environment
import processes

pytestmark = pytest.mark.mpm


@pytest.fixture(scope="module")
def httpd(env):
    folders = {name: env.app(name, source) for name, source in (
        ("plain", "plain"), ("node", "node"), ("asgi", "asgi"), ("wsgi", "wsgi"),
        ("c", "program"), ("named", "plain"), ("inner", "plain"))}
    env.compile(folders["c"], "portserver.c", "portserver")
    secrets = env.write("files", "secrets.env", mode=0o600,
                        text='S_FILE="from the file"\nS_BOTH=file\n')
    if env.as_user:
        env.give(secrets, env.as_user)
    env.start(f"""
AppCoreMount /plain {folders["plain"]}
AppCoreMount /node {folders["node"]}
AppCoreMount /asgi {folders["asgi"]}
AppCoreMount /wsgi {folders["wsgi"]}
AppCoreMount /c {folders["c"]}
AppCoreMount /plain/inner {folders["inner"]}
AppCoreEnvironmentVariable S_SERVER server
AppCoreEnvironmentVariable S_OVER server
<AppCoreApp shop>
    AppCorePath {folders["named"]}
    AppCoreEnvironmentFile {secrets}
    AppCoreEnvironmentVariable S_OVER app
    AppCoreEnvironmentVariable S_BOTH directive
    AppCoreEnvironmentVariable S_EMPTY ""
    AppCoreUmask 0027
    AppCoreLimit nofile 300:400
    AppCoreLimit core 0
</AppCoreApp>
AppCoreMount /shop shop
<Location /plain/off>
    AppCoreEnabled Off
</Location>
<Location /plain/off/on>
    AppCoreEnabled On
</Location>
""")
    env.folders = folders
    return env


@pytest.mark.parametrize("app", ["plain", "node", "asgi", "wsgi", "c", "shop"])
def test_answers(httpd, app):
    answer = httpd.get(f"/{app}/pid")
    assert answer.status == 200, answer
    pid = int(re.search(r"\d+", answer.text).group())
    assert processes.alive(pid)
    family = {p.pid for p in processes.descendants(httpd.keeper())}
    assert pid in family
    assert int(re.search(r"\d+", httpd.get(f"/{app}/pid").text).group()) == pid \
        or app == "wsgi"


@pytest.mark.root
@pytest.mark.parametrize("app", ["plain", "node", "asgi", "wsgi", "c"])
def test_runs_as_the_owner_of_its_folder(httpd, app):
    httpd.get(f"/{app}/pid")
    pid, = httpd.app_processes(httpd.folders[app])
    assert os.stat(f"/proc/{pid}").st_uid == pwd.getpwnam(environment.APP_USERS[0]).pw_uid


def test_starts_clean(httpd):
    """Own group, no signal ignored or blocked, no descriptor but what is its own."""
    me = httpd.get("/shop/self").json()
    assert me["pgid"] == me["pid"]
    assert me["cwd"] == httpd.folders["named"]
    assert int(me["status"]["SigBlk"], 16) == 0
    # Python itself ignores SIGPIPE and SIGXFSZ.
    assert int(me["status"]["SigIgn"], 16) & ~0x1001000 == 0
    assert me["status"]["NoNewPrivs"] == "1"
    assert set(me["fds"]) <= {"0", "1", "2", "3"}
    assert me["fds"]["0"] == "/dev/null"
    assert me["fds"]["1"].startswith("pipe:") and me["fds"]["2"].startswith("pipe:")


def test_limits_and_umask(httpd):
    me = httpd.get("/shop/self").json()
    assert me["umask"] == 0o027
    assert me["limits"]["nofile"] == [300, 400]
    assert me["limits"]["core"] == [0, 0]


@pytest.mark.root
def test_identity_is_complete(httpd):
    user = pwd.getpwnam(environment.APP_USERS[0])
    me = httpd.get("/shop/self").json()
    assert me["status"]["Uid"].split() == [str(user.pw_uid)] * 4
    assert me["status"]["Gid"].split() == [str(user.pw_gid)] * 4
    assert set(me["groups"]) <= {user.pw_gid}


def test_environment(httpd):
    env = httpd.get("/shop/self").json()["env"]
    assert env["APPCORE_APP"] == "shop"
    assert env["S_SERVER"] == "server"
    assert env["S_OVER"] == "app"
    assert env["S_FILE"] == "from the file"
    assert env["S_BOTH"] == "directive"
    assert env["S_EMPTY"] == ""
    assert env["PORT"].isdigit()
    assert os.access(env["HOME"], os.F_OK)
    assert not [n for n in env if n.startswith(("APACHE_", "SUDO_", "SSH_"))]


def test_secrets_of_one_app_reach_no_other(httpd):
    env = httpd.get("/plain/self").json()["env"]
    assert "S_FILE" not in env and "S_BOTH" not in env
    assert env["APPCORE_APP"] == "plain"


def test_longest_prefix_wins_on_whole_segments(httpd):
    outer = httpd.get("/plain/pid").text
    inner = httpd.get("/plain/inner/pid").text
    assert outer != inner
    assert httpd.get("/plain/innermost/pid").text == outer
    assert httpd.get("/plainer").status == 404
    assert httpd.get("/PLAIN/pid").status == 404
    assert httpd.get("/plain").status == 200


def test_a_location_can_be_taken_back(httpd):
    assert httpd.get("/plain/off").status == 404
    assert httpd.get("/plain/off/x").status == 404
    assert httpd.get("/plain/off/on").status == 200
    assert httpd.get("/plain/offer").status == 200


def test_private_memory_is_small(httpd):
    """Keeper, manager and relay together."""
    total = 0
    for pid in (httpd.keeper(), httpd.helper("manager"), httpd.helper("relay")):
        rollup = processes.read(pid, "smaps_rollup").decode()
        total += sum(int(n) for n in re.findall(r"Private_\w+:\s+(\d+) kB", rollup))
    if not os.environ.get("APPCORE_PRELOAD"):
        assert total < 4096, f"{total} kB"
