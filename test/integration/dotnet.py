# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""ASP.NET Core apps, published once per run of the tests. Nothing is fetched: what
the SDK brings must be enough."""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile

import pytest

PROJECT = """\
<Project Sdk="Microsoft.NET.Sdk.Web">
  <PropertyGroup>
    <TargetFramework>net{version}</TargetFramework>
    <Nullable>disable</Nullable>
    <ImplicitUsings>enable</ImplicitUsings>
  </PropertyGroup>
</Project>
"""
# No package source: a machine without a network builds as well.
NUGET = """\
<configuration><packageSources><clear /></packageSources></configuration>
"""


@functools.lru_cache(None)
def cache():
    folder = tempfile.mkdtemp(prefix="ac-dotnet-", dir="/tmp")
    atexit.register(shutil.rmtree, folder, True)
    os.chmod(folder, 0o755)
    return folder


def run(*arguments):
    environment = dict(os.environ, DOTNET_CLI_TELEMETRY_OPTOUT="1", DOTNET_NOLOGO="1",
                       DOTNET_GENERATE_ASPNET_CERTIFICATE="false",
                       DOTNET_CLI_HOME=os.path.join(cache(), "home"), TERM="dumb",
                       MSBUILDDISABLENODEREUSE="1", DOTNET_CLI_USE_MSBUILD_SERVER="0")
    result = subprocess.run(["dotnet", *arguments], env=environment, text=True,
                            capture_output=True, timeout=180, cwd=cache())
    assert result.returncode == 0, f"dotnet {arguments}:\n{result.stdout}{result.stderr}"
    return result.stdout


@functools.lru_cache(None)
def sdk():
    """Version of the newest SDK, or "" where there is none."""
    if not shutil.which("dotnet"):
        return ""
    listed = subprocess.run(["dotnet", "--list-sdks"], text=True,
                            capture_output=True).stdout.split("\n")
    found = [line.split(" ")[0] for line in listed if line]
    return found[-1] if found else ""


def need_sdk():
    if not sdk():
        pytest.skip("there is no .NET SDK: no ASP.NET Core app can be built")


def publish(source, name):
    target = os.path.join(cache(), name + "-published")
    with open(os.path.join(source, "nuget.config"), "w", encoding="ascii") as f:
        f.write(NUGET)
    run("publish", source, "-c", "Release", "-o", target, "-p:NuGetAudit=false",
        "-v", "q", "-nodeReuse:false", "-p:UseSharedCompilation=false")
    return target


@functools.lru_cache(None)
def template(kind):
    """An app as `dotnet new` makes it, unmodified and published."""
    need_sdk()
    source = os.path.join(cache(), kind)
    run("new", kind, "-n", "Unmodified", "-o", source, "--no-restore")
    return publish(source, kind)


@functools.lru_cache(None)
def program(text, name="own"):
    """An app of one source file."""
    need_sdk()
    source = os.path.join(cache(), name)
    os.mkdir(source)
    version = ".".join(sdk().split(".")[:2])
    for file, content in (("Own.csproj", PROJECT.format(version=version)),
                          ("Program.cs", text)):
        with open(os.path.join(source, file), "w", encoding="utf-8") as f:
            f.write(content)
    return publish(source, name)


def app(env, name, published, **options):
    """A folder of an app with what was published."""
    folder = env.app(name, **options)
    shutil.copytree(published, folder, dirs_exist_ok=True)
    env.give_tree(folder, env.owner(options.get("user")))
    return folder
