# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The NuGet package of the companion, for apps that say UseAppCore() themselves: what is
in it, and an app that references it, wherever it runs."""

import contextlib
import glob
import os
import re
import shutil
import subprocess
import tempfile
import zipfile

import pytest

import client
import dotnet
import env as environment
import inproc
from processes import wait_for

pytestmark = pytest.mark.skipif(
    environment.MPM == "prefork" or not shutil.which("make")
    or not glob.glob(os.path.join(environment.BUILD, ".libs", "appcore", "net*")),
    reason="needs make, a build with the companion, and an MPM with threads")

PROGRAM = """
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseAppCore();
var app = builder.Build();
app.MapGet("/", (IServer server) =>
    $"{server.GetType().Name} {Environment.ProcessId}");
app.Run();
"""
PROJECT = dotnet.PROJECT.replace("</Project>", """\
  <ItemGroup>
    <PackageReference Include="AppCore.AspNetCore" Version="*" />
  </ItemGroup>
</Project>""")
NUGET = """\
<configuration>
  <packageSources><clear /><add key="local" value="{feed}" /></packageSources>
</configuration>
"""


@contextlib.contextmanager
def packages(folder):
    """NuGet forgets what it takes from here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUGET_PACKAGES", folder)
        yield


@pytest.fixture(scope="module")
def package():
    dotnet.need_sdk()
    feed = tempfile.mkdtemp(prefix="feed-", dir=dotnet.cache())
    built = glob.glob(os.path.join(environment.BUILD, ".libs", "appcore", "net*"))
    for folder in built:
        os.mkdir(os.path.join(feed, os.path.basename(folder)))
    made = subprocess.run(["make", "-C", environment.BUILD, "nupkg",
                           f"DOTNET_BUILT={feed}"], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    found = glob.glob(os.path.join(feed, "*.nupkg"))
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def published(package):
    source = dotnet.own_source(PROGRAM, "says", ".".join(dotnet.sdk().split(".")[:2]))
    with open(os.path.join(source, "Own.csproj"), "w", encoding="utf-8") as f:
        f.write(PROJECT.format(version=".".join(dotnet.sdk().split(".")[:2])))
    with open(os.path.join(source, "nuget.config"), "w", encoding="utf-8") as f:
        f.write(NUGET.format(feed=os.path.dirname(package)))
    with packages(tempfile.mkdtemp(prefix="packages-", dir=dotnet.cache())):
        dotnet.run("publish", source, "-o", source + "-published", *dotnet.PUBLISH)
    return source + "-published"


@pytest.fixture(scope="module")
def httpd(env, published):
    folders = [dotnet.app(env, name, published, user="root" if env.is_root else None)
               for name in ("inside", "outside")]
    env.start(inproc.app("inside", folders[0]) + f"AppCoreMount /outside {folders[1]}\n")
    return env


def version():
    with open(os.path.join(environment.TOP, "configure.ac"), encoding="utf-8") as f:
        return re.search(r"AC_INIT\(\[[^]]+\], *\[([^]]+)\]", f.read()).group(1)


def test_what_is_in_it(package):
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
        about = archive.read("AppCore.AspNetCore.nuspec").decode()
        readme = archive.read("README.md").decode()
    assert os.path.basename(package) == f"AppCore.AspNetCore.{version()}.nupkg"
    assert f"<version>{version()}</version>" in about
    assert '<license type="expression">Apache-2.0</license>' in about
    assert "<readme>README.md</readme>" in about and "UseAppCore()" in readme
    assert "LICENSE" in names
    assert [n for n in names if re.match(r"lib/net\d+\.0/AppCore.AspNetCore.dll$", n)]


def test_in_process(httpd):
    server, pid = httpd.get("/inside/").text.split(" ")
    assert server == "AppCoreServer" and int(pid) in {p.pid for p in httpd.workers()}


def test_out_of_process(httpd):
    server, pid = httpd.get("/outside/").text.split(" ")
    assert server == "KestrelServerImpl"
    assert int(pid) in httpd.app_processes()


def test_without_httpd(env, published):
    """Kestrel serves as if the package were not there."""
    app = subprocess.Popen(
        ["dotnet", os.path.join(published, "Own.dll"), "--urls",
         f"http://127.0.0.1:{env.port2}"], cwd=published, stdout=subprocess.DEVNULL)

    def answer():
        try:
            return client.request(env.port2, "/")
        except OSError:
            return None
    try:
        found = wait_for(answer, 60, "Kestrel").text
    finally:
        app.terminate()
        app.wait(30)
    assert found == f"KestrelServerImpl {app.pid}"
