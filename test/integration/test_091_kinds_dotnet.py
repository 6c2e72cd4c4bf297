# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""ASP.NET Core apps as `dotnet new` and `dotnet publish` make them, unmodified, in
the shapes in which they come to a server."""

import os
import re

import pytest

import dotnet

EXE = """\
<configuration>
  <system.webServer>
    <aspNetCore processPath=".\\Unmodified.exe" arguments="" {more} />
  </system.webServer>
</configuration>
"""
SPELLING = EXE.replace(".\\Unmodified.exe", "dotnet.exe").replace(
    'arguments=""', 'arguments=".\\unmodified.DLL"')


def put(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8-sig") as f:
        f.write(text)


@pytest.fixture(scope="module")
def httpd(env):
    published = dotnet.template("web")
    folders = {name: dotnet.app(env, name, published) for name in (
        "plain", "noconfig", "apphost", "exe", "noexec", "spelling")}
    for name in ("noconfig", "apphost"):
        os.unlink(os.path.join(folders[name], "web.config"))
    for name in ("exe", "noexec"):
        put(folders[name], "web.config", EXE.format(more='hostingModel="OutOfProcess"'))
    put(folders["spelling"], "web.config",
        SPELLING.format(more='requestTimeout="00:01:00"'))
    os.chmod(os.path.join(folders["noexec"], "Unmodified"), 0o644)
    text = "".join(f"AppCoreMount /{name} {folder}\n" for name, folder in folders.items()
                   if name != "apphost")
    env.start(text + f"""
<AppCoreApp apphost>
    AppCorePath {folders["apphost"]}
    AppCoreProcessPath Unmodified
</AppCoreApp>
AppCoreMount /apphost apphost
""")
    env.folders = folders
    return env


@pytest.mark.parametrize("name,command,said", [
    ("plain", r"/dotnet Unmodified\.dll|/dotnet \./Unmodified\.dll",
     r'web\.config asks for hostingModel="inprocess"; the app runs out of process'),
    ("noconfig", r"/dotnet Unmodified\.dll", r"Unmodified\.runtimeconfig\.json"),
    ("apphost", r"/apps/apphost/Unmodified", r"AppCoreProcessPath"),
    ("exe", r"/apps/exe/Unmodified", r"web\.config: processPath"),
    ("noexec", r"/dotnet Unmodified\.dll", r"web\.config: processPath"),
    ("spelling", r"/dotnet (\./)?Unmodified\.dll", r"unmodified\.DLL is spelt"),
])
def test_runs(httpd, name, command, said):
    answer = httpd.get(f"/{name}/")
    assert answer.status == 200, answer
    assert answer.text == "Hello World!"
    log = httpd.recent_log()
    assert re.search(rf"app {name}: process \d+ .*was started as \w+: .*({command})",
                     log), log
    assert re.search(rf"app {name}: .*{said}", log), log
    assert re.search(rf"app {name}: .*ASP\.NET Core", log), log


def test_is_not_found_under_other_paths(httpd):
    """The path base is the app's: what it maps at / answers there and nowhere else."""
    assert httpd.get("/plain").status == 200
    assert httpd.get("/plain/other").status == 404
    assert httpd.get("/PLAIN/").status == 404
    assert httpd.get("/plainer/").status == 404


def test_output_is_in_the_log(httpd):
    httpd.get("/plain/")
    assert re.search(r"app plain: .*Now listening on: http://127\.0\.0\.1:\d+",
                     httpd.log_text())
