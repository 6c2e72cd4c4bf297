# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The web templates of `dotnet new`, published and mounted: they answer, and what they
link to is found below their mount.

With APPCORE_ALL=1 every template is published in every way; what came of it is a table
in docs/ancm-parity.md. Without it every template runs with the shared framework, and
every way of publishing has one template at least. webapiaot is the one of
CreateSlimBuilder, here not compiled ahead of time."""

import concurrent.futures
import glob
import os
import re
import subprocess

import pytest

import client
import dotnet
import env as environment
from browser import Browser
from processes import wait_for
from tls import Authority

pytestmark = pytest.mark.skipif(
    not (Authority.available()
         and os.path.exists(os.path.join(environment.MODULE_DIR, "mod_ssl.so"))),
    reason="needs mod_ssl and openssl")

ALL = bool(os.environ.get("APPCORE_ALL"))
# Template: a page of it.
TEMPLATES = {"web": "/", "webapi": "/weatherforecast", "webapiaot": "/todos",
             "mvc": "/", "webapp": "/", "blazor": "/", "grpc": "/"}
RUNTIME = ("-r", "linux-x64", "--self-contained")
ONE_FILE = "-p:PublishSingleFile=true"
TRIMMED = "-p:PublishTrimmed=true"
WAYS = {
    "shared": (),
    "contained": RUNTIME,
    "onefile": (*RUNTIME, ONE_FILE),
    "smallfile": ("-r", "linux-x64", "--no-self-contained", ONE_FILE),
    "trimmed": (*RUNTIME, TRIMMED),
    "trimmedfile": (*RUNTIME, TRIMMED, ONE_FILE),
}
USUAL = [*((name, "shared") for name in TEMPLATES), ("mvc", "contained"),
         ("webapp", "onefile"), ("web", "smallfile"), ("web", "trimmed")]
# What trimming leaves of these does not work anywhere, and what it says.
BROKEN = {(name, way): said for name, said in (
    ("webapi", "JsonTypeInfo metadata for type 'WeatherForecast"),
    ("webapiaot", "System.TypeLoadException: Method 'GetEnumerator' in type"),
    ("mvc", "Could not resolve type 'Microsoft.AspNetCore.Mvc.ApplicationParts."),
    ("webapp", "Could not resolve type 'Microsoft.AspNetCore.Mvc.ApplicationParts."),
    ("blazor", "A suitable constructor for type 'Unmodified.Components.Pages."),
) for way in ("trimmed", "trimmedfile")}
CHOSEN = [(t, w) for t in TEMPLATES for w in WAYS] if ALL else USUAL
VARIANTS = [variant for variant in CHOSEN if variant not in BROKEN]
COMPANIONS = os.path.join(os.path.dirname(environment.MODULE), "appcore")
# They send to https whoever comes without, where they know the port.
REDIRECTING = {"webapi", "mvc", "webapp", "blazor"}
PAGES = {"mvc": ["", "Home/Privacy"], "webapp": ["", "Privacy"],
         "blazor": ["", "counter", "weather"]}

# Compressing these takes most of the time.
NOT_COMPRESSED = "-p:CompressionEnabled=false"


def publish(variant):
    """The folder of the app, or why there is none."""
    name, way = variant
    return dotnet.template_variant(
        name, None, *WAYS[way], *([] if way == "shared" else [NOT_COMPRESSED]))


@pytest.fixture(scope="module")
def published():
    """Template and way -> folder, or why there is none."""
    dotnet.need_sdk()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        made = {variant: pool.submit(publish, variant) for variant in CHOSEN}
        return {variant: result.result() for variant, result in made.items()}


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
    for variant in VARIANTS:
        if not os.path.isdir(published[variant]):
            continue
        name = "-".join(variant)
        folder = dotnet.app(env, name, published[variant])
        # A process for each mount, and one that knows of no TLS.
        env.expected[folder] = 3
        for part in ("root", "app", "plain"):
            blocks += f"<AppCoreApp {name}-{part}>\nAppCorePath {folder}\n" \
                      f"AppCoreDetailedErrors On\n</AppCoreApp>\n"
        text += hosts_of(env, name)
    env.start(f"Listen 127.0.0.1:{env.port2}\n"
              f"{blocks}{text}")
    return env


class Site(Browser):
    """One template at one mount, over http or https."""

    def __init__(self, httpd, variant, mount, scheme, kind="test"):
        self.folder = httpd.published[variant]
        if not os.path.isdir(self.folder):
            pytest.skip(f"{variant} cannot be published here: {self.folder}")
        super().__init__(httpd, scheme, "-".join(variant) + "." + kind, mount)


def by_variant(*parts, of=VARIANTS):
    cases = [(*variant, *more) for variant in of for more in (parts or [()])]
    return pytest.mark.parametrize("name,way,mount" if parts else "name,way", cases)


@by_variant(("",), ("/app",))
def test_answers(httpd, name, way, mount):
    Site(httpd, (name, way), mount, "https").page(TEMPLATES[name])
    site = Site(httpd, (name, way), mount, "http")
    if name not in REDIRECTING:
        assert site.page(TEMPLATES[name])
        return
    # The absolute URL that the app makes of scheme, host, port and path base.
    answer = site.get(f"{mount}{TEMPLATES[name]}?a=b%20c")
    assert answer.status == 307, answer
    assert answer.header("Location") == \
        f"https://{site.host}:{httpd.port2}{mount}{TEMPLATES[name]}?a=b%20c"


@by_variant(of=[v for v in VARIANTS if v[0] in REDIRECTING])
def test_answers_where_there_is_no_tls(httpd, name, way):
    Site(httpd, (name, way), "/app", "http", "plain").page(TEMPLATES[name])


@by_variant(("",), ("/app",), of=[v for v in VARIANTS if v[0] in PAGES])
def test_links_stay_below_the_mount(httpd, name, way, mount):
    site = Site(httpd, (name, way), mount, "https")
    site.check_links(PAGES[name], dotnet.missing_scripts(site.folder))


@by_variant()
def test_takes_the_socket_where_it_runs_hooks(httpd, name, way):
    """A single file says what it needs inside, which is read."""
    Site(httpd, (name, way), "/app", "https").page(TEMPLATES[name])
    if not glob.glob(os.path.join(COMPANIONS, "net*")):
        pytest.skip("the companion was not built")
    where = r"127\.0\.0\.1:\d+" if "trimmed" in way else "the socket it got"
    assert re.search(rf"app {name}-{way}-app: process \d+ .*is ready after .* on {where}",
                     httpd.log_text())


def alone(folder, path):
    """What an app answers without httpd, and what it says."""
    port = environment.free_port()
    variables = {"PATH": os.environ["PATH"], "HOME": folder,
                 "ASPNETCORE_URLS": f"http://127.0.0.1:{port}"}
    process = subprocess.Popen([os.path.join(folder, "Unmodified")], cwd=folder,
                               env=variables, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)

    def answer():
        try:
            return process.poll() is not None or client.request(port, path).status
        except ConnectionError:
            return None
    try:
        status = wait_for(answer, 60, "an answer without httpd")
    finally:
        process.kill()
        said = process.communicate()[0]
    return status, said


@by_variant(of=[variant for variant in CHOSEN if variant in BROKEN])
def test_what_does_not_run_without_httpd_either(published, name, way):
    folder = published[name, way]
    if not os.path.isdir(folder):
        pytest.skip(f"cannot be published here: {folder}")
    status, said = alone(folder, TEMPLATES[name])
    assert status != 200 and BROKEN[name, way] in said, said


@by_variant(of=[v for v in VARIANTS if v[0] == "blazor"])
def test_blazor_connects_below_its_mount(httpd, name, way):
    """What its script asks for before it opens a WebSocket."""
    Site(httpd, (name, way), "/app", "http", "plain")
    answer = httpd.get("/app/_blazor/negotiate?negotiateVersion=1", method="POST",
                       host=f"{name}-{way}.plain")
    assert answer.status == 200 and answer.json()["connectionToken"], answer
