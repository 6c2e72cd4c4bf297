# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Who an app is and what it starts with: nothing of httpd's, whatever state httpd was
started in. Only root can give apps users of their own."""

import ctypes
import os
import pwd
import re
import resource
import signal
import stat
import subprocess
import sys

import pytest

import env as environment
import processes
from processes import wait_for

pytestmark = pytest.mark.root

GAMES, NEWS, UUCP = environment.APP_USERS
STRAY_GROUPS = [54301, 54302]           # of the one who starts httpd
NEWS_GROUP, ROOTLING, NOBODY = 54303, 54304, 54399  # the last has no name
# The shadow memory of sanitizers needs more than any sensible limit.
MEMORY = 2 ** 45 if os.environ.get("APPCORE_PRELOAD") else 2 ** 31
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000
APPS = {
    "owner": "",
    "named": f"AppCoreUser {NEWS}\n",
    "grouped": f"AppCoreUser {NEWS} {UUCP}\n",
    "rooted": "",
    "nameless": "",
    "strict": "AppCoreUmask 0077\nAppCoreLimit nofile 100:200\nAppCoreLimit nproc 999\n"
              f"AppCoreLimit as {MEMORY}:{2 * MEMORY}\nAppCoreLimit cpu 77:88\n"
              "AppCoreLimit core 0\n",
    "raised": "AppCoreLimit nofile 5000:6000\n",
    "closed": f"AppCoreUser {NEWS}\n",
    "others": f"AppCoreUser {NEWS}\n",
    "foreign": "",
    "rootling": "",
}
ENVIRONMENT = {"PATH", "LANG", "HOME", "APPCORE_APP", "APPCORE_PROCESS",
               "APPCORE_GENERATION", "APPCORE_LOG", "NOTIFY_SOCKET", "LISTEN_FDS",
               "LISTEN_PID", "PORT"}


def replace_file(libc, path, text):
    """For this process and its children alone."""
    name = f"/tmp/ac-replaced-{os.getpid()}"
    with open(name, "w", encoding="ascii") as f:
        f.write(text)
    os.chmod(name, 0o644)
    done = libc.mount(name.encode(), path.encode(), None, MS_BIND, None) == 0
    os.unlink(name)
    return done


def own_users():
    """A user whose group is root's, and one with groups of all kinds."""
    libc = ctypes.CDLL(None)
    with open("/etc/group", encoding="ascii") as f:
        groups = re.sub(r"^root:.*$", f"root:x:0:{NEWS}", f.read(), flags=re.M)
    with open("/etc/passwd", encoding="ascii") as f:
        users = f.read()
    return libc.unshare(CLONE_NEWNS) == 0 \
        and libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0 \
        and replace_file(libc, "/etc/group", groups + f"wire:x:{NEWS_GROUP}:{NEWS}\n") \
        and replace_file(libc, "/etc/passwd", users
                         + f"rootling:x:{ROOTLING}:0::/nonexistent:/bin/false\n")


def start_dirty():
    """Runs in the process that becomes httpd."""
    os.setgroups(STRAY_GROUPS)
    os.umask(0o027)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGALRM])
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.RLIM_INFINITY))
    if not own_users():
        os._exit(77)


def start(env, text):
    """As env.start(), in another state."""
    env.write_conf(text)
    options = env.surroundings()
    options["env"]["STRAY"] = "of httpd"
    stray = os.open("/etc/hostname", os.O_RDONLY)
    result = subprocess.run([environment.HTTPD, "-f", env.conf], text=True,
                            capture_output=True, preexec_fn=start_dirty,
                            pass_fds=[stray], **options)
    os.close(stray)
    if result.returncode == 77:
        pytest.skip("no mount namespace of its own is to be had")
    assert result.returncode == 0, result.stderr
    wait_for(env.httpd_pid, what="the start of httpd")
    env.wait_accepting()


@pytest.fixture(scope="module")
def httpd(env):
    text = f"AppCoreDefaultUser {UUCP}\nAppCoreDetailedErrors On\n"
    os.makedirs(env.path("apps", "of-news"))
    for name, lines in APPS.items():
        folder = env.app("of-news/inner" if name == "foreign" else name, "plain")
        text += f"<AppCoreApp {name}>\nAppCorePath {folder}\n{lines}</AppCoreApp>\n" \
                f"AppCoreMount /{name} {name}\n"
    env.give(env.path("apps", "of-news"), NEWS)
    for name in ("named", "grouped", "rooted", "closed"):
        env.give_tree(env.path("apps", name), "root")
    for name, number in (("nameless", NOBODY), ("rootling", ROOTLING)):
        folder = env.path("apps", name)
        for path in [folder, *(os.path.join(folder, n) for n in os.listdir(folder))]:
            os.chown(path, number, number)
    os.chmod(env.path("apps", "closed"), 0o700)
    env.always_allowed = [r"app (closed|others|foreign|rootling): ",
                          r"app (closed|others|foreign|rootling) does not run"]
    start(env, text)
    return env


def me(httpd, name="owner"):
    answer = httpd.get(f"/{name}/self")
    assert answer.status == 200, answer
    return answer.json()


def ids(status, name):
    return [int(n) for n in status[name].split()]


@pytest.mark.parametrize("name,user,group", [
    ("owner", GAMES, GAMES), ("named", NEWS, NEWS), ("grouped", NEWS, UUCP),
    ("rooted", UUCP, UUCP)])
def test_user(httpd, name, user, group):
    status = me(httpd, name)["status"]
    assert ids(status, "Uid") == [pwd.getpwnam(user).pw_uid] * 4
    assert ids(status, "Gid") == [pwd.getpwnam(group).pw_gid] * 4


def test_user_that_is_a_number_alone(httpd):
    app = me(httpd, "nameless")
    assert (app["uid"], app["gid"]) == (NOBODY, NOBODY)
    assert set(app["groups"]) <= {NOBODY}
    assert os.stat(app["env"]["HOME"]).st_uid == NOBODY


def test_supplementary_groups_are_the_users(httpd):
    """Not those of httpd, and never root's."""
    assert set(me(httpd)["groups"]) == {pwd.getpwnam(GAMES).pw_gid}
    assert set(me(httpd, "named")["groups"]) == {pwd.getpwnam(NEWS).pw_gid, NEWS_GROUP}
    assert NEWS_GROUP in me(httpd, "grouped")["groups"]
    for name in ("owner", "named", "grouped", "rooted"):
        assert not {0, *STRAY_GROUPS} & set(me(httpd, name)["groups"])


@pytest.mark.parametrize("name,words", [
    ("closed", "Permission denied"),
    ("others", "must belong to root or to the app's user"),
    ("foreign", "must belong to root or to the app's user"),
    ("rootling", "the group of user rootling is root's")])
def test_refused(httpd, name, words):
    answer = httpd.get(f"/{name}/self")
    assert answer.status in (500, 502), answer
    assert words in answer.text.replace("&#39;", "'").replace("&apos;", "'"), answer
    assert httpd.app_processes(httpd.path("apps", name)) == []


def test_signals(httpd):
    status = me(httpd)["status"]
    assert int(status["SigBlk"], 16) == 0
    # Python itself ignores SIGPIPE and SIGXFSZ.
    ours = (1 << signal.SIGPIPE - 1) | (1 << signal.SIGXFSZ - 1)
    assert int(status["SigIgn"], 16) & ~ours == 0
    assert int(status["SigIgn"], 16) & 1 << signal.SIGUSR2 - 1 == 0


def test_descriptors(httpd):
    files = me(httpd)["fds"]
    assert set(files) <= {"0", "1", "2", "3"}, files
    assert files["0"] == "/dev/null"
    assert files["1"].startswith("pipe:") and files["2"].startswith("pipe:")
    assert files["1"] != files["2"]
    assert files.get("3", "socket:").startswith("socket:")


def test_process_group_and_folder(httpd):
    app = me(httpd)
    assert app["pgid"] == app["pid"] == app["sid"]
    assert app["cwd"] == httpd.path("apps", "owner")
    assert processes.Process(app["pid"]).ppid == httpd.keeper()


def test_no_privileges_are_left_or_can_be_had(httpd):
    status = processes.read(me(httpd)["pid"], "status").decode()
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert re.search(rf"^{name}:\t0+$", status, re.M), status
    assert me(httpd)["status"]["NoNewPrivs"] == "1"


def test_umask(httpd):
    assert me(httpd)["umask"] == 0o027
    assert me(httpd, "strict")["umask"] == 0o077


def test_limits(httpd):
    limits = me(httpd, "strict")["limits"]
    assert limits["nofile"] == [100, 200]
    assert limits["nproc"] == [999, 999]
    assert limits["as"] == [MEMORY, 2 * MEMORY]
    assert limits["cpu"] == [77, 88]
    assert limits["core"] == [0, 0]
    assert me(httpd, "raised")["limits"]["nofile"] == [5000, 6000]


def test_limits_that_nobody_set_are_httpds(httpd):
    """The keeper raises its own for its descriptors; apps do not get that."""
    mine = me(httpd)["limits"]
    theirs = resource.prlimit(httpd.httpd_pid(), resource.RLIMIT_NOFILE)
    assert mine["nofile"] == list(theirs)
    assert mine["core"] == [0, -1]


def environment_of(pid):
    pairs = processes.read(pid, "environ").decode().rstrip("\0").split("\0")
    return dict(pair.split("=", 1) for pair in pairs)


def test_environment_is_the_contract_and_no_more(httpd):
    assert b"STRAY=" in processes.read(httpd.httpd_pid(), "environ")
    found = environment_of(me(httpd)["pid"])
    assert set(found) - {"TZ"} == ENVIRONMENT
    assert found["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    assert found["LISTEN_PID"] == str(me(httpd)["pid"])
    assert found["APPCORE_APP"] == "owner" and found["APPCORE_PROCESS"] == "0"


@pytest.mark.parametrize("name,user", [("owner", GAMES), ("named", NEWS)])
def test_home(httpd, name, user):
    """Their own are not theirs to write, so they get one below the state dir."""
    home = me(httpd, name)["env"]["HOME"]
    found = os.stat(home)
    assert found.st_uid == pwd.getpwnam(user).pw_uid
    assert stat.S_IMODE(found.st_mode) & 0o077 == 0
    assert home.startswith(httpd.path("state") + "/") or \
        home == pwd.getpwnam(user).pw_dir


CONNECT = """
import errno, socket, sys
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except OSError as error:
    print(errno.errorcode[error.errno])
"""


def test_apps_cannot_reach_each_other_by_their_sockets(httpd):
    me(httpd)
    folder = httpd.path("run", "appcore", "s")
    sockets = os.listdir(folder)
    assert sockets
    user = pwd.getpwnam(NEWS)
    said = subprocess.run(
        [sys.executable, "-c", CONNECT, os.path.join(folder, sockets[0])], text=True,
        capture_output=True, user=user.pw_uid, group=user.pw_gid, extra_groups=[],
        cwd="/")
    assert said.stdout == "EACCES\n", said


def test_runtime_folders(httpd):
    me(httpd)
    base = httpd.path("run", "appcore")
    server = pwd.getpwnam(environment.SERVER_USER)
    for name, uid, mode in (("s", 0, 0o710), ("r", server.pw_uid, 0o700)):
        found = os.stat(os.path.join(base, name))
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (uid, mode), name
    for name in os.listdir(os.path.join(base, "s")):
        found = os.stat(os.path.join(base, "s", name))
        assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (server.pw_gid, 0o660)


@pytest.mark.parametrize("name", ["manager", "relay"])
def test_helpers_have_no_privileges(httpd, name):
    pid = httpd.helper(name)
    status = processes.read(pid, "status").decode()
    uid = pwd.getpwnam(environment.SERVER_USER).pw_uid
    assert re.search(rf"^Uid:\t{uid}\t{uid}\t{uid}\t{uid}$", status, re.M)
    assert re.search(r"^Groups:\s*\d*\s*$", status, re.M)
    assert re.search(r"^CapEff:\t0+$", status, re.M)
    assert re.search(r"^CapPrm:\t0+$", status, re.M)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.M)
    # Its memory holds what other apps' secrets are made of.
    assert os.stat(f"/proc/{pid}/mem").st_uid == 0


@pytest.mark.parametrize("name", ["keeper", "manager", "relay"])
def test_helpers_hold_nothing_strange(httpd, name):
    pid = httpd.keeper() if name == "keeper" else httpd.helper(name)
    links = [processes.link(pid, f"fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    known = re.compile(r"/dev/null$|socket:|pipe:|anon_inode:|/memfd:appcore"
                       rf"|{re.escape(httpd.path())}/|/proc/\d+/fd$")
    assert [link for link in links if not known.match(link)] == []
    # Of httpd's listener nobody of ours may have a copy, or the port stays taken.
    listener = [line.split()[9] for line in processes.read("net", "tcp").decode()
                .splitlines()[1:] if line.split()[1].endswith(f":{httpd.port:04X}")
                and line.split()[3] == "0A"]
    assert listener and f"socket:[{listener[0]}]" not in links
