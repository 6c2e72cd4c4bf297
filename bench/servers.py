# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The servers that bench/run compares: each its own private httpd with the same
settings and only the modules that it needs, so that none pays for another."""

import glob
import grp
import http.client
import os
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
SIZES = {"12": 12, "10k": 10 * 1024, "1m": 1024 * 1024}
# What is asked of apps that do not answer with every size; None: any length.
PATHS = {"node": {"12": 12},
         "dotnet": {"12": 12, "json": None, "async": 12, "page": None}}
START_LIMIT = 30
STOP_LIMIT = 20

COMMON = """\
ServerRoot {dir}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {dir}/httpd.pid
ErrorLog {dir}/error.log
LogLevel warn
DefaultRuntimeDir {dir}
Mutex default
{identity}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
StartServers 2
ServerLimit 2
ThreadsPerChild 256
ThreadLimit 256
MaxRequestWorkers 512
MinSpareThreads 512
MaxSpareThreads 512
MaxConnectionsPerChild 0
KeepAlive On
MaxKeepAliveRequests 0
DocumentRoot {dir}/www
<Directory {dir}/www>
    Require all granted
</Directory>
"""

# A runtime runs once in a child, so one child serves.
ONE_CHILD = """\
StartServers 1
MaxRequestWorkers 256
MinSpareThreads 1
MaxSpareThreads 256
"""

TLS = """\
LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so
LoadModule ssl_module {modules}/mod_ssl.so
SSLEngine On
SSLCertificateFile {base}/cert.pem
SSLCertificateKeyFile {base}/key.pem
"""

BARE = """\
LoadModule bench_module {base}/mod_bench.so
<Location />
    SetHandler bench
</Location>
"""

PROXY = """\
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
ProxyPass / "{worker}" enablereuse=on
"""

APPCORE = """\
LoadModule appcore_module {appcore}
AppCoreRuntimeDir {dir}/run
AppCoreStateDir {dir}/state
AppCoreMaxWorkers 90%
{default_user}
<AppCoreApp bench>
    AppCorePath {app}
    {launch}
</AppCoreApp>
AppCoreMount / bench
"""

INSIDE = """\
LoadModule appcore_module {appcore}
AppCoreRuntimeDir {dir}/run
AppCoreStateDir {dir}/state
<AppCoreApp bench>
    AppCorePath {inside}
    AppCoreHostingModel InProcess
    AppCoreMaxWorkers 90%{waiting}
</AppCoreApp>
AppCoreMount / bench
"""

PASSENGER = """\
LoadModule passenger_module {modules}/mod_passenger.so
PassengerRoot {passenger_root}
PassengerInstanceRegistryDir {dir}/registry
PassengerLogFile {dir}/registry/passenger.log
PassengerDisableSecurityUpdateCheck on
PassengerDisableAnonymousTelemetry on
PassengerDefaultUser {user}
PassengerMaxPoolSize 1
PassengerMinInstances 1
PassengerMaxRequestQueueSize 0
PassengerNodejs {node}
PassengerAppRoot {app}
PassengerAppType node
PassengerStartupFile app.js
PassengerEnabled on
"""


class Missing(Exception):
    """Something that one server needs is not installed or not built."""


def find_program(*names):
    for name in names:
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if path:
            return path
    raise Missing(f"{names[0]} is not installed")


def find_httpd(apxs):
    sbin, name = (query(apxs, what) for what in ("SBINDIR", "PROGNAME"))
    return os.path.join(sbin, name)


def query(apxs, what):
    return subprocess.run([apxs, "-q", what], check=True, capture_output=True,
                          text=True).stdout.strip()


def find_appcore(given):
    places = [given] if given else [
        os.path.join(TOP, folder, ".libs", "mod_appcore.so")
        for folder in ("build", ".")]
    for path in places:
        if os.path.exists(path):
            return os.path.abspath(path)
    raise Missing("mod_appcore.so is not built; say --module PATH")


def find_passenger_root():
    for pattern in ("/usr/lib/ruby/vendor_ruby/phusion_passenger/locations.ini",
                    "/usr/share/ruby/vendor_ruby/phusion_passenger/locations.ini"):
        for path in glob.glob(pattern):
            return path
    raise Missing("Passenger is not installed")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children():
    """Who is whose parent, of all processes."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(int(name))
            if fields:
                found.setdefault(int(fields[1]), []).append(int(name))
    return found


def stat_fields(pid):
    """/proc/PID/stat behind the name; None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


def tree(pid):
    family = children()
    found, left = [], [pid]
    while left:
        pid = left.pop()
        found.append(pid)
        left += family.get(pid, [])
    return found


def program_of(pid):
    """Empty for who hides it, as our keeper, manager and relay do."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        fields = stat_fields(pid)
        if fields:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def start_times(pids):
    """(pid, start time): what still names the same process later."""
    return {(pid, fields[19]) for pid in pids if (fields := stat_fields(pid))}


def wait_gone(started):
    """Passenger's agents outlive httpd for a moment; none outlives this."""
    limit = time.monotonic() + STOP_LIMIT
    pids = [pid for pid, _ in started]
    while (left := started & start_times(pids)) and time.monotonic() < limit:
        time.sleep(0.05)
    for pid, _ in left:
        os.kill(pid, signal.SIGKILL)


def stop_process(process):
    """SIGTERM, then SIGKILL, to a process that this program started."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Toolbox:
    """What all servers share: a folder, the programs built into it, an identity."""

    def __init__(self, base, module):
        self.base = base
        self.module = module
        self.apxs = find_program("apxs", "apxs2")
        self.httpd = find_httpd(self.apxs)
        self.modules = query(self.apxs, "LIBEXECDIR")
        self.root = os.geteuid() == 0
        self.user = "nobody" if self.root else pwd.getpwuid(os.geteuid()).pw_name
        self.backend = os.path.join(base, "backend")
        os.chmod(base, 0o755)
        self._build()

    def _build(self):
        cc = os.environ.get("CC", "cc")
        subprocess.run([cc, "-O2", "-o", self.backend, f"{HERE}/backend.c"], check=True)
        os.mkdir(f"{self.base}/inside")
        subprocess.run([cc, "-O2", "-shared", "-fPIC", f"-I{TOP}/include", "-o",
                        f"{self.base}/inside/inside.so", f"{HERE}/inside.c"], check=True)
        self.build_module("mod_bench")
        shutil.copytree(f"{HERE}/node", f"{self.base}/node")

    def build_module(self, name):
        """One of ours for httpd, NAME.so in the folder of all servers."""
        shutil.copy(f"{HERE}/{name}.c", self.base)
        made = subprocess.run([self.apxs, "-c", f"{name}.c"], cwd=self.base,
                              capture_output=True, text=True, check=False)
        if made.returncode:
            raise RuntimeError(f"cannot build {name}.c\n{made.stdout}{made.stderr}")
        shutil.copy(f"{self.base}/.libs/{name}.so", self.base)

    def dotnet(self):
        """The published app's folder, which in-process hosting wants to be root's."""
        folder = f"{self.base}/dotnet"
        if not os.path.exists(folder):
            source = shutil.copytree(f"{HERE}/dotnet", f"{self.base}/dotnet-source")
            made = subprocess.run(
                [find_program("dotnet"), "publish", source, "-c", "Release", "-o", folder,
                 "-nodeReuse:false", "-p:UseSharedCompilation=false"],
                capture_output=True, text=True, check=False)
            if made.returncode:
                raise Missing(f"the app cannot be published\n{made.stdout[-2000:]}")
        return folder

    def certificate(self):
        if not os.path.exists(f"{self.modules}/mod_ssl.so"):
            raise Missing("mod_ssl is not installed")
        if not os.path.exists(f"{self.base}/cert.pem"):
            subprocess.run([find_program("openssl"), "req", "-x509", "-newkey",
                            "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                            "-keyout", f"{self.base}/key.pem",
                            "-out", f"{self.base}/cert.pem"],
                           check=True, capture_output=True)

    def identity(self):
        if not self.root:
            return ""
        group = grp.getgrgid(pwd.getpwnam(self.user).pw_gid).gr_name
        return f"User {self.user}\nGroup {group}"


# How a request of mod_appcore waits, where it is not the usual way.
WAITING = {"no hold": "\n    AppCoreKeepAliveHold Off",
           "blocking": "\n    AppCoreKeepAliveHold Off\n    AppCoreAsync Off"}


class Server:
    """One httpd and, where it does not start the app itself, the app."""

    def __init__(self, tools, name, app):
        self.tools = tools
        self.name = name
        self.kind, _, self.transport = name.partition(", ")
        self.app = app.removesuffix(" tls")
        self.tls = app.endswith(" tls")
        self.dir = os.path.join(tools.base, re.sub(r"\W+", "-", f"{name} {app}"))
        self.port, self.app_port = free_port(), free_port()
        self.httpd = None
        self.backend = None
        os.makedirs(f"{self.dir}/www")
        os.makedirs(f"{self.dir}/registry")
        os.chmod(f"{self.dir}/registry", 0o1777)    # Passenger's agent is no root

    def values(self):
        tools = self.tools
        values = {"dir": self.dir, "port": self.port, "base": tools.base,
                  "modules": tools.modules, "identity": tools.identity(),
                  "user": tools.user, "worker": self.worker(), "launch": self.launch(),
                  "app": f"{self.dir}/www", "inside": f"{tools.base}/inside",
                  "waiting": WAITING.get(self.transport, "")}
        if self.app == "dotnet":
            values["app"] = values["inside"] = tools.dotnet()
        if self.app == "node":
            values["app"] = f"{tools.base}/node"
            values["node"] = find_program("node", "nodejs")
        if self.kind == "passenger":
            values["passenger_root"] = find_passenger_root()
            if not os.path.exists(f"{tools.modules}/mod_passenger.so"):
                raise Missing("mod_passenger is not installed")
        if self.kind in ("mod_appcore", "in-process"):
            values["appcore"] = find_appcore(tools.module)
            values["default_user"] = f"AppCoreDefaultUser {tools.user}" if tools.root \
                else ""
        return values

    def worker(self):
        if self.transport == "port":
            return f"http://127.0.0.1:{self.app_port}/"
        return f"unix:{self.dir}/app.sock|http://localhost/"

    def launch(self):
        """How mod_appcore reaches the app: as it finds best, or as the name says."""
        if self.app == "c":
            return f"AppCoreProcessPath {self.tools.backend}\n    AppCoreListen socket" \
                + WAITING.get(self.transport, "")
        if self.transport == "socket" and self.app == "node":
            return 'AppCoreProcessPath node\n    AppCoreArguments "app.js {socket}"'
        return "AppCoreListen auto"

    def start(self):
        if self.kind == "kestrel":
            self.port = self.app_port
            self._start_backend()
        else:
            self._start_httpd()
        self.wait_ready()

    def _start_httpd(self):
        template = {"handler": BARE, "static file": "", "mod_proxy_http": PROXY,
                    "mod_appcore": APPCORE, "in-process": INSIDE,
                    "passenger": PASSENGER}[self.kind]
        if self.tls:
            self.tools.certificate()
            template = TLS + template
        if self.app == "dotnet":
            template = ONE_CHILD + template
        text = (COMMON + template).format(**self.values())
        with open(f"{self.dir}/httpd.conf", "w", encoding="utf-8") as f:
            f.write(text)
        if self.kind == "static file":
            for name, size in SIZES.items():
                with open(f"{self.dir}/www/{name}", "w", encoding="utf-8") as f:
                    f.write("x" * size)
        if self.kind == "mod_proxy_http":
            self._start_backend()
        with open(f"{self.dir}/start.log", "wb") as log:
            self.httpd = subprocess.Popen(
                [self.tools.httpd, "-f", f"{self.dir}/httpd.conf", "-DFOREGROUND"],
                stdout=log, stderr=log)

    def _start_backend(self):
        path = f"{self.dir}/app.sock"
        by_port = self.transport == "port" or self.kind == "kestrel"
        command, folder = [self.tools.backend, path], None
        if self.app == "dotnet":
            folder = self.tools.dotnet()
            where = f"127.0.0.1:{self.app_port}" if by_port else f"unix:{path}"
            command = [find_program("dotnet"), "Bench.dll", "--urls", f"http://{where}"]
        if self.app == "node":
            where = str(self.app_port) if self.transport == "port" else path
            command = [find_program("node", "nodejs"),
                       f"{self.tools.base}/node/app.js", where]
        # A session of its own, as any service has: where the kernel shares the
        # processors among sessions, both servers' apps get the same.
        self.backend = subprocess.Popen(command, cwd=folder, start_new_session=True)
        limit = time.monotonic() + START_LIMIT
        while not by_port and time.monotonic() < limit:
            if os.path.exists(path):
                os.chmod(path, 0o666)
                return
            time.sleep(0.02)

    def url(self, size):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/{size}"

    def fetch(self, size):
        if self.tls:
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=20,
                context=ssl._create_unverified_context())
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", f"/{size}")
            response = connection.getresponse()
            return response.status, len(response.read())
        finally:
            connection.close()

    def wait_ready(self):
        """Until every size comes as it should; an exception says why it does not."""
        limit = time.monotonic() + START_LIMIT
        expected = PATHS.get(self.app, SIZES)
        problem = "nothing"
        main = self.httpd or self.backend
        while time.monotonic() < limit and main.poll() is None:
            try:
                answers = [self.fetch(path) for path in expected]
            except (OSError, http.client.HTTPException) as e:
                problem = e
                time.sleep(0.05)
                continue
            if all(status == 200 and wanted in (None, length) for (status, length), wanted
                   in zip(answers, expected.values())):
                return
            problem = answers
            time.sleep(0.2)
        raise RuntimeError(f"{self.name} is not ready: {problem}\n{self.log_tail()}")

    def log_tail(self):
        lines = []
        for name in ("start.log", "error.log"):
            path = f"{self.dir}/{name}"
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    lines += f.readlines()[-15:]
        return "".join(lines)

    def processes(self):
        """(server, app): pids of httpd and all that it started, and of the app."""
        app = [self.backend.pid] if self.backend else []
        server = []
        if self.kind == "kestrel":
            return tree(self.backend.pid), []
        for pid in tree(self.httpd.pid):
            is_app = program_of(pid) in ("backend", "node", "nodejs", "dotnet")
            (app if is_app else server).append(pid)
        return server, app

    def stop(self):
        started = start_times(tree(self.httpd.pid)) if self.httpd else set()
        for process in (self.httpd, self.backend):
            if process:
                stop_process(process)
        wait_gone(started)
        self.httpd = self.backend = None
