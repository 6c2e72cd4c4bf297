# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What apps print: to the virtual host's error log, to files, to programs."""

import glob
import json
import os
import re
from urllib.parse import quote

import pytest

import env as environment
from processes import wait_for

pytestmark = pytest.mark.mpm


@pytest.fixture(scope="module")
def httpd(env):
    for name in ("plain", "filed", "piped", "quiet", "other", "terse"):
        env.app(name, "plain")
    os.mkdir(env.path("apps", "filed", "logs"), 0o755)
    env.give(env.path("apps", "filed", "logs"), env.owner())
    env.sink = env.write("files", "sink", mode=0o755,
                         text="#!/bin/sh\nexec cat >>\"$1\"\n")
    env.port3 = environment.free_port()
    env.sunk = env.write("files", "sunk.log", text="", mode=0o666)
    env.text = f"""
Listen 127.0.0.1:{env.port2}
Listen 127.0.0.1:{env.port3}
<VirtualHost *:{env.port}>
    AppCoreMount /plain {env.path("apps", "plain")}
    <AppCoreApp filed>
        AppCorePath {env.path("apps", "filed")}
        AppCoreStdoutLogEnabled On
        AppCoreStdoutLogFile logs/out
        AppCoreStdoutLogMaxSize 1K
        AppCoreStdoutLogKeep 3
    </AppCoreApp>
    AppCoreMount /filed filed
    <AppCoreApp piped>
        AppCorePath {env.path("apps", "piped")}
        AppCoreStdoutLogFile "|{env.sink} {env.sunk}"
    </AppCoreApp>
    AppCoreMount /piped piped
    <AppCoreApp quiet>
        AppCorePath {env.path("apps", "quiet")}
        AppCoreStdoutLogEnabled Off
    </AppCoreApp>
    AppCoreMount /quiet quiet
</VirtualHost>
<VirtualHost *:{env.port2}>
    ErrorLog {env.path("other.log")}
    AppCoreMount /other {env.path("apps", "other")}
</VirtualHost>
<VirtualHost *:{env.port3}>
    LogLevel {{}}
    AppCoreMount /terse {env.path("apps", "terse")}
</VirtualHost>
"""
    env.start(env.text.format("warn"))
    return env


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_lines_reach_the_error_log(httpd, stream):
    pid = httpd.get("/plain/pid").text
    httpd.get(f"/plain/print?to={stream}&text=hello+from+{stream}")
    line = httpd.wait_log(rf".*app plain: hello from {stream}").group()
    assert f"[pid {pid}]" in line
    stamp = r"\[\w{3} \w{3} \d\d \d\d:\d\d:\d\d\.\d{6} \d{4}\]"
    assert re.match(stamp + r" \[appcore:info\]", line)


def test_lines_stay_whole_and_in_order(httpd):
    httpd.get("/plain/print?n=500&text=row")
    httpd.wait_log(r"app plain: row 499")
    rows = re.findall(r"app plain: row ?(\d*)$", httpd.recent_log(), re.M)
    assert [int(r or 0) for r in rows] == list(range(500))


def test_control_bytes_are_escaped(httpd):
    httpd.get("/plain/print?text=a%1b%5b31mb%07c")
    line = httpd.wait_log(r".*app plain: a.*b.*c").group()
    assert "\x1b" not in line and "\x07" not in line


@pytest.mark.parametrize("n,level", enumerate(
    ["emerg", "alert", "crit", "error", "warn", "notice", "info"]))
def test_levels_at_the_beginning_of_a_line(httpd, n, level):
    """A line that begins with a blank goes on with the one before."""
    httpd.allow("app plain: so bad", "app plain:   and why")
    httpd.get(f"/plain/print?text=<{n}>so+bad%0a++and+why")
    lines = httpd.wait_log(r".*app plain: so bad\n.*app plain:   and why").group()
    assert lines.count(f"[appcore:{level}]") == 2


def test_json_stays_json(httpd):
    httpd.get("/plain/print?text=" + quote('{"message": "one\\ntwo \\"three\\""}'))
    line = httpd.wait_log(r"app plain: (\{.*\})").group(1)
    assert json.loads(line) == {"message": 'one\ntwo "three"'}


@pytest.mark.parametrize("levels,written", [
    ("warn", {"<4>warns", "plain"}),
    ("info", {"<6>informs", "<4>warns", "plain"}),
    ("info appcore:warn", {"<4>warns"}),
    ("warn appcore:debug", {"<7>debugs", "<6>informs", "<4>warns", "plain"})])
def test_log_level_of_the_virtual_host(httpd, levels, written):
    """Taken over by a reload, without a restart of the app. httpd's default, warn,
    does not silence an app that says no levels."""
    httpd.allow(r"app terse: (warns|ends)")
    httpd.get("/terse/pid", port=httpd.port3)
    pids = httpd.app_processes(httpd.path("apps", "terse"))
    httpd.reload(httpd.text.format(levels))
    texts = ["<7>debugs", "<6>informs", "<4>warns", "plain"]
    for text in [*texts, "<3>ends"]:
        httpd.get("/terse/print?text=" + quote(text), port=httpd.port3)
    httpd.wait_log("app terse: ends")
    log = httpd.recent_log()
    assert {t for t in texts if f"app terse: {t.split('>')[-1]}\n" in log} == written
    assert httpd.app_processes(httpd.path("apps", "terse")) == pids


def test_a_virtual_host_has_its_own(httpd):
    httpd.get("/other/print?text=over+there", port=httpd.port2)

    def arrived():
        with open(httpd.path("other.log"), encoding="utf-8") as f:
            return "app other: over there" in f.read()
    wait_for(arrived, what="the line in the other log")
    assert "over there" not in httpd.recent_log()


def test_files_with_rotation(httpd):
    pattern = httpd.path("apps", "filed", "logs", "out_*.log")
    pid = httpd.get("/filed/pid").text
    httpd.get("/filed/print?text=to+the+file")
    wait_for(lambda: any("to the file" in open(f).read() for f in glob.glob(pattern)))
    for name in glob.glob(pattern):
        assert re.search(rf"out_\d{{14}}(\.\d+)?_{pid}\.log$", name), name
        assert os.stat(name).st_uid == os.stat(httpd.path("apps", "filed")).st_uid
    assert "to the file" not in httpd.recent_log()
    names = set()

    def rotated(number):
        """A name has the second in it, so there is at most one file per second."""
        httpd.get("/filed/print?n=40&text=fills-the-file-with-some-length")
        names.update(glob.glob(pattern))
        assert len(glob.glob(pattern)) <= 4
        return len(names) >= number
    wait_for(lambda: rotated(6), 20, "six files")


def test_piped_program(httpd):
    httpd.get("/piped/print?text=through+the+pipe")
    wait_for(lambda: "through the pipe" in open(httpd.sunk, encoding="utf-8").read(),
             what="the line behind the program")


def test_off(httpd):
    httpd.get("/quiet/print?text=nobody+reads+this")
    httpd.get("/plain/print?text=a+later+line")
    httpd.wait_log("app plain: a later line")
    assert "nobody reads this" not in httpd.recent_log()


def test_app_never_blocks_on_output(httpd):
    """Far more than a pipe holds, and answered at once."""
    answer = httpd.get("/plain/print?n=40000&text=" + "x" * 80)
    assert answer.text == "printed"


def test_reload_moves_to_the_new_log(httpd):
    """logrotate: rename, then graceful."""
    httpd.get("/plain/pid")
    os.rename(httpd.error_log, httpd.error_log + ".1")
    httpd.log_position = 0
    httpd.reload()
    httpd.get("/plain/print?text=after+the+rotation")
    httpd.wait_log("app plain: after the rotation")
