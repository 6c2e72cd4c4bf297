# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Acceptance list of the ASP.NET Core Module: shutdown, app_offline.htm, recycling,
crashes and limits, shadow copies."""

import os
import re
import shutil
import signal
import threading
import time

import pytest

import client
import load
import processes
import websocket
from acceptance import (DLL, GENERAL, Site, hosting_model, ids,  # noqa: F401
                        inside, outside, published, web_config)
from processes import wait_for

OFFLINE = "<p>down for a moment</p>"
SLOW_END = {"SHUTDOWN_DELAY_MS": "3000"}
# Until a page is shown or gone; in process a child of httpd is replaced for that.
SOON = {"OutOfProcess": 3, "InProcess": 20}


@pytest.fixture(scope="module")
def site(env, hosting_model):  # noqa: F811
    env.always_allowed += [r"appcore:(warn|error)\].* app \w+\W", r"appcore:error\].*app"]
    made = Site(env, hosting_model)
    for name in ("site", "broken", "cut", "killed", "fresh"):
        made.add(name)
    os.truncate(made.path("cut", DLL), 1000)
    for name in ("offline", "touched"):
        made.add(name, shutdownTimeLimit=2)
    made.write("broken", "web.config", web_config(processPath="bogus"))
    made.add("hang", "HangOnStop", shutdownTimeLimit=1)
    made.add("patient", "IncreaseShutdownLimit", shutdownTimeLimit=5)
    for limit in (10, 1, 0):
        made.add(f"end{limit}", variables=SLOW_END, shutdownTimeLimit=limit)
    for limit in (2, 0):
        made.add(f"fails{limit}", rapidFailsPerMinute=limit)
    made.add("quick", requestTimeout="00:00:01")
    made.add("shadow", settings={"enableShadowCopy": "true",
                                 "shadowCopyDirectory": "..\\shadow-copies"})
    os.makedirs(copy(made, "0"))
    env.give_tree(copy(made), env.owner(made.owner()))
    if made.in_process:
        made.add("free")
    return made.start(
        lambda apps: f"{GENERAL}AppCoreQueueTimeLimit 10s\n{apps}")


def copy(site, *rest):
    return os.path.join(os.path.dirname(site.path("shadow")), "shadow-copies", *rest)


def await_end(pid):
    wait_for(lambda: not processes.alive(pid), 30, "the end of the app")


def stop(site, app):
    """Ends the app's process as a reload does that no longer has it. The seconds, and
    what the log says of how."""
    pid = site.pid(app)
    begun = time.monotonic()
    site.unmount(app)
    await_end(pid)
    took = time.monotonic() - begun
    if not site.in_process:
        site.env.wait_log(rf"app {app}: .*process {pid}.*(exit code|signal 9)")
    said = "".join(re.findall(rf".*app {app}\W.*", site.env.recent_log()))
    site.mount(app)
    return took, said


# Ends

@ids("SD1", "V2")
def test_app_that_does_not_end_is_ended(site):
    took, said = stop(site, "hang")
    assert took >= 1
    assert re.search("SIGKILL|signal 9|did not end", said)


@ids("V2")
@pytest.mark.parametrize("limit, least, most", [(10, 2.9, 9), (1, 0.9, 2.9), (0, 0, 2)])
def test_end_takes_its_time_within_the_limit(site, limit, least, most):
    """The app needs three seconds."""
    took, said = stop(site, f"end{limit}")
    assert took >= least
    assert bool(re.search("did not end|signal 9", said)) == (limit < 3)


@ids("SD2", "PO4")
@pytest.mark.parametrize("path", ["/Shutdown", "/ShutdownStopAsync",
                                  "/ShutdownStopAsyncWithCancelledToken"])
def test_app_that_stops_itself(site, path):
    pid = site.pid()
    try:
        site.get(path)
    except OSError:
        # An end that waits for nobody cuts off the request that asks for it.
        assert path.endswith("CancelledToken")
    await_end(pid)
    assert site.pid() != pid


@ids("SD17")
def test_requests_while_the_app_stops_itself(site):
    """None fails: what can be repeated is, and the others wait for the successor."""
    site.pid()
    with load.Load(site.env, "/site/HelloWorld") as requests:
        for _ in range(3):
            requests.wait(30)
            site.get("/Shutdown")
        requests.wait(30)
    assert {answer.status for answer in requests.answers} <= {200, 503}
    assert not requests.errors


@ids("SD7")
def test_requests_in_flight_are_finished(site):
    """Two that still send their bodies and one that waits for the end itself. The app
    learns of its end when nothing is in flight, or at the limit; in process, as in IIS,
    at once."""
    pid = site.pid("patient")
    posts = [client.Raw(site.env.port) for _ in range(2)]
    for raw in posts:
        raw.send("POST /patient/WaitForByte HTTP/1.1\r\nHost: x\r\n"
                 "Content-Length: 1\r\n\r\n")
    with client.Raw(site.env.port) as waiting:
        waiting.send("GET /patient/WaitForAppToStartShuttingDown HTTP/1.1\r\n"
                     "Host: x\r\n\r\n")
        waiting.receive(b"test1")
        wait_for(lambda: site.text_of("/WaitingRequestCount", "patient") == "2")
        site.unmount("patient")
        waiting.receive(b"test2")
    for raw in posts:
        raw.send("x")
        assert b"done" in raw.receive(b"done")
        raw.socket.close()
    await_end(pid)
    site.mount("patient")
    if not site.in_process:
        site.env.wait_log(rf"app patient: .*process {pid}.*exit code 0")
    assert "did not end" not in site.env.recent_log()


# app_offline.htm

def go_offline(site, app="offline", text=OFFLINE):
    return site.write(app, "app_offline.htm", text)


def await_offline(site, app="offline"):
    def is_offline():
        answer = site.get("/HelloWorld", app)
        return answer.status == 503 and answer.text == OFFLINE
    wait_for(is_offline, SOON[site.model], "the page")


def await_online(site, app="offline"):
    wait_for(lambda: site.get("/HelloWorld", app).status == 200, 20, "the app")


@pytest.fixture
def online(site):
    yield
    for app in ("offline", "broken", "cut"):
        path = site.path(app, "app_offline.htm")
        if os.path.exists(path):
            os.unlink(path)
    await_online(site, site.inside or "offline")


@ids("SD9")
def test_offline_and_online_again_before_the_first_request(site):
    site.enter("fresh")
    os.unlink(go_offline(site, "fresh"))
    assert site.text_of("/HelloWorld", "fresh") == "Hello World"


@ids("SD8")
def test_offline_and_online_again(site, online):
    pid = site.pid("offline")
    path = go_offline(site)
    await_offline(site)
    await_end(pid)
    answer = site.get("/HelloWorld", "offline")
    assert answer.header("Content-Type").startswith("text/html")
    os.unlink(path)
    await_online(site)


@ids("SD4")
def test_offline_file_that_cannot_be_read(site, online):
    site.pid("offline")
    path = go_offline(site)
    os.chmod(path, 0)
    wait_for(lambda: site.get("/HelloWorld", "offline").status == 503,
             SOON[site.model], "503")
    assert OFFLINE not in site.get("/HelloWorld", "offline").text


def mend(site, app):
    site.write(app, "web.config", web_config())
    site.replace(app)


@ids("SD5", "SD6")
@pytest.mark.parametrize("app", ["broken", "cut"])
def test_offline_ends_an_error(site, online, app):
    """Of a program that there is not, and of half of a .dll."""
    assert site.get("/HelloWorld", app).status in (500, 502)
    path = go_offline(site, app)
    await_offline(site, app)
    mend(site, app)
    os.unlink(path)
    await_online(site, app)


@ids("SD8", "V8")
def test_offline_twice_and_a_new_dll_meanwhile(site, online):
    for _ in range(2):
        pid = site.pid("offline")
        path = go_offline(site)
        await_offline(site)
        await_end(pid)
        os.unlink(site.path("offline", DLL))
        site.replace("offline")
        os.unlink(path)
        await_online(site)
        assert site.pid("offline") != pid


@ids("SD10")
def test_offline_under_load(site, online):
    site.pid("offline")
    seen = set()
    with load.Load(site.env, "/offline/HelloWorld") as requests:
        for _ in range(5):
            path = go_offline(site)
            await_offline(site)
            os.unlink(path)
            await_online(site)
    seen = {answer.status for answer in requests.answers}
    assert seen == {200, 503} and not requests.errors


@ids("WS13")
def test_sockets_end_when_the_app_goes_offline(site, online):
    with site.raw("offline") as raw:
        talk = websocket.WebSocket(raw, "/offline/WebSocketEcho")
        talk.send(b"x", websocket.TEXT)
        talk.receive()
        pid = site.pid("offline")
        go_offline(site)
        await_offline(site)
        raw.receive()
    await_end(pid)


# Recycling

def touch(site):
    """The same content again is enough."""
    site.write("touched", "web.config", web_config(shutdownTimeLimit=2))


def await_other(site, pid):
    wait_for(lambda: site.pid("touched") != pid, 20, "another process")


@ids("SD11")
def test_touched_web_config_recycles(site):
    pid = site.pid("touched")
    touch(site)
    await_other(site, pid)


@ids("V6")
def test_web_config_away_and_back(site):
    """Without it the app is found by what was published."""
    path = site.path("touched", "web.config")
    for names in ((path, path + ".away"), (path + ".away", path)):
        pid = site.pid("touched")
        os.rename(*names)
        await_other(site, pid)


@ids("SD13")
def test_touched_under_load(site):
    """Not one request fails; IIS promises 200 or 503."""
    pid = site.pid("touched")
    with load.Load(site.env, "/touched/HelloWorld") as requests:
        for _ in range(20):
            touch(site)
            requests.wait(3)
        await_other(site, pid)
    assert {answer.status for answer in requests.answers} <= {200, 503}
    assert not requests.errors


@ids("WS14")
def test_sockets_end_when_the_app_is_recycled(site):
    with site.raw("touched") as raw:
        talk = websocket.WebSocket(raw, "/touched/WebSocketEcho")
        talk.send(b"x", websocket.TEXT)
        talk.receive()
        pid = site.pid("touched")
        touch(site)
        await_other(site, pid)
        raw.receive()
    await_end(pid)


# Crashes

def kill(site, app):
    site.env.allow("exit signal Killed", "ended while it hosted apps in process")
    pid = site.pid(app)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not processes.alive(pid))
    return pid


@ids("V4")
def test_killed_app_is_back(site):
    for _ in range(3):
        pid = kill(site, "killed")
        assert site.pid("killed") != pid


@inside
@ids("V1")
@pytest.mark.parametrize("limit", [2, 0])
def test_rapid_fails_in_process(site, limit):
    """It is moved to a process of its own, where its failures harm nobody else."""
    app = f"fails{limit}"
    for _ in range(limit or 1):
        kill(site, app)
    pid = site.pid(app)
    assert site.processes(app) == [pid]
    site.env.wait_log(f"app {app} is no longer hosted in process")
    site.env.reload()
    wait_for(lambda: site.pid(app) in [p.pid for p in site.env.workers()], 20,
             "the app in process again")
    site.leave()


@outside
@ids("V1")
@pytest.mark.parametrize("limit", [2, 0])
def test_rapid_fails(site, limit):
    """After more than so many the app is paused: 503 at once, 502.5 in IIS."""
    app = f"fails{limit}"

    def statuses():
        for _ in range(limit + 4):
            answer = site.get("/ProcessId", app)
            yield answer.status
            if answer.status == 200:
                try:
                    os.kill(int(answer.text), signal.SIGKILL)
                except ProcessLookupError:
                    pass
                wait_for(lambda p=int(answer.text): not processes.alive(p))
    seen = list(statuses())
    good = seen.index(503) if 503 in seen else 99
    assert limit <= good < limit + 3, seen
    wait_for(lambda: re.search(rf"\b{limit} ", site.env.recent_log()))


@outside
@ids("V5")
def test_killed_child_of_httpd(site):
    """Apps are not its, so they live on; IIS ends them with their worker."""
    site.env.allow("exit signal")
    pid = site.pid("killed")
    for worker in site.env.workers():
        os.kill(worker.pid, signal.SIGKILL)
    wait_for(lambda: site.env.workers() and site.get("/HelloWorld", "killed").status
             == 200, 20)
    assert site.pid("killed") == pid


# Time

@outside
@ids("V12")
def test_request_timeout(site):
    assert site.text_of("/Slow?ms=100", "quick") == "slept"
    answer = site.get("/Slow?ms=8000", "quick")
    assert answer.status == 504


# Shadow copies

def runs_from(site):
    return site.text_of("/BaseDirectory", "shadow").rstrip("/")


@ids("SC1", "SC2", "SC3", "SC4")
def test_shadow_copy(site):
    """The folder's files are free while it runs, and a new .dll is another copy, though
    not before none was written for 5 s. What an earlier one left, "0", is not run from;
    what somebody still runs from stays."""
    folder, pid = site.path("shadow"), site.pid("shadow")
    assert runs_from(site) == copy(site, "1")
    assert site.text_of("/ContentRootPath", "shadow").rstrip("/") == folder
    assert folder + "/" not in processes.read(pid, "maps").decode()
    os.unlink(site.path("shadow", DLL))
    assert site.pid("shadow") == pid
    # Of a child of before, which waits for the rest of it.
    request = site.raw("shadow")
    request.send("GET /shadow/BaseDirectory HTTP/1.1\r\nHost: localhost\r\n")
    # With a time of its own, as if it were built anew.
    begun = time.monotonic()
    site.env.give(shutil.copy(os.path.join(published(), DLL), folder),
                  site.env.owner(site.owner()))
    wait_for(lambda: site.pid("shadow") != pid, 60, "another process")
    assert time.monotonic() - begun > 4.9
    assert runs_from(site) == copy(site, "2")
    with request:
        assert not site.in_process or os.path.exists(copy(site, "1", DLL))
        request.send("Connection: close\r\n\r\n")
        number = "1" if site.in_process else "2"
        assert request.response().text.rstrip("/") == copy(site, number)


@inside
@ids("SC1")
def test_files_are_free_while_it_runs(site):
    """Without a copy; what was loaded stays loaded."""
    pid = site.pid("free")
    for name in os.listdir(site.path("free")):
        path = site.path("free", name)
        if name != "web.config":
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    assert site.pid("free") == pid


# All at once

@ids("V21")
def test_mixed_requests_and_ends(site):
    """Short, but everything together; the robustness files of this suite go on. Sockets
    are those of another app, where there can be one."""
    site.pid()
    failures = []
    other = "site" if site.in_process else "killed"

    def talk():
        with client.Raw(site.env.port) as raw:
            talk = websocket.WebSocket(raw, f"/{other}/WebSocketEcho")
            talk.send(b"x", websocket.TEXT)
            assert talk.receive() == (websocket.TEXT, b"x")

    def sockets():
        for _ in range(10):
            try:
                talk()
            except (OSError, AssertionError) as error:
                failures.append(error)
    thread = threading.Thread(target=sockets)
    with load.Load(site.env, "/site/HelloWorld", f"/{other}/HelloWorld",
                   "/site/LargeResponseBody?length=100000") as requests:
        thread.start()
        for _ in range(2):
            requests.wait(50)
            site.get("/Shutdown")
        thread.join()
    assert {answer.status for answer in requests.answers} <= {200, 503}
    assert not requests.errors
    assert not failures if other != "site" else len(failures) < 10
