# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Graceful restarts and new versions one after the other, under load: clients of an
ASP.NET Core app in process, over http, https and HTTP/2, do not notice."""

import os
import ssl

import pytest

import dotnet
import env as environment
import probe
from ending import deploy, inside
from load import Clients, Curls
from processes import alive, wait_for

pytestmark = [pytest.mark.mpm, pytest.mark.skipif(
    environment.MPM == "prefork", reason="the prefork MPM hosts no runtime")]
TURNS = 20 if os.environ.get("APPCORE_ALL") else 3


@pytest.fixture(scope="module")
def httpd(env):
    dotnet.need_sdk()
    folder = deploy(env, "own", "ending")
    protocols = probe.protocols(env)
    tls = probe.tls_conf(env, "AppCoreMount /own own")
    env.start(f"{protocols}{inside('own', folder, 'AppCoreMaxWorkers 100%')}{tls}")
    os.makedirs(os.path.join(folder, "tmp"), exist_ok=True)
    assert env.get("/own/").status == 200
    return env


def trusting():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def everybody(httpd):
    """A client of every kind, by name; each asks for what parks as well."""
    path = "/own/wait?ms=5"
    found = {"http": Clients(httpd.port, "/own/", patient=True),
             "parked": Clients(httpd.port, path, patient=True)}
    if probe.HAS_TLS:
        found["https"] = Clients(httpd.port2, path, tls=trusting(), patient=True)
    if probe.HAS_HTTP2:
        curl = ["curl", "-sk", "-m", "60"]
        found["h2c"] = Curls([*curl, "--http2-prior-knowledge"],
                             probe.address(httpd, "http", path))
    if probe.HAS_HTTP2 and probe.HAS_TLS:
        found["h2"] = Curls([*curl, "--http2"], probe.address(httpd, "https", path))
    return found


def new_version(httpd):
    old = httpd.workers()
    with open(httpd.path("apps", "own", "tmp", "restart.txt"), "a",
              encoding="ascii") as f:
        f.write("again\n")
    wait_for(lambda: not any(alive(p.pid) for p in old), 40, "the end of old children")


@pytest.mark.parametrize("how", ["reload", "version"])
def test_no_request_fails(httpd, how):
    clients = everybody(httpd)
    for _ in range(TURNS):
        httpd.reload() if how == "reload" else new_version(httpd)
        wait_for(lambda: httpd.get("/own/").status == 200, 20, "an answer")
    answers = {name: one.finish() for name, one in clients.items()}
    assert {name: set(found) for name, found in answers.items()} \
        == {name: {200} for name in clients}
