# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Acceptance list of the ASP.NET Core Module: what starts, with what in its environment
and on its command line, and on which port."""

import concurrent.futures
import os
import re
import shutil

import pytest

import dotnet
import env as environment
import processes
from acceptance import (ASSEMBLY, DLL, GENERAL, Site, hosting_model,  # noqa: F401
                        ids, inside, outside)
from processes import wait_for

LONG = "12345678901234567890" * 20 + "ab"
STRANGE = "\u03c0 \u2260 3\u00b714"
# Variants of the arguments: what web.config says, and what the app gets.
ARGUMENTS = {
    "args-dll": (f".\\{DLL}", ""),
    "args-full": ("{folder}/" + DLL, ""),
    "args-exec": ("exec \"{folder}/" + DLL + "\"", ""),
    "args-exec-more": ("exec \"{folder}/" + DLL + "\" extra arguments",
                       "extra|arguments"),
    "args-quoted": (f"{DLL} \"extra argument\"", "extra argument"),
    "args-more": (f"./{DLL} extra arguments", "extra|arguments"),
    "args-variable": ("%Prefix%" + DLL, ""),
}
# Variables that web.config sets, by app.
VARIABLES = {
    "long": {"LongValue": LONG},
    "collisions": {"ASPNETCORE_IIS_HTTPAUTH": "shouldberemoved",
                   "ASPNETCORE_ENVIRONMENT": "Production",
                   "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES": "Asm2",
                   "OtherVariable": "%TestVariable%;Hello", "ANCMTestBar": "bar",
                   "ASPNETCORE_ANCM_HTTPS_PORT": "123",
                   "ASPNETCORE_APPL_PATH": "/elsewhere"},
    "hooked": {"DOTNET_STARTUP_HOOKS": ASSEMBLY},
}
# What stands for the environment of the IIS worker: the server's own variables.
SERVER = """
AppCoreEnvironmentVariable ASPNETCORE_ENVIRONMENT Development
AppCoreEnvironmentVariable TestVariable World
"""


def add_programs(made):
    """Spellings of the program."""
    made.add("variable", variables={"DotnetPath": shutil.which("dotnet")},
             processPath="%DotnetPath%")
    made.add("exe", processPath="dotnet.EXE")
    made.add("no-path", directives="AppCoreEnvironmentVariable PATH /nowhere")
    made.add("apphost", processPath=f".\\{ASSEMBLY}.exe", arguments="")
    made.add("apphost-args", processPath=f"./{ASSEMBLY}",
             arguments='"additional argument" more')
    for name, (text, _) in ARGUMENTS.items():
        folder = made.env.path("apps", name)
        made.add(name, variables={"Prefix": "./"},
                 arguments=text.format(folder=folder))
    made.add("strange", folder=STRANGE)
    made.add("own-server", "OverriddenServer")
    made.add("elsewhere", settings={"setCurrentDirectory": "false"})
    os.mkdir(made.path("elsewhere", "wwwroot"))


@pytest.fixture(scope="module")
def site(env, hosting_model):  # noqa: F811
    made = Site(env, hosting_model)
    os.mkdir(os.path.join(made.add("site"), "wwwroot"))
    add_programs(made)
    for name, variables in VARIABLES.items():
        made.add(name, variables=variables)
    made.add("launched", processPath="nope", arguments="nope",
             directives="AppCoreEnvironmentVariable ANCM_LAUNCHER_PATH dotnet\n"
             f"AppCoreEnvironmentVariable ANCM_LAUNCHER_ARGS {DLL}")
    made.add("preferring", variables={"ASPNETCORE_ENVIRONMENT": "Debug"}, directives=(
        "AppCoreEnvironmentVariable ANCM_PREFER_ENVIRONMENT_VARIABLES true"))
    env.port_wanted = environment.free_port(20000, 32000)
    made.add("port", variables={"ASPNETCORE_PORT": str(env.port_wanted)})
    made.add("port-empty", variables={"ASPNETCORE_PORT": ""})
    for bad in ("1024", "48001", "noninteger"):
        made.add("port-" + bad, variables={"ASPNETCORE_PORT": bad})
    made.add("late", variables={"STARTUP_DELAY_MS": "2000"}, startupTimeLimit=30)
    made.add("eager", "CreateFile", directives="AppCoreStartMode AlwaysRunning")
    made.add("warm", directives="AppCoreWarmUpPath /CreateFile\n"
             "AppCoreStartMode AlwaysRunning")
    add_self_contained(made)
    made.add("cyrillic", prefix="/\u041c\u043e\u0451\u041f\u0440\u0438")
    env.expected = {made.add("ten", processesPerApplication=3): 3}
    for i in range(10):
        made.add(f"crowd{i}")
    return made.start(lambda apps: GENERAL + SERVER + apps)


def add_self_contained(made):
    folder = made.add("standalone", processPath=f".\\{ASSEMBLY}.exe", arguments="")
    dotnet.make_self_contained(folder, ASSEMBLY)


# Programs

@ids("ST1", "ST4", "ST7", "ST8", "V14")
@pytest.mark.parametrize("name", ["site", "variable", "exe", "apphost"])
def test_starts(site, name):
    assert site.text_of("/HelloWorld", name) == "Hello World"


@ids("ST5")
def test_dotnet_is_found_where_packages_put_it(site):
    assert site.text_of("/HelloWorld", "no-path") == "Hello World"


@ids("ST7")
def test_runtime_of_the_apps_own(site):
    assert site.text_of("/HelloWorld", "standalone") == "Hello World"


@ids("ST21", "V14")
@pytest.mark.parametrize("name", [
    # Which .NET it wants is read before the name is known, so it gets no companion.
    pytest.param(name, marks=outside) if name == "args-variable" else name
    for name in ARGUMENTS])
def test_arguments(site, name):
    assert site.text_of("/CommandLineArgs", name) == ARGUMENTS[name][1]


@ids("ST21")
def test_folder_with_spaces_and_signs(site):
    assert site.text_of("/ContentRootPath", "strange") \
        == site.env.path("apps", STRANGE)


@ids("ST22")
def test_arguments_of_the_apps_own_program(site):
    assert site.text_of("/CommandLineArgs", "apphost-args") == "additional argument|more"


@ids("ST32")
def test_launcher_of_the_environment(site):
    assert site.text_of("/HelloWorld", "launched") == "Hello World"


@ids("ST24")
def test_folders(site):
    folder = site.path("site")
    assert site.text_of("/CurrentDirectory") == folder
    assert site.text_of("/ContentRootPath") == folder
    assert site.text_of("/WebRootPath") == folder + "/wwwroot"
    assert site.text_of("/BaseDirectory") == folder + "/"
    assert site.variable("ASPNETCORE_IIS_PHYSICAL_PATH").rstrip("/") == folder


@inside
@ids("ST23")
def test_folders_of_an_app_that_stays_in_that_of_httpd(site):
    folder = site.path("elsewhere")
    current = site.text_of("/CurrentDirectory", "elsewhere")
    assert current != folder
    assert current == processes.link(site.pid("elsewhere"), "cwd")
    assert site.text_of("/ContentRootPath", "elsewhere") == folder
    assert site.text_of("/WebRootPath", "elsewhere") == folder + "/wwwroot"
    assert site.text_of("/BaseDirectory", "elsewhere") == folder + "/"
    physical = site.variable("ASPNETCORE_IIS_PHYSICAL_PATH", "elsewhere")
    assert physical.rstrip("/") == folder


@inside
@ids("ST9")
def test_server_of_the_apps_own_is_not_asked(site):
    """IIS says 500.30. httpd is the server of what it hosts, whoever else offers to."""
    assert site.text_of("/ServerType", "own-server").startswith("AppCore.")


@ids("ST31")
def test_deep_recursion(site):
    assert site.text_of("/StackSize") == "10000"


# Variables

@ids("ST38", "NT1")
def test_long_values_survive(site):
    assert site.variable("LongValue", "long") == LONG


@ids("ST39", "V7")
def test_httpauth_is_ours(site):
    site.env.allow("app collisions: .*Hosting startup assembly exception")
    assert site.variable("ASPNETCORE_IIS_HTTPAUTH", "collisions") == "anonymous;"


@ids("V7")
def test_contract(site):
    assert site.variable("ANCMTestBar", "collisions") == "bar"
    assert site.variable("ASPNETCORE_APPL_PATH", "collisions") == "/collisions"
    assert site.variable("ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED") == "true"


@ids("ST40")
def test_web_config_wins_over_the_server(site):
    assert site.variable("ASPNETCORE_ENVIRONMENT") == "Development"
    assert site.text_of("/EnvironmentName") == "Development"
    assert site.variable("ASPNETCORE_ENVIRONMENT", "collisions") == "Production"
    assert site.text_of("/EnvironmentName", "collisions") == "Production"


@ids("ST41")
def test_server_wins_where_it_says_so(site):
    assert site.text_of("/EnvironmentName", "preferring") == "Development"


@ids("ST42", "V7")
def test_hosting_startup_assemblies(site):
    """IIS's own comes after the server's; out of process our companion may follow."""
    names = site.variable("ASPNETCORE_HOSTINGSTARTUPASSEMBLIES").split(";")
    assert names[0] == "Microsoft.AspNetCore.Server.IISIntegration"


@ids("ST43", "V7")
def test_hosting_startup_assemblies_of_web_config(site):
    """They replace IIS's own there; here they come first, and ours are kept."""
    names = site.variable("ASPNETCORE_HOSTINGSTARTUPASSEMBLIES", "collisions").split(";")
    assert names[0] == "Asm2"


@ids("ST44", "NT1")
def test_variables_in_values(site):
    assert site.variable("OtherVariable", "collisions") == "World;Hello"


@ids("ST46")
def test_https_port_of_web_config_wins(site):
    assert site.text_of("/ANCM_HTTPS_PORT", "collisions") == "123"
    assert site.text_of("/HTTPS_PORT", "collisions") == "NOVALUE"


@ids("ST30")
def test_start_up_hook_of_the_user(site):
    assert site.text_of("/StartupHook", "hooked") == "True"
    assert site.text_of("/StartupHook") == "False"


# Ports

@outside
@ids("PO1")
def test_port_of_web_config(site):
    assert site.text_of("/ServerAddresses", "port") \
        == f"http://127.0.0.1:{site.env.port_wanted}"


@outside
@ids("PO2")
def test_empty_port_is_none(site):
    port = int(site.text_of("/ServerAddresses", "port-empty").rsplit(":", 1)[1])
    assert 1025 <= port <= 48000


@outside
@ids("PO3")
@pytest.mark.parametrize("bad", ["1024", "48001", "noninteger"])
def test_port_that_is_none(site, bad):
    site.env.allow("appcore:(error|warn)")
    answer = site.get("/HelloWorld", "port-" + bad)
    assert answer.status in (500, 502)
    site.env.wait_log(re.escape(bad))
    assert not site.processes("port-" + bad)


@outside
@ids("PO4", "V4")
def test_app_that_stops_itself_is_back(site):
    site.env.allow(r"app site: process \d+ .*exit code 0")
    for _ in range(2):
        old = site.pid()
        assert site.get("/Shutdown").status == 200
        wait_for(lambda pid=old: not processes.alive(pid), what="the end of the app")
        # IIS promises it within ten requests; here the next one waits for it.
        assert site.pid() != old


# Limits, several apps, several processes

@ids("V3")
def test_slow_start_within_the_limit(site):
    assert site.text_of("/HelloWorld", "late") == "Hello World"


@ids("AI1")
def test_eager_app_needs_no_request(site):
    site.enter("eager")
    wait_for(lambda: os.path.exists(site.path("eager", "Started.txt")), 20,
             "the start of the app")


@ids("AI2")
def test_warm_up_path_is_asked_for(site):
    site.enter("warm")
    wait_for(lambda: os.path.exists(site.path("warm", "Warm.txt")), 20,
             "the warm-up request")


@outside
@ids("MA1")
def test_two_apps_are_two_processes(site):
    assert site.pid("site") != site.pid("long")


@outside
@ids("MA4")
def test_ten_apps_at_once(site):
    names = [f"crowd{i}" for i in range(10)]
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        texts = list(pool.map(lambda name: site.text_of("/HelloWorld", name,
                                                        timeout=60), names))
    assert texts == ["Hello World"] * 10


@outside
@ids("V11")
def test_processes_per_application(site):
    """Requests at the same time spread; IIS takes turns whatever the load."""
    def some():
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda _: site.text_of("/Slow?ms=100", "ten"), range(6)))
            return set(pool.map(lambda _: site.pid("ten"), range(12)))
    site.text_of("/HelloWorld", "ten")
    wait_for(lambda: len(site.processes("ten")) == 3, 20, "three processes")
    seen = set()
    wait_for(lambda: len(seen.update(some()) or seen) == 3, 30, "answers of all three")


@ids("ST45")
def test_mount_in_another_alphabet(site):
    site.enter("cyrillic")
    path = "/%D0%9C%D0%BE%D1%91%D0%9F%D1%80%D0%B8"
    answer = site.env.raw_get(path + "/BasePath")
    assert answer.text == "/\u041c\u043e\u0451\u041f\u0440\u0438"


@ids("V17")
def test_scheme(site):
    assert site.text_of("/HttpsHelloWorld") \
        == "Scheme:http; Original:" + ("" if site.in_process else "http")


def test_site_was_published_once(site):
    assert dotnet.project.cache_info().currsize == 1
