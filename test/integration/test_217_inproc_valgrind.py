# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The C parts of apps in process under valgrind: a child with the probe in it, asked for
everything that the probe can do, by clients that stay and that leave."""

import os
import random
import shutil
import signal

import pytest

import env as environment
import probe
from probe import curl, pattern
from processes import wait_for
from test_207_inproc_abort import one_abort

pytestmark = pytest.mark.skipif(
    not shutil.which("valgrind") or bool(os.environ.get("APPCORE_PRELOAD"))
    or environment.MPM != "event", reason="needs valgrind and no sanitizer")

ABORTS = 600 if os.environ.get("APPCORE_ALL") else 60
BODY = pattern(20000)
ROUTES = ["hello", "info", "config", "big?n=30000", "pieces?n=9000", "later?ms=0",
          "stream?n=3&ms=0", "posts", "var?name=A&set=b", "lend", "after", "early",
          "early-inside", "twice", "status?code=404", "field", "trailers", "inform",
          "log", "close", "big-async?n=300000", "threads?threads=3&posts=5", "rules",
          "elsewhere", "sendfile?path=/etc/passwd", "declined", "short", "nothing",
          "failed", "bad-field", "invented", "complete-failed", "pending-nothing"]
POSTS = ["echo", "echo-async", "digest", "digest-async", "limit", "expect",
         "read-declined", "hello"]



def start(env):
    """mod_ssl stays away: valgrind has much to say of libcrypto. It does not know
    pidfd_open(), so there is no keeper, which apps in process do without."""
    env.made = probe.Probe(env)
    env.always_allowed += ["app probe", "keeper"]
    os.chmod(env.path("files"), 0o777)
    env.around = ["valgrind", "--quiet", "--leak-check=full",
                  "--show-leak-kinds=definite", f"--log-file={env.path('files')}/log.%p"]
    env.begin_test()
    protocols = probe.protocols(env)
    # A stop that is not graceful kills what takes its time, as valgrind does.
    process = env.start_attached(
        f"{protocols}Timeout 60\nGracefulShutdownTimeout 120\nMaxRequestWorkers 16\n"
        f"AppCoreMaxWorkers 100%\n{env.made.conf()}", "-DFOREGROUND")
    env.made.wait_event("init", 60)
    return process


def complaints(env, pid):
    with open(env.path("files", f"log.{pid}"), encoding="utf-8", errors="replace") as f:
        return [line for line in f if line.startswith(f"=={pid}==")]


def ask_for_everything(env, way):
    for route in ROUTES:
        curl(env, way, f"/probe/{route}")
    for route in POSTS:
        curl(env, way, f"/probe/{route}", data=BODY)


def talk(env):
    with probe.connect(env, "http") as raw:
        probe.shake_hands(raw, "/probe/tunnel-async")
        raw.send("hear")
        assert probe.receive_exactly(raw, 4) == b"hear"


def leave_in_the_middle(env):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    env.made.forget()
    for _ in range(ABORTS):
        one_abort(env, dice, ["http"])
    wait_for(lambda: {e["tag"] for e in env.made.events("disconnect")}
             <= {e["tag"] for e in env.made.events("release")}, 60, "all releases")


def test_nothing_is_wrong_with_memory(env):
    process = start(env)
    child = env.made.events("init")[0]["pid"]
    try:
        for way in ["http", "h2"] if probe.HAS_HTTP2 else ["http"]:
            ask_for_everything(env, way)
        talk(env)
        leave_in_the_middle(env)
        assert env.get("/probe/hello", timeout=60).status == 200
    finally:
        process.send_signal(signal.SIGWINCH)
        process.wait(120)
    env.made.check()
    assert [(e["pid"], e["calls"]) for e in env.made.events("ended")] == [(child, 0)]
    assert not complaints(env, child)
    wait_for(lambda: not env.leftovers(), 60, "the end of what valgrind delays")
