# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What people see when an app does not run: the public little, the developer all that
helps, nobody a secret."""

import html
import os
import re
import socket
import time

import pytest

import env as environment
from processes import wait_for
from rawapp import RawApp

pytestmark = pytest.mark.mpm
SECRET = "s3cr3t-of-the-file"
DETAILED = "AppCoreDetailedErrors On\n"
FAILS = "AppCoreEnvironmentVariable START_EXIT 3\n" \
        "AppCoreEnvironmentVariable START_TEXT \"no <b>database</b> & no hope\"\n"
APPS = {
    "public": FAILS,
    "detailed": FAILS + DETAILED,
    "auto": FAILS + "AppCoreEnvironmentVariable ASPNETCORE_ENVIRONMENT Development\n",
    "bare": FAILS + DETAILED + "AppCoreDisableStartUpErrorPage On\n",
    "document": FAILS,
    "missing": DETAILED + "AppCoreProcessPath /no/such/program\n",
    "closed": DETAILED + "AppCoreProcessPath ./closed.sh\n",
    "nobody": DETAILED + "AppCoreProcessPath ./interpreter.sh\n",
    "signal": DETAILED + "AppCoreProcessPath /bin/sh\n"
              "AppCoreArguments \"-c 'kill -SEGV $$'\"\n",
    "leaves": DETAILED + "AppCoreProcessPath /bin/true\n",
    "late": DETAILED + "AppCoreStartupTimeLimit 1\n"
            "AppCoreEnvironmentVariable START_NEVER_LISTEN 1\n",
    "secret": DETAILED + "AppCoreEnvironmentVariable START_EXIT 5\n"
              "AppCoreEnvironmentFile {secrets}\n"
              "AppCoreProcessPath python3\n"
              "AppCoreArguments \"plain.py --key %S_KEY%\"\n",
    "traceback": DETAILED,
}
SCRIPTS = {"closed": ("closed.sh", "#!/bin/sh\nexec true\n", 0o644),
           "nobody": ("interpreter.sh", "#!/no/such/interpreter\n", 0o755),
           "traceback": ("plain.py", "import no_such_module_at_all\n", 0o644)}


@pytest.fixture(scope="module")
def httpd(env):
    env.modules += ["log_config"]
    secrets = env.write("files", "secrets.env", text=f"S_KEY={SECRET}\n", mode=0o600)
    if env.as_user:
        env.give(secrets, env.as_user)
    text = ""
    for name, lines in APPS.items():
        folder = env.app(name, "plain")
        if name in SCRIPTS:
            file, content, mode = SCRIPTS[name]
            env.give(env.write("apps", name, file, text=content, mode=mode), env.owner())
        text += f"<AppCoreApp {name}>\nAppCorePath {folder}\n" \
                f"{lines.format(secrets=secrets)}</AppCoreApp>\n" \
                f"AppCoreMount /{name} {name}\n"
    env.made = {name: RawApp(env, name) for name in ("raw", "stolen", "breaks")}
    text += f"""
<AppCoreApp raw>
    AppCorePath {env.made["raw"].folder}
    AppCoreEnvironmentVariable ASPNETCORE_ENVIRONMENT Development
</AppCoreApp>
AppCoreMount /raw raw
<AppCoreApp stolen>
    AppCorePath {env.made["stolen"].folder}
    AppCoreListen tcp
    AppCoreEnvironmentVariable RAW_START_GATE never
    AppCoreDetailedErrors On
</AppCoreApp>
AppCoreMount /stolen stolen
<AppCoreApp breaks>
    AppCorePath {env.made["breaks"].folder}
    AppCoreProcessPath /bin/sh
    AppCoreArguments "-c 'test -e gates/works || exit 7; exec python3 raw.py'"
    AppCoreRapidFailsPerMinute 2
    AppCoreDetailedErrors On
</AppCoreApp>
AppCoreMount /breaks breaks
<Location /document>
    ErrorDocument 502 "our own words"
</Location>
<Location /bare>
    ErrorDocument 502 "our own words"
</Location>
LogFormat "%U %s %{{appcore-substatus}}n" substatus
CustomLog {env.path("access.log")} substatus
"""
    env.start(text)
    return env


@pytest.fixture(autouse=True)
def expect_complaints(tidy, httpd):
    httpd.allow(r"app \w+: ", r"app \w+ does not run", r"app \w+ is not available",
                r"app \w+, process")


def page(httpd, path, **options):
    """The error page of a request, as text without markup."""
    answer = httpd.get(path, **options)
    assert answer.header("Content-Type") == "text/html; charset=utf-8", answer
    assert answer.header("Cache-Control") == "no-store"
    assert answer.text.startswith("<!DOCTYPE html>")
    assert answer.text.rstrip().endswith("</html>")
    body = answer.text[answer.text.index("<body>"):]
    answer.plain = html.unescape(re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", body)))
    return answer


def test_breaker(httpd):
    """Opens after the third failure: 503 at once, the reason with it; closes when the
    app works again."""
    app = httpd.made["breaks"]
    began = time.monotonic()

    def refused():
        answer = httpd.get("/breaks/pid")
        return answer if answer.status == 503 else None
    answer = wait_for(refused, 20, "the breaker's 503")
    assert time.monotonic() - began < 10
    began = time.monotonic()
    answer = page(httpd, "/breaks/pid")
    assert time.monotonic() - began < 3     # not AppCoreQueueTimeLimit
    wait = int(answer.header("Retry-After"))
    assert answer.status == 503 and 0 < wait <= 30
    assert "exit status 7" in answer.plain
    httpd.wait_log("app breaks: .*")
    app.open("works")
    wait_for(lambda: httpd.get("/breaks/pid").status == 200, wait + 10,
             "the app after its repair")
    assert time.monotonic() - began < wait + 5


def test_public_page_says_little(httpd):
    answer = page(httpd, "/public/x")
    assert answer.status == 502 and "502.5" in answer.plain
    for word in ("plain.py", "database", httpd.root, environment.APP_USERS[0] + " ",
                 "exit", "START_", "python"):
        assert word not in answer.plain, word
    assert len(answer.body) < 2000


@pytest.mark.parametrize("name", ["detailed", "auto"])
def test_detailed_page_says_what_helps(httpd, name):
    answer = page(httpd, f"/{name}/x")
    assert answer.status == 502 and "502.5" in answer.plain
    for word in ("python3 plain.py", httpd.path("apps", name), httpd.owner(),
                 "exit status 3", "no <b>database</b> & no hope"):
        assert word in answer.plain, word
    assert "<b>database" not in answer.text
    assert "class=\"failed\"" in answer.text and "class=\"done\"" in answer.text


def test_the_log_has_all_of_it(httpd):
    position = len(httpd.log_text())
    httpd.get("/public/log")
    for line in (r"no <b>database</b> & no hope",
                 r"app public: process \d+ .*started as \w+: .*plain\.py",
                 r"app public: .*exit code 3"):
        wait_for(lambda line=line: re.search(line, httpd.log_text()[position:]),
                 what=line)


@pytest.mark.parametrize("name", ["bare", "document"])
def test_error_documents_of_the_administrator(httpd, name):
    answer = httpd.get(f"/{name}/x")
    assert answer.status == 502 and answer.text == "our own words"


def test_head_gets_no_page(httpd):
    with httpd.raw() as client:
        client.send("HEAD /detailed/x HTTP/1.1\r\nHost: localhost\r\n"
                    "Connection: close\r\n\r\n")
        text = client.receive().decode()
    assert text.startswith("HTTP/1.1 502 ") and text.endswith("\r\n\r\n")


def test_body_of_a_failed_request_is_not_the_next_request(httpd):
    body = "GET /raw/pid HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with httpd.raw() as client:
        client.send("POST /public/x HTTP/1.1\r\nHost: localhost\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n{body}")
        text = client.receive().decode("latin-1")
    assert text.count("HTTP/1.1 ") == 1 and text.startswith("HTTP/1.1 502 ")
    assert not httpd.made["raw"].events("request")


def test_missing_program(httpd):
    answer = page(httpd, "/missing/x")
    assert answer.status in (500, 502)
    assert "AppCoreProcessPath names /no/such/program, which is not there" \
        in answer.plain


def test_program_that_may_not_be_run(httpd):
    answer = page(httpd, "/closed/x")
    assert "closed.sh, which may not be executed by the app's user (chmod +x)" \
        in answer.plain


def test_missing_interpreter(httpd):
    answer = page(httpd, "/nobody/x")
    assert "interpreter.sh" in answer.plain and "No such file" in answer.plain


def test_end_by_a_signal(httpd):
    answer = page(httpd, "/signal/x")
    assert "SIGSEGV" in answer.plain and answer.status == 502


def test_program_that_does_not_stay(httpd):
    answer = page(httpd, "/leaves/x")
    assert "exit status 0" in answer.plain and "foreground" in answer.plain
    assert "Nothing, neither on stdout nor on stderr" in answer.plain


def test_hint_from_the_output(httpd):
    answer = page(httpd, "/traceback/x")
    assert "No module named 'no_such_module_at_all'" in answer.plain
    assert "install the app's requirements" in answer.plain


def test_start_up_limit(httpd):
    began = time.monotonic()
    answer = page(httpd, "/late/x")
    assert 0.9 < time.monotonic() - began < 8
    assert answer.status in (500, 502) and "AppCoreStartupTimeLimit" in answer.plain
    wait_for(lambda: not httpd.app_processes(httpd.path("apps", "late")), 15,
             "the end of the process")


def test_secrets_are_shown_nowhere(httpd):
    answer = page(httpd, "/secret/x")
    assert "plain.py --key '***'" in answer.plain
    assert SECRET not in answer.text
    assert SECRET not in httpd.log_text()
    reports = httpd.path("run", "appcore", "r")
    for name in os.listdir(reports):
        with open(os.path.join(reports, name), "rb") as f:
            assert SECRET.encode() not in f.read()


@pytest.mark.root
def test_listener_of_somebody_else(httpd):
    """A port is not believed before its owner is known."""
    app = httpd.made["stolen"]
    result = []
    with httpd.raw() as client:
        client.send("GET /stolen/x HTTP/1.1\r\nHost: localhost\r\n"
                    "Connection: close\r\n\r\n")
        app.wait_event("start")
        pid = app.events("start")[-1]["pid"]
        with open(f"/proc/{pid}/environ", "rb") as f:
            port = int(re.search(rb"\0PORT=(\d+)", b"\0" + f.read()).group(1))
        with socket.socket() as thief:
            thief.bind(("127.0.0.1", port))
            thief.listen(8)
            text = client.receive().decode()
            # It took connections of the prober at most, no request.
            thief.settimeout(0.1)
            try:
                while True:
                    result.append(thief.accept()[0].recv(100))
            except TimeoutError:
                pass
    assert text.startswith("HTTP/1.1 502 ") and f"port {port}" in text
    assert "user id 0" in text
    assert not any(result)


def test_broken_exchange_has_a_page(httpd):
    raw = httpd.made["raw"]
    assert httpd.get("/raw/pid").status == 200
    target, _ = raw.answer("nonsense\r\n\r\n")
    answer = page(httpd, target)
    assert answer.status == 502 and "502.3" in answer.plain
    assert "did not answer as it should" in answer.plain    # Development: in detail


def test_sub_status_reaches_the_access_log(httpd):
    raw = httpd.made["raw"]
    assert httpd.get("/raw/pid").status == 200
    httpd.get(raw.answer("nonsense\r\n\r\n")[0])
    httpd.get("/public/logged")
    httpd.get("/bare/logged")

    def logged(line):
        """It is written when the client may have its answer already."""
        with open(httpd.path("access.log"), encoding="utf-8") as f:
            return line in f.read().splitlines()
    for line in ("/raw/answer 502 502.3", "/public/logged 502 502.5", "/raw/pid 200 -",
                 "/bare/logged 502 502.3"):             # as ANCM, without its own page
        wait_for(lambda line=line: logged(line), what=f"the line {line}")
