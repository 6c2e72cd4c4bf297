# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What an ASP.NET Core app inside of httpd's child was told by its environment and says
to its server: pages for developers, limits, synchronous input and output."""

import os

import pytest

import dotnet
import env as environment
import inproc
from test_231_dotnet_inproc_shapes import folder as shapes      # noqa: F401
from test_231_dotnet_inproc_shapes import pytestmark            # noqa: F401

UNHANDLED = r"app (inside|shapes): "


@pytest.fixture(scope="module")
def inside(env):
    published = dotnet.project(os.path.join(environment.HERE, "apps", "inside"), "Inside")
    return dotnet.app(env, "inside", published, user="root" if env.is_root else None)


@pytest.fixture
def run(env, inside):
    def start(**variables):
        env.allow(UNHANDLED)
        env.start(inproc.app("inside", inside, *(
            f"AppCoreEnvironmentVariable {n} {v}" for n, v in variables.items())))
        return env
    yield start
    env.stop()


def test_page_for_developers(run):
    env = run(ASPNETCORE_ENVIRONMENT="Development")
    answer = env.get("/inside/throw", headers={"Accept": "text/html"})
    assert answer.status == 500 and "<html" in answer.text
    assert "InvalidOperationException: on purpose" in answer.text


def test_no_page_for_others(run):
    answer = run().get("/inside/throw")
    assert answer.status == 500 and answer.body == b""


@pytest.mark.parametrize("detailed", ["true", "false"])
def test_start_up_errors_that_the_app_captures(env, shapes, detailed):  # noqa: F811
    """The app serves, and what it serves is its own page of what went wrong."""
    env.allow(UNHANDLED)
    env.start(inproc.app(
        "shapes", shapes, "AppCoreEnvironmentVariable SHAPE broken",
        "AppCoreEnvironmentVariable ASPNETCORE_CAPTURESTARTUPERRORS true",
        f"AppCoreEnvironmentVariable ASPNETCORE_DETAILEDERRORS {detailed}"))
    answer = env.get("/shapes/x")
    env.stop()
    assert answer.status == 500 and "500.30" not in answer.text
    assert "An error occurred while starting the application" in answer.text
    assert ("on purpose" in answer.text) == (detailed == "true")


@pytest.mark.parametrize("server", ["KESTREL", "IIS"])
def test_limit_of_the_apps_own(run, server):
    env = run(**{f"{server}_LIMIT": 5000})
    for size, status in ((5000, 200), (5001, 413)):
        assert env.get("/inside/count", method="POST", body=bytes(size)).status == status
        pieces = (bytes(1) for _ in range(size))
        assert env.get("/inside/count", method="POST", body=pieces).status == status
    assert env.get("/inside/limit/6000", method="POST", body=bytes(6000)).status == 200


@pytest.mark.parametrize("invariant, text", [("0", "1,5"), ("1", "there is none")])
def test_cultures(run, invariant, text):
    """The app's environment decides, which the runtime reads as it starts."""
    env = run(DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=invariant)
    assert env.get("/inside/culture").text == text


@pytest.mark.parametrize("server", ["kestrel", "iis"])
def test_synchronous_where_the_app_says_so(run, server):
    assert run(SYNCHRONOUS=server).get("/inside/synchronous").text == "x"


def test_certificate_for_kestrel_that_there_is_not(run):
    """Which does not serve it here."""
    env = run(CERTIFICATE="missing.pfx")
    assert env.get("/inside/").text == "Hello World!"
    env.wait_log("What the app says of Kestrel, which does not serve it here, counts for "
                 "nothing: ")
