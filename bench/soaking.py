# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The server, the load and the verdict of bench/soak. Apps and small clients are those
of the integration tests."""

import http.client
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

import growth
import memory
import servers

TESTS = os.path.join(servers.TOP, "test", "integration")
APPS = {"c": "probe", "dotnet": "inside"}
SETTLE_LIMIT = 20
# Threads keep no freed memory for themselves, so that malloc knows what is in use.
ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
# As many requests at once as leave behind all that is kept for later ones.
CROWD = 300
RUSH = 10               # seconds of it

CONF = """\
StartServers 1
ServerLimit 4
ThreadsPerChild 128
MaxRequestWorkers 128
MinSpareThreads 1
MaxSpareThreads 128
AsyncRequestWorkerFactor 8
MaxMemFree 64
MaxKeepAliveRequests 1000
LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so
LoadModule ssl_module {modules}/mod_ssl.so
LoadModule http2_module {modules}/mod_http2.so
Protocols h2 h2c http/1.1
H2MinWorkers 96
H2MaxWorkers 96
LoadModule appcore_module {appcore}
AppCoreRuntimeDir {dir}/run
AppCoreStateDir {dir}/state
AppCoreMaxWorkers 100%
{apps}
LoadModule memory_module {base}/mod_memory.so
BenchLeak {leak}
<Location /bench-memory>
    SetHandler bench-memory
</Location>
Listen 127.0.0.1:{tls_port}
<VirtualHost *:{tls_port}>
    SSLEngine On
    SSLCertificateFile {base}/cert.pem
    SSLCertificateKeyFile {base}/key.pem
    {mounts}
</VirtualHost>
"""
APP = """\
<AppCoreApp {name}>
    AppCorePath {folder}
    AppCoreHostingModel InProcess
    AppCoreEnvironmentVariable PROBE_FOLDER {shared}
    AppCoreEnvironmentVariable Logging__LogLevel__Default None
</AppCoreApp>
AppCoreMount /{name} {name}
"""

# What wrk and h2load ask for: (method, target, length of the body). Texts, JSON, answers
# of other threads, bodies both ways, streams, files.
PLANS = {
    "c": [("GET", "hello", 0), ("GET", "big?n=30000", 0), ("GET", "pieces?n=9000", 0),
          ("POST", "echo", 2000), ("POST", "echo-async", 20000), ("POST", "digest", 9000),
          ("GET", "info", 0), ("GET", "later?ms=0", 0), ("GET", "stream?n=3&ms=0", 0),
          ("GET", "posts", 0), ("GET", "lend", 0), ("GET", "early", 0),
          ("GET", "var?name=A&set=b", 0), ("GET", "sendfile?path={file}", 0)],
    "dotnet": [("GET", "", 0), ("GET", "json", 0), ("GET", "yield", 0),
               ("GET", "delay/1", 0), ("GET", "stream/5", 0), ("GET", "large/100000", 0),
               ("POST", "count", 20000), ("POST", "pipe", 9000), ("POST", "item", -1),
               ("GET", "local/late", 0), ("GET", "completed", 0),
               ("GET", "blocked/write", 0),
               ("GET", "variable?name=A&late=true", 0), ("GET", "file?path={file}", 0)],
}
# Of these many more: what small things cost shows only in large numbers.
FREQUENT = ("hello", "info", "later?ms=0", "posts", "", "json", "yield", "delay/1")
OFTEN = 10
ITEM = '{"name": "a", "number": 41}'
# One request in so many is the last one on its connection, because its client says so.
CLOSE_EVERY = 50

LUA = """\
local plan = {
%s
}
local requests, n = {}, 0

function init(args)
    for i = 1, %d do
        local one = plan[(i - 1) %% #plan + 1]
        local headers = {["Content-Type"] = one[4]}
        if i == 1 then
            headers["Connection"] = "close"
        end
        requests[i] = wrk.format(one[1], one[2], headers, one[3])
    end
end

function request()
    n = n %% #requests + 1
    return requests[n]
end

function done(summary, latency, times)
    local e = summary.errors
    io.write(string.format("\\nDONE %%d %%d %%d %%d %%d %%d\\n", summary.requests,
                           e.connect, e.read, e.write, e.status, e.timeout))
end
"""


class Toolbox(servers.Toolbox):
    """Of the programs only those that a soak needs."""

    def _build(self):
        self.build_module("mod_memory")
        source = f"{servers.TOP}/test/apps/inproc"
        os.mkdir(f"{self.base}/probe")
        subprocess.run(
            [os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", "-pthread",
             f"-I{servers.TOP}/include", "-o", f"{self.base}/probe/probe.so",
             *(f"{source}/probe{part}.c"
               for part in ("", "_text", "_sync", "_async", "_rules"))], check=True)

    def inside(self):
        source = shutil.copytree(f"{TESTS}/apps/inside", f"{self.base}/inside-source")
        shutil.copy(f"{servers.HERE}/dotnet/Bench.csproj", f"{source}/Inside.csproj")
        made = subprocess.run(
            [servers.find_program("dotnet"), "publish", source, "-c", "Release", "-o",
             f"{self.base}/inside", "-nodeReuse:false", "-p:UseSharedCompilation=false"],
            capture_output=True, text=True, check=False)
        if made.returncode:
            raise servers.Missing(f"the app cannot be published\n{made.stdout[-2000:]}")


class Server(servers.Server):
    """One httpd with one child that serves, and both apps in it."""

    def __init__(self, tools, apps, published, leak):
        super().__init__(tools, "in-process", "c")
        self.apps, self.leak = apps, leak
        self.tls_port = servers.free_port()
        self.shared = f"{self.dir}/shared"
        self.file = f"{self.dir}/www/file"
        os.makedirs(f"{self.shared}/gates")
        os.chmod(self.shared, 0o777)
        with open(self.file, "wb") as f:
            f.write(bytes(range(256)) * 200)
        tools.certificate()
        if "dotnet" in apps and published:
            shutil.copytree(published, f"{tools.base}/inside")
        elif "dotnet" in apps:
            tools.inside()

    def start(self):
        names = [APPS[app] for app in self.apps]
        mounts = "\n".join(f"AppCoreMount /{name} {name}" for name in names)
        apps = "".join(APP.format(name=name, folder=f"{self.tools.base}/{name}",
                                  shared=self.shared) for name in names)
        conf = (servers.COMMON + CONF).format(
            dir=self.dir, port=self.port, tls_port=self.tls_port, mounts=mounts,
            modules=self.tools.modules, identity=self.tools.identity(), apps=apps,
            appcore=servers.find_appcore(self.tools.module), base=self.tools.base,
            leak=self.leak)
        with open(f"{self.dir}/httpd.conf", "w", encoding="utf-8") as f:
            f.write(conf)
        with open(f"{self.dir}/start.log", "wb") as log:
            self.httpd = subprocess.Popen(
                [self.tools.httpd, "-f", f"{self.dir}/httpd.conf", "-DFOREGROUND"],
                stdout=log, stderr=log, env={**os.environ, **ENVIRONMENT})
        limit = time.monotonic() + servers.START_LIMIT
        while not all(self.answers(f"/{name}/") for name in names):
            if time.monotonic() > limit or self.httpd.poll() is not None:
                raise RuntimeError(f"the server is not ready\n{self.log_tail()}")
            time.sleep(0.1)

    def answers(self, target):
        try:
            return self.ask(target)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def ask(self, target):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def answer(self, target):
        status, text = self.ask(target)
        if status != 200:
            raise RuntimeError(f"{target}: {status}")
        return text

    def child(self):
        """The one that serves; the keeper has a session of its own."""
        found = [pid for pid in servers.children().get(self.httpd.pid, [])
                 if servers.stat_fields(pid)[3] != str(pid)]
        if len(found) != 1:
            raise RuntimeError(f"httpd has {len(found)} children that serve\n"
                               + self.log_tail())
        return found[0]

    def complaints(self):
        """Lines of the error log, and what the probe found wrong with the host."""
        with open(f"{self.dir}/error.log", encoding="utf-8", errors="replace") as f:
            found = [line.strip() for line in f
                     if re.search(r"exit signal|appcore:(error|crit)|Sanitizer", line)]
        events = f"{self.shared}/events"
        if os.path.exists(events):
            with open(events, encoding="utf-8", errors="replace") as f:
                found += [line.strip() for line in f if '"violation"' in line]
        return found


# The load

def lua_script(plan):
    def quoted(text):
        return json.dumps(text)
    rows = []
    for method, target, length in plan:
        body = ITEM if length < 0 else "x" * length
        kind = "application/json" if length < 0 else "text/plain"
        rows.append(f"    {{{quoted(method)}, {quoted(target)}, "
                    f"{quoted(body) if body else 'nil'}, {quoted(kind)}}},")
    return LUA % ("\n".join(rows), len(plan) * CLOSE_EVERY)


class Soak:
    def __init__(self, server, args):
        self.server, self.args = server, args
        self.done = 0
        self.kinds = {}             # requests by who asked
        self.samples, self.failures = [], []
        self.pid = server.child()
        self.reserved = memory.reserved(self.pid)
        self.write_plans()

    def write_plans(self):
        where = self.server.dir
        plan = [(method, f"/{APPS[app]}/{target}".format(file=self.server.file), length)
                for app in self.server.apps for method, target, length in PLANS[app]
                for _ in range(OFTEN if target in FREQUENT else 1)]
        with open(f"{where}/plan.lua", "w", encoding="ascii") as f:
            f.write(lua_script(plan))
        for name, port, scheme in (("h2c", self.server.port, "http"),
                                   ("h2", self.server.tls_port, "https")):
            with open(f"{where}/{name}.urls", "w", encoding="ascii") as f:
                f.writelines(f"{scheme}://127.0.0.1:{port}{target}\n"
                             for method, target, _ in plan if method == "GET")
        self.posts = [target for method, target, length in plan if length > 0]
        with open(f"{where}/body", "wb") as f:
            f.write(b"x" * 9000)

    def commands(self, turn):
        """Who asks in this slice, by name. h2load sends one body to one URL only."""
        args, where = self.args, self.server.dir
        wrk = ["wrk", "-t1", f"-c{args.connections}", f"-d{args.slice}s", "--timeout",
               "30", "-s", f"{where}/plan.lua"]
        h2load = ["h2load", "-D", str(args.slice), "-t1", "-c2", "-m", "8"]
        post = self.posts[turn % len(self.posts)]
        return {
            "http": [*wrk, f"http://127.0.0.1:{self.server.port}"],
            "https": [*wrk, f"https://127.0.0.1:{self.server.tls_port}"],
            "h2c": [*h2load, "-i", f"{where}/h2c.urls"],
            "h2": [*h2load, "-i", f"{where}/h2.urls"],
            "h2 body": [*h2load, "-d", f"{where}/body",
                        f"https://127.0.0.1:{self.server.tls_port}{post}"],
            "guests": [sys.executable, f"{servers.HERE}/guests.py",
                       str(self.server.port), str(args.slice),
                       ",".join(self.server.apps)],
        }

    def slice(self, turn):
        running = {name: subprocess.Popen(command, stdout=subprocess.PIPE,
                                          stderr=subprocess.STDOUT, text=True)
                   for name, command in self.commands(turn).items()}
        for name, process in running.items():
            output = process.communicate()[0]
            count, bad = RESULTS[name.split(" ")[0]](output)
            self.kinds[name] = self.kinds.get(name, 0) + count
            self.done += count
            if bad or process.returncode:
                self.failures.append(f"{name}: {bad or output[-500:]}")

    def crowd(self):
        """Brings to its most what is kept for later requests, and what each thread
        makes once: afterwards only what is lost grows."""
        for app in self.server.apps:
            self.wait_together("/probe/wait" if app == "c" else "/inside/forever")
        where = self.server.dir
        crowds = [["wrk", "-t1", f"-c{CROWD}", f"-d{RUSH}s", "--timeout", "30", "-s",
                   f"{where}/plan.lua", f"https://127.0.0.1:{self.server.tls_port}"],
                  ["h2load", "-D", str(RUSH), "-t1", "-c32", "-m8", "-i",
                   f"{where}/h2.urls"]]
        # So many at once are refused some of the time, rightly.
        for process in [subprocess.Popen(crowd, stdout=subprocess.DEVNULL)
                        for crowd in crowds]:
            process.wait()
        # Of a server without an idle worker httpd closes connections that wait.
        self.settle()

    def wait_together(self, target):
        before = memory.descriptors(self.pid)
        guests = [socket.create_connection(("127.0.0.1", self.server.port))
                  for _ in range(CROWD)]
        for guest in guests:
            guest.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        # Each has a connection, and one that tells when to go on.
        self.wait(lambda: memory.descriptors(self.pid) >= before + 2 * CROWD)
        for guest in guests:
            guest.close()
        self.wait(lambda: memory.descriptors(self.pid) < before + CROWD)

    @staticmethod
    def wait(condition):
        limit = time.monotonic() + servers.START_LIMIT
        while not condition():
            if time.monotonic() > limit:
                raise RuntimeError("a crowd did not get in, or not out again")
            time.sleep(0.05)

    def look(self):
        return {"pss": memory.pss(self.pid),
                "malloc": int(self.server.answer("/bench-memory")) // 1024,
                "others": memory.others(self.pid, self.reserved),
                "files": memory.descriptors(self.pid),
                "threads": memory.threads(self.pid)}

    def sample(self):
        """Once nothing moves any more."""
        managed = {"managed": 0, "handles": 0}
        if "dotnet" in self.server.apps:
            told = json.loads(self.server.answer("/inside/memory"))
            managed = {name: told[name] for name in managed}
        self.samples.append({"requests": self.done, **self.settle(), **managed})
        return self.samples[-1]

    def settle(self):
        settle = SETTLE_LIMIT if self.args.slack <= 1 else 0
        limit = time.monotonic() + settle
        before, now = None, self.look()
        while not self.is_settled(before, now) and time.monotonic() < limit:
            time.sleep(0.5)
            before, now = now, self.look()
        return now

    @staticmethod
    def is_settled(before, now):
        return before and all(abs(now[name] - before[name]) <= 8 for name in now) \
            and now["files"] == before["files"] and now["threads"] == before["threads"]

    def run(self, show):
        show(self.sample())
        if self.args.slack <= 1:
            self.crowd()
        for turn in itertools.count():
            if turn >= self.args.slices and self.done >= self.args.requests \
                    or self.failures:
                break
            self.slice(turn)
            show(self.sample())
            if self.server.child() != self.pid:
                raise RuntimeError("httpd's child was replaced")

    def totals(self):
        return f"{self.done:,} requests: " + ", ".join(
            f"{count:,} {name}" for name, count in self.kinds.items())

    def verdict(self):
        warm = [s for s in self.samples
                if s["requests"] >= self.done * self.args.warm_up]
        failures = self.failures + self.server.complaints()[:10]
        if self.failures:
            return failures
        return failures + growth.judge(warm, self.args.slack)


# What they print: how many requests, and what went wrong.

def of_wrk(output):
    match = re.search(r"^DONE (\d+) (.*)$", output, re.MULTILINE)
    if not match:
        return 0, output[-500:]
    errors = match.group(2)
    names = ("connect", "read", "write", "status", "timeout")
    return int(match.group(1)), "" if errors == "0 0 0 0 0" else \
        "errors: " + ", ".join(f"{n} {name}" for n, name in zip(errors.split(), names))


def of_h2load(output):
    done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout",
                     output)
    codes = re.search(r"status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", output)
    if not done or not codes:
        return 0, output[-500:]
    good = set(done.groups()[1:] + codes.groups()) == {"0"}
    return int(done.group(1)), "" if good else f"{done.group(0)}; {codes.group(0)}"


def of_guests(output):
    lines = output.strip().split("\n")
    if not lines[-1].isdigit():
        return 0, output[-1000:]
    return int(lines[-1]), "\n".join(lines[:-1])


RESULTS = {"http": of_wrk, "https": of_wrk, "h2c": of_h2load, "h2": of_h2load,
           "guests": of_guests}
