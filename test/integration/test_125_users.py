# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Users that httpd authenticated, in ASP.NET Core apps written for IIS with Windows
authentication: the scheme Windows, partly anonymous apps, challenges, roles, client
certificates. Kerberos has a KDC of its own, OpenID Connect a provider, and nobody
becomes a user unverified."""

import base64
import glob
import hashlib
import json
import os
import ssl
import subprocess

import pytest

import client
import dotnet
import env as environment
import kdc
import openid
import tls

COMPANIONS = os.path.join(os.path.dirname(environment.MODULE), "appcore")
USERS = {"alice": "secret", "bob": "builder", "Jürgen": "ä,ö%20"}
GROUPS = "# comment\nstaff: bob alice\nsales, west: alice\nempty:\nothers: bobby\n"
HAS_GSSAPI = kdc.available() and os.path.exists(
    os.path.join(environment.MODULE_DIR, "mod_auth_gssapi.so"))
KERBEROS = pytest.mark.skipif(not HAS_GSSAPI, reason="needs krb5-kdc, krb5-user and "
                              "mod_auth_gssapi")
HAS_NTLM = HAS_GSSAPI and glob.glob("/usr/lib/*/gssntlmssp/gssntlmssp.so")
NTLM = pytest.mark.skipif(not HAS_NTLM, reason="needs gss-ntlmssp")
HAS_HTTP2 = environment.MPM != "prefork" and os.path.exists(
    os.path.join(environment.MODULE_DIR, "mod_http2.so"))
HTTP2 = pytest.mark.skipif(not HAS_HTTP2, reason="needs mod_http2 and an MPM with "
                           "threads")
OPENID = pytest.mark.skipif(not os.path.exists(
    os.path.join(environment.MODULE_DIR, "mod_auth_openidc.so")),
    reason="needs mod_auth_openidc")
SPOOFED = {"MS-ASPNETCORE-USER": "root", "MS_ASPNETCORE_USER": "root",
           "ms-aspnetcore-authtype": "Basic", "MS-ASPNETCORE-ROLES": "staff",
           "MS-ASPNETCORE-WINAUTHTOKEN": "1f", "X-Forwarded-User": "root",
           "X-Forwarded-Groups": "staff", "AppCore-Challenge": "Windows"}
LISTENER = """
import http.server, json, socket

class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "httpd"
    def do_GET(self):
        asks = "challenge" in self.path
        body = json.dumps(dict(self.headers)).encode()
        self.send_response(401 if asks else 200)
        self.send_header("AppCore-Challenge", "yes")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.HTTPServer(("", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.serve_forever()
"""


def login(name, password=None):
    password = USERS.get(name) if password is None else password
    pair = f"{name}:{password}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


def write_users(env):
    def sha(password):
        return base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()

    def ha1(name):
        return hashlib.md5(f"{name}:realm:{USERS[name]}".encode()).hexdigest()
    env.write("files", "users", text="".join(f"{n}:{{SHA}}{sha(p)}\n"
                                             for n, p in USERS.items()))
    env.write("files", "digests", text=f"alice:realm:{ha1('alice')}\n")
    env.write("files", "groups", text=GROUPS)


def location(path, kind, lines="Require all granted"):
    return f"""<Location {path}>
    AuthType {kind}
    AuthName realm
    {lines}
</Location>
"""


def sections(env, keytab):
    basic = f"""AuthUserFile {env.path("files", "users")}
    AuthGroupFile {env.path("files", "groups")}"""
    open_to_all = basic + "\n    Require all granted"
    own_page = "ErrorDocument 401 /app/{0}/who"
    text = location("/app/basic", "Basic", open_to_all) \
        + location("/app/error", "Basic", open_to_all + "\n" + own_page.format("error")) \
        + location("/app/strict", "Basic",
                   f"{basic}\nRequire valid-user\n{own_page.format('strict')}") \
        + location("/app/barred", "Basic", f"{basic}\n<RequireAll>\nRequire all granted\n"
                   "Require not user bob\n</RequireAll>") \
        + location("/app/groups", "Basic", open_to_all + """
    SetEnv REMOTE_USER_GROUPS "ops:on call:staff"
    SetEnv AUTHENTICATE_MEMBEROF "CN=a,DC=x; CN=b,DC=x"
    SetEnv OIDC_CLAIM_roles "reader,ops" """) \
        + location("/app/digest", "Digest", "AuthDigestProvider file\nAuthUserFile "
                   f"{env.path('files', 'digests')}\nRequire all granted")
    text += location("/app/named", "Basic", f"{open_to_all}\n<IfModule ssl_module>\n"
                     "SSLUserName SSL_CLIENT_S_DN_CN\n</IfModule>")
    for name in ("slim", "none", "off/basic", "web/basic", "tcp/basic", "any/basic",
                 "in/basic"):
        text += location(f"/{name}", "Basic", open_to_all)
    text += location("/none", "None")
    if keytab:
        store = f"GssapiCredStore keytab:{keytab}\nRequire all granted\n"
        text += location("/app/gss", "GSSAPI", store) \
            + location("/in/gss", "GSSAPI", store) \
            + location("/app/session", "GSSAPI", store + "GssapiUseSessions On\n"
                       "Session On\nSessionCookieName kerberos path=/")
    if HAS_NTLM:
        text += location("/app/ntlm", "GSSAPI", "GssapiAllowedMech ntlmssp\n"
                         "GssapiConnectionBound On\nRequire all granted")
    return text


def openid_sections(env):
    if not env.provider:
        return ""
    callback = "/app/openid/callback"
    return env.provider.directives(f"http://localhost:{env.port}{callback}") \
        + location("/app/openid", "openid-connect") \
        + location(callback, "openid-connect", "Require valid-user")


APPS = {
    "app": "AppCoreEnvironmentVariable SCHEME Windows",
    "slim": "AppCoreEnvironmentVariable SHAPE slim\n"
            "AppCoreEnvironmentVariable MANUAL IISServerOptions\n"
            "AppCoreEnvironmentVariable SHOWN Corporate",
    "none": "AppCoreEnvironmentVariable SHAPE slim\nAppCoreForwardClientCertificate Off",
    "off": "AppCoreForwardWindowsAuthToken Off\n"
           "AppCoreEnvironmentVariable CERTIFICATE Off",
    "web": "AppCoreEnvironmentVariable MANUAL IISOptions",
    "tcp": "AppCoreListen tcp",
    "in": "AppCoreHostingModel InProcess\n"
          "AppCoreEnvironmentVariable SHAPE slim\n"
          "AppCoreEnvironmentVariable MANUAL IISServerOptions\n"
          "AppCoreEnvironmentVariable SHOWN Corporate",
}
WEB_CONFIG = """<configuration><system.webServer>
  <aspNetCore processPath="dotnet" arguments="Own.dll" forwardWindowsAuthToken="false" />
</system.webServer></configuration>
"""


def configure(env, published, keytab):
    text = mounts = ""
    for name, lines in APPS.items():
        folder = dotnet.app(env, name, published, user="root" if name == "in"
                            and env.is_root else None)
        if name == "web":
            env.write("apps", name, "web.config", text=WEB_CONFIG)
        text += f"<AppCoreApp {name}>\nAppCorePath {folder}\n{lines}\n</AppCoreApp>\n"
        mounts += f"AppCoreMount /{name} {name}\n"
    folder = env.app("any", files={"Procfile": "web: python3 app.py\n",
                                   "app.py": LISTENER})
    mounts += f"AppCoreMount /any {folder}\n"
    return text, mounts + sections(env, keytab)


TLS = """
Listen 127.0.0.1:{env.port2}
<VirtualHost *:{env.port2}>
    SSLEngine On
    SSLCertificateFile {env.root}/files/server.pem
    SSLCertificateKeyFile {env.root}/files/server.key
    SSLCACertificateFile {env.root}/files/ca.pem
    <Location /app/must>
        SSLVerifyClient require
    </Location>
    <Location /app/named>
        SSLVerifyClient optional
    </Location>
    <Location ~ "^/(slim|none|off)/may">
        SSLVerifyClient optional
    </Location>
    {mounts}
</VirtualHost>
"""


def make_realm(env):
    realm = kdc.Realm(env.path("kdc"), environment.free_port())
    try:
        keytab = realm.add_service("HTTP/localhost")
        env.give(keytab, environment.SERVER_USER)
        realm.add_user("carol", "carols password")
        realm.log_in("carol", "carols password")
    except BaseException:
        realm.stop()
        raise
    env.variables = {name: realm.environment[name]
                     for name in ("KRB5_CONFIG", "KRB5RCACHENAME")}
    env.variables["NTLM_USER_FILE"] = env.write("files", "ntlm", text="TEST:erin:pass\n")
    return realm, keytab


@pytest.fixture(scope="module")
def httpd(env):
    if not glob.glob(os.path.join(COMPANIONS, "net*")):
        pytest.skip("the companion was not built")
    if not tls.Authority.available():
        pytest.skip("there is no openssl to make certificates with")
    with open(os.path.join(environment.HERE, "apps", "users", "Program.cs"),
              encoding="utf-8") as f:
        published = dotnet.program(f.read(), "users")
    env.modules += ["auth_basic", "auth_digest", "authn_core", "authn_file",
                    "authz_user", "authz_groupfile", "ssl", "socache_shmcb", "env"]
    env.modules += ["session", "session_cookie", "auth_gssapi"] if HAS_GSSAPI else []
    env.modules += ["http2"] * bool(HAS_HTTP2)
    env.modules += ["auth_openidc"] if not OPENID.args[0] else []
    env.always_allowed = ["AH01617", "AH01618", "AH01782", "AH01790", "AH01792",
                          "AH01794", "AH01631", "AH02261", "AH02263", "AH01757",
                          r"DataProtection.*XmlKeyManager"]
    write_users(env)
    env.ca = tls.Authority(env.path("files"))
    env.ca.issue("server", "/CN=localhost")
    env.ca.issue("alice", "/CN=alice")
    env.realm, keytab = make_realm(env) if HAS_GSSAPI else (None, None)
    env.provider = openid.Provider() if "auth_openidc" in env.modules else None
    try:
        apps, mounts = configure(env, published, keytab)
        apps += "Protocols h2 h2c http/1.1\n" * bool(HAS_HTTP2)
        env.start(f"{apps}<VirtualHost *:{env.port}>\n{mounts}\n{openid_sections(env)}"
                  "</VirtualHost>\n" + TLS.format(env=env, mounts=mounts))
        yield env
    finally:
        for other in (env.realm, env.provider):
            if other:
                other.stop()


def who(httpd, path, headers=None, **options):
    answer = httpd.get(path, headers={**SPOOFED, **(headers or {})}, **options)
    assert answer.status == 200, answer
    return answer.json()


def curl(httpd, path, *options):
    """Body and status of what curl got in the end."""
    result = subprocess.run(
        ["curl", "-s", "-w", "\n%{http_code}", *options,
         f"http://localhost:{httpd.port}{path}"], text=True, capture_output=True,
        timeout=120, env=httpd.realm.environment if httpd.realm else None)
    assert result.returncode == 0, result
    body, status = result.stdout.rsplit("\n", 1)
    return client.Response(int(status), "", [], body.encode())


@pytest.mark.ancm("AU3")
def test_user_of_the_request(httpd):
    user = who(httpd, "/app/basic/who", login("alice"))
    assert user == {"known": True, "name": "alice", "type": "Basic",
                    "roles": ["staff", "sales, west"], "staff": True}
    assert who(httpd, "/app/basic/asked", login("alice")) == user
    assert who(httpd, "/app/strict/who", login("alice"))["name"] == "alice"


def test_groups_that_modules_tell(httpd):
    """By the variables of mod_lookup_identity, mod_authnz_ldap, mod_auth_openidc."""
    assert who(httpd, "/app/groups/who", login("bob"))["roles"] == [
        "staff", "ops", "on call", "CN=a,DC=x", "CN=b,DC=x", "reader"]
    assert who(httpd, "/app/groups/who")["roles"] == []


def test_name_of_any_bytes(httpd):
    assert who(httpd, "/app/basic/who", login("Jürgen"))["name"] == "Jürgen"


@pytest.mark.parametrize("path", ["/app/basic", "/app/digest", "/app/other",
                                  "/slim/basic", "/none/basic", "/off/basic",
                                  "/web/basic", "/tcp/basic", "/in/basic"])
def test_nobody_by_pretence(httpd, path):
    user = who(httpd, f"{path}/who")
    assert not user["known"] and not user["name"] and not user["staff"]
    # The pairing token is httpd's, also where it is nobody else's.
    named = {**SPOOFED, "MS-ASPNETCORE-TOKEN": "x", "MS.ASPNETCORE.USER": "root"}
    seen = httpd.get(f"{path}/headers", headers=named).json()
    assert "root" not in seen.values() and "staff" not in seen.values()


@pytest.mark.parametrize("credentials", [
    login("alice", "wrong"), login("root", ""), login("", ""),
    {"Authorization": "Basic"}, {"Authorization": "basic !"},
    {"Authorization": "BASIC " + base64.b64encode(b"alice").decode()}])
def test_wrong_password_is_not_anonymous(httpd, credentials):
    answer = httpd.get("/app/basic/who", headers=credentials)
    assert answer.status == 401
    assert answer.header("WWW-Authenticate") == 'Basic realm="realm"'


def test_other_credentials_are_the_apps(httpd):
    token = {"Authorization": "Bearer abc"}
    assert not who(httpd, "/app/basic/who", token)["known"]
    assert httpd.get("/app/basic/headers", headers=token).json()["Authorization"] \
        == "Bearer abc"
    # Where nobody checks it, a password is no more than that.
    assert not who(httpd, "/app/other/who", login("alice"))["known"]


@pytest.mark.parametrize("where", ["error", "strict"])
def test_error_document_has_no_user(httpd, where):
    """httpd remembers the name that somebody claimed in vain."""
    for headers in (login("alice", "wrong"), login("nobody", "x"), {}):
        answer = httpd.get(f"/app/{where}/restricted", headers=headers)
        assert answer.status == 401
        if headers or where == "strict":
            assert answer.json()["known"] is False
            assert answer.json()["name"] is None


def test_rules_about_users_hold_for_who_logs_in(httpd):
    assert who(httpd, "/app/barred/who", login("alice"))["name"] == "alice"
    assert httpd.get("/app/barred/who", headers=login("bob")).status in (401, 403)
    assert not who(httpd, "/app/barred/who")["known"]


@pytest.mark.ancm("AU2")
def test_authorize_and_challenge(httpd):
    answer = httpd.get("/app/basic/restricted")
    assert answer.status == 401
    assert answer.header("WWW-Authenticate") == 'Basic realm="realm"'
    assert answer.header("AppCore-Challenge") is None
    assert who(httpd, "/app/basic/restricted", login("bob"))["name"] == "bob"
    assert who(httpd, "/app/basic/staff", login("bob"))["staff"]
    assert httpd.get("/app/basic/staff", headers=login("Jürgen")).status == 403
    for path in ("/app/basic/challenge", "/app/basic/challenge?after=300"):
        answer = httpd.get(path)
        assert (answer.status, answer.text) == (401, "please log in")
        assert answer.header("WWW-Authenticate")


def test_other_401_stays_the_apps(httpd):
    answer = httpd.get("/app/basic/own")
    assert (answer.status, answer.text) == (401, "a token please")
    assert answer.header("WWW-Authenticate") == "Bearer"
    # No AuthType there, so nothing to add.
    answer = httpd.get("/app/other/restricted")
    assert answer.status == 401 and not answer.header("WWW-Authenticate")
    assert not answer.header("AppCore-Challenge")


@pytest.mark.ancm("AU4")
def test_scheme_is_there_where_there_can_be_users(httpd):
    for name, schemes in (("app", ["Windows:"]), ("slim", ["Own:", "Windows:Corporate"]),
                          ("none", []), ("off", []), ("tcp", []), ("web", ["Own:"]),
                          ("in", ["Own:", "Windows:Corporate"])):
        assert httpd.get(f"/{name}/x/schemes").json() == schemes, name
        assert httpd.get(f"/{name}/x/announced").text \
            == ("windows;" if "Windows" in str(schemes) else "anonymous;"), name


@pytest.mark.parametrize("name,scheme", [("app", "Windows"), ("slim", "Windows"),
                                         ("in", "Windows"), ("none", "none"),
                                         ("tcp", "none")])
def test_negotiate_of_the_app_can_defer(httpd, name, scheme):
    """What AddNegotiate() asks for, a package that is not part of ASP.NET Core."""
    assert httpd.get(f"/{name}/x/integrated").text == scheme


@pytest.mark.parametrize("name", ["slim", "in"])
def test_automatic_authentication_off(httpd, name):
    user = login("alice")
    assert not who(httpd, f"/{name}/basic/who", user)["known"]
    assert who(httpd, f"/{name}/basic/asked", user) == {
        "known": True, "name": "alice", "type": "Basic",
        "roles": ["staff", "sales, west"], "staff": True}
    assert bool(httpd.app_processes(httpd.path("apps", name))) == (name != "in")


@pytest.mark.ancm("AU2")
def test_challenge_of_an_app_in_process(httpd):
    """It is httpd's, with the app's own text."""
    for path in ("challenge", "challenge?after=50"):
        answer = httpd.get(f"/in/basic/{path}")
        assert (answer.status, answer.text) == (401, "please log in")
        assert answer.header("WWW-Authenticate") == 'Basic realm="realm"'
        assert answer.header("AppCore-Challenge") is None
    assert httpd.get("/in/basic/own").header("WWW-Authenticate") == "Bearer"


@pytest.mark.parametrize("name", ["off", "web", "none"])
def test_user_is_withheld(httpd, name):
    assert not who(httpd, f"/{name}/basic/who", login("alice"))["known"]
    fields = httpd.get(f"/{name}/basic/headers", headers=login("alice")).json()
    assert not [n for n in fields if n.upper().startswith("MS-ASPNETCORE-USER")]


def test_digest(httpd):
    answer = httpd.get("/app/digest/restricted")
    assert answer.status == 401
    assert answer.header("WWW-Authenticate").startswith("Digest realm=")
    answer = curl(httpd, "/app/digest/restricted", "--digest", "-u", "alice:secret")
    assert answer.status == 200
    assert (answer.json()["name"], answer.json()["type"]) == ("alice", "Digest")
    answer = curl(httpd, "/app/digest/restricted", "--digest", "-u", "alice:wrong")
    assert answer.status == 401
    answer = httpd.get("/app/digest/who", headers={
        "Authorization": 'Digest username="alice", realm="realm", nonce="x", uri='
        '"/app/digest/who", response="00000000000000000000000000000000"'})
    assert answer.status in (400, 401)


@KERBEROS
@pytest.mark.ancm("AU1")
@pytest.mark.parametrize("app, asks, path", [("app", "restricted", "restricted"),
                                             ("in", "challenge", "asked")])
def test_kerberos(httpd, app, asks, path):
    answer = httpd.get(f"/{app}/gss/{asks}")
    assert answer.status == 401
    assert answer.header("WWW-Authenticate") == "Negotiate"
    answer = curl(httpd, f"/{app}/gss/{path}", "--negotiate", "-u", ":")
    assert answer.status == 200, answer
    assert answer.json()["name"] == "carol@" + kdc.REALM
    assert answer.json()["type"] == "Negotiate"
    assert not who(httpd, f"/{app}/gss/who")["known"]


@KERBEROS
@pytest.mark.ancm("AU1")
def test_kerberos_where_not_required(httpd):
    answer = curl(httpd, "/app/gss/who", "--negotiate", "-u", ":")
    assert answer.status == 200 and answer.json()["name"] == "carol@" + kdc.REALM
    token = base64.b64encode(b"`\x1cno ticket of anybody").decode()
    answer = httpd.get("/app/gss/who", headers={"Authorization": f"Negotiate {token}"})
    assert answer.status == 401


@KERBEROS
def test_session_where_not_required(httpd, tmp_path):
    jar = tmp_path / "jar"
    curl(httpd, "/app/session/who", "--negotiate", "-u", ":", "-c", jar)
    assert "kerberos" in jar.read_text()
    answer = curl(httpd, "/app/session/who", "-b", jar)
    assert answer.status == 200 and answer.json()["name"] == "carol@" + kdc.REALM
    for cookie in ("kerberos=MagBearerToken=" + 200 * "A", "kerberos=", "other=1"):
        answer = httpd.get("/app/session/who", headers={"Cookie": cookie})
        assert answer.status == 200 and not answer.json()["known"]
        assert not answer.header("WWW-Authenticate")


@NTLM
@pytest.mark.ancm("AU2")
def test_exchange_of_several_legs(httpd, monkeypatch):
    """Negotiate with NTLM takes three messages on one connection."""
    monkeypatch.setitem(httpd.realm.environment, "KRB5CCNAME", "FILE:/nonexistent")
    monkeypatch.setitem(httpd.realm.environment, "NTLM_USER_FILE",
                        httpd.path("files", "ntlm"))
    answer = curl(httpd, "/app/ntlm/restricted", "--negotiate", "-u", ":")
    assert answer.status == 200, answer
    assert answer.json()["name"].endswith("erin")
    wrong = httpd.write("files", "wrong", text="TEST:erin:wrong\n")
    monkeypatch.setitem(httpd.realm.environment, "NTLM_USER_FILE", wrong)
    answer = curl(httpd, "/app/ntlm/who", "--negotiate", "-u", ":")
    assert answer.status == 401


@OPENID
def test_openid_connect(httpd, tmp_path):
    """The app's challenge is httpd's redirect, and the session that comes of it counts
    where no user is required."""
    jar = tmp_path / "jar"
    host = f"localhost:{httpd.port}"
    for path in ("restricted", "challenge", "challenge?after=300"):
        answer = httpd.get(f"/app/openid/{path}", headers={"Accept": "text/html"},
                           host=host)
        assert answer.status == 302 and "please log in" not in answer.text
        assert answer.header("Location").startswith(httpd.provider.server.issuer)
        assert not answer.header("AppCore-Challenge")
    answer = curl(httpd, "/app/openid/restricted", "-L", "-b", jar, "-c", jar)
    assert answer.status == 200, answer
    assert answer.json() == {"known": True, "name": "dora", "type": "openid-connect",
                             "roles": ["staff", "night shift"], "staff": True}
    assert curl(httpd, "/app/openid/who", "-b", jar).json()["name"] == "dora"
    assert not who(httpd, "/app/openid/who")["known"]
    answer = httpd.get("/app/openid/who", host=host, headers={
        "Cookie": "mod_auth_openidc_session=forged", "Authorization": "Bearer x"})
    assert answer.status == 200 and not answer.json()["known"]
    assert not answer.header("Location")


def curl2(httpd, path, *options, tls_=True):
    """The same as one stream of HTTP/2."""
    where = ["--cacert", httpd.ca.path("ca.pem"), "--http2",
             f"https://localhost:{httpd.port2}{path}"] if tls_ else \
        ["--http2-prior-knowledge", f"http://localhost:{httpd.port}{path}"]
    result = subprocess.run(
        ["curl", "-s", "-w", "\n%{http_version} %{http_code}", *options, *where],
        text=True, capture_output=True, timeout=120,
        env=httpd.realm.environment if httpd.realm else None)
    assert result.returncode == 0, result
    body, end = result.stdout.rsplit("\n", 1)
    assert end.startswith("2 "), end
    return client.Response(int(end[2:]), "", [], body.encode())


@HTTP2
@pytest.mark.parametrize("tls_", [True, False], ids=["h2", "h2c"])
def test_users_on_http2_connections(httpd, tls_):
    def user(path, *options):
        return curl2(httpd, path, *options, tls_=tls_).json()
    spoofed = [word for field in SPOOFED.items() for word in ("-H", "%s: %s" % field)]
    assert not user("/app/basic/who", *spoofed)["known"]
    assert user("/app/basic/who", *spoofed, "-u", "alice:secret") == {
        "known": True, "name": "alice", "type": "Basic",
        "roles": ["staff", "sales, west"], "staff": True}
    for path in ("/app/basic/restricted", "/app/strict/who"):
        assert user(path, "-u", "bob:builder")["name"] == "bob"
    for options in (["-u", "alice:wrong"], []):
        answer = curl2(httpd, "/app/basic/restricted", *options, "-D", "-", tls_=tls_)
        assert answer.status == 401
        assert 'www-authenticate: Basic realm="realm"' in answer.text
        assert "appcore-challenge" not in answer.text.lower()
    # Without TLS this curl gives up before its second request, whoever answers.
    assert not tls_ or user("/app/digest/restricted", "--digest", "-u",
                            "alice:secret")["type"] == "Digest"
    assert user("/any/basic/x", "-u", "alice:secret")["X-Forwarded-User"] == "alice"


@HTTP2
@KERBEROS
@pytest.mark.parametrize("tls_", [True, False], ids=["h2", "h2c"])
def test_kerberos_on_http2_connections(httpd, tls_):
    for path in ("/app/gss/restricted", "/app/gss/who"):
        user = curl2(httpd, path, "--negotiate", "-u", ":", tls_=tls_).json()
        assert (user["name"], user["type"]) == ("carol@" + kdc.REALM, "Negotiate")
    answer = curl2(httpd, "/app/gss/restricted", "-D", "-", tls_=tls_)
    assert answer.status == 401 and "www-authenticate: Negotiate" in answer.text


@HTTP2
def test_streams_of_one_connection_have_their_own_users(httpd):
    """What one stream verified is nothing to the others."""
    url = f"http://localhost:{httpd.port}/app/basic/who"
    words = ["curl", "-s", "--http2-prior-knowledge", "-w", "%{num_connects}\n"]
    for name in ("alice", "", "bob", "alice", ""):
        more = ["-u", f"{name}:{USERS[name]}"] if name else []
        words += ["--next"] * (len(words) > 5) + ["-s", "-w", "%{num_connects}\n",
                                                  *more, url]
    said = subprocess.run(words, text=True, capture_output=True, timeout=60).stdout
    lines = said.splitlines()
    assert [line[-1] for line in lines] == ["1", "0", "0", "0", "0"], said
    assert [json.loads(line[:-1])["name"] for line in lines] \
        == ["alice", None, "bob", "alice", None]


def test_user_of_a_certificate(httpd):
    """Who logs in besides is who counts."""
    def answer(headers=None):
        return httpd.ca.request(httpd.port2, "/app/named/who", identity="alice",
                                headers=headers)
    assert answer().json()["name"] == "alice"
    assert answer(login("bob")).json()["name"] == "bob"
    assert answer(login("bob", "wrong")).status == 401


def test_apps_of_other_kinds(httpd):
    fields = who(httpd, "/any/basic/x", login("alice"))
    assert fields["X-Forwarded-User"] == "alice"
    assert fields["X-Forwarded-Groups"] == "staff,sales, west"
    fields = who(httpd, "/any/basic/x")
    assert not {"X-Forwarded-User", "X-Forwarded-Groups"} & set(fields)
    answer = httpd.get("/any/basic/x")
    assert answer.header("AppCore-Challenge") is None
    answer = httpd.get("/any/basic/challenge")
    assert answer.status == 401 and "Host" in answer.json()
    assert answer.header("WWW-Authenticate") == 'Basic realm="realm"'
    assert answer.header("AppCore-Challenge") is None


def certificate(httpd, path, **options):
    answer = httpd.ca.request(httpd.port2, path, **options)
    assert answer.status == 200, answer
    return answer.text


@pytest.mark.ancm("CC1", "CC2")
def test_client_certificate(httpd):
    thumbprint = httpd.ca.thumbprint("alice")
    for path in ("/app/must/certificate", "/slim/may/certificate"):
        assert certificate(httpd, path, identity="alice") == thumbprint, path
    assert certificate(httpd, "/slim/may/certificate") == "none"
    with pytest.raises(ssl.SSLError):
        httpd.ca.request(httpd.port2, "/app/must/certificate")


@pytest.mark.ancm("CC1")
def test_client_certificate_that_is_not_wanted(httpd):
    """By the administrator; by the app."""
    for name in ("none", "off"):
        assert certificate(httpd, f"/{name}/may/certificate", identity="alice") == "none"
    seen = httpd.ca.request(httpd.port2, "/none/may/headers", identity="alice").json()
    assert "MS-ASPNETCORE-CLIENTCERT" not in seen
    seen = httpd.ca.request(httpd.port2, "/off/may/headers", identity="alice").json()
    assert "MS-ASPNETCORE-CLIENTCERT" in seen


def test_group_file_needs_its_module(env):
    said = env.configtest("<Location /x>\nAuthGroupFile groups\n</Location>")
    assert ("needs mod_authz_groupfile" in said) == ("authz_groupfile"
                                                     not in env.modules)
