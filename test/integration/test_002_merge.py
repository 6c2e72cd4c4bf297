# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Server, virtual host, app: who wins, for every directive.

Two virtual hosts that mount the same folder at the same place must agree, and
configtest names the directive in which they do not. So one of them takes the value
through the place under test and the other has it written out: they agree exactly if
the merge works."""

import os

import pytest

import env as environment

ONE, TWO = environment.APP_USERS[:2]
# Directive -> two values that differ from each other and from the default.
VALUES = {
    "AppCoreProcessPath": ("/usr/bin/one", "/usr/bin/two"),
    "AppCoreArguments": ("one", "two"),
    "AppCoreEnvironmentVariable": ("NAME one", "NAME two"),
    "AppCoreUser": (ONE, f"{TWO}"),
    "AppCoreWebConfig": ("Off", "IgnoreAccessRules"),
    "AppCoreHandlerSetting": ("shadowCopyDirectory one", "SHADOWCOPYDIRECTORY two"),
    "AppCoreListen": ("socket", "tcp"),
    "AppCoreProtocol": ("h2c", "http/1.1"),
    "AppCoreProcessesPerApplication": ("2", "3-4"),
    "AppCoreMaxConcurrency": ("1", "2"),
    "AppCoreHostingModel": ("InProcess", "OutOfProcess"),
    "AppCoreStartMode": ("AlwaysRunning", "OnDemand"),
    "AppCoreStartupTimeLimit": ("1", "2"),
    "AppCoreShutdownTimeLimit": ("1", "2"),
    "AppCoreRequestTimeout": ("1s", "2s"),
    "AppCoreRapidFailsPerMinute": ("1", "2"),
    "AppCoreQueueLimit": ("1", "2"),
    "AppCoreQueueTimeLimit": ("1s", "2s"),
    "AppCoreMaxWorkers": ("1", "20%"),
    "AppCoreAsync": ("Off", "On"),
    "AppCoreAsyncLimit": ("1", "2"),
    "AppCoreKeepAliveHold": ("1ms", "2ms"),
    "AppCoreRequestBuffering": ("1K", "2K"),
    "AppCoreTrustedProxy": ("10.0.0.1", "10.0.0.2"),
    "AppCoreStdoutLogEnabled": ("On", "Off"),
    "AppCoreStdoutLogFile": ("one", "two"),
    "AppCoreStdoutLogMaxSize": ("1M", "2M"),
    "AppCoreStdoutLogKeep": ("1", "2"),
    "AppCoreDisableStartUpErrorPage": ("On", "Off"),
    "AppCoreDetailedErrors": ("On", "Off"),
    "AppCoreForwardWindowsAuthToken": ("Off", "On"),
    "AppCoreForwardClientCertificate": ("Off", "On"),
    "AppCoreWebSockets": ("Off", "On"),
    "AppCoreWarmUpPath": ("/one", "/two"),
    "AppCoreRecycleOnFileChange": ("*.one", "two/*"),
    "AppCoreStaticFiles": ("one", "two"),
    "AppCoreSendfile": ("/one", "/two"),
    "AppCoreLimit": ("nofile 1000", "nofile 2000"),
    "AppCoreUmask": ("0027", "0077"),
}
# Has a test of its own below.
ELSEWHERE = ("AppCoreEnvironmentFile", "AppCorePath")

HOSTS = """
{server}
<VirtualHost *>
ServerName a
{a}
</VirtualHost>
<VirtualHost *>
ServerName b
{b}
</VirtualHost>
"""
MOUNT = "AppCoreMount /m /srv/m"


def agree(env, directive, server="", a="", b=""):
    said = env.configtest(HOSTS.format(server=server, a=a, b=b))
    if said.strip().endswith("Syntax OK"):
        return True
    assert f"with another value of {directive};" in said, said
    return False


def app(line):
    return f"<AppCoreApp x>\nAppCorePath /srv/x\n{line}\n</AppCoreApp>\nAppCoreMount /x x"


@pytest.mark.parametrize("directive", VALUES)
def test_virtual_host_takes_the_servers(env, directive):
    one, two = (f"{directive} {v}" for v in VALUES[directive])
    assert agree(env, directive, one, MOUNT, f"{one}\n{MOUNT}")
    assert not agree(env, directive, one, MOUNT, f"{two}\n{MOUNT}")


@pytest.mark.parametrize("directive", VALUES)
def test_virtual_host_wins_over_server(env, directive):
    one, two = (f"{directive} {v}" for v in VALUES[directive])
    assert agree(env, directive, two, f"{one}\n{MOUNT}", f"{one}\n{MOUNT}")
    assert not agree(env, directive, two, f"{one}\n{MOUNT}", MOUNT)


@pytest.mark.parametrize("directive", VALUES)
def test_app_takes_what_is_above_it(env, directive):
    one, two = (f"{directive} {v}" for v in VALUES[directive])
    plain = app("")
    assert agree(env, directive, one, plain, f"{one}\n{plain}")
    assert not agree(env, directive, one, plain, f"{two}\n{plain}")


@pytest.mark.parametrize("directive", VALUES)
def test_app_wins_over_all(env, directive):
    one, two = (f"{directive} {v}" for v in VALUES[directive])
    assert agree(env, directive, two, f"{two}\n{app(one)}", app(one))
    assert not agree(env, directive, two, app(one), app(""))


def test_same_value_above_and_below_web_config_differs(env):
    """What stands in <AppCoreApp> beats the app's web.config, what stands around it
    does not: equal values in unequal places are not the same app."""
    for line in ("AppCoreStartupTimeLimit 5", "AppCoreEnvironmentVariable A 1",
                 "AppCoreHandlerSetting shadowCopyDirectory x"):
        assert not agree(env, line.split()[0], "", app(line), f"{line}\n{app('')}")


@pytest.mark.parametrize("limit", ["nproc", "as", "cpu", "core"])
def test_every_limit_is_one_of_its_own(env, limit):
    one, two = f"AppCoreLimit {limit} 1000", f"AppCoreLimit {limit} 1000:2000"
    assert agree(env, "AppCoreLimit", f"{one}\nAppCoreLimit nofile 9",
                 f"{two}\n{MOUNT}", f"{two}\nAppCoreLimit nofile 9\n{MOUNT}")
    assert not agree(env, "AppCoreLimit", one, f"{two}\n{MOUNT}", MOUNT)


def test_environment_file(env):
    """Equal contents, so that nothing but the file's name differs."""
    files = (env.write(name, text="A=1\n", mode=0o600) for name in ("one", "two"))
    one, two = (f"AppCoreEnvironmentFile {file}" for file in files)
    name = "AppCoreEnvironmentFile"
    assert agree(env, name, one, MOUNT, f"{one}\n{MOUNT}")
    assert not agree(env, name, one, MOUNT, f"{two}\n{MOUNT}")
    assert agree(env, name, two, f"{two}\n{app(one)}", app(one))
    assert not agree(env, name, "", f"{one}\n{app('')}", f"{one}\n{app(two)}")


def test_groups_stay_with_their_user(env):
    """A virtual host's user without a group takes none from the server."""
    server = f"AppCoreUser {ONE} {TWO}"
    user = f"AppCoreUser {ONE}"
    assert not agree(env, "AppCoreUser", server, f"{user}\n{MOUNT}", MOUNT)


def test_variables_join(env):
    server = "AppCoreEnvironmentVariable A 1\nAppCoreEnvironmentVariable B 1"
    a = f"AppCoreEnvironmentVariable B 2\n{MOUNT}"
    b = f"AppCoreEnvironmentVariable A 1\nAppCoreEnvironmentVariable B 2\n{MOUNT}"
    assert agree(env, "AppCoreEnvironmentVariable", server, a, b)


def test_global_app_is_one_for_all(env):
    """What virtual hosts set for themselves does not reach an app defined outside."""
    server = "<AppCoreApp g>\nAppCorePath /srv/g\n</AppCoreApp>"
    a = "AppCoreListen tcp\nAppCoreMount /g g"
    assert agree(env, "AppCoreListen", server, a, "AppCoreMount /g g")


def test_global_mount_reaches_virtual_hosts(env):
    assert agree(env, "AppCoreListen", "AppCoreMount /m /srv/m\nAppCoreListen tcp",
                 "AppCoreListen tcp\nAppCoreMount /other /srv/other", "")


def test_folder_of_the_same_name_differs(env):
    text = "<AppCoreApp x>\nAppCorePath /srv/{}\n</AppCoreApp>\nAppCoreMount /x x"
    assert not agree(env, "AppCorePath", "", text.format("one"), text.format("two"))


def test_path_is_a_default_for_apps_of_its_scope(env):
    text = "<AppCoreApp x>\n{}\n</AppCoreApp>\nAppCoreMount /x x"
    assert agree(env, "AppCorePath", "", "AppCorePath /srv/x\n" + text.format(""),
                 text.format("AppCorePath /srv/x"))
    assert agree(env, "AppCorePath", "AppCorePath /srv/x", text.format(""),
                 text.format("AppCorePath /srv/x"))


def test_table_is_complete():
    settings = os.path.join(environment.TOP, "src", "spec", "settings.h")
    with open(settings, encoding="utf-8") as f:
        text = f.read()
    members = {w.strip('"') for w in text.replace(")", ",").replace(" ", "").split(",")
               if w.startswith('"AppCore')}
    assert members == set(VALUES) | (set(ELSEWHERE) & members)
