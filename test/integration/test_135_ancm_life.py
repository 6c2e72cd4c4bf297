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
                        outside, published, web_config)
from processes import wait_for

pytestmark = outside
OFFLINE = "<p>down for a moment</p>"
SLOW_END = {"SHUTDOWN_DELAY_MS": "3000"}


@pytest.fixture(scope="module")
def site(env, hosting_model):  # noqa: F811
    env.always_allowed += [r"appcore:(warn|error)\].* app \w+: ", r"appcore:error\].*app"]
    made = Site(env, hosting_model)
    for name in ("site", "broken", "killed", "fresh"):
        made.add(name)
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
    env.give_tree(copy(made), env.owner())
    return made.start(
        lambda apps: f"{GENERAL}AppCoreQueueTimeLimit 10s\n{apps}")


def copy(site, *rest):
    return os.path.join(os.path.dirname(site.path("shadow")), "shadow-copies", *rest)


def stop(site, app):
    """Ends the app's process as a reload does that no longer has it; seconds."""
    pid = site.pid(app)
    text = re.sub(rf"(?m)^AppCoreMount .* {app}$", "", site.text)
    begun = time.monotonic()
    site.env.reload(text, wait_workers=False)
    wait_for(lambda: not processes.alive(pid), 30, "the end of the app")
    took = time.monotonic() - begun
    site.env.reload(site.text)
    return pid, took


# Ends

@ids("SD1", "V2")
def test_app_that_does_not_end_is_ended(site):
    pid, took = stop(site, "hang")
    assert took >= 1
    site.env.wait_log(rf"app hang: .*process {pid}.*(SIGKILL|signal 9|did not end)")


@ids("V2")
@pytest.mark.parametrize("limit, least, most", [(10, 2.9, 9), (1, 0.9, 2.9), (0, 0, 2)])
def test_end_takes_its_time_within_the_limit(site, limit, least, most):
    """The app needs three seconds."""
    pid, took = stop(site, f"end{limit}")
    assert took >= least
    line = site.env.wait_log(rf"app end{limit}: .*process {pid}.* "
                             "(exit code|did not end|signal 9)").group()
    assert ("exit code" in line) == (limit > 3)


@ids("SD2", "PO4")
@pytest.mark.parametrize("path", ["/Shutdown", "/ShutdownStopAsync",
                                  "/ShutdownStopAsyncWithCancelledToken"])
def test_app_that_stops_itself(site, path):
    pid = site.pid()
    site.get(path)
    wait_for(lambda: not processes.alive(pid), 20, "the end of the app")
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
    learns of its end when nothing is in flight, or at the limit; in IIS at once."""
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
        text = re.sub(r"(?m)^AppCoreMount .* patient$", "", site.text)
        site.env.reload(text, wait_workers=False)
        waiting.receive(b"test2")
    for raw in posts:
        raw.send("x")
        assert raw.receive(b"done").endswith(b"done")
        raw.socket.close()
    wait_for(lambda: not processes.alive(pid), 20, "the end of the app")
    site.env.reload(site.text)
    site.env.wait_log(rf"app patient: .*process {pid}.*exit code 0")


# app_offline.htm

def go_offline(site, app="offline", text=OFFLINE):
    return site.write(app, "app_offline.htm", text)


def is_offline(site, app="offline"):
    answer = site.get("/HelloWorld", app)
    return answer.status == 503 and answer.text == OFFLINE


@pytest.fixture
def online(site):
    yield
    for app in ("offline", "broken"):
        path = site.path(app, "app_offline.htm")
        if os.path.exists(path):
            os.unlink(path)
    wait_for(lambda: site.get("/HelloWorld", "offline").status == 200, 20)


@ids("SD9")
def test_offline_and_online_again_before_the_first_request(site):
    os.unlink(go_offline(site, "fresh"))
    assert site.text_of("/HelloWorld", "fresh") == "Hello World"


@ids("SD8")
def test_offline_and_online_again(site, online):
    pid = site.pid("offline")
    path = go_offline(site)
    wait_for(lambda: is_offline(site), 3)
    wait_for(lambda: not processes.alive(pid), what="the end of the app")
    answer = site.get("/HelloWorld", "offline")
    assert answer.header("Content-Type").startswith("text/html")
    os.unlink(path)
    wait_for(lambda: site.get("/HelloWorld", "offline").status == 200, 5)


@ids("SD4")
def test_offline_file_that_cannot_be_read(site, online):
    path = go_offline(site)
    os.chmod(path, 0)
    wait_for(lambda: site.get("/HelloWorld", "offline").status == 503, 3)
    assert OFFLINE not in site.get("/HelloWorld", "offline").text


@ids("SD5", "SD6")
def test_offline_ends_an_error(site, online):
    assert site.get("/HelloWorld", "broken").status in (500, 502)
    path = go_offline(site, "broken")
    wait_for(lambda: is_offline(site, "broken"), 3)
    site.write("broken", "web.config", web_config())
    os.unlink(path)
    wait_for(lambda: site.get("/HelloWorld", "broken").status == 200, 20)


@ids("SD8", "V8")
def test_offline_twice_and_a_new_dll_meanwhile(site, online):
    for _ in range(2):
        pid = site.pid("offline")
        path = go_offline(site)
        wait_for(lambda: is_offline(site), 3)
        wait_for(lambda p=pid: not processes.alive(p), what="the end of the app")
        os.unlink(site.path("offline", DLL))
        site.replace("offline")
        os.unlink(path)
        wait_for(lambda: site.get("/HelloWorld", "offline").status == 200, 20)
        assert site.pid("offline") != pid


@ids("SD10")
def test_offline_under_load(site, online):
    site.pid("offline")
    seen = set()
    with load.Load(site.env, "/offline/HelloWorld") as requests:
        for _ in range(5):
            path = go_offline(site)
            wait_for(lambda: is_offline(site), 3)
            os.unlink(path)
            wait_for(lambda: site.get("/HelloWorld", "offline").status == 200, 20)
    seen = {answer.status for answer in requests.answers}
    assert seen == {200, 503} and not requests.errors


@ids("WS13")
def test_sockets_end_when_the_app_goes_offline(site, online):
    with client.Raw(site.env.port) as raw:
        talk = websocket.WebSocket(raw, "/offline/WebSocketEcho")
        talk.send(b"x", websocket.TEXT)
        talk.receive()
        go_offline(site)
        wait_for(lambda: is_offline(site), 3)
        raw.receive()


# Recycling

def touch(site):
    """The same content again is enough."""
    site.write("touched", "web.config", web_config(shutdownTimeLimit=2))


@ids("SD11")
def test_touched_web_config_recycles(site):
    pid = site.pid("touched")
    touch(site)
    wait_for(lambda: site.pid("touched") != pid, 6, "another process")


@ids("V6")
def test_web_config_away_and_back(site):
    """Without it the app is found by what was published."""
    path = site.path("touched", "web.config")
    for names in ((path, path + ".away"), (path + ".away", path)):
        pid = site.pid("touched")
        os.rename(*names)
        wait_for(lambda p=pid: site.pid("touched") != p, 20, "another process")


@ids("SD13")
def test_touched_under_load(site):
    """Not one request fails; IIS promises 200 or 503."""
    pid = site.pid("touched")
    with load.Load(site.env, "/touched/HelloWorld") as requests:
        for _ in range(20):
            touch(site)
            requests.wait(3)
        wait_for(lambda: site.pid("touched") != pid, 6, "another process")
    assert {answer.status for answer in requests.answers} <= {200, 503}
    assert not requests.errors


@ids("WS14")
def test_sockets_end_when_the_app_is_recycled(site):
    with client.Raw(site.env.port) as raw:
        talk = websocket.WebSocket(raw, "/touched/WebSocketEcho")
        talk.send(b"x", websocket.TEXT)
        talk.receive()
        pid = site.pid("touched")
        touch(site)
        wait_for(lambda: site.pid("touched") != pid, 6, "another process")
        raw.receive()


# Crashes

def kill(site, app):
    pid = site.pid(app)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not processes.alive(pid))
    return pid


@ids("V4")
def test_killed_app_is_back(site):
    for _ in range(3):
        pid = kill(site, "killed")
        assert site.pid("killed") != pid


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
    assert re.search(rf"\b{limit} ", site.env.recent_log())


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
    """The folder's files are free while it runs, and a new .dll is another copy. What an
    earlier one left, "0", is not run from."""
    folder, pid = site.path("shadow"), site.pid("shadow")
    assert runs_from(site) == copy(site, "1")
    assert site.text_of("/ContentRootPath", "shadow").rstrip("/") == folder
    assert folder + "/" not in processes.read(pid, "maps").decode()
    os.unlink(site.path("shadow", DLL))
    assert site.pid("shadow") == pid
    # With a time of its own, as if it were built anew.
    site.env.give(shutil.copy(os.path.join(published(), DLL), folder), site.env.owner())
    wait_for(lambda: site.pid("shadow") != pid, 40, "another process")
    assert runs_from(site) == copy(site, "2")


# All at once

@ids("V21")
def test_mixed_requests_and_ends(site):
    """Short, but everything together; the robustness files of this suite go on."""
    site.pid()
    failures = []

    def sockets():
        try:
            for _ in range(10):
                raw = client.Raw(site.env.port)
                talk = websocket.WebSocket(raw, "/killed/WebSocketEcho")
                talk.send(b"x", websocket.TEXT)
                assert talk.receive() == (websocket.TEXT, b"x")
                raw.socket.close()
        except (OSError, AssertionError) as error:
            failures.append(error)
    other = threading.Thread(target=sockets)
    with load.Load(site.env, "/site/HelloWorld", "/killed/HelloWorld",
                   "/site/LargeResponseBody?length=100000") as requests:
        other.start()
        for _ in range(2):
            requests.wait(50)
            site.get("/Shutdown")
        other.join()
    assert {answer.status for answer in requests.answers} <= {200, 503}
    assert not requests.errors and not failures
