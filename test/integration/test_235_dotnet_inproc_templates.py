# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The templates of `dotnet new` inside of httpd's child: pages and what they link to,
forms with their tokens, circuits of Blazor; over http, https and HTTP/2.

With APPCORE_ALL=1 every template, published in every way that keeps it whole, at / and
below a mount."""

import os
import subprocess

import pytest

import blazor
import dotnet
import env as environment
import inproc
import probe
from browser import Browser
from processes import alive, wait_for
from tls import Authority

pytestmark = [pytest.mark.mpm, pytest.mark.skipif(
    environment.MPM == "prefork" or not probe.HAS_TLS,
    reason="needs an MPM with threads, mod_ssl and openssl")]

RUNTIME = ("-r", "linux-x64", "--self-contained", "-p:CompressionEnabled=false")
ONE_FILE = "-p:PublishSingleFile=true"
WAYS = {"shared": (), "contained": RUNTIME, "onefile": (*RUNTIME, ONE_FILE)}
PAGES = {"web": [""], "webapi": ["weatherforecast"], "webapiaot": ["todos"],
         "mvc": ["", "Home/Privacy"], "webapp": ["", "Privacy"],
         "blazor": ["", "counter", "weather"]}
FORMS = {"mvc": "/Form", "webapp": "/Form", "blazor": "/form"}
USUAL = [("mvc", "contained", ""), ("webapp", "shared", ""), ("blazor", "shared", "/app")]
ALL = [(kind, way, mount) for kind in PAGES for way in WAYS for mount in ("", "/app")]
CHOSEN = ALL if os.environ.get("APPCORE_ALL") else USUAL
CONF = """
MaxRequestWorkers 16
Listen 127.0.0.1:{port}
{protocols}
{app}
<VirtualHost *:{port}>
    ServerName localhost
    SSLEngine On
    SSLCertificateFile {ca}/server.pem
    SSLCertificateKeyFile {ca}/server.key
    AppCoreMount {mount} {name}
</VirtualHost>
"""


def published(kind, way):
    forms = os.path.join(environment.HERE, "apps", "forms", kind)
    # One that comes as it is has been published for other tests already.
    has_forms = way == "shared" and os.path.isdir(forms)
    return dotnet.template_variant(kind, forms if has_forms else None, *WAYS[way])


class Site:
    def __init__(self, env, kind, way, mount):
        self.env, self.kind, self.way, self.mount = env, kind, way, mount
        self.name = "-".join((kind, way, "app" if mount else "root"))
        self.published = published(kind, way)

    def start(self):
        if not os.path.isdir(self.published):
            pytest.skip(f"cannot be published here: {self.published}")
        folder = dotnet.app(self.env, self.name, self.published,
                            user="root" if self.env.is_root else None)
        os.mkdir(os.path.join(folder, "tmp"))
        mount = self.mount or "/"
        self.env.start(CONF.format(
            port=self.env.port2, ca=self.env.path("files"), mount=mount, name=self.name,
            protocols="Protocols h2 http/1.1" if probe.HAS_HTTP2 else "",
            app=inproc.app(self.name, folder, mount=mount)))

    def browser(self, scheme="https"):
        return Browser(self.env, scheme, "localhost", self.mount)

    def replace(self):
        """The child of httpd, and with it all that the app has in memory."""
        old = [p.pid for p in self.env.workers()]
        self.env.write("apps", self.name, "tmp", "restart.txt", text="now")
        wait_for(lambda: not any(map(alive, old)), 30, "the end of the old child")


@pytest.fixture(scope="module")
def server(env):
    env.modules += ["socache_shmcb", "ssl"] + (["http2"] if probe.HAS_HTTP2 else [])
    env.ca = Authority(env.path("files"))
    env.ca.issue("server", "/CN=localhost")
    return env


@pytest.fixture(scope="module", params=CHOSEN, ids=lambda chosen: "-".join(chosen))
def site(server, request):
    made = Site(server, *request.param)
    made.start()
    yield made
    server.stop()


def need(site, kinds):
    if site.kind not in kinds:
        pytest.skip(f"{site.kind} has none")


def test_runs_in_process(site):
    """A single file is what only its own program can run."""
    page = site.browser().page("/" + PAGES[site.kind][0])
    assert page.body
    inside = f"app {site.name} runs in process" in site.env.log_text()
    assert inside == (site.way != "onefile")
    assert len(site.env.app_processes()) == (not inside)


def test_links(site):
    need(site, FORMS)
    missing = dotnet.missing_scripts(site.published)
    site.browser().check_links(PAGES[site.kind], missing)


def test_leads_to_https(site):
    need(site, [*FORMS, "webapi"])
    browser = site.browser("http")
    path = f"{site.mount}/{PAGES[site.kind][-1]}"
    answer = browser.get(path + "?a=b%20c")
    assert answer.status == 307, answer
    assert answer.header("Location") == \
        f"https://localhost:{site.env.port2}{path}?a=b%20c"


@pytest.mark.skipif(not probe.HAS_HTTP2, reason="no HTTP/2")
def test_over_http2(site):
    path = f"{site.mount}/{PAGES[site.kind][-1]}"
    done = subprocess.run(
        ["curl", "-ski", "--http2", "-m", "30",
         f"https://localhost:{site.env.port2}{path}"], capture_output=True, timeout=60)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert done.returncode == 0 and head.startswith(b"HTTP/2 200") and body, done


def test_forms(site):
    """A token is good in the next child, too: the keys are kept."""
    need(site, FORMS)
    if site.way != "shared":
        pytest.skip("it was published without")
    path, browser = FORMS[site.kind], site.browser()
    shown = browser.page(path)
    assert browser.send(path, None, text="hello").status == 400
    field = "Text" if site.kind == "blazor" else "text"
    for text in ("hello", "a <b>"):
        answer = browser.send(path, shown, **{field: text})
        assert answer.status == 200, answer
        assert "said " + text.replace("<", "&lt;").replace(">", "&gt;") in answer.text
        site.replace()
    assert browser.send(path, shown, **{field: "again"}).status == 200


def test_circuit(site):
    """Blazor's counter, pressed twice."""
    need(site, ["blazor"])
    browser = site.browser()
    page = browser.page("/counter").text
    offered = browser.get(f"{site.mount}/_blazor/negotiate?negotiateVersion=1",
                          method="POST").json()
    with probe.TlsRaw(site.env.port2) as raw:
        circuit = blazor.Circuit(raw, browser.url, "counter", page,
                                 offered["connectionToken"])
        circuit.rendered(b"Current count: ")
        for count in (b"1", b"2"):
            circuit.click(1)
            circuit.rendered(b"\x01" + count)
