# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Acceptance list of the ASP.NET Core Module: path base, TLS and certificates, the
middleware of the IIS integration as it is in every ASP.NET Core."""

import re

import pytest

import client
import env as environment
import processes
import tls
from acceptance import Site, hosting_model, ids, inside, outside  # noqa: F401
from processes import wait_for

BASE = "/Sub/App/PathAndPathBase"


@pytest.fixture(scope="module")
def site(env, hosting_model):  # noqa: F811
    if not tls.Authority.available():
        pytest.skip("there is no openssl to make certificates with")
    env.modules += ["ssl", "socache_shmcb"]
    env.ca = tls.Authority(env.path("files"))
    env.ca.issue("server", "/CN=localhost")
    env.ca.issue("alice", "/CN=alice")
    made = Site(env, hosting_model)
    made.add("site")
    made.add("redirecting", variables={"ENABLE_HTTPS_REDIRECTION": "1"})
    made.add("sub", prefix=BASE)
    made.add("deaf-to-certificates", directives="AppCoreForwardClientCertificate Off")
    made.add("port", directives="AppCoreListen tcp")
    return made.start(lambda apps: hosts(env, apps))


def hosts(env, apps):
    """Both mount all apps."""
    mounts = "\n".join(re.findall(r"(?m)^AppCoreMount.*$", apps))
    apps = re.sub(r"(?m)^AppCoreMount.*$", "", apps)
    return f"""
Listen 127.0.0.1:{env.port2}
{apps}
<VirtualHost *:{env.port}>
    AllowEncodedSlashes NoDecode
    MergeSlashes Off
    {mounts}
</VirtualHost>
<VirtualHost *:{env.port2}>
    SSLEngine on
    SSLCertificateFile {env.path("files", "server.pem")}
    SSLCertificateKeyFile {env.path("files", "server.key")}
    SSLCACertificateFile {env.path("files", "ca.pem")}
    SSLVerifyClient optional
    {mounts}
</VirtualHost>
"""


def secure(site, path, app="site", **options):
    site.enter(app)
    return site.env.ca.request(site.env.port2, f"/{app}{path}", **options)


# Path base

def sub(site, path):
    site.enter("sub")
    return site.env.raw_get(path, "X-Endpoint: PathAndBase")


@ids("PB1", "PB2", "PB5", "PB6", "PB7")
@pytest.mark.parametrize("sent, base, path", [
    (BASE, BASE, ""),
    (BASE + "/", BASE, "/"),
    (BASE + "//Path", BASE, "//Path"),
    ("/Sub/ball/../App/PathAndPathBase//path1//path2", BASE, "//path1//path2"),
    (BASE + "/%E4%BD%A0/%20x", BASE, "/\u4f60/ x"),
    (BASE + "/a%2Fb", BASE, "/a%2Fb")])
def test_path_base(site, sent, base, path):
    answer = sub(site, sent)
    assert (answer.status, answer.text) == (200, f"{base}|{path}")


@ids("PB3")
@pytest.mark.parametrize("sent", ["/SUb/APp/PathAndPAthBase", "/SITE/HelloWorld"])
def test_mounts_are_case_sensitive(site, sent):
    """As <Location> is, which guards them; IIS ignores case."""
    assert sub(site, sent).status == 404


@ids("PB4", "PB5")
@pytest.mark.parametrize("sent", [
    "/Sub%2FApp/PathAndPathBase/", "/Sub%5CApp/PathAndPathBase/",
    BASE + "x", BASE + "/../x"])
def test_nothing_beside_the_mount_reaches_the_app(site, sent):
    assert sub(site, sent).status == 404


@ids("PB6")
def test_double_slashes_in_the_mount_are_no_mount(site):
    """IIS merges them there; here the prefix is taken as it is written."""
    assert sub(site, "//Sub//App/PathAndPathBase//Path").status == 404


# TLS

@ids("V17", "CC1")
def test_scheme_and_no_certificate(site):
    """In process no middleware had to put the scheme right."""
    assert secure(site, "/HttpsHelloWorld").text \
        == "Scheme:https; Original:" + ("" if site.in_process else "http")
    assert secure(site, "/GetClientCert").text == "Disabled"
    assert site.text_of("/GetClientCert") == "Disabled"


@ids("CC2", "V19")
def test_client_certificate(site):
    assert secure(site, "/GetClientCert", identity="alice").text \
        == "Enabled;" + site.env.ca.thumbprint("alice")


@ids("V19")
def test_client_certificate_that_is_not_forwarded(site):
    assert secure(site, "/GetClientCert", "deaf-to-certificates",
                  identity="alice").text == "Disabled"


@ids("ST47")
def test_redirect_to_https(site):
    answer = site.get("/HelloWorld?x=1", "redirecting", host="shop.example")
    assert answer.status == 307
    assert answer.header("Location") \
        == f"https://shop.example:{site.env.port2}/redirecting/HelloWorld?x=1"
    assert secure(site, "/HelloWorld", "redirecting").text == "Hello World"


@ids("ST47")
def test_the_one_https_port(site):
    assert site.text_of("/ANCM_HTTPS_PORT") == str(site.env.port2)


@ids("ST48")
def test_two_https_ports_are_none(env, site):
    with open(env.conf, encoding="utf-8") as f:
        text = f.read()
    third = environment.free_port()
    hosts = text[text.index(f"<VirtualHost *:{env.port2}>"):]
    env.write("httpd.conf", text=text + f"Listen 127.0.0.1:{third}\n"
              + hosts.replace(str(env.port2), str(third)))
    env.reload()
    # The old process serves until its successor can.
    wait_for(lambda: site.text_of("/ANCM_HTTPS_PORT") == "NOVALUE", 20)
    env.write("httpd.conf", text=text)
    env.reload()
    wait_for(lambda: site.text_of("/ANCM_HTTPS_PORT") == str(env.port2), 20)


# Authentication

@ids("AU4", "MU6")
def test_no_scheme_where_httpd_authenticates_nobody(site):
    assert site.variable("ASPNETCORE_IIS_HTTPAUTH") == "anonymous;"
    assert "Windows" not in site.text_of("/Schemes")
    assert site.text_of("/Anonymous") == "Anonymous?True"


# The middleware, asked past httpd

def direct(site, path, method="GET", token=True, **headers):
    """A request straight to the app's port."""
    port = int(site.text_of("/ServerAddresses", "port").rsplit(":", 1)[1])
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        fields["MS-ASPNETCORE-TOKEN"] = site.variable("ASPNETCORE_TOKEN", "port")
    return client.request(port, path, method, fields)


@outside
@ids("MU1", "MU7")
def test_token_is_wanted(site):
    assert direct(site, "/port/HelloWorld").text == "Hello World"
    assert direct(site, "/port/HelloWorld", token=False).status == 400
    assert direct(site, "/port/HelloWorld", token=False,
                  MS_ASPNETCORE_TOKEN="").status == 400


@outside
@ids("MU3")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_other_methods_are_the_apps(site, method):
    answer = direct(site, "/port/iisintegration", method, MS_ASPNETCORE_EVENT="shutdown")
    assert answer.status == 200


@outside
@ids("MU4")
@pytest.mark.parametrize("path, status", [("/port/", 404), ("/port/HelloWorld", 200),
                                          ("/port/Path/iisintegration", 200)])
def test_other_paths_are_the_apps(site, path, status):
    answer = direct(site, path, "POST", MS_ASPNETCORE_EVENT="shutdown")
    assert answer.status == status


@outside
@ids("MU5")
@pytest.mark.parametrize("event", ["event", ""])
def test_other_events_are_the_apps(site, event):
    answer = direct(site, "/port/iisintegration", "POST", MS_ASPNETCORE_EVENT=event)
    assert answer.text == "the app's own"


@outside
@ids("MU3")
def test_no_client_can_ask_for_the_shutdown(site):
    pid = site.pid("port")
    answer = site.get("/iisintegration", "port", method="POST",
                      headers={"MS-ASPNETCORE-EVENT": "shutdown"})
    assert answer.text == "the app's own"
    assert site.pid("port") == pid


@outside
@ids("MU2", "MU8")
@pytest.mark.parametrize("word", ["shutdown", "Shutdown"])
def test_shutdown_by_request(site, word):
    site.env.allow(r"app port: process \d+ .*exit code 0")
    pid = site.pid("port")
    answer = direct(site, "/port/iisintegration", "POST", MS_ASPNETCORE_EVENT=word)
    assert answer.status == 202
    wait_for(lambda: not processes.alive(pid), what="the end of the app")
    assert site.pid("port") != pid


@outside
@ids("MU9")
def test_addresses_have_no_path_base(site):
    for app in ("site", "port", "sub"):
        path = BASE if app == "sub" else "/" + app
        text = site.env.get(f"{path}/ServerAddresses").text
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", text)


@inside
def test_address_is_httpds(site):
    """As those of IIS's bindings it has the path base."""
    addresses = site.text_of("/ServerAddresses").split(",")
    assert all(re.fullmatch(r"https?://[\w.]+:\d+/site", one) for one in addresses)
