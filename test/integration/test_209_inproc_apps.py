# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Apps in process that are not as they should be, or not of this version; the samples;
and the one that docs/in-process.md shows."""

import os
import re
import subprocess
import time

import pytest

import env as environment
import probe
from probe import app_conf, ask, install
from processes import wait_for

pytestmark = pytest.mark.mpm
# Shared object, what page and log say, sub-status.
ODD = {
    "no-app": "NULL", "wrong-version": "version 99", "no-handle": r"handle\(\)",
    "no-symbol": "appcore_app_v1", "tiny": "version",
}
CXX = os.path.exists(os.path.join(probe.BUILT, "sample-cxx.so"))


def compile_page_app(env):
    """The app of the page, as the page says, against the header as it is installed."""
    with open(os.path.join(environment.TOP, "docs", "in-process.md"),
              encoding="utf-8") as f:
        page = f.read()
    code = re.search(r"^```c\n(.*?)^```", page, re.S | re.M).group(1)
    assert f"{len(re.findall('.+', code))} lines" in page
    command = re.search(r"^    (cc .*hello\.c.*)$", page, re.M).group(1).split()
    folder = env.app("page", user="root" if env.is_root else None)
    env.write("files", "hello.c", text=code)
    include = os.path.join(environment.TOP, "include")
    subprocess.run([*command, f"-I{include}", "-Wall", "-Werror"], check=True,
                   cwd=env.path("files"))
    os.rename(env.path("files", "hello.so"), os.path.join(folder, "hello.so"))
    return folder


@pytest.fixture(scope="module")
def httpd(env):
    env.always_allowed = ["app (odd-|none|text|two|wrong|writable|others|found)"]
    conf = "".join(app_conf(f"odd-{name}", install(env, f"odd-{name}", f"{name}.so"),
                            "AppCoreDetailedErrors On", f"AppCoreProcessPath {name}.so")
                   for name in ODD)
    for name in ("small", "large", "sample"):
        conf += app_conf(name, install(env, name, f"{name}.so"))
    os.mkdir(env.path("htdocs", "only-handle"))
    env.write("htdocs", "only-handle", "there.txt", text="a file")
    conf += f"<Directory {env.path('htdocs')}>\nRequire all granted\n</Directory>\n" \
        + app_conf("only-handle", install(env, "only-handle", "only-handle.so"))
    conf += app_conf("two", install(env, "two", "small.so", "large.so"),
                     "AppCoreProcessPath large.so")
    text = install(env, "text")
    with open(os.path.join(text, "text.so"), "w", encoding="ascii") as f:
        f.write("no shared object at all\n")
    conf += app_conf("text", text, "AppCoreProcessPath text.so",
                     "AppCoreDetailedErrors On")
    for name in ("writable", "others", "found"):
        path = "" if name == "found" else "AppCoreProcessPath sample.so"
        conf += app_conf(name, install(env, name, "sample.so"), path,
                         "AppCoreDetailedErrors On")
    os.chmod(env.path("apps", "writable", "sample.so"), 0o777)
    os.chmod(env.path("apps", "found", "sample.so"), 0o777)
    if env.is_root:
        os.chown(env.path("apps", "others", "sample.so"), 54321, 54321)
    if CXX:
        conf += app_conf("cxx", install(env, "cxx", "sample-cxx.so"))
    env.expect_root = env.is_root
    env.start(conf + app_conf("page", compile_page_app(env)))
    return env


@pytest.mark.parametrize("name", ODD)
def test_an_app_that_cannot_run(httpd, name):
    answer = httpd.get(f"/odd-{name}/")
    assert answer.status == 500
    assert re.search(ODD[name], answer.text), answer.text
    assert re.search(r"500\.3[0-8]", answer.text)
    lines = [line for line in httpd.log_text().splitlines()
             if f"app odd-{name}" in line and "[appcore:error]" in line]
    assert any(re.search(ODD[name], line) for line in lines), lines


def test_what_is_no_shared_object(httpd):
    answer = httpd.get("/text/")
    assert answer.status in (500, 502, 503) and "text.so" in answer.text


@pytest.mark.parametrize("name", ["writable", "others", "found"])
def test_an_object_that_others_can_write(httpd, name):
    """Whoever writes it would run as httpd's User."""
    if name == "others" and not httpd.is_root:
        pytest.skip("needs root")
    answer = httpd.get(f"/{name}/")
    assert answer.status == 500 and "which others can write" in answer.text


@pytest.mark.parametrize("name, text", [("small", "yesterday all 1"),
                                        ("large", "today less 0"),
                                        ("two", "today less 0")])
def test_an_app_of_another_version(httpd, name, text):
    answer = httpd.get(f"/{name}/")
    assert (answer.status, answer.text) == (200, text)


def test_an_app_that_is_no_more_than_handle(httpd):
    """All else may be missing. Without init() it has no host, so it declines."""
    assert httpd.get("/only-handle/there.txt").text == "a file"
    wait_for(lambda: "app only-handle runs in process" in httpd.log_text(),
             what="the line about its start")
    assert httpd.get("/only-handle/not-there").status == 404


# The samples

def test_the_app_of_the_page(httpd):
    assert httpd.get("/page/").text == "Hello\n"
    began = time.monotonic()
    clients = [ask(httpd, "http", "GET", "/page/sleep") for _ in range(5)]
    assert {client.response().text for client in clients} == {"slept\n"}
    assert time.monotonic() - began >= 1
    for client in clients:
        client.socket.close()


def test_the_page_says_what_may_be_missing_and_is_not():
    """Every member of the two tables and every result is on the page."""
    with open(os.path.join(environment.TOP, "include", "appcore.h"),
              encoding="utf-8") as f:
        header = f.read()
    with open(os.path.join(environment.TOP, "docs", "in-process.md"),
              encoding="utf-8") as f:
        page = f.read()
    names = re.findall(r"\(\*(\w+)\)\(", header)
    names += re.findall(r"^#define (APPCORE_\w+) \(?[-0-9]", header, re.M)
    names = [n for n in names if n not in ("fn", "APPCORE_ABI")
             and not n.startswith("APPCORE_LOG")]
    assert len(names) > 40
    flags = {"APPCORE_HAS_BODY", "APPCORE_TLS", "APPCORE_EXPECTS_100",
             "APPCORE_READABLE", "APPCORE_WRITABLE", "APPCORE_DETAILED_ERRORS"}
    missing = [n for n in names if f"`{n}`" not in page and n not in flags]
    assert not missing


def test_sample(httpd):
    assert httpd.get("/sample/").text.startswith("Hello from C inside httpd")
    assert httpd.get("/sample/headers", headers={"X-A": "b"}).json()["headers"]["X-A"] \
        == "b"
    assert "PATH" in httpd.get("/sample/env").json()
    assert int(httpd.get("/sample/pid").text) in {p.pid for p in httpd.workers()}
    assert httpd.get("/sample/echo", method="POST", body=b"x" * 70000).body \
        == b"x" * 70000
    assert httpd.get("/sample/bytes?n=100000").body == bytes(100000)
    assert httpd.get("/sample/status?code=418").status == 418
    assert httpd.get("/sample/none").status == 404


def test_sample_that_waits(httpd):
    began = time.monotonic()
    assert httpd.get("/sample/slow?ms=300").text == "done\n"
    assert time.monotonic() - began >= 0.3
    answer = httpd.get("/sample/stream?n=4&ms=20")
    assert answer.header("Content-Type") == "text/event-stream"
    assert answer.text == "".join(f"data: {i}\n\n" for i in (1, 2, 3, 4))
    raw = ask(httpd, "http", "GET", "/sample/stream?n=1000000&ms=5")
    raw.receive(b"data: 3\n")
    raw.socket.close()
    assert httpd.get("/sample/pid").status == 200


@pytest.mark.skipif(not CXX, reason="no C++ compiler")
def test_sample_in_cxx(httpd):
    assert httpd.get("/cxx/").text == "Hello from C++ inside httpd\n"
    assert httpd.get("/cxx/upper", method="POST", body=b"quite loud").text == "QUITE LOUD"
    assert httpd.get("/cxx/primes?n=100").text == "25\n"
    assert httpd.get("/cxx/none").status == 404


@pytest.mark.skipif(not CXX, reason="no C++ compiler")
@pytest.mark.parametrize("path, words", [("throw", r"thrown in handle\(\)"),
                                         ("throw-late", "thrown in a thread")])
def test_no_exception_crosses(httpd, path, words):
    httpd.allow("app cxx")
    pids = {p.pid for p in httpd.workers()}
    assert httpd.get(f"/cxx/{path}").status == 500
    httpd.wait_log(words)
    assert pids <= {p.pid for p in httpd.workers()}


# Apps that go wrong on the way

@pytest.mark.parametrize("code", ["exit?code=0", "exit?code=7", "exit?code=15"])
def test_exit_ends_the_child_alone(httpd, code):
    httpd.allow("app sample", "ended while it hosted apps in process")
    parent = httpd.httpd_pid()
    try:
        httpd.get(f"/sample/{code}")
    except OSError:
        pass
    wait_for(lambda: answers(httpd, "/sample/pid"), 30)
    assert httpd.httpd_pid() == parent


def answers(httpd, path):
    try:
        return httpd.get(path).status == 200
    except OSError:
        return False
