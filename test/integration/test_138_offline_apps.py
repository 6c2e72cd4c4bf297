# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Acceptance list of the ASP.NET Core Module: app_offline.htm and configuration that is
touched, with an ASP.NET Core site; and the same for node."""

import os
import threading

import pytest

import processes
from acceptance import Site, hosting_model, ids, outside  # noqa: F401
from load import Load
from processes import wait_for

PAGE = "<p>Down for maintenance</p>"


@pytest.fixture(scope="module")
def site(env, hosting_model):  # noqa: F811
    made = Site(env, hosting_model)
    for name in ("first", "running", "replaced"):
        made.add(name)
    made.add("held", shutdownTimeLimit=3)
    made.write("first", "app_offline.htm", PAGE)
    env.app("node", "node")
    made.apps["node"] = env.path("apps", "node")
    made.mounts["node"] = f"AppCoreMount /node {made.apps['node']}\n"
    return made.start()


def shows(site, name, path="/ProcessId", page=PAGE):
    answer = site.get(path, name)
    return answer.status == 503 and answer.text == page


def take_offline(site, name, page=PAGE):
    path = site.write(name, "app_offline.htm", page)
    wait_for(lambda: shows(site, name), 20, f"the page of {name}")
    return path


@ids("SD3")
def test_page_before_the_first_request(site):
    for _ in range(3):
        assert shows(site, "first")
    assert not site.processes("first")
    os.unlink(site.path("first", "app_offline.htm"))
    wait_for(lambda: site.get("/ProcessId", "first").status == 200, 30, "the app")


@ids("SD8", "V8")
def test_page_again_and_again(site):
    before = site.pid("running")
    for how in ("delete", "rename"):
        page = take_offline(site, "running")
        wait_for(lambda: not processes.alive(before), 20, "the end of the app")
        site.replace("running")
        if how == "delete":
            os.unlink(page)
        else:
            os.rename(page, page + ".done")
        wait_for(lambda: site.get("/ProcessId", "running").status == 200, 30, "the app")
        assert site.pid("running") != before
        before = site.pid("running")


@ids("SD7")
def test_requests_in_flight_end(site):
    """What the app was asked before is answered, and it hears that it stops."""
    pid = site.pid("held")
    with site.env.raw() as waiting, site.env.raw() as posting:
        waiting.send("GET /held/WaitForAppToStartShuttingDown HTTP/1.1\r\n"
                     "Host: localhost\r\nConnection: close\r\n\r\n")
        posting.send("POST /held/WaitForByte HTTP/1.1\r\nHost: localhost\r\n"
                     "Content-Length: 1\r\nConnection: close\r\n\r\n")
        assert b"test1" in waiting.receive(b"test1")
        wait_for(lambda: site.env.get("/held/WaitingRequestCount").text == "1",
                 what="the request that waits for a byte")
        page = take_offline(site, "held")
        posting.send("1")
        assert b"done" in posting.receive()
        site.env.allow("still had requests in flight")
        assert b"test2" in waiting.receive()
    wait_for(lambda: not processes.alive(pid), 20, "the end of the app")
    os.unlink(page)
    wait_for(lambda: site.get("/ProcessId", "held").status == 200, 30, "the app")


@ids("SD11", "SD13")
def test_touched_configuration_under_load(site):
    before = site.pid("replaced")
    with Load(site.env, "/replaced/ProcessId") as load:
        for _ in range(30):
            os.utime(site.path("replaced", "web.config"))
            threading.Event().wait(0.02)
        wait_for(lambda: site.pid("replaced") != before, 40, "a new process")
        load.wait(20)
    load.check()
    wait_for(lambda: not processes.alive(before), 30, "the end of the old process")


@outside
def test_node(site):
    before = site.text_of("/pid", "node")
    os.mkdir(site.path("node", "tmp"))
    with Load(site.env, "/node/pid") as load:
        site.write("node", "tmp/restart.txt", "")
        wait_for(lambda: site.text_of("/pid", "node") != before, 30, "a new process")
        load.wait(20)
    load.check()
    with Load(site.env, "/node/pid") as load:
        for _ in range(3):
            page = take_offline(site, "node")
            os.unlink(page)
            wait_for(lambda: site.get("/pid", "node").status == 200, 30, "the app")
        load.wait(20)
    assert not load.errors
    assert {a.text for a in load.answers if a.status != 200} <= {PAGE}
    assert {a.status for a in load.answers} <= {200, 503}
