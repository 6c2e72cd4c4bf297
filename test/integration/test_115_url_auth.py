# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What httpd guards stays guarded, however a URL is spelt and whatever else maps URLs;
and what httpd knows about a client is what the app is told."""

import base64
import hashlib
import os
import re
import shutil
from urllib.parse import unquote_to_bytes

import pytest

import client
import env as environment

LISTEN = os.path.join(environment.HERE, "apps", "kinds", "listen.py")
# Each begins below the mount /app of a host in which /app/admin is denied.
SPELLINGS = [
    "/app/admin", "/app/admin/", "/app/admin/x", "/app/admin?x=1", "/app/admin?/../x",
    "/app/%61dmin", "/app/admi%6e", "/app/%61%64%6D%69%6e/x", "/%61pp/admin",
    "//app/admin", "/app//admin", "/app///admin//x", "//app//admin", "/app/admin//",
    "/./app/admin", "/app/./admin", "/app/.//admin", "/app/%2e/admin", "/app/admin/.",
    "/app/x/../admin", "/app/x/%2e%2e/admin", "/app/x/%2E./admin", "/app/x/.%2e/admin",
    "/app/x/../../app/admin", "/other/../app/admin", "/app/admin/../admin",
    "/app/admin/x/..", "/app/x/..//admin", "/app/../app/admin",
    "/app/admin;x=1", "/app/admin;", "/app/admin;/x", "/app/admin;x/y", "/app;x/admin",
    "/app/;/admin", "/app/;x/admin", "/app/.;/admin", "/app/x/..;/admin",
    "/app/..;/app/admin", "/app/x/..;a=b/admin;c", "/app/admin%3bx", "/app/%3b/admin",
    "/app%2Fadmin", "/app/%2Fadmin", "/app/%2f%2Fadmin", "/app/admin%2F",
    "/app/admin%2fx", "/app/x%2F..%2Fadmin", "/app/x%2f%2e%2e%2fadmin",
    "/app/x/..%2fadmin", "/app/x%2F../admin", "/app%2f..%2fapp/admin", "/app/.%2Fadmin",
    "/app/x/..;%2Fadmin", "/app/admin;%2Fx", "/app/%2F;/admin",
    "/app\\admin", "/app/x\\..\\admin", "/app/x%5c..%5cadmin", "/app/\\admin",
    "/app/admin\\x", "/app%5cadmin",
    "/app/admin%00", "/app/admin%00/x", "/app/%00admin", "/app/admin%20", "/app/admin%0a",
    "/app/admin.", "/app/admin./x", "/app/admin..", "/app/admin%2e", "/app/admin...",
    "/app/%2561dmin", "/app/x/%252e%252e/admin", "/app/admin%252Fx",
    "/app/x/%c0%ae%c0%ae/admin", "/app/%c1%a1dmin", "/app/%ef%bc%8fadmin",
    "/app/%e0%80%afadmin", "/app/admin%", "/app/admin%2", "/app/admin%zz",
    "/app/%u0061dmin",
    "http://localhost/app/admin", "http://localhost//app/%61dmin",
    "http://other.example/app/admin", "http://localhost/app/x/..%2Fadmin",
    "HTTP://LOCALHOST/app/./admin", "http://localhost:1/app/admin;x",
]
CASES = ["/app/Secret", "/app/SECRET/x", "/app/secret", "/app/%53ecret", "/app/s%45cret"]


def put(env, name):
    folder = env.app(name, files={"Procfile": "web: python3 listen.py\n"})
    shutil.copy(LISTEN, folder)
    env.give(os.path.join(folder, "listen.py"), env.owner())
    return folder


def vhost(port, lines):
    return f"Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\n{lines}\n</VirtualHost>\n"


def guards(folder, encoded):
    return f"""
    AllowEncodedSlashes {encoded}
    AppCoreMount /app {folder}
    <Location /app/admin>
        Require all denied
    </Location>
    <LocationMatch "(?i)^/app/secret(/|$)">
        Require all denied
    </LocationMatch>
"""


REWRITING = """
    RewriteEngine On
    RewriteRule ^/old/(.*)$ /app/new/$1 [PT]
    RewriteRule ^/encoded/(.*)$ /app/e/$1 [PT,B]
    RewriteRule ^/sneak$ /app/admin [PT]
    RewriteRule ^/deep/(.*)$ /app/x/../$1 [PT]
    RewriteRule ^/app/q/(\\w+)$ /app/query?name=$1 [PT,QSA]
    RewriteRule ^/app/file$ /file.txt
    RewriteRule ^/app/gone$ https://elsewhere.example/x [R=302]
    RewriteRule ^/app/forbidden$ - [F]
"""


def other_maps(env, folder):
    return f"""
    AppCoreMount /app {folder}
    {REWRITING}
    <Location /app/admin>
        Require all denied
    </Location>
    Alias /app/files {env.path("htdocs")}
    ProxyPass /app/proxied http://127.0.0.1:{env.ports["NoDecode"]}/app/inner
    <Location /app/info>
        AppCoreEnabled Off
        SetHandler server-status
    </Location>
    <Location /app/off>
        AppCoreEnabled Off
    </Location>
    <Location /app/private>
        AuthType Basic
        AuthName test
        AuthUserFile {env.path("files", "users")}
        Require user alice
    </Location>
"""


def write_files(env):
    digest = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
    env.write("files", "users", text=f"alice:{{SHA}}{digest}\n")
    env.write("htdocs", "file.txt", text="a file\n")
    os.makedirs(env.path("htdocs", "app", "off"))
    env.write("htdocs", "app", "off", "file.txt", text="a file\n")
    env.write("apps", "echo", ".htaccess", text="NoSuchDirective On\n")


@pytest.fixture(scope="module")
def both_orders(env):
    env.modules += ["rewrite", "remoteip", "proxy", "proxy_http", "alias", "status",
                    "auth_basic", "authn_core", "authn_file", "authz_user", "authz_host",
                    "headers", "dir", "mime", "setenvif"]
    folder = put(env, "echo")
    write_files(env)
    names = ("Off", "On", "NoDecode", "trusting", "distrusting", "remoteip", "second")
    env.ports = {name: environment.free_port() for name in names}
    env.conf_text = "TypesConfig /dev/null\nAddHandler server-status .php\n" \
        "<Directory />\nRequire all denied\n</Directory>\n" \
        f"<Directory {env.path('htdocs')}>\nRequire all granted\n</Directory>\n" \
        f"<VirtualHost *:{env.port}>\n{other_maps(env, folder)}</VirtualHost>\n" \
        + "".join(vhost(env.ports[n], guards(folder, n)) for n in names[:3]) \
        + vhost(env.ports["trusting"],
                f"AppCoreMount /trusting {folder}\nAppCoreTrustedProxy 127.0.0.1 ::1\n") \
        + vhost(env.ports["distrusting"],
                f"AppCoreMount /distrusting {folder}\nAppCoreTrustedProxy 10.0.0.0/8\n") \
        + vhost(env.ports["remoteip"], f"AppCoreMount /app {folder}\n"
                "RemoteIPHeader X-Client\nRemoteIPInternalProxy 127.0.0.1\n") \
        + vhost(env.ports["second"], f"AppCoreMount /app {folder}\n"
                "<Location /app/here>\nRequire all denied\n</Location>\n")
    env.expected = {folder: 3}
    env.always_allowed = ["AH01630", "AH01618", "AH01617", "AH00127", "AH10244",
                          "AH00026", "AH02811", "AH10508"]
    return env


@pytest.fixture(scope="module", params=["before", "after"])
def httpd(request, both_orders):
    """With our LoadModule before all others and after them."""
    env = both_orders
    env.stop()
    env.first_module = request.param == "before"
    env.start(env.conf_text)
    return env


def readings(target):
    """Paths that one or the other app reads in a target."""
    path = target.split("?")[0].split("#")[0]
    for text in (path, path.replace("\\", "/")):
        for decoded in (text, unquote_to_bytes(text).decode("latin-1")):
            for cut in (decoded, re.sub(r";[^/]*", "", decoded)):
                segments = []
                for segment in cut.split("/"):
                    if segment == "..":
                        segments = segments[:-1]
                    elif segment not in ("", "."):
                        segments.append(segment)
                yield "/" + "/".join(segments)


def is_below(path, guarded):
    return path == guarded or path.startswith(guarded + "/")


def ask(httpd, name, url, *headers, **options):
    return client.raw_request(httpd.ports[name], url, headers, **options)


def gets_around(answer, guarded):
    """What is wrong with the answer to some spelling of a guarded path, or None."""
    if answer.status != 200:
        return None if answer.status in (400, 403, 404) else repr(answer)
    target = answer.json()["target"]
    for path in readings(target):
        if is_below(path, guarded) or not is_below(path, "/app"):
            return f"the app may read {path} in {target}"
    return None


@pytest.mark.parametrize("encoded", ["Off", "On", "NoDecode"])
def test_no_spelling_gets_around(httpd, encoded):
    found = {url: gets_around(ask(httpd, encoded, url), "/app/admin")
             for url in SPELLINGS}
    assert not {url: wrong for url, wrong in found.items() if wrong}


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "PROPFIND", "BREW"])
def test_no_method_gets_around(httpd, method):
    for url in ("/app/admin", "/app//admin/x", "/app/x/%2e%2e/admin", "/app/admin%2Fx"):
        with client.Raw(httpd.ports["NoDecode"]) as talk:
            talk.send(f"{method} {url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      "Content-Length: 0\r\n\r\n")
            assert re.match(rb"HTTP/1.1 40[0345] ", talk.receive(b"\r\n")), url


def test_open_paths_are_open(httpd):
    """The guard would be useless if it denied everything."""
    for url in ("/app", "/app/", "/app/administrator", "/app/x/admin", "/app/ADMIN",
                "/app/a%2Fb", "/app/a;b/c", "/app/admin-x/%2e%2e/open"):
        answer = ask(httpd, "NoDecode", url)
        assert answer.status == 200, f"{url}: {answer}"
        assert answer.json()["target"] in (url, "/app/open")


@pytest.mark.parametrize("encoded", ["Off", "On", "NoDecode"])
def test_case_is_guarded_where_the_rule_says_so(httpd, encoded):
    """<Location> minds the case as URLs do; an app that does not needs (?i)."""
    for url in CASES:
        assert ask(httpd, encoded, url).status == 403, url
    for url in ("/app/Secret;x", "/app//SECRET", "/app/x/../Secret"):
        assert ask(httpd, encoded, url).status == 403, url


def get(httpd, path, **options):
    answer = httpd.get(path, **options)
    assert answer.status == 200, answer
    return answer.json()


@pytest.mark.parametrize("url,seen", [
    ("/old/a/b?x=1", "/app/new/a/b?x=1"),
    ("/app/q/word?x=1", "/app/query?name=word&x=1"),
    ("/encoded/a%26b", "/app/e/a%2526b"),
])
def test_rewritten_targets(httpd, url, seen):
    assert client.raw_request(httpd.port, url).json()["target"] == seen


@pytest.mark.parametrize("url", ["/sneak", "/deep/admin", "/deep/../../app/admin",
                                 "/old/../admin", "/deep/x/..%2f..%2fadmin",
                                 "/old/..;/admin", "/deep/./admin", "/deep//admin"])
def test_rewriting_gets_around_nothing(httpd, url):
    """A rule's own dot segments are not resolved by anybody, so they are refused."""
    assert gets_around(client.raw_request(httpd.port, url), "/app/admin") is None


def test_rules_that_do_not_lead_to_the_app(httpd):
    assert httpd.get("/app/file").text == "a file\n"
    answer = httpd.get("/app/gone")
    assert (answer.status, answer.header("Location")) == \
        (302, "https://elsewhere.example/x")
    assert httpd.get("/app/forbidden").status == 403


def test_what_else_maps_urls_below_a_mount(httpd):
    assert httpd.get("/app/files/file.txt").text == "a file\n"
    assert httpd.get("/app/off/file.txt").text == "a file\n"
    assert httpd.get("/app/off/missing").status == 404
    assert "Apache Server Status" in httpd.get("/app/info").text
    assert get(httpd, "/app/proxied/x")["target"] == "/app/inner/x"
    assert get(httpd, "/app/other")["target"] == "/app/other"
    # No folder is walked for an app: neither .htaccess nor <Directory /> matter.
    assert get(httpd, "/app/index.html")["target"] == "/app/index.html"
    assert get(httpd, "/app/x.php")["target"] == "/app/x.php"


def headers_of(answer):
    return {name.lower(): value for name, value in answer["headers"]}


def test_user_is_told_and_cannot_be_pretended(httpd):
    assert httpd.get("/app/private/x").status == 401
    login = "Basic " + base64.b64encode(b"alice:secret").decode()
    forged = {"X-Forwarded-User": "root", "MS-ASPNETCORE-USER": "root",
              "X_Forwarded_User": "root", "Authorization": login}
    seen = headers_of(get(httpd, "/app/private/x", headers=forged))
    assert seen["x-forwarded-user"] == "alice"
    assert "root" not in seen.values()
    del forged["Authorization"]
    assert "root" not in headers_of(get(httpd, "/app/public", headers=forged)).values()
    wrong = "Basic " + base64.b64encode(b"alice:wrong").decode()
    assert httpd.get("/app/private/x", headers={"Authorization": wrong}).status == 401


def test_challenge_for_every_reading(httpd):
    """/app/private is asked for a password in any spelling that leads there."""
    for url in ("/app/%70rivate", "/app//private/x", "/app/private;x", "/app/;/private"):
        answer = client.raw_request(httpd.port, url)
        assert answer.status == 401, f"{url}: {answer}"
        assert answer.header("WWW-Authenticate"), url


CLAIMS = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https",
          "X-Forwarded-Host": "shop.example", "X-Forwarded-Prefix": "/outer",
          "Forwarded": "for=1.2.3.4;proto=https", "X-Real-IP": "1.2.3.4",
          "X-Request-ID": "abc-123", "X-Request-Start": "t=1700000000000000"}


def test_trusted_proxy_is_believed(httpd):
    seen = headers_of(get(httpd, "/trusting/x", headers=CLAIMS,
                          port=httpd.ports["trusting"]))
    assert seen["x-forwarded-for"].replace(" ", "") == "1.2.3.4,127.0.0.1"
    assert seen["x-forwarded-proto"].split(",")[-1].strip() == "https"
    assert seen["x-forwarded-host"].startswith("shop.example")
    assert seen["x-forwarded-prefix"] == "/outer/trusting"
    assert seen["forwarded"].startswith("for=1.2.3.4;proto=https, ")
    assert seen["x-real-ip"] == "1.2.3.4"
    assert seen["x-request-id"] == "abc-123"
    assert seen["x-request-start"] == "t=1700000000000000"


@pytest.mark.parametrize("name,path", [("distrusting", "/distrusting/x"),
                                       ("NoDecode", "/app/x")])
def test_nobody_else_is(httpd, name, path):
    underscored = {n.replace("-", "_"): v for n, v in CLAIMS.items() if "-" in n}
    seen = headers_of(get(httpd, path, headers={**CLAIMS, **underscored},
                          port=httpd.ports[name]))
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-forwarded-prefix"] == path[:-2]
    told = " ".join(f"{n}: {v}" for n, v in seen.items())
    for lie in ("1.2.3.4", "shop.example", "/outer", "https", "abc-123", "1700000000"):
        assert lie not in told, told


def test_remoteip_is_the_client(httpd):
    seen = headers_of(get(httpd, "/app/x", port=httpd.ports["remoteip"],
                          headers={"X-Client": "9.8.7.6", "X-Forwarded-For": "1.2.3.4"}))
    assert seen["x-forwarded-for"] == "9.8.7.6"
    assert "1.2.3.4" not in str(seen)


def test_two_hosts_share_an_app_and_not_their_rules(httpd):
    first, second = httpd.port, httpd.ports["second"]
    pids = {get(httpd, "/app/x", port=port)["pid"] for port in (first, second)}
    assert len(pids) == 1
    assert httpd.get("/app/here/x", port=second).status == 403
    assert httpd.get("/app/here/x", port=first).status == 200
    assert httpd.get("/app/admin", port=second).status == 200
    assert httpd.get("/app/admin", port=first).status == 403


def test_hosts_that_disagree_about_an_app(httpd):
    folder = httpd.path("apps", "echo")
    said = httpd.configtest(
        f"<VirtualHost *:1>\nAppCoreMount /app {folder}\n</VirtualHost>\n"
        f"<VirtualHost *:2>\nAppCoreMount /app {folder}\nAppCoreQueueLimit 7\n"
        "</VirtualHost>\n")
    assert "AppCoreQueueLimit" in said and not said.strip().endswith("Syntax OK")
