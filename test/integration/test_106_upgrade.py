# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""A package upgrade: another module lies in the place of the one that runs, then httpd
is reloaded. The other one is the same but for the number of its messages."""

import os
import re
import shutil
import signal
import struct
import subprocess
import time

import pytest

import env as environment
import processes
from load import Load
from processes import wait_for

APP = """
<AppCoreApp {name}>
    AppCorePath {folder}
    {lines}
</AppCoreApp>
AppCoreMount /{name} {name}
"""


def symbol(module, name):
    listed = subprocess.run(["nm", module], capture_output=True, text=True).stdout
    found = re.search(rf"^(\w+) r {name}$", listed, re.M)
    if not found:
        pytest.skip("the module has no symbols")
    return int(found.group(1), 16)


def in_file(module, address):
    listed = subprocess.run(["readelf", "-lW", module], capture_output=True,
                            text=True).stdout
    for offset, start, _, size in re.findall(
            r"LOAD +(0x\w+) (0x\w+) (0x\w+) (0x\w+)", listed):
        if int(start, 16) <= address < int(start, 16) + int(size, 16):
            return int(offset, 16) + address - int(start, 16)
    raise AssertionError(f"{address:#x} is nowhere in the file")


def install(env, version):
    """As packages do it: a new file takes the name over."""
    new = env.module + ".new"
    shutil.copy(environment.MODULE, new)
    at = in_file(new, symbol(new, "ac_message_version"))
    with open(new, "r+b") as f:
        f.seek(at)
        assert f.read(4) == struct.pack("=I", 1)
        f.seek(at)
        f.write(struct.pack("=I", version))
    os.rename(new, env.module)


def block(env, name, lines=""):
    if not os.path.isdir(env.path("apps", name)):
        env.app(name, "life")
    return APP.format(name=name, folder=env.path("apps", name), lines=lines)


@pytest.fixture(scope="module")
def httpd(env):
    env.module = env.path("mod_appcore.so")
    env.expected = {env.path("apps", "many"): 3}
    env.always_allowed = [r"\[appcore:notice\]"]
    install(env, 1)
    env.start("AppCoreShutdownTimeLimit 3\n" + block(env, "one")
              + block(env, "many", "AppCoreProcessesPerApplication 3")
              + block(env, "heavy", "AppCoreEnvironmentVariable START_DELAY_MS 4000"))
    return env


def pids(env, name):
    return sorted(env.app_processes(env.path("apps", name)))


def upgrade(env, version):
    """Reloads; httpd's parent waits for nothing."""
    install(env, version)
    begin, position = time.monotonic(), len(env.log_text())
    os.kill(env.httpd_pid(), signal.SIGUSR1)
    wait_for(lambda: "resuming normal operations" in env.log_text()[position:], 20)
    assert time.monotonic() - begin < 4
    env.wait_log("mod_appcore was replaced by another version")


def test_upgrade_under_load(httpd):
    """There and back: nobody fails, nobody waits for the start of an app."""
    names = ("one", "many", "heavy")
    for name in names:
        assert httpd.get(f"/{name}/pid", timeout=60).status == 200
    wait_for(lambda: len(pids(httpd, "many")) == 3, 20, "three processes")
    with Load(httpd, "/one/pid", "/many/slow?ms=300", "/heavy/pid", "/many/pid",
              method="POST", threads=4) as load:
        for version in (1001, 1):
            load.wait(20)
            old = {name: pids(httpd, name) for name in names}
            keeper, relay = httpd.keeper(), httpd.helper("relay")
            upgrade(httpd, version)
            wait_for(lambda: not processes.alive(keeper), what="the end of the keeper")
            for name in names:
                wait_for(lambda: not any(map(processes.alive, old[name])), 30,
                         f"the end of the old processes of {name}")
                wait_for(lambda: len(pids(httpd, name)) == len(old[name]), 20,
                         f"new processes of {name}")
            wait_for(lambda: not processes.alive(relay), 15, "the end of the old relay")
        load.wait(20)
    load.check()
    assert load.slowest < 3.5
    httpd.get("/one/count?first=1&n=1")
    wait_for(lambda: "app one: counted 1." in httpd.recent_log())


def test_removed_with_the_upgrade(httpd):
    """Apps that the new version does not have are not forgotten by it."""
    assert httpd.get("/one/pid").status == 200
    old = httpd.app_processes()
    httpd.write_conf("")
    upgrade(httpd, 1002)
    wait_for(lambda: not any(map(processes.alive, old)), 30, "the end of the apps")
