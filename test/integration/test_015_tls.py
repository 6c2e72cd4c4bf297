# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""TLS and the contract of ASP.NET Core: scheme, HTTPS port, path base, token. A
web.config that starts a script stands for the .NET app."""

import http.client
import os
import shutil
import ssl
import subprocess

import pytest

import env as environment
from client import Response

pytestmark = [pytest.mark.mpm, pytest.mark.skipif(
    not (shutil.which("openssl")
         and os.path.exists(os.path.join(environment.MODULE_DIR, "mod_ssl.so"))),
    reason="needs mod_ssl and openssl")]

WEB_CONFIG = """<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <system.webServer>
    <aspNetCore processPath="/usr/bin/env" arguments="python3 plain.py"
                hostingModel="OutOfProcess">
      <environmentVariables>
        <environmentVariable name="FROM_WEB_CONFIG" value="yes" />
        <environmentVariable name="BEATEN" value="web.config" />
      </environmentVariables>
    </aspNetCore>
  </system.webServer>
</configuration>
"""


def make_certificate(env):
    key, cert = env.path("files", "key.pem"), env.path("files", "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
                    "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return f"SSLCertificateFile {cert}\nSSLCertificateKeyFile {key}"


@pytest.fixture(scope="module")
def httpd(env):
    env.modules += ["socache_shmcb", "ssl"]
    folder = env.app("net", "plain", files={"web.config": WEB_CONFIG})
    plain = env.app("only", "plain", files={"web.config": WEB_CONFIG})
    twice = env.app("twice", "plain", files={"web.config": WEB_CONFIG})
    third, certificate = environment.free_port(), make_certificate(env)
    env.start(f"""
Listen 127.0.0.1:{env.port2}
Listen 127.0.0.1:{third}
<AppCoreApp net>
    AppCorePath {folder}
    AppCoreEnvironmentVariable BEATEN directive
</AppCoreApp>
<VirtualHost *:{env.port}>
    AppCoreMount /net net
    AppCoreMount /only {plain}
    AppCoreMount /twice {twice}
</VirtualHost>
<VirtualHost *:{third}>
    SSLEngine On
    {certificate}
    AppCoreMount /twice {twice}
</VirtualHost>
<VirtualHost *:{env.port2}>
    SSLEngine On
    {certificate}
    AppCoreMount /net net
    AppCoreMount /twice {twice}
</VirtualHost>
""")
    return env


def get_tls(env, path):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", env.port2, timeout=30,
                                             context=context)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = Response(answer.status, answer.reason, answer.getheaders(), answer.read())
    connection.close()
    return found


def test_one_app_for_both(httpd):
    assert get_tls(httpd, "/net/pid").text == httpd.get("/net/pid").text


def test_scheme_is_told(httpd):
    assert "https" in get_tls(httpd, "/net/headers").seen("X-Forwarded-Proto")
    assert httpd.get("/net/headers").seen("X-Forwarded-Proto") == "http"


def test_the_one_https_port_is_told(httpd):
    """It is found by asking the TLS module; nothing names it in the configuration."""
    assert httpd.get("/net/self").json()["env"]["ASPNETCORE_ANCM_HTTPS_PORT"] == \
        str(httpd.port2)
    only = httpd.get("/only/self").json()["env"]
    assert only.get("ASPNETCORE_ANCM_HTTPS_PORT", "") in ("", "-1")


def test_two_https_ports_are_not_told(httpd):
    """Which of them to redirect to is the app's own business, as with IIS."""
    assert "ASPNETCORE_ANCM_HTTPS_PORT" not in httpd.get("/twice/self").json()["env"]


def test_contract_of_aspnetcore(httpd):
    env = httpd.get("/net/self").json()["env"]
    assert env["ASPNETCORE_APPL_PATH"] == "/net"
    assert env["ASPNETCORE_PORT"].isdigit()
    assert env["ASPNETCORE_IIS_PHYSICAL_PATH"].rstrip("/") == httpd.path("apps", "net")
    token = httpd.get("/net/headers").seen("MS-ASPNETCORE-TOKEN")
    assert len(token) == 36 and token == env["ASPNETCORE_TOKEN"]


def test_web_config_and_directives(httpd):
    env = httpd.get("/net/self").json()["env"]
    assert env["FROM_WEB_CONFIG"] == "yes"
    assert env["BEATEN"] == "directive"
