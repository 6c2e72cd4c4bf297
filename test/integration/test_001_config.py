# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Every directive: what is taken, what is refused and in which words, and where it may
stand. Nothing is started here; `httpd -t` says it all."""

import os
import re

import pytest

import env as environment

USER = environment.APP_USERS[0]
MOUNT = "AppCoreMount /m /srv/m\n"

GOOD = {
    "AppCoreHostingModel": ["OutOfProcess", "outofprocess", "InProcess"],
    "AppCoreProcessPath": ["/usr/bin/node", "run.sh"],
    "AppCoreArguments": ['"--port {port}"', '""'],
    "AppCoreEnvironmentVariable": ["NAME value", 'A__B "two words"', "EMPTY \"\""],
    "AppCoreUser": [USER, f"{USER} {environment.APP_USERS[1]}"],
    "AppCoreWebConfig": ["On", "off", "IgnoreAccessRules"],
    "AppCoreHandlerSetting": ["enableShadowCopy true", "SHADOWCOPYDIRECTORY ../copy",
                              "shutdownDelay 0"],
    "AppCoreListen": ["auto", "SOCKET", "tcp"],
    "AppCoreProtocol": ["auto", "HTTP/1.1", *["h2c"] * environment.speaks_http2()],
    "AppCoreProcessesPerApplication": ["1", "100", "2-8"],
    "AppCoreMaxConcurrency": ["Off", "1", "10000"],
    "AppCoreStartMode": ["OnDemand", "alwaysrunning"],
    "AppCoreWarmUpPath": ["/", "/warm /up?x=1"],
    "AppCoreRecycleOnFileChange": ["*.dll", "app.py conf.d/[a-z]*.y?l", "Off"],
    "AppCoreStartupTimeLimit": ["0", "3600"],
    "AppCoreShutdownTimeLimit": ["0", "600"],
    "AppCoreRequestTimeout": ["30", "500ms", "2m", "24h"],
    "AppCoreRapidFailsPerMinute": ["0", "100"],
    "AppCoreQueueLimit": ["0", "65535"],
    "AppCoreQueueTimeLimit": ["0", "1h"],
    "AppCoreMaxWorkers": ["1", "50%", "100%"],
    "AppCoreAsync": ["On", "off"],
    "AppCoreAsyncLimit": ["1", "5000"],
    "AppCoreKeepAliveHold": ["Off", "2ms", "1s"],
    "AppCoreRequestBuffering": ["Off", "1", "64K", "1G"],
    "AppCoreTrustedProxy": ["127.0.0.1", "10.0.0.0/8 ::1 fd00::/8"],
    "AppCoreStdoutLogEnabled": ["On", "Off"],
    "AppCoreStdoutLogFile": ["errorlog", "logs/stdout", '"|/usr/bin/logger -t app"'],
    "AppCoreStdoutLogMaxSize": ["1K", "10M"],
    "AppCoreStdoutLogKeep": ["1", "10000"],
    "AppCoreDisableStartUpErrorPage": ["On", "Off"],
    "AppCoreDetailedErrors": ["On", "Off", "auto"],
    "AppCoreForwardWindowsAuthToken": ["On", "Off"],
    "AppCoreForwardClientCertificate": ["On", "Off"],
    "AppCoreWebSockets": ["On", "Off"],
    "AppCoreStaticFiles": ["wwwroot", "./a/b/", "Off"],
    "AppCoreSendfile": ["/var/files", "files other"],
    "AppCoreLimit": ["nofile 100", "nofile 100:200", "nproc unlimited", "as 2G:4G",
                     "cpu 60", "core 0:unlimited"],
    "AppCoreUmask": ["0", "0027", "777"],
}

# Directive and value -> words of the sentence.
BAD = [
    ("AppCoreHostingModel Inside", "must be OutOfProcess or InProcess, not \"Inside\""),
    ('AppCoreProcessPath ""', "AppCoreProcessPath takes one argument, the program"),
    ("AppCoreEnvironmentVariable A=B c", "must be a variable's name without \"=\""),
    ("AppCoreEnvironmentVariable NAME", "takes two words, a name and a value"),
    ("AppCoreEnvironmentVariable NAME a b", "put quotes around what has spaces"),
    ("AppCoreArguments --port 80", "takes one word, the program's arguments; put quotes"),
    ("AppCoreUser no-such-user", "names the user \"no-such-user\", which does not exist"),
    ("AppCoreUser root", "must name a user other than root: apps never run with uid 0"),
    (f"AppCoreUser {USER} root", "must name a group other than root's"),
    (f"AppCoreUser {USER} no-such-group", "names the group \"no-such-group\""),
    ("AppCoreDefaultUser root", "AppCoreDefaultUser must name a user other than root"),
    ("AppCoreDefaultUser no-such-user", "AppCoreDefaultUser names the user"),
    ("AppCoreWebConfig Maybe", "must be On, Off or IgnoreAccessRules, not \"Maybe\""),
    ("AppCoreHandlerSetting fancy on", "suppressRecycleOnStartupTimeout, not \"fancy\""),
    ("AppCoreHandlerSetting enableShadowCopy on", "must be true or false, not \"on\""),
    ("AppCoreHandlerSetting shutdownDelay 1s", "must be a whole number of milliseconds"),
    ("AppCoreListen udp", "must be auto, socket or tcp, not \"udp\""),
    ("AppCoreProtocol h2", "not \"h2\""),
    ("AppCoreProcessesPerApplication 0", "must be a whole number from 1 to 100"),
    ("AppCoreProcessesPerApplication 101", "must be a whole number from 1 to 100"),
    ("AppCoreProcessesPerApplication 8-2", "or two of them as in 2-8"),
    ("AppCoreMaxConcurrency 0", "must be a whole number from 1 to 10000, or Off"),
    ("AppCoreStartMode Now", "must be OnDemand or AlwaysRunning, not \"Now\""),
    ("AppCoreStartupTimeLimit 3601", "must be a whole number from 0 to 3600"),
    ("AppCoreStartupTimeLimit 30s", "must be a whole number from 0 to 3600"),
    ("AppCoreShutdownTimeLimit 601", "must be a whole number from 0 to 600"),
    ("AppCoreRequestTimeout 0", "a time from 1ms to 24h such as 500ms, 30s or 2m"),
    ("AppCoreRequestTimeout 2d", "must be a time from 1ms to 24h"),
    ("AppCoreRapidFailsPerMinute 101", "must be a whole number from 0 to 100"),
    ("AppCoreRapidFailsPerMinute -1", "must be a whole number from 0 to 100"),
    ("AppCoreQueueLimit 65536", "must be a whole number from 0 to 65535"),
    ("AppCoreQueueTimeLimit 61m", "must be a time from 0 to 1h"),
    ("AppCoreMaxWorkers 0", "a number from 1 to 65535 or a share from 1% to 100%"),
    ("AppCoreAsync Maybe", "must be On or Off"),
    ("<Location /x>\nAppCoreAsync Maybe\n</Location>", "must be On or Off"),
    ("AppCoreKeepAliveHold 2s", "a time from 1ms to 1s"),
    ("AppCoreAsyncLimit 0", "a whole number from 1 to 1000000"),
    ("AppCoreMaxWorkers 101%", "a share from 1% to 100%"),
    ("AppCoreRequestBuffering 2G", "a size from 1 to 1G such as 64K or 10M, or Off"),
    ("AppCoreTrustedProxy proxy.example", "must be an IP address or network such as"),
    ("AppCoreTrustedProxy 10.0.0.0/33", "must be an IP address or network such as"),
    ("AppCoreStdoutLogEnabled auto", "must be On or Off, not \"auto\""),
    ('AppCoreStdoutLogFile "|logger"', "\"|program\" with the program's absolute path"),
    ('AppCoreStdoutLogFile ""', "takes one argument, errorlog, a file prefix, or"),
    ("AppCoreStdoutLogMaxSize 100", "must be a size from 1K to 1024G"),
    ("AppCoreStdoutLogKeep 0", "must be a whole number from 1 to 10000"),
    ("AppCoreDisableStartUpErrorPage 1", "must be On or Off"),
    ("AppCoreDetailedErrors some", "must be On, Off or auto"),
    ("AppCoreForwardWindowsAuthToken Negotiate", "must be On or Off"),
    ("AppCoreForwardClientCertificate optional", "must be On or Off"),
    ("AppCoreWebSockets 1", "must be On or Off"),
    ("AppCoreRecycleOnFileChange ../x", "must be up to 16 paths relative to the app's"),
    ("AppCoreRecycleOnFileChange */x", "with *, ? or [...] in the last segment alone"),
    ("AppCoreRecycleOnFileChange" + 17 * " x", "must be up to 16 paths relative to"),
    ("AppCoreStaticFiles ../x", "must be a folder below the app's own, such as wwwroot"),
    ("AppCoreStaticFiles /var/www", "must be a folder below the app's own"),
    ("AppCoreSendfile ../x", "must be a folder below the app's own"),
    ("AppCoreSendfile /var/../etc", "must be an absolute path without \"..\""),
    ("AppCoreLimit nofiles 5", "must limit nofile, nproc, as, cpu or core, not"),
    ("AppCoreLimit nofile 200:100", "must be SOFT:HARD with SOFT not above HARD"),
    ("AppCoreLimit cpu 5m", "AppCoreLimit cpu must be SOFT or SOFT:HARD"),
    ("AppCoreUmask 8", "must be an octal number from 0 to 0777 such as 0027"),
    ("AppCorePath srv/m", "must be an absolute path without \"..\""),
    ("AppCorePath /", "must be a folder of its own"),
    ("AppCoreMaxSpawns 0", "must be a whole number from 1 to 1024"),
    ("AppCoreStateDir var/lib", "must be an absolute path"),
    ("AppCoreDotnetRoot usr/share/dotnet", "must be an absolute path"),
    ("AppCoreRuntimeDir /no/such/place/here", "there is no folder /no/such/place"),
    (f"AppCoreRuntimeDir /tmp/{'x' * 80}", "paths of sockets are short"),
    ("AppCoreEnvironmentFile secrets", "must be an absolute path"),
    ("AppCoreEnvironmentFile /no/such/file", "names a file that cannot be opened"),
    ("AppCoreMount shop /srv/shop", "must be a URL path such as /shop"),
    ("AppCoreMount /shop%20x /srv/shop", "as it reads after decoding"),
    ("AppCoreMount /shop srv/shop", "must mount an absolute folder or the name of an"),
    ("AppCoreMount /shop shop", "there is no <AppCoreApp shop>"),
    ("AppCoreMount /m/ /srv/other", "is already in use"),
    ("AppCoreMount /shop /", "must be a folder of its own"),
    ("<AppCoreApp>\n</AppCoreApp>", "<AppCoreApp> takes one name"),
    ("<AppCoreApp a b>\n</AppCoreApp>", "<AppCoreApp> takes one name"),
    ("<AppCoreApp a/b>\n</AppCoreApp>", "must be a name of up to 64 letters"),
    ("<AppCoreApp a>\n</AppCoreApp>\n<AppCoreApp a>\n</AppCoreApp>", "already defined"),
    ("<AppCoreApp a>\n<AppCoreApp b>\n</AppCoreApp>\n</AppCoreApp>", "inside of another"),
    ("<AppCoreApp a>\nServerSignature Off\n</AppCoreApp>", "only AppCore directives do"),
    ("<AppCoreApp a>\nAppCoreMount /x a\n</AppCoreApp>", "stands outside of"),
    ("<AppCoreApp a>\nAppCoreMaxSpawns 3\n</AppCoreApp>", "belongs to the whole"),
    ("<AppCoreApp a>\n</AppCoreApp>\nAppCoreMount /a a", "a> lacks AppCorePath"),
    ("<Location /x>\nAppCoreListen tcp\n</Location>", "not allowed"),
    ("<Location /x>\nAppCoreEnabled Perhaps\n</Location>", "must be On or Off"),
    ("AppCoreEnabled Off", "not allowed"),
    ("<VirtualHost *>\nAppCoreStateDir /x\n</VirtualHost>", "cannot occur within"),
    ("<VirtualHost *>\nAppCoreDotnetRoot /x\n</VirtualHost>", "cannot occur within"),
    ("AppCoreNoSuchThing On", "Invalid command 'AppCoreNoSuchThing'"),
]


def taken(text):
    return text.strip().endswith("Syntax OK")


@pytest.mark.parametrize("directive,value",
                         [(d, v) for d, values in GOOD.items() for v in values])
def test_takes(env, directive, value):
    said = env.configtest(f"{MOUNT}{directive} {value}")
    assert taken(said), said
    within = f"<AppCoreApp a>\nAppCorePath /srv/a\n{directive} {value}\n</AppCoreApp>"
    said = env.configtest(f"{within}\nAppCoreMount /a a")
    assert taken(said), said


@pytest.mark.parametrize("lines,sentence", BAD, ids=[b[0][:60] for b in BAD])
def test_refuses_and_says_what_is_allowed(env, lines, sentence):
    said = env.configtest(MOUNT + lines)
    assert not taken(said)
    assert sentence in said, said


def test_names_file_and_line(env):
    conf = MOUNT + "AppCoreListen udp\n"
    said = env.configtest(conf)
    line = env.full_conf(conf).split("\n").index("AppCoreListen udp") + 1
    assert f"line {line} of {env.path('test.conf')}" in said


def test_names_file_and_line_of_what_is_found_later(env):
    conf = "AppCoreMount /a nobody-there\nAppCoreMount /b nor-there\n"
    said = env.configtest(conf)
    line = env.full_conf(conf).split("\n").index("AppCoreMount /a nobody-there") + 1
    # Every mistake at once.
    assert f"{env.path('test.conf')}:{line}: AppCoreMount /a/ names" in said
    assert f"{env.path('test.conf')}:{line + 1}: AppCoreMount /b/ names" in said


def test_every_directive_is_in_these_tables(env):
    with open(os.path.join(environment.TOP, "src", "conf", "directives.c")) as f:
        table = set(re.findall(r'"<?(AppCore\w+)",', f.read()))
    tested = set(GOOD) | {b[0].split()[0].strip("<>") for b in BAD}
    assert table - tested == {"AppCoreEnabled"} - tested


def test_environment_file_is_checked(env):
    conf = MOUNT + "AppCoreEnvironmentFile {}"
    good = env.write("files", "good.env", text="SECRET=hunter2\n", mode=0o600)
    assert taken(env.configtest(conf.format(good)))
    open_file = env.write("files", "open.env", text="SECRET=hunter2\n", mode=0o666)
    assert "neither group nor others may write" in env.configtest(conf.format(open_file))
    broken = env.write("files", "broken.env", text="A=1\nhunter2\n", mode=0o600)
    said = env.configtest(conf.format(broken))
    assert "has no NAME=VALUE in line 2" in said and "hunter2" not in said
    folder = env.app("withsecret", files={".env": "A=1\n"})
    env.give(os.path.join(folder, ".env"), "root")
    said = env.configtest(f"AppCoreMount /x {folder}\n"
                          f"AppCoreEnvironmentFile {folder}/.env")
    assert "lies inside of the folder of app x" in said
    os.symlink(folder, env.path("files", "link"))
    said = env.configtest(f"AppCoreMount /x {folder}\n"
                          f"AppCoreEnvironmentFile {env.path('files', 'link', '.env')}")
    assert "lies inside of the folder of app x" in said


def test_no_folder_is_looked_at(env):
    """A folder that does not exist is the app's own trouble, not httpd's."""
    assert taken(env.configtest("AppCoreMount /gone /no/such/folder"))


def test_notices(env):
    said = env.configtest(MOUNT + "AppCoreProcessesPerApplication 3")
    assert "app m runs up to 3 processes" in said and taken(said)
    said = env.configtest(MOUNT + "AppCoreHostingModel InProcess\nAppCoreUser games\n"
                          "AppCoreUmask 022\nAppCoreStartMode AlwaysRunning")
    assert "AppCoreUser, AppCoreUmask, AppCoreStartMode does not apply there" in said
    assert taken(said)
    said = env.configtest("<AppCoreApp lonely>\nAppCorePath /srv/l\n</AppCoreApp>")
    assert "<AppCoreApp lonely> is mounted nowhere" in said and taken(said)


@pytest.mark.skipif(environment.MPM != "event", reason="only the event MPM can park")
def test_notices_of_more_waiting_requests_than_the_server_bears(env):
    said = env.configtest(MOUNT + "AppCoreAsyncLimit 100")
    assert "AppCoreAsyncLimit: 100 requests of a child cannot wait without a worker: " \
        "with more than 16 the event MPM would stop" in said and taken(said)
    assert "AsyncRequestWorkerFactor 13," in said
    said = env.configtest(MOUNT + "AsyncRequestWorkerFactor 13\nAppCoreAsyncLimit 100")
    assert "cannot wait" not in said
    said = env.configtest(MOUNT + "AsyncRequestWorkerFactor 1000000")
    assert "AsyncRequestWorkerFactor: 8000000 requests" in said
    assert "would have to be 24000200 (ulimit -n" in said and taken(said)
    said = env.configtest("AsyncRequestWorkerFactor 100\nAppCoreMount /x /srv/x\n"
                          "<AppCoreApp y>\nAppCorePath /srv/y\n"
                          "AppCoreAsyncLimit 801\n</AppCoreApp>\nAppCoreMount /y y")
    assert "with more than 800 the event MPM" in said


def test_loads_first_and_last(env):
    env.modules += ["proxy", "proxy_http"]
    try:
        assert taken(env.configtest(MOUNT))
        env.first_module = True
        assert taken(env.configtest(MOUNT))
    finally:
        env.first_module = False
        env.modules = list(environment.MODULES)
