# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""One companion for every supported .NET: apps that bring an older runtime than the
SDK's serve from the inherited socket as well."""

import glob
import os
import platform

import pytest

import dotnet
import env as environment

COMPANION = os.path.join(os.path.dirname(environment.MODULE), "appcore", "net8.0")
SHAPES = ["web", "slim", "bare-empty", "webhost", "generic"]
VERSIONS = ["8.0", "9.0"]


@pytest.fixture(scope="module")
def httpd(env):
    if not glob.glob(os.path.join(COMPANION, "*.dll")):
        pytest.skip("the companion was not built for .NET 8")
    if platform.machine() != "x86_64":
        pytest.skip("the runtime is published for x86-64")
    with open(os.path.join(environment.HERE, "apps", "shapes", "Program.cs"),
              encoding="utf-8") as f:
        source = f.read()
    text, env.expected = "", {}
    for version in VERSIONS:
        folder = dotnet.app(env, version, dotnet.with_runtime(source, version))
        env.expected[folder] = len(SHAPES)
        for shape in SHAPES:
            text += f"""
<AppCoreApp {shape}-{version}>
    AppCorePath {folder}
    AppCoreEnvironmentVariable SHAPE {shape}
</AppCoreApp>
AppCoreMount /{shape}-{version}/app {shape}-{version}
"""
    env.start(text)
    return env


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_serves_from_the_socket(httpd, shape, version):
    name = f"{shape}-{version}"
    answer = httpd.get(f"/{name}/app/x")
    assert answer.status == 200, answer
    httpd.wait_log(rf"app {name}: process \d+ .*is ready after .* on the socket it got")
    seen = answer.json()
    # ".NET 8.0.31"
    assert seen["framework"].startswith(f".NET {version}.")
    assert seen["pathBase"] == f"/{name}/app" and seen["path"] == "/x"
