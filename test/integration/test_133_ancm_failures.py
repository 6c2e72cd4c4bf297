# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Acceptance list of the ASP.NET Core Module: apps that do not start, what their page
says to whom, and what was kept of their output."""

import html
import json
import os
import re

import pytest

from acceptance import (ASSEMBLY, DLL, GENERAL, Site, hosting_model,  # noqa: F401
                        ids, inside, outside, web_config)
from processes import wait_for

DETAILED = {"ASPNETCORE_DETAILEDERRORS": "1"}
# Programs that there are not, and what the log says.
PROGRAMS = {
    "bogus": ({"processPath": "bogus", "arguments": ""}, "bogus"),
    "nothing": ({"processPath": "dotnet", "arguments": ""}, "[Aa]rguments|nothing to run"
                "|no \\.dll"),
}
# A dotnet that is not where it was on the other machine.
ELSEWHERE = {"windows": "C:\\Program Files\\dotnet\\dotnet.exe",
             "absolute": "/random files/dotnet", "relative": ".\\dotnet.exe"}
# What a web.config must not say, and ANCM's words about it.
CONFIGS = {
    "model": ({"hostingModel": "bogus"}, "Unknown hosting model 'bogus'. Please specify "
              "either hostingModel=\"inprocess\" or hostingModel=\"outofprocess\" in the "
              "web.config file."),
    "path": ({"processPath": ""}, "Attribute 'processPath' is required."),
}
SECTION = "Unable to get required configuration section 'system.webServer/aspNetCore'"
# Ways to ask for details: variables of the server or of web.config.
ASKING = {
    "development": {"ASPNETCORE_ENVIRONMENT": "Development"},
    "dotnet": {"DOTNET_ENVIRONMENT": "deVelopment"},
    "one": {"ASPNETCORE_DETAILEDERRORS": "1"},
    "true": {"ASPNETCORE_DETAILEDERRORS": "TRUE"},
}
LARGE = {"large-out": "CheckLargeStdOutWrites", "large-err": "CheckLargeStdErrWrites",
         "over-out": "CheckOversizedStdOutWrites",
         "over-err": "CheckOversizedStdErrWrites", "40000": "ConsoleWrite40000"}
LINK = '<a href="http://example"><cite>http://example</cite></a> and '


@pytest.fixture(scope="module")
def site(env, hosting_model):  # noqa: F811
    env.always_allowed += [r"appcore:(error|warn)"]
    made = Site(env, hosting_model)
    for name, (attributes, _) in PROGRAMS.items():
        made.add(name, **attributes)
    for name, path in ELSEWHERE.items():
        made.add(name, processPath=path)
    for name, (attributes, _) in CONFIGS.items():
        made.add(name, variables=DETAILED, **attributes)
    add_element(made)
    made.add("throw", "Throw")
    made.add("none", "Throw", variables={"ASPNETCORE_DETAILEDERRORS": ""})
    for name, variables in ASKING.items():
        made.add(name, "Throw", variables=variables)
        directives = "".join(f"AppCoreEnvironmentVariable {n} {v}\n"
                             for n, v in variables.items())
        made.add(name + "-server", "Throw", directives)
    for name, mode in (("startup", "ThrowInStartup"),
                       ("generic", "ThrowInStartupGenericHost")):
        made.add(name, mode, variables=DETAILED)
    made.add("unhooked", "Throw", variables=DETAILED,
             settings={"callStartupHook": "false"})
    made.add("early", "EarlyReturn", variables=DETAILED)
    made.add("hang", "Hang", variables=DETAILED, startupTimeLimit=1)
    made.add("kept", "Hang", startupTimeLimit=1,
             settings={"suppressRecycleOnStartupTimeout": "true"})
    made.add("delayed", variables={"STARTUP_DELAY_MS": "15000"}, startupTimeLimit=1)
    made.add("wow", "ConsoleWriteSingle", variables=DETAILED)
    made.add("console", "CheckConsoleFunctions", variables=DETAILED)
    for name, mode in LARGE.items():
        made.add(name, mode, variables=DETAILED)
    made.add("to-file", "CheckLargeStdOutWrites", stdoutLogEnabled="true",
             stdoutLogFile=".\\logs\\stdout")
    made.add("bare", "EarlyReturn", disableStartUpErrorPage="true",
             directives="AppCoreDetailedErrors On")
    made.add("linked", "EarlyReturn", variables=DETAILED, directives=""
             "AppCoreEnvironmentVariable ANCM_ADDITIONAL_ERROR_PAGE_LINK http://example")
    add_broken(made)
    made.add("disabled")
    return made.start(lambda apps: GENERAL + apps + """
<Location /disabled>
    AppCoreEnabled Off
</Location>
<Location /bare>
    ErrorDocument 500 "the administrator's own page"
    ErrorDocument 502 "the administrator's own page"
</Location>
""")


def add_element(made):
    made.add("element", variables=DETAILED)
    made.write("element", "web.config", web_config(variables=DETAILED).replace(
        "<environmentVariables>", "<environmentVariables><add name='a' value='b' />"))


def add_broken(made):
    """Incomplete or wrong deployments."""
    made.add("framework", variables=DETAILED)
    change_json(made.path("framework", ASSEMBLY + ".runtimeconfig.json"), "2.9.9")
    made.add("no-dll", processPath=f".\\{ASSEMBLY}.exe", arguments="", variables=DETAILED)
    os.unlink(made.path("no-dll", DLL))
    made.add("arch", processPath=f".\\{ASSEMBLY}.exe", arguments="", variables=DETAILED)
    with open(made.path("arch", ASSEMBLY), "r+b") as f:
        f.seek(18)
        f.write(b"\x16\x00")            # e_machine: s390
    made.add("host", processPath=f".\\{ASSEMBLY}.exe", arguments="", variables=DETAILED)
    with open(made.path("host", "libhostfxr.so"), "wb") as f:
        f.write(b"")


def change_json(path, version):
    with open(path, encoding="utf-8-sig") as f:
        config = json.load(f)
    options = config["runtimeOptions"]
    for framework in options.get("frameworks", [options.get("framework")]):
        if framework and framework["name"] == "Microsoft.NETCore.App":
            framework["version"] = version
    options["rollForward"] = "Disable"
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f)


def failed(site, app, *statuses):
    answer = site.get("/HelloWorld", app)
    assert answer.status in (statuses or (500, 502)), answer
    return answer


def page_of(site, app, *statuses):
    """The page as it reads."""
    return html.unescape(failed(site, app, *statuses).text)


def code(answer):
    """Status and sub-status that a page names."""
    return re.search(r"HTTP Error ([0-9.]+) - ", answer.text).group(1)


# Programs and configurations

@ids("ST2a", "ST2d", "V10")
@pytest.mark.parametrize("name", PROGRAMS)
def test_program_that_there_is_not(site, name):
    failed(site, name)
    site.env.wait_log(PROGRAMS[name][1])
    assert not site.processes(name)


@ids("ST2b", "ST2c")
@pytest.mark.parametrize("name", ELSEWHERE)
def test_dotnet_is_that_of_this_machine(site, name):
    """IIS says 500.0. A web.config comes from elsewhere, so this one is looked for."""
    assert site.text_of("/HelloWorld", name) == "Hello World"


@ids("ST19", "ST20")
@pytest.mark.parametrize("name", CONFIGS)
def test_configuration_that_is_none(site, name):
    failed(site, name, 500)
    site.env.wait_log(re.escape(CONFIGS[name][1]))


@ids("ST20")
def test_element_that_is_none(site):
    failed(site, "element", 500)
    site.env.wait_log(re.escape(SECTION))


@ids("ST6")
def test_switched_off(site):
    """AppCoreEnabled Off: the URL is httpd's again."""
    assert site.get("/HelloWorld", "disabled").status == 404
    assert not site.processes("disabled")


# Ends before anything was served

@ids("ST10", "ST26")
@pytest.mark.parametrize("name", [*ASKING, *(n + "-server" for n in ASKING)])
def test_details_where_they_were_asked_for(site, name):
    page = page_of(site, name)
    assert "InvalidOperationException" in page and "AcceptanceSite.Program.Main" in page


@ids("ST10", "ST28")
@pytest.mark.parametrize("name", ["throw", "none"])
def test_no_details_for_the_public(site, name):
    page = page_of(site, name)
    assert "InvalidOperationException" not in page and "Main" not in page
    wait_for(lambda: "InvalidOperationException" in site.env.recent_log())


@ids("ST27")
@pytest.mark.parametrize("name", ["startup", "generic"])
def test_exception_of_configure(site, name):
    """Out of process ASP.NET Core may catch it and serve its own page of it."""
    page = page_of(site, name)
    assert "InvalidOperationException" in page and "From Configure" in page


@ids("ST11")
def test_end_with_an_exit_code(site):
    answer = failed(site, "early")
    assert code(answer) == site.substatus
    site.env.wait_log(r"exit (code|status) 12\b")


@ids("ST17", "V3")
@pytest.mark.parametrize("name", ["hang", "delayed"])
def test_start_that_takes_too_long(site, name):
    """In process a new child gives its apps 5 s in any case."""
    answer = failed(site, name, 500, 502, 503)
    assert code(answer) in ("502.5", "500.37", "503")
    wait_for(lambda: re.search(r"\b1(\.\d)? s|1000 ms", site.env.recent_log()))
    wait_for(lambda: not site.processes(name), what="the end of the process")


@inside
@ids("ST18")
def test_child_stays_where_it_is_told_to(site):
    site.enter("kept")
    workers = [p.pid for p in site.env.workers()]
    for _ in range(3):
        assert code(failed(site, "kept", 500)) == "500.37"
        # Of a child that is to be replaced every response ends its connection.
        assert site.env.get("/nothing").header("Connection") is None
    assert [p.pid for p in site.env.workers()] == workers


@inside
@ids("ST29")
def test_start_up_hook_cannot_be_switched_off(site):
    """httpd serves the app through it; AppCoreDetailedErrors is the switch of pages."""
    page = page_of(site, "unhooked")
    assert "InvalidOperationException" in page and "AcceptanceSite.Program.Main" in page
    assert 'handlerSetting "callStartupHook" has no effect' in site.env.log_text()


@ids("ST14", "LG14")
def test_framework_that_is_missing(site):
    """ANCM has a sub-status of its own for it in process only."""
    answer = failed(site, "framework")
    assert code(answer) == ("502.5" if site.model == "OutOfProcess" else "500.31")
    page, asked = html.unescape(answer.text), "'Microsoft.NETCore.App', version '2.9.9'"
    words = "The .NET runtime for the app could not be loaded" if site.in_process \
        else "needs another .NET runtime"
    assert asked in page and words in page
    site.env.wait_log(rf"app framework:? did not start.*{re.escape(words)}.*"
                      + re.escape(asked))


@ids("ST12")
def test_host_library_that_is_broken(site):
    page = page_of(site, "host")
    assert "libhostfxr" in page


@outside
@ids("ST13")
def test_program_for_another_processor(site):
    page = page_of(site, "arch")
    assert re.search("[Ee]xec format error|architecture|ENOEXEC", page)


@ids("ST15")
def test_app_without_its_dll(site):
    page = page_of(site, "no-dll")
    assert DLL in page


# What was kept of the output

@ids("LG10", "LG13")
def test_last_words(site):
    """In process it is the child's end that ends a line that has none."""
    assert "Wow!" in page_of(site, "wow")
    site.leave()
    wait_for(lambda: "Wow!" in site.env.recent_log())


@ids("ST36")
def test_console_is_redirected(site):
    assert "Is console redirection: True" in page_of(site, "console")


@ids("ST34", "LG12")
@pytest.mark.parametrize("name", LARGE)
def test_first_30000_characters_are_kept(site, name):
    runs = re.findall("a{1000,}", page_of(site, name))
    assert max(len(run) for run in runs) == 30000


@ids("ST35")
def test_output_of_a_failed_start_is_in_the_file(site):
    failed(site, "to-file")
    folder = site.path("to-file", "logs")
    name, *_ = wait_for(lambda: os.path.isdir(folder) and os.listdir(folder))
    wait_for(lambda: os.path.getsize(os.path.join(folder, name)) >= 30000)
    with open(os.path.join(folder, name), encoding="utf-8") as f:
        assert "a" * 30000 in f.read().replace("\n", "")


# The page

@ids("V10")
def test_page_can_be_the_administrators(site):
    answer = failed(site, "bare")
    assert answer.text == "the administrator's own page"


@ids("ST37")
def test_page_is_whole_and_stays(site):
    first = failed(site, "early")
    assert first.header("Content-Type").startswith("text/html")
    assert first.text.rstrip().endswith("</html>")
    second = failed(site, "early", 500, 502, 503)
    assert code(second).split(".")[0] in ("500", "502", "503")


@ids("ST37")
def test_page_has_the_link_of_the_administrator(site):
    assert LINK in failed(site, "linked").text
