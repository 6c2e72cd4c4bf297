# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Where the value of a directive comes from: server < virtual host < <AppCoreApp>.

One app that is mounted in two virtual hosts must have one value of everything, and
`httpd -t` names the directive by which the two differ. So each test writes the same
app down twice, by different ways, and configtest tells whether both mean the same."""

import os
import pwd
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("APPCORE_BUILD", os.path.join(ROOT, "build"))
MODULE = os.environ.get("APPCORE_MODULE", os.path.join(BUILD, ".libs/mod_appcore.so"))
USERS = [user.pw_name for user in pwd.getpwall() if user.pw_uid and user.pw_gid]

# Directive and two values. {folder} is the test's own folder.
VALUES = [
    ("AppCoreProcessPath", "one", "two"),
    ("AppCoreArguments", '"a b"', '"c"'),
    ("AppCoreEnvironmentVariable", "NAME one", "NAME two"),
    ("AppCoreEnvironmentFile", "{folder}/one.env", "{folder}/two.env"),
    ("AppCoreUser", USERS[0], USERS[1]),
    ("AppCoreWebConfig", "Off", "IgnoreAccessRules"),
    ("AppCoreListen", "tcp", "socket"),
    ("AppCoreProcessesPerApplication", "2", "3"),
    ("AppCoreStartMode", "AlwaysRunning", "OnDemand"),
    ("AppCoreStartupTimeLimit", "11", "12"),
    ("AppCoreShutdownTimeLimit", "11", "12"),
    ("AppCoreRequestTimeout", "11s", "1500ms"),
    ("AppCoreRapidFailsPerMinute", "3", "4"),
    ("AppCoreQueueLimit", "11", "0"),
    ("AppCoreQueueTimeLimit", "11", "12"),
    ("AppCoreMaxWorkers", "11", "12%"),
    ("AppCoreRequestBuffering", "64K", "1M"),
    ("AppCoreTrustedProxy", "10.0.0.1", "10.0.0.0/8 ::1"),
    ("AppCoreStdoutLogEnabled", "On", "Off"),
    ("AppCoreStdoutLogFile", "logs/one", '"|/bin/two"'),
    ("AppCoreStdoutLogMaxSize", "1M", "2M"),
    ("AppCoreStdoutLogKeep", "3", "4"),
    ("AppCoreDisableStartUpErrorPage", "On", "Off"),
    ("AppCoreDetailedErrors", "On", "Off"),
    ("AppCoreWebSockets", "Off", "On"),
    ("AppCoreStaticFiles", "one", "two"),
    ("AppCoreSendfile", "one", "one two"),
    ("AppCoreLimit", "nofile 100", "nofile 100:200"),
    ("AppCoreLimit", "nproc 100", "nproc 100:200"),
    ("AppCoreLimit", "as 1G", "as unlimited"),
    ("AppCoreLimit", "cpu 10", "cpu 10:20"),
    ("AppCoreLimit", "core 0", "core 0:unlimited"),
    ("AppCoreUmask", "0022", "0027"),
]
# It has one value that is not refused, so only its rank can be told.
ONLY_VALUE = [("AppCoreHostingModel", "OutOfProcess", "OutOfProcess")]
# Lists and variables of the app are joined with its web.config or not in it.
WITHOUT_RANK = ("AppCoreEnvironmentVariable", "AppCoreTrustedProxy", "AppCoreSendfile")

each_directive = pytest.mark.parametrize(
    "name,one,two", VALUES, ids=[f"{v[0]} {v[1].split()[0]}" if v[0] == "AppCoreLimit"
                                 else v[0] for v in VALUES])


@pytest.fixture(scope="module")
def httpd():
    apxs = os.environ.get("APPCORE_APXS") or shutil.which("apxs") or "apxs2"

    def ask(name):
        return subprocess.check_output([apxs, "-q", name], text=True).strip()

    program = os.path.join(ask("SBINDIR"), ask("PROGNAME"))
    compiled_in = subprocess.check_output([program, "-l"], text=True)
    return program, [
        f"LoadModule {name}_module {ask('LIBEXECDIR')}/mod_{name}.so"
        for name in ("mpm_event", "unixd") if f"mod_{name}.c" not in compiled_in]


@pytest.fixture
def check(httpd, tmp_path):
    """check(server, first, second): what configtest says about the app that the two
    virtual hosts mount; None when it agrees."""
    program, modules = httpd
    for name in ("one.env", "two.env"):
        (tmp_path / name).write_text("NAME=value\n")
        (tmp_path / name).chmod(0o600)

    def run(server, first, second):
        text = "\n".join([
            f'ServerRoot "{tmp_path}"', "ServerName localhost", *modules,
            f'LoadModule appcore_module "{MODULE}"', "Listen 127.0.0.1:1",
            "ErrorLog error.log", server,
            "<VirtualHost *:1>", "ServerName a.test", first, "</VirtualHost>",
            "<VirtualHost *:1>", "ServerName b.test", second, "</VirtualHost>", ""])
        conf = tmp_path / "httpd.conf"
        conf.write_text(text.replace("{folder}", str(tmp_path)))
        test = subprocess.run([program, "-t", "-f", str(conf)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if test.returncode == 0:
            assert "Syntax OK" in test.stdout
            return None
        return test.stdout

    return run


PLAIN = "AppCoreMount /x /srv/appcore-merge"


def app(*directives):
    inside = "\n".join(directives)
    return (f"<AppCoreApp shop>\nAppCorePath /srv/appcore-merge\n{inside}\n"
            "</AppCoreApp>\nAppCoreMount /x shop")


def assert_differs(message, name):
    assert message is not None, "configtest sees one value where there are two"
    assert f"another value of {name};" in message


@each_directive
def test_virtual_host_inherits_from_server(check, name, one, two):
    assert check(f"{name} {one}", PLAIN, f"{name} {one}\n{PLAIN}") is None


@each_directive
def test_virtual_host_overrides_server(check, name, one, two):
    assert_differs(check(f"{name} {one}", PLAIN, f"{name} {two}\n{PLAIN}"), name)
    assert check(f"{name} {one}", f"{name} {two}\n{PLAIN}",
                 f"{name} {two}\n{PLAIN}") is None


@each_directive
def test_app_inherits_from_virtual_host(check, name, one, two):
    message = check("", f"{name} {one}\n{app()}", f"{name} {two}\n{app()}")
    assert_differs(message, name)


@each_directive
def test_app_inherits_from_server(check, name, one, two):
    message = check(f"{name} {one}", app(), f"{name} {two}\n{app()}")
    assert_differs(message, name)


@each_directive
def test_app_overrides_virtual_host_and_server(check, name, one, two):
    own = app(f"{name} {one}")
    assert check(f"{name} {two}", own, f"{name} {two}\n{own}") is None
    assert_differs(check("", f"{name} {one}\n{own}",
                         f"{name} {one}\n{app(f'{name} {two}')}"), name)


@pytest.mark.parametrize("name,one,two", [
    value for value in VALUES + ONLY_VALUE if value[0] not in WITHOUT_RANK])
def test_app_stands_above_its_web_config(check, name, one, two):
    message = check("", f"{name} {one}\n{app()}", app(f"{name} {one}"))
    assert_differs(message, name)


def test_environment_is_joined_by_name(check):
    def variable(name):
        return f"AppCoreEnvironmentVariable {name} value"

    assert check(variable("A"), f"{variable('B')}\n{app(variable('C'))}",
                 app(variable("A"), variable("B"), variable("C"))) is None


def test_path_of_the_folder_is_inherited(check):
    bare = "<AppCoreApp shop>\n</AppCoreApp>\nAppCoreMount /x shop"
    assert check("AppCorePath /srv/one", bare, bare) is None
    assert_differs(check("AppCorePath /srv/one", bare, f"AppCorePath /srv/two\n{bare}"),
                   "AppCorePath")
    assert "lacks AppCorePath" in check("", bare, bare)
