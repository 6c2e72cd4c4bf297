# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""A private httpd for one test module: folders, configuration, start, reload, stop,
its error log and its processes."""

import grp
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import client
import processes
from processes import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
APP_SOURCES = (os.path.join(HERE, "apps"), os.path.join(TOP, "test", "apps"))
MPM = os.environ.get("MPM") or "event"
AS_ROOT = os.geteuid() == 0
SERVER_USER = "www-data" if AS_ROOT else pwd.getpwuid(os.geteuid()).pw_name
# Ordinary users that every Debian has, each with a group of its own.
APP_USERS = ("games", "news", "uucp")

BASE = """\
ServerRoot {root}
DefaultRuntimeDir {root}/run
PidFile {root}/run/httpd.pid
ErrorLog {root}/error.log
LogLevel info
Listen 127.0.0.1:{port}
ServerName localhost:{port}
{identity}
{modules}
StartServers 1
Mutex default:{root}/run
{mpm}
GracefulShutdownTimeout 20
CoreDumpDirectory {root}/core
AppCoreStateDir {root}/state
DocumentRoot {root}/htdocs
"""
MPM_CONF = {
    "event": "ServerLimit 4\nThreadsPerChild 16\nMaxRequestWorkers 64\n"
             "MinSpareThreads 1\nMaxSpareThreads 64",
    "worker": "ServerLimit 4\nThreadsPerChild 16\nMaxRequestWorkers 64\n"
              "MinSpareThreads 1\nMaxSpareThreads 64",
    "prefork": "MaxRequestWorkers 16\nMinSpareServers 1\nMaxSpareServers 16",
}
# How requests wait on the event MPM: parked after their budget, at once, or never.
PARK = os.environ.get("APPCORE_PARK") or "budget"
PARK_CONF = {
    "budget": "",
    "always": "Define APPCORE_PARK_ALWAYS\nAsyncRequestWorkerFactor 50\n",
    "never": "AppCoreAsync Off\n",
    "hold": "AppCoreKeepAliveHold 5ms\n",
}
MODULES = ("unixd", "authz_core")
TAKEN_PORTS = []

# Lines that no test may cause without saying so.
BAD_LINE = re.compile(r"\[appcore:(error|warn|crit|alert|emerg)\]"
                      r"|\[\w+:(error|crit|alert|emerg)\] .*AH\d+"
                      r"|exit signal|AddressSanitizer|runtime error:|free\(\): |"
                      r"long lost child")
# What the MPMs say when all workers are busy, or all places for children taken.
FULL = r"AH00(161|28[678]|48[45])|AH03490"
# What ASP.NET Core says of the keys for its cookies wherever it runs on Linux. And where
# requests hold their workers a slow machine needs more of them, as does a child that was
# replaced and still serves.
USUAL_LINE = re.compile(r"XmlKeyManager\[35\] No XML encryptor configured"
                        rf"|mpm_(worker|prefork):error.* ({FULL}): ")


def apxs(name):
    for program in (os.environ.get("APPCORE_APXS"), "apxs", "apxs2"):
        if program and shutil.which(program):
            return subprocess.run([program, "-q", name], capture_output=True,
                                  text=True).stdout.strip()
    return ""


def find_httpd():
    program = os.path.join(apxs("SBINDIR") or "/usr/sbin", apxs("PROGNAME") or "apache2")
    return program if os.path.exists(program) else shutil.which("apache2") or "httpd"


HTTPD = find_httpd()
MODULE_DIR = apxs("LIBEXECDIR") or "/usr/lib/apache2/modules"
BUILD = os.environ.get("APPCORE_BUILD") or os.path.join(TOP, "build")
MODULE = os.environ.get("APPCORE_MODULE") or BUILD + "/.libs/mod_appcore.so"


def one_child(threads):
    """All of httpd's workers, on an MPM with threads. Where requests hold them an app may
    have seven of eight (AppCoreMaxWorkers 100%), and those that come at once on a slow
    machine have to be fewer."""
    return "" if MPM == "prefork" else \
        f"ThreadsPerChild {threads}\nMaxRequestWorkers {threads}\n"


def speaks_http2():
    """The module was built with libnghttp2."""
    with open(MODULE, "rb") as f:
        return b"libnghttp2.so" in f.read()


def free_port(low=61000, high=65500):
    """None that the kernel gives to clients, or AppCore to apps; and nobody else who
    runs tests on this machine gets it as long as this process lives."""
    while True:
        port = random.SystemRandom().randint(low, high)
        token = socket.socket(socket.AF_UNIX)
        try:
            token.bind(f"\0appcore-test-port-{port}")
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("", port))
        except OSError:
            token.close()
            continue
        TAKEN_PORTS.append(token)
        return port


def static_modules():
    listed = subprocess.run([HTTPD, "-l"], capture_output=True, text=True).stdout
    return set(re.findall(r"mod_(\w+)\.c", listed))


class Env:
    """as_user: run httpd as that user instead of root (only root can ask so)."""

    def __init__(self, as_user=None):
        self.as_user = as_user if AS_ROOT else None
        self.is_root = AS_ROOT and not as_user
        self.root = tempfile.mkdtemp(prefix="ac-", dir="/tmp")
        self.port, self.port2 = free_port(), free_port()
        self.conf = os.path.join(self.root, "httpd.conf")
        self.error_log = os.path.join(self.root, "error.log")
        self.modules = list(MODULES)
        self.module = MODULE
        self.first_module = False       # LoadModule of ours before all others
        self.allowed = []
        self.always_allowed = []        # patterns for the whole module
        self.variables = {}             # more of them in httpd's environment
        self.around = []                # a command that runs the one behind it
        self.log_position = 0
        os.chmod(self.root, 0o755)
        for name in ("run", "apps", "htdocs", "core", "state", "files"):
            os.mkdir(os.path.join(self.root, name), 0o755)
        if as_user:
            for name in ("", "run", "core", "state"):
                self.give(os.path.join(self.root, name), as_user)

    # Folders

    def path(self, *names):
        return os.path.join(self.root, *names)

    def give(self, path, user):
        if AS_ROOT and user:
            entry = pwd.getpwnam(user)
            os.lchown(path, entry.pw_uid, entry.pw_gid)

    def give_tree(self, path, user):
        self.give(path, user)
        for folder, dirs, files in os.walk(path):
            for name in dirs + files:
                self.give(os.path.join(folder, name), user)

    def owner(self, user=None):
        """Whom a folder belongs to: an ordinary user can give nothing away."""
        return self.as_user or (user or APP_USERS[0] if AS_ROOT else SERVER_USER)

    def app(self, name, source=None, user=None, files=None):
        """A folder of an app of that user; files: name -> text. Returns the folder."""
        folder = self.path("apps", name)
        if source:
            found = [os.path.join(d, source) for d in APP_SOURCES]
            shutil.copytree(next(d for d in found if os.path.isdir(d)), folder,
                            ignore=shutil.ignore_patterns("__pycache__", "*.o"))
        else:
            os.mkdir(folder)
        for file, text in (files or {}).items():
            os.makedirs(os.path.dirname(os.path.join(folder, file)), exist_ok=True)
            with open(os.path.join(folder, file), "w", encoding="utf-8") as f:
                f.write(text)
        os.chmod(folder, 0o755)
        self.give_tree(folder, self.owner(user))
        return folder

    def compile(self, folder, source, program):
        target = os.path.join(folder, program)
        subprocess.run([os.environ.get("CC", "cc"), "-O1", "-o", target, "-pthread",
                        os.path.join(folder, source)], check=True)
        os.chmod(target, 0o755)

    def write(self, *names, text, mode=0o644):
        path = self.path(*names)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    # Configuration

    def load_modules(self):
        built_in = static_modules()
        names = [f"mpm_{MPM}", *self.modules]
        lines = [f"LoadModule {n}_module {MODULE_DIR}/mod_{n}.so"
                 for n in names if n not in built_in]
        ours = f"LoadModule appcore_module {self.module}"
        return "\n".join([ours, *lines] if self.first_module else [*lines, ours])

    def full_conf(self, conf):
        group = grp.getgrgid(pwd.getpwnam(SERVER_USER).pw_gid).gr_name
        identity = f"User {SERVER_USER}\nGroup {group}" if self.is_root else ""
        base = BASE.format(root=self.root, port=self.port, identity=identity,
                           modules=self.load_modules(), mpm=MPM_CONF[MPM])
        park = PARK_CONF[PARK] if MPM == "event" else ""
        return base + park + conf + "\n"

    def write_conf(self, conf):
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(self.full_conf(conf))

    def surroundings(self):
        """Environment and identity that httpd is started with."""
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8",
                       **self.variables}
        for name, value in os.environ.items():
            if name.endswith("SAN_OPTIONS") or name == "TZ":
                environment[name] = value
        if os.environ.get("APPCORE_PRELOAD"):
            environment["LD_PRELOAD"] = os.environ["APPCORE_PRELOAD"]
        options = {"cwd": "/", "env": environment}
        if self.as_user:
            entry = pwd.getpwnam(self.as_user)
            options.update(user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])
        return options

    def run_httpd(self, *arguments):
        return subprocess.run([*self.around, HTTPD, *arguments], text=True,
                              capture_output=True, timeout=60, **self.surroundings())

    def configtest(self, conf):
        """What `httpd -t` prints about the configuration; "Syntax OK" at its end."""
        path = self.path("test.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.full_conf(conf))
        result = self.run_httpd("-t", "-f", path)
        assert result.returncode >= 0, f"httpd -t: signal {-result.returncode}"
        return result.stdout + result.stderr

    # Life of the server

    def httpd_pid(self):
        try:
            with open(self.path("run", "httpd.pid"), encoding="ascii") as f:
                pid = int(f.read())
        except (FileNotFoundError, ValueError):
            return 0
        return pid if processes.alive(pid) else 0

    def port_is_free(self):
        """Not so while a child of the last httpd has just begun to end, or what reads an
        app's last words there."""
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", self.port))
            except OSError:
                return False
            return True

    def start(self, conf):
        self.write_conf(conf)
        wait_for(self.port_is_free, what="the end of the httpd of before")
        result = self.run_httpd("-f", self.conf)
        assert result.returncode == 0, result.stderr + self.log_text()
        wait_for(self.httpd_pid, what="the start of httpd")
        self.wait_accepting()

    def start_attached(self, conf, *options):
        """httpd as a child of ours that does not become a daemon. prefork signals its
        whole process group at its end, so it gets one of its own."""
        self.write_conf(conf)
        process = subprocess.Popen([*self.around, HTTPD, *options, "-f", self.conf],
                                   start_new_session=True, **self.surroundings())
        self.wait_accepting()
        return process

    def wait_accepting(self):
        def connects():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0
        wait_for(connects, what="a connection to httpd")

    def reload(self, conf=None, sig=signal.SIGUSR1, wait_workers=True):
        """Returns once the new configuration is in force: old children are gone."""
        if conf is not None:
            self.write_conf(conf)
        position = len(self.log_text())
        old = self.workers()
        if sig != signal.SIGUSR1:
            self.wait_quiet()
        os.kill(self.httpd_pid(), sig)
        wait_for(lambda: "resuming normal operations" in self.log_text()[position:],
                 what="the reload")
        self.wait_accepting()
        if wait_workers:
            wait_for(lambda: not any(processes.alive(p.pid) for p in old), 25,
                     "the end of httpd's old children")

    def wait_quiet(self):
        """Until httpd closed what its clients closed, at most for a moment: its event
        MPM (2.4.71) closes the sockets of connections under the threads that serve them
        when it is told to stop at once."""
        end = time.monotonic() + 0.5
        while processes.connections(self.port):
            if time.monotonic() > end:
                self.allow("apr_pollset_add failure")
                break
            time.sleep(0.002)

    def stop(self, sig=signal.SIGTERM, timeout=40):
        pid = self.httpd_pid()
        if pid:
            self.wait_quiet()
            os.kill(pid, sig)
            wait_for(lambda: not processes.alive(pid), timeout, "the end of httpd")

    def kill(self):
        """kill -9 of httpd, whose own children notice nothing of it and live on; it
        returns them. While it is stopped it makes no more of them."""
        pid = self.httpd_pid()
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: processes.Process(pid).state == "T", what="httpd's standstill")
        workers = self.workers()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not processes.alive(pid), what="the end of httpd")
        return [p.pid for p in workers]

    def clear_killed(self, workers):
        """Ends what kill() left."""
        for pid in workers:
            if processes.alive(pid):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.leftovers() == [], 20, "the end of all")
        os.unlink(self.path("run", "httpd.pid"))

    def leftovers(self):
        return processes.mentioning(self.root)

    def destroy(self):
        """Stops; complains about whatever is left, and ends it."""
        self.stop()
        end = time.monotonic() + 5
        while (left := self.leftovers()) and time.monotonic() < end:
            time.sleep(0.05)
        for p in left:
            try:
                os.kill(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        cores = os.listdir(self.path("core"))
        if not os.environ.get("APPCORE_KEEP"):
            shutil.rmtree(self.root, ignore_errors=True)
        assert not left, f"left behind after the stop: {left}"
        assert not cores, f"core files: {cores}"

    # Processes

    def workers(self):
        """httpd's children without our keeper."""
        pid = self.httpd_pid()
        return [p for p in processes.children(pid) if p.sid != p.pid] if pid else []

    def keeper(self):
        pid = self.httpd_pid()
        found = [p for p in processes.children(pid) if p.sid == p.pid and p.state != "Z"]
        return found[0].pid if found else 0

    def helper(self, name):
        """Pid of the manager or the relay."""
        found = [p for p in processes.children(self.keeper())
                 if name in p.name and p.state != "Z"]
        return found[0].pid if found else 0

    def app_processes(self, folder=None):
        """Main processes of apps, as their environment tells them from programs that
        take output; of one folder if it is given."""
        return [p.pid for p in processes.children(self.keeper())
                if p.state != "Z" and self.is_app(p.pid)
                and (not folder or processes.link(p.pid, "cwd") == folder)]

    def is_app(self, pid):
        """puma writes its title over its environment."""
        variables = processes.read(pid, "environ")
        return b"\0APPCORE_PROCESS=" in variables or b"PATH=" not in variables \
            and processes.link(pid, "cwd").startswith(self.path("apps") + "/")

    def zombies(self):
        ours = {self.httpd_pid(), self.keeper(), self.helper("manager"),
                self.helper("relay")}
        return [p for pid in ours for p in processes.children(pid) if p.state == "Z"]

    def helpers(self):
        return [self.keeper(), self.helper("manager"), self.helper("relay")]

    def describe(self):
        return {"httpd": self.httpd_pid(), "keeper": self.keeper(),
                "manager": self.helper("manager"), "relay": self.helper("relay"),
                "apps": self.app_processes(), "zombies": self.zombies()}

    def descriptors(self):
        pids = {"httpd": self.httpd_pid(), "keeper": self.keeper(),
                "manager": self.helper("manager"), "relay": self.helper("relay")}
        return {name: processes.descriptors(pid) for name, pid in pids.items()}

    # Requests

    def get(self, path, **options):
        return client.request(options.pop("port", self.port), path, **options)

    def raw(self, timeout=30):
        return client.Raw(self.port, timeout)

    def raw_get(self, target, *headers, **options):
        port = options.pop("port", self.port)
        return client.raw_request(port, target, headers, **options)

    # Error log

    def log_text(self):
        try:
            with open(self.error_log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def recent_log(self):
        """What the current test wrote so far."""
        return self.log_text()[self.log_position:]

    def allow(self, *patterns):
        """Lines that this test may cause."""
        self.allowed += [re.compile(p) for p in patterns]

    def wait_log(self, pattern, timeout=10):
        """Waits for a line that this test causes, and allows it. Returns the match."""
        self.allow(pattern)
        return wait_for(lambda: re.search(pattern, self.recent_log()), timeout,
                        f"a log line {pattern!r}")

    def begin_test(self):
        self.allowed = [re.compile(p) for p in self.always_allowed]
        self.log_position = len(self.log_text())

    def bad_lines(self):
        return [line for line in self.recent_log().splitlines() if BAD_LINE.search(line)
                and not USUAL_LINE.search(line)
                and not any(p.search(line) for p in self.allowed)]
