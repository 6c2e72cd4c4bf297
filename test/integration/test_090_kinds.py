# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What is found in a folder is what runs: every kind of app and every way to reach
it. ASP.NET Core has its own module."""

import os
import re
import shutil
import stat

import pytest

import env as environment
from kinds import LISTEN, NOTHING, PYTHON, WEB_CONFIG

# How an app of a folder is found and reached: files, directives, expected "how", and
# what the log says was found.
FOUND = {
    "procfile": ({"Procfile": "web: python3 listen.py\n"}, "", "socket",
                 r'found .*Procfile: "python3 listen.py"'),
    "procport": ({"Procfile": "release: no\n"
                  "web: python3 listen.py --port $PORT --x ${PORT}\n"}, "",
                 "port", r'found .*Procfile'),
    "procsocket": ({"Procfile": "web: python3 listen.py --socket $APPCORE_SOCKET\n"}, "",
                   "socket", r'found .*Procfile'),
    "procvars": ({"Procfile": "web: GREETING=hello exec ./listen.py\n"}, "", "socket",
                 r"found .*Procfile"),
    "procshell": ({"Procfile": "web: test -n \"$HOME\" && python3 listen.py\n"}, "",
                  "port", r"Procfile: the command needs a shell \(several commands\)"
                  r" and runs as /bin/sh -c"),
    "procexec": ({"Procfile": "web: python3 listen.py 2>&1\n"}, "", "socket",
                 r"Procfile: the command needs a shell \(a redirection\)"),
    "fd": (NOTHING, f'AppCoreProcessPath {PYTHON}\n'
           'AppCoreArguments "listen.py --fd {fd} --prefix {path}"', "socket",
           r'found .*AppCoreProcessPath'),
    "socket": (NOTHING, "AppCoreProcessPath ./listen.py\n"
               'AppCoreArguments "--socket {socket} --prefix={path}/x"', "socket",
               r"found .*AppCoreProcessPath"),
    "port": (NOTHING, "AppCoreProcessPath listen.py\n"
             'AppCoreArguments "--port {port} \'two words\' %GREETING%"\n'
             "AppCoreEnvironmentVariable GREETING hello", "port",
             r"found .*AppCoreProcessPath"),
    "tcp": (NOTHING, "AppCoreProcessPath listen.py\nAppCoreListen tcp", "port",
            r"found .*AppCoreProcessPath"),
    "unix": (NOTHING, "AppCoreProcessPath listen.py\nAppCoreListen socket", "socket",
             r"found .*AppCoreProcessPath"),
    "auto": (NOTHING, "AppCoreProcessPath listen.py", "socket",
             r"found .*AppCoreProcessPath"),
    "own-port": (NOTHING, "AppCoreProcessPath listen.py\n"
                 "AppCoreEnvironmentVariable PORT {free}", "port",
                 r"found .*AppCoreProcessPath"),
    "web-any": ({"web.config": WEB_CONFIG.format(inner=f"""
        <aspNetCore processPath="{PYTHON}"
                    arguments=".\\listen.py --x &quot;two words&quot;">
          <environmentVariables>
            <environmentVariable name="GREETING" value="from web.config" />
            <environmentVariable name="Path" value="/opt/nowhere:%Path%" />
          </environmentVariables>
        </aspNetCore>""")}, "", "port", r"found .*web.config: processPath"),
}

def block(name, folder, directives):
    return f"<AppCoreApp {name}>\nAppCorePath {folder}\n{directives}\n</AppCoreApp>\n" \
           f"AppCoreMount /{name} {name}\n"


def put(env, name, files):
    folder = env.app(name, files=files)
    program = os.path.join(folder, "listen.py")
    shutil.copy(LISTEN, program)
    os.chmod(program, 0o755)
    env.give(program, env.owner())
    return folder


@pytest.fixture(scope="module")
def httpd(env):
    env.free = environment.free_port(20000, 32000)
    text = ""
    for name, (files, directives, _, _) in FOUND.items():
        text += block(name, put(env, name, files),
                      directives.replace("{free}", str(env.free)))
    text += block("off", put(env, "off", {
        "web.config": "not XML at all", "Procfile": "web: ./listen.py\n"}),
        "AppCoreWebConfig Off")
    text += other_languages(env)
    env.start(text)
    return env


def other_languages(env):
    with open(os.path.join(environment.TOP, "test", "apps", "node", "server.js"),
              encoding="utf-8") as f:
        server = f.read()
    main = env.app("node-main", "node")
    start = env.app("node-start", files={
        "lib/app.js": server, "package.json":
        '{"scripts": {"start": "GREETING=npm node lib/app.js"}}'})
    index = env.app("node-index", files={"index.js": server, "package.json": "{}"})
    main_py = env.app("asgi-main", "asgi")
    asgi = env.app("asgi-py", "asgi")
    os.rename(os.path.join(asgi, "main.py"), os.path.join(asgi, "asgi.py"))
    port = env.app("asgi-port", "asgi")
    wsgi = env.app("wsgi-py", "wsgi")
    passenger = env.app("passenger", "wsgi")
    os.rename(os.path.join(passenger, "wsgi.py"),
              os.path.join(passenger, "passenger_wsgi.py"))
    return "".join(block(n, f, d) for n, f, d in (
        ("node-main", main, ""), ("node-start", start, ""), ("node-index", index, ""),
        ("asgi-main", main_py, ""), ("asgi-py", asgi, ""),
        ("asgi-port", port, "AppCoreListen tcp"), ("wsgi-py", wsgi, ""),
        ("passenger", passenger, "")))


def ask(httpd, name, path="/"):
    return httpd.get(f"/{name}{path}")


@pytest.mark.parametrize("name", FOUND)
def test_found_and_reached(httpd, name):
    _, _, how, said = FOUND[name]
    answer = ask(httpd, name, "/where")
    assert answer.status == 200, answer
    app = answer.json()
    assert app["target"] == f"/{name}/where"
    assert app["how"] == how
    assert app["env"]["APPCORE_APP"] == name
    httpd.wait_log(rf"app {name}: {said}")
    assert ("LISTEN_FDS" in app["env"]) == (how == "socket" and name not in
                                            ("socket", "procsocket"))


def seen(httpd, name):
    answer = ask(httpd, name)
    assert answer.status == 200, answer
    return answer.json()


def test_placeholders(httpd):
    assert seen(httpd, "fd")["argv"][1:] == ["--fd", "3", "--prefix", "/fd"]
    app = seen(httpd, "socket")
    assert app["argv"][3:] == ["--prefix=/socket/x"]
    assert app["env"]["APPCORE_SOCKET"] == app["address"] == app["argv"][2]
    app = seen(httpd, "port")
    port = str(app["address"][1])
    assert app["argv"][1:] == ["--port", port, "two words", "hello"]
    assert app["env"]["PORT"] == port


def test_port_is_the_last_resort(httpd):
    """Where a program takes the socket, no door beside it is open."""
    app = seen(httpd, "auto")
    assert app["env"]["LISTEN_PID"] == str(app["pid"]) and app["env"]["PORT"]
    assert "PORT" not in seen(httpd, "unix")["env"]
    assert "LISTEN_FDS" not in seen(httpd, "tcp")["env"]
    assert 1025 <= int(seen(httpd, "tcp")["env"]["PORT"]) <= 32767


def test_port_of_the_administrator(httpd):
    assert seen(httpd, "own-port")["address"] == ["127.0.0.1", httpd.free]


def test_socket_is_known_under_its_last_name(httpd):
    """What an app prints as its address is where it can be found."""
    path = seen(httpd, "auto")["address"]
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert os.path.dirname(path) == httpd.path("run", "appcore", "s")


def test_socket_of_the_app_is_published_under_our_name(httpd):
    """The app keeps its own, but nothing depends on that any more."""
    path = seen(httpd, "socket")["address"]
    ours = os.path.join(httpd.path("run", "appcore", "s"),
                        os.path.basename(os.path.dirname(path)))
    assert stat.S_ISSOCK(os.stat(ours).st_mode)
    if os.path.exists(path):
        os.unlink(path)
    assert seen(httpd, "socket")["address"] == path


def test_command_lines(httpd):
    app = seen(httpd, "procport")
    port = str(app["address"][1])
    assert app["argv"][1:] == ["--port", port, "--x", port]
    assert seen(httpd, "procvars")["env"]["GREETING"] == "hello"
    # No shell stays between the keeper and an app that needs one only to start.
    assert seen(httpd, "procexec")["pid"] in httpd.app_processes()


def test_web_config_of_any_program(httpd):
    app = seen(httpd, "web-any")
    assert app["argv"] == ["./listen.py", "--x", "two words"]
    assert app["env"]["GREETING"] == "from web.config"
    assert app["env"]["PATH"].startswith("/opt/nowhere:/") and "Path" not in app["env"]


def test_web_config_can_be_left_aside(httpd):
    assert seen(httpd, "off")["how"] == "socket"


@pytest.mark.parametrize("name", ["node-main", "node-start", "node-index", "asgi-main",
                                  "asgi-py", "asgi-port", "wsgi-py", "passenger"])
def test_other_languages(httpd, name):
    answer = ask(httpd, name)
    assert answer.status == 200 and answer.text.startswith("Hello from"), answer
    prefix = ask(httpd, name, "/headers").json()["headers"]
    assert {k.lower(): v for k, v in prefix.items()}["x-forwarded-prefix"] == f"/{name}"
    env = ask(httpd, name, "/env").json()
    if name == "node-start":
        assert env["GREETING"] == "npm"
    if name in ("asgi-main", "wsgi-py"):
        assert env["FORWARDED_ALLOW_IPS"] == "*" and "PORT" not in env
    if name == "asgi-port":
        assert "FORWARDED_ALLOW_IPS" not in env and "LISTEN_FDS" not in env


@pytest.mark.parametrize("name", ["asgi-main", "wsgi-py"])
def test_client_of_a_python_app(httpd, name):
    """Its server believes us, because nobody else can connect to the socket."""
    answer = ask(httpd, name, "/headers").json()
    assert answer["scheme"] == "http"
    client = answer["client"]
    assert (client[0] if isinstance(client, list) else client) == "127.0.0.1" \
        or name == "wsgi-py"
