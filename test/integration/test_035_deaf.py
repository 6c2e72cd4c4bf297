# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Apps that close their listener and live on: a request that is refused there waits for
the replacement."""

import threading
import time

import pytest

import processes
from processes import wait_for
from rawapp import RawApp

pytestmark = pytest.mark.mpm
# How each app is reached, and what the log says once it is not any more.
APPS = {
    "fd": ("AppCoreListen socket", "it closed its socket"),
    "own": ('AppCoreProcessPath python3\n    AppCoreArguments "raw.py {socket}"',
            "it closed its socket"),
    "tcp": ("AppCoreListen tcp", "it does not listen to its port any more"),
}


@pytest.fixture(scope="module")
def httpd(env):
    env.made = {name: RawApp(env, name) for name in APPS}
    env.start("KeepAliveTimeout 30\n" + "".join(f"""
<AppCoreApp {name}>
    AppCorePath {env.made[name].folder}
    {lines}
</AppCoreApp>
AppCoreMount /{name} {name}
""" for name, (lines, _) in APPS.items()))
    return env


@pytest.fixture(params=APPS)
def app(request, httpd):
    found = httpd.made[request.param]
    httpd.allow(rf"app {found.name}: process \d+ .*takes no connections any more")
    assert httpd.get(f"/{found.name}/pid").status == 200
    found.forget()
    return found


def said(httpd, app, pid):
    httpd.wait_log(rf"app {app.name}: process {pid} .*takes no connections any more, "
                   rf"although it lives: {APPS[app.name][1]}")


def replacement(httpd, app, old, method="GET"):
    """Pid of the process that answers instead. Connections that children of httpd keep
    open lead to the old one for a while."""
    def other():
        answer = httpd.get(app.target("pid"), method=method)
        assert answer.status == 200
        return int(answer.text) != old and int(answer.text)
    return wait_for(other, 10, "an answer of another process")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_it_is_replaced(app, httpd, method):
    """Nothing was sent to the old one, so any request may wait for the new one."""
    old = int(httpd.get(app.target("pid")).text)
    assert httpd.get(app.target("retire")).text == "bye"
    began = time.monotonic()
    new = replacement(httpd, app, old, method)
    assert time.monotonic() - began < 5
    said(httpd, app, old)
    wait_for(lambda: not processes.alive(old), what="the end of the old process")
    assert httpd.get(app.target("pid")).text == str(new)


def test_what_it_is_at_is_finished(app, httpd):
    gate, answers = app.gate(), []
    thread = threading.Thread(target=lambda: answers.append(
        httpd.get(app.target("hold", gate=gate))))
    thread.start()
    old = app.wait_gate(gate)["pid"]
    try:
        assert httpd.get(app.target("retire")).text == "bye"
        assert replacement(httpd, app, old)
        assert processes.alive(old)
    finally:
        app.open(gate)
        thread.join()
    assert answers[0].status == 200 and answers[0].text == str(old)
    said(httpd, app, old)
    wait_for(lambda: not processes.alive(old), what="the end of the old process")
