# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Files that httpd sends itself: those below AppCoreStaticFiles before the app is
asked, those that the app names in X-Sendfile. What must not be sent is not."""

import http.client
import os

import pytest

import env as environment
from rawapp import RawApp

pytestmark = pytest.mark.mpm
SECRET = "the secret of this test"
OLD = 1500000000
PUBLIC = {"index.html": "<p>index</p>", "css/site.css": "p { color: red }",
          "a file.txt": "with a space", "plus+and%25.txt": "odd name",
          "page.php": "<?php", "headers.asis": "Status: 410 Gone\n\ntext",
          ".env": SECRET, ".git/config": SECRET,
          "web.config": SECRET, "sub/Web.Config": SECRET, "deep/.hidden/x.txt": SECRET,
          ".htaccess": "ThisIsNoDirective On\n", "closed/x.txt": "closed",
          "empty.txt": "", "big.txt": "0123456789" * 20000}


@pytest.fixture(scope="module")
def httpd(env):
    env.modules += ["mime", "asis", "authz_host"]
    env.write("files", "mime.types",
              text="text/css css\ntext/html html\ntext/plain txt\n")
    app = RawApp(env, "site")
    env.made = app
    for folder in ("public", "store"):
        for name, text in PUBLIC.items():
            path = app.path(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            os.utime(path, (OLD, OLD))      # a new file's ETag would be a weak one
    make_traps(env, app, "public")
    make_traps(env, app, "store")
    env.give_tree(app.path("public"), env.owner())
    env.give_tree(app.path("store"), env.owner())
    for folder in ("public", "store"):
        give_away(env, app, folder)
    env.start(f"""
TypesConfig {env.path("files", "mime.types")}
AddHandler send-as-is asis
<Directory />
    AllowOverride All
    Require all denied
</Directory>
<AppCoreApp site>
    AppCorePath {app.folder}
    AppCoreStaticFiles public
    AppCoreSendfile store
</AppCoreApp>
AppCoreMount /site site
AppCoreMount /out {env.app("out", "plain")}
<Location /site/closed>
    Require ip 192.0.2.1
</Location>
""")
    assert env.get("/site/pid").status == 200
    return env


def make_traps(env, app, folder):
    outside = env.write("files", "outside.txt", text=SECRET)
    os.makedirs(env.path("files", "folder"), exist_ok=True)
    env.write("files", "folder", "inner.txt", text=SECRET)
    with open(app.path("secret.txt"), "w", encoding="utf-8") as f:
        f.write(SECRET)
    os.symlink(outside, app.path(folder, "link-out.txt"))
    os.symlink("../secret.txt", app.path(folder, "link-up.txt"))
    os.symlink(env.path("files", "folder"), app.path(folder, "folder-out"))
    os.symlink("css/site.css", app.path(folder, "link-in.css"))
    os.mkfifo(app.path(folder, "pipe"))
    with open(app.path(folder, "unreadable.txt"), "w", encoding="utf-8") as f:
        f.write(SECRET)
    os.chmod(app.path(folder, "unreadable.txt"), 0o600)


def give_away(env, app, folder):
    """Files that do not belong to the app; only root can make them."""
    if not environment.AS_ROOT:
        return
    for name, user, mode in (("of-another.txt", environment.APP_USERS[1], 0o644),
                             ("of-root.txt", "root", 0o644),
                             ("of-root-closed.txt", "root", 0o640)):
        path = app.path(folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write("of root" if name == "of-root.txt" else SECRET)
        os.chmod(path, mode)
        env.give(path, user)


@pytest.fixture
def site(httpd):
    httpd.made.forget()
    return httpd.made


def from_the_app(site, answer):
    """The raw app knows no such route, so it breaks the connection off."""
    return answer.status == 502 and site.events("request")


def test_files_are_sent_without_the_app(site, httpd):
    for name, kind in (("index.html", "text/html"), ("css/site.css", "text/css"),
                       ("empty.txt", "text/plain"), ("link-in.css", "text/css")):
        answer = httpd.get(f"/site/{name}")
        assert answer.status == 200, name
        assert answer.text == PUBLIC.get(name, PUBLIC["css/site.css"])
        assert answer.header("Content-Type").split(";")[0] == kind
        assert answer.header("ETag") and answer.header("Last-Modified")
    assert httpd.get("/site/a%20file.txt").text == "with a space"
    assert httpd.get("/site/plus+and%2525.txt").text == "odd name"
    assert httpd.get("/site//css///site.css").status == 200
    assert not site.events("request")


def test_head(site, httpd):
    answer = httpd.get("/site/big.txt", method="HEAD")
    assert answer.status == 200 and answer.body == b""
    assert answer.header("Content-Length") == "200000"


def test_other_methods_are_the_apps(site, httpd):
    httpd.allow("app site, process")
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        site.forget()
        httpd.get("/site/index.html", method=method)
        assert site.events("request", method=method), method


def test_ranges(site, httpd):
    for asked, status, body, told in (
            ("bytes=0-4", 206, "01234", "bytes 0-4/200000"),
            ("bytes=199995-", 206, "56789", "bytes 199995-199999/200000"),
            ("bytes=-3", 206, "789", "bytes 199997-199999/200000"),
            ("bytes=200000-", 416, None, None)):
        answer = httpd.get("/site/big.txt", headers={"Range": asked})
        assert answer.status == status, asked
        assert status == 416 or answer.header("Content-Range") == told
        assert body is None or answer.text == body
    several = httpd.get("/site/big.txt", headers={"Range": "bytes=0-1,10-11"})
    assert several.status == 206
    assert several.header("Content-Type").startswith("multipart/byteranges")


def test_conditions(site, httpd):
    first = httpd.get("/site/index.html")
    tag, date = first.header("ETag"), first.header("Last-Modified")
    old = "Sat, 01 Jan 2000 00:00:00 GMT"
    for headers, status in (({"If-None-Match": tag}, 304),
                            ({"If-None-Match": '"x"'}, 200),
                            ({"If-Modified-Since": date}, 304),
                            ({"If-Modified-Since": old}, 200),
                            ({"If-Match": '"x"'}, 412), ({"If-Match": tag}, 200),
                            ({"If-Unmodified-Since": old}, 412),
                            ({"If-None-Match": '"x"', "If-Modified-Since": date}, 200)):
        answer = httpd.get("/site/index.html", headers=headers)
        assert answer.status == status, headers
        assert (answer.text == PUBLIC["index.html"]) == (status == 200)
    assert not site.events("request")
    for condition, status in ((tag, 206), ('"x"', 200)):
        answer = httpd.get("/site/index.html", headers={
            "Range": "bytes=0-1", "If-Range": condition})
        assert answer.status == status


HIDDEN = [".env", ".git/config", "deep/.hidden/x.txt", "web.config", "WEB.CONFIG",
          "sub/Web.Config", ".htaccess", "link-out.txt", "link-up.txt",
          "folder-out/inner.txt", "pipe", "", "css", "css/", "of-another.txt",
          "of-root-closed.txt"]


def test_what_httpd_does_not_send_is_asked_of_the_app(site, httpd):
    httpd.allow("app site, process")
    unreadable = ["unreadable.txt"] if httpd.is_root else []
    for name in HIDDEN + unreadable:
        site.forget()
        answer = httpd.get(f"/site/{name}", timeout=10)
        assert SECRET not in answer.text, name
        assert from_the_app(site, answer), name


@pytest.mark.root
def test_files_of_root_for_everybody_are_sent(site, httpd):
    assert httpd.get("/site/of-root.txt").text == "of root"


TRAVERSALS = ["/site/../../files/outside.txt", "/site/css/../../secret.txt",
              "/site/..%2fsecret.txt", "/site/%2e%2e/secret.txt", "/site/css/..",
              "/site/.%2e/secret.txt", "/site/css/%2e%2e/%2e%2e/secret.txt",
              "/site/css%2fsite.css/../../secret.txt", "/site/..;/secret.txt",
              "/site/..\\secret.txt", "/site/%c0%ae%c0%ae/secret.txt",
              "/site//../secret.txt", "/site/css/..//../secret.txt",
              "/site/secret.txt", "/site/index.html%00.txt", "/site/index.html/x"]


def test_no_spelling_leads_out(site, httpd):
    httpd.allow("app site, process", "AH")
    for target in TRAVERSALS:
        answer = httpd.raw_get(target)
        assert SECRET not in answer.text, target
        assert answer.status in (400, 403, 404, 502), (target, answer)


def test_location_applies_in_every_spelling(site, httpd):
    httpd.allow("AH01630", "app site, process")
    for target in ("/site/closed/x.txt", "/site//closed/x.txt", "/site/%63losed/x.txt",
                   "/site/css/../closed/x.txt", "/site/./closed//x.txt"):
        answer = httpd.raw_get(target)
        assert answer.status == 403, target
    assert not site.events("request")


def test_names_choose_no_handler(site, httpd):
    answer = httpd.get("/site/headers.asis")
    assert answer.status == 200 and answer.text == PUBLIC["headers.asis"]
    assert httpd.get("/site/page.php").text == "<?php"


def sendfile(site, httpd, path, header="X-Sendfile", extra="", **options):
    target, _ = site.answer(f"HTTP/1.1 200 OK\r\n{header}: {path}\r\n{extra}"
                            "Content-Length: 6\r\n\r\nunseen", "keep", body="read")
    answer = httpd.get(target, **options)
    assert "unseen" not in answer.text and SECRET not in answer.text, path
    assert not [n for n, _ in answer.headers if n.lower() == header.lower()]
    return answer


@pytest.mark.parametrize("header", ["X-Sendfile", "X-Accel-Redirect"])
def test_the_app_names_a_file(site, httpd, header):
    for path in ("index.html", "/index.html", "/store/index.html",
                 site.path("store", "index.html")):
        answer = sendfile(site, httpd, path, header)
        assert answer.status == 200, path
        assert answer.text == PUBLIC["index.html"]
        assert answer.header("Content-Type").split(";")[0] == "text/html"
        assert answer.header("Content-Length") == str(len(answer.body))
    assert sendfile(site, httpd, "/store/a%20file.txt", header).text == "with a space"


def test_its_other_headers_stay(site, httpd):
    answer = sendfile(site, httpd, "big.txt", extra="Content-Type: text/x-mine\r\n"
                      "Content-Disposition: attachment\r\nSet-Cookie: a=1\r\n"
                      "Cache-Control: private\r\nETag: \"of-the-app\"\r\n")
    assert answer.header("Content-Type") == "text/x-mine"
    assert answer.header("Content-Disposition") == "attachment"
    assert answer.header("Set-Cookie") == "a=1"
    assert answer.header("Cache-Control") == "private"
    assert len(answer.body) == 200000 and answer.header("ETag") != '"of-the-app"'


def test_ranges_and_conditions_of_a_named_file(site, httpd):
    answer = sendfile(site, httpd, "big.txt", headers={"Range": "bytes=10-14"})
    assert answer.status == 206 and answer.text == "01234"
    tag = sendfile(site, httpd, "big.txt").header("ETag")
    answer = sendfile(site, httpd, "big.txt", headers={"If-None-Match": tag})
    assert answer.status == 304 and answer.body == b""
    answer = sendfile(site, httpd, "big.txt", method="HEAD")
    assert answer.status == 200 and answer.header("Content-Length") == "200000"


def test_files_that_the_app_may_not_name(site, httpd):
    httpd.allow("app site: no file to send")
    outside = [httpd.path("files", "outside.txt"), "/etc/passwd", "../secret.txt",
               site.path("secret.txt"), site.path("store", "..", "secret.txt"),
               "/store/../secret.txt", "store/%2e%2e/secret.txt", "..%2fsecret.txt",
               "no-such-file", "", "/"]
    unreadable = ["unreadable.txt"] if httpd.is_root else []
    for path in outside + HIDDEN + unreadable:
        answer = sendfile(site, httpd, path)
        assert answer.status in (403, 404), (path, answer)
        assert "root:" not in answer.text
    assert httpd.get("/site/pid").status == 200


def test_a_post_gets_no_file(site, httpd):
    httpd.allow("app site: X-Sendfile in a response to POST")
    assert sendfile(site, httpd, "index.html", method="POST", body=b"x").status == 500


def test_connection_survives_a_named_file(site, httpd):
    """The app's own body is read and dropped."""
    target, _ = site.answer("HTTP/1.1 200 OK\r\nX-Sendfile: index.html\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n5\r\nwaste\r\n0\r\n\r\n",
                            "keep")
    connection = http.client.HTTPConnection("127.0.0.1", httpd.port, timeout=10)
    for _ in range(3):
        connection.request("GET", target)
        assert connection.getresponse().read().decode() == PUBLIC["index.html"]
    connection.close()
    assert len({e["conn"] for e in site.events("request")}) == 1
