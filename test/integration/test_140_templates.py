# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The web templates of `dotnet new`, published and mounted: they answer, and what they
link to is found below their mount.

Not the full product: every template runs framework-dependent at / and at /app, over
http and https; self-contained, single file and trimmed have one template each, at
/app. webapiaot is the one of CreateSlimBuilder, here not compiled ahead of time."""

import concurrent.futures
import html
import os
import re
import urllib.parse

import pytest

import dotnet
import env as environment
from tls import Authority

pytestmark = pytest.mark.skipif(
    not (Authority.available()
         and os.path.exists(os.path.join(environment.MODULE_DIR, "mod_ssl.so"))),
    reason="needs mod_ssl and openssl")

# Template: a page of it.
TEMPLATES = {"web": "/", "webapi": "/weatherforecast", "webapiaot": "/todos",
             "mvc": "/", "webapp": "/", "blazor": "/"}
RUNTIME = ("-r", "linux-x64", "--self-contained")
MODES = {
    "self-contained": ("mvc", RUNTIME),
    "single-file": ("webapp", (*RUNTIME, "-p:PublishSingleFile=true")),
    "trimmed": ("web", (*RUNTIME, "-p:PublishTrimmed=true")),
}
# They send to https whoever comes without, where they know the port.
REDIRECTING = {"webapi", "mvc", "webapp", "blazor"}
PAGES = {"mvc": ["", "Home/Privacy"], "webapp": ["", "Privacy"],
         "blazor": ["", "counter", "weather"]}
LINK = re.compile(r"<(?:a|link|script|img)\b[^>]*?\b(?:href|src)=\"([^\"]*)\"")
BASE = re.compile(r'<base href="([^"]*)"')


# Compiled ahead of time there would be no .NET left to host.
SETTINGS = {"webapiaot": ("-p:PublishAot=false",)}
# Where NuGet does not have the package of blazor's scripts.
WITHOUT_SCRIPTS = "-p:RequiresAspNetWebAssets=false"


def source(name):
    folder = dotnet.source_of_template(name)
    if name == "blazor":
        # The only line that names the mount, as every developer has to set it.
        path = os.path.join(folder, "Components", "App.razor")
        with open(path, encoding="utf-8-sig") as f:
            text = f.read()
        assert text.count('<base href="/" />') == 1
        with open(path, "w", encoding="utf-8") as f:
            f.write("@inject NavigationManager Here\n"
                    + text.replace('href="/"', 'href="@Here.BaseUri"'))
    return folder


def publish(folder, name, options):
    """The folder of the app, or why there is none."""
    made, said = dotnet.publish_variant(folder, name, options)
    if not made and name == "blazor":
        made, said = dotnet.publish_variant(folder, name, (WITHOUT_SCRIPTS,))
    return made or said


@pytest.fixture(scope="module")
def published():
    """Name of template or mode -> folder, or why there is none."""
    dotnet.need_sdk()
    sources = {name: source(name) for name in TEMPLATES}
    wanted = {name: (name, ()) for name in TEMPLATES} | MODES
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        made = {name: pool.submit(publish, sources[template], name,
                                  (*options, *SETTINGS.get(template, ())))
                for name, (template, options) in wanted.items()}
        return {name: result.result() for name, result in made.items()}


def hosts_of(env, name):
    mounts = f"AppCoreMount / {name}-root\nAppCoreMount /app {name}-app"
    return f"""
<VirtualHost *:{env.port}>
    ServerName {name}.plain
    AppCoreMount /app {name}-plain
</VirtualHost>
<VirtualHost *:{env.port}>
    ServerName {name}.test
    {mounts}
</VirtualHost>
<VirtualHost *:{env.port2}>
    ServerName {name}.test
    SSLEngine On
    SSLCertificateFile {env.ca.path("server.pem")}
    SSLCertificateKeyFile {env.ca.path("server.key")}
    {mounts}
</VirtualHost>
"""


@pytest.fixture(scope="module")
def httpd(env, published):
    env.modules += ["socache_shmcb", "ssl"]
    env.ca = Authority(env.path("files"))
    env.ca.issue("server", "/CN=localhost")
    env.published = published
    env.expected = {}
    env.always_allowed = [r"Failed to determine the https port for redirect"]
    blocks = text = ""
    for name in [*TEMPLATES, *MODES]:
        if not os.path.isdir(published[name]):
            continue
        folder = dotnet.app(env, name, published[name])
        # A process for each mount, and one that knows of no TLS.
        env.expected[folder] = 3
        for part in ("root", "app", "plain"):
            blocks += f"<AppCoreApp {name}-{part}>\nAppCorePath {folder}\n" \
                      "AppCoreDetailedErrors On\n</AppCoreApp>\n"
        text += hosts_of(env, name)
    env.start(f"Listen 127.0.0.1:{env.port2}\n"
              f"{blocks}{text}")
    return env


class Site:
    """What a browser sees of one template at one mount, over http or https."""

    def __init__(self, httpd, name, mount, scheme, host=None):
        self.folder = httpd.published[name]
        if not os.path.isdir(self.folder):
            pytest.skip(f"{name} cannot be published here: {self.folder}")
        self.httpd, self.mount = httpd, mount
        self.host = host or f"{name}.test"
        self.port = httpd.port2 if scheme == "https" else httpd.port
        self.url = f"{scheme}://{self.host}:{self.port}{mount}/"
        self.scheme = scheme

    def has_scripts(self):
        return os.path.isdir(os.path.join(self.folder, "wwwroot", "_framework"))

    def get(self, path):
        host = f"{self.host}:{self.port}"
        if self.scheme == "https":
            return self.httpd.ca.request(self.port, path, host=host, sni=self.host)
        return self.httpd.get(path, host=host, timeout=90)

    def page(self, path):
        answer = self.get(self.mount + path)
        assert answer.status == 200, answer
        return answer

    def links(self, path):
        """Absolute URLs of what a page refers to on this site."""
        text = self.page(path).text
        base = BASE.search(text)
        start = urllib.parse.urljoin(self.url + path.lstrip("/"),
                                     base.group(1) if base else "")
        found = {urllib.parse.urljoin(start, html.unescape(link))
                 for link in LINK.findall(text)}
        return {link.split("#")[0] for link in found
                if urllib.parse.urlsplit(link).hostname == self.host}


SITES = [(name, mount) for name in TEMPLATES for mount in ("", "/app")]


@pytest.mark.parametrize("name,mount", SITES)
def test_answers(httpd, name, mount):
    Site(httpd, name, mount, "https").page(TEMPLATES[name])
    site = Site(httpd, name, mount, "http")
    if name not in REDIRECTING:
        assert site.page(TEMPLATES[name])
        return
    # The absolute URL that the app makes of scheme, host, port and path base.
    answer = site.get(f"{mount}{TEMPLATES[name]}?a=b%20c")
    assert answer.status == 307, answer
    assert answer.header("Location") == \
        f"https://{site.host}:{httpd.port2}{mount}{TEMPLATES[name]}?a=b%20c"


@pytest.mark.parametrize("name", REDIRECTING)
def test_answers_where_there_is_no_tls(httpd, name):
    Site(httpd, name, "/app", "http", f"{name}.plain").page(TEMPLATES[name])


def check_links(site, pages):
    links = set().union(*(site.links("/" + page) for page in pages))
    assert {site.url + page for page in pages if page} <= links, links
    assert site.url in links or site.url[:-1] in links, links
    assert any(".css" in link for link in links), links
    for link in links:
        assert link.startswith(site.url) or link + "/" == site.url, link
        if link.startswith(site.url + "_framework/") and not site.has_scripts():
            continue
        answer = site.get(link[link.index("/", 8):])
        assert answer.status == 200 and answer.body, (link, answer)


@pytest.mark.parametrize("name,mount", [(n, m) for n, m in SITES if n in PAGES])
def test_links_stay_below_the_mount(httpd, name, mount):
    check_links(Site(httpd, name, mount, "https"), PAGES[name])


@pytest.mark.parametrize("mode", MODES)
def test_published_otherwise(httpd, mode):
    template = MODES[mode][0]
    site = Site(httpd, mode, "/app", "https")
    site.page(TEMPLATES[template])
    if template in PAGES:
        check_links(site, PAGES[template])


def test_blazor_connects_below_its_mount(httpd):
    """What its script asks for before it opens a WebSocket."""
    Site(httpd, "blazor", "/app", "http", "blazor.plain")
    answer = httpd.get("/app/_blazor/negotiate?negotiateVersion=1", method="POST",
                       host="blazor.plain")
    assert answer.status == 200 and answer.json()["connectionToken"], answer
