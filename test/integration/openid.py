# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""An OpenID provider on loopback that logs everybody in at once, as dora."""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

METADATA = "/.well-known/openid-configuration"
CLIENT, SECRET = "shop", "0123456789abcdef0123456789abcdef"


def pack(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(claims):
    text = pack({"alg": "HS256", "typ": "JWT"}) + "." + pack(claims)
    return text + "." + pack(hmac.new(SECRET.encode(), text.encode(),
                                      hashlib.sha256).digest())


class Handler(BaseHTTPRequestHandler):
    def log_message(self, format, *args):
        pass

    def tell(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        """Metadata, and the authorization endpoint; its code is the nonce of the
        request."""
        issuer = self.server.issuer
        if self.path == METADATA:
            self.tell({"issuer": issuer, "response_types_supported": ["code"],
                       "authorization_endpoint": issuer + "/authorize",
                       "token_endpoint": issuer + "/token", "jwks_uri": issuer + "/keys"})
            return
        if self.path == "/keys":
            self.tell({"keys": []})
            return
        query = {n: v[0] for n, v in parse_qs(urlsplit(self.path).query).items()}
        self.send_response(302)
        self.send_header("Location", query["redirect_uri"] + "?" + urlencode(
            {"code": query["nonce"], "state": query["state"]}))
        self.end_headers()

    def do_POST(self):
        """The token endpoint."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        now = int(time.time())
        claims = {"iss": self.server.issuer, "aud": CLIENT, "sub": "dora",
                  "nonce": parse_qs(body)["code"][0], "iat": now, "exp": now + 600,
                  "groups": ["staff", "night shift"]}
        self.tell({"access_token": "x", "token_type": "Bearer",
                   "id_token": sign(claims)})


class Provider:
    def __init__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def directives(self, callback):
        return f"""
OIDCProviderMetadataURL {self.server.issuer}{METADATA}
OIDCProviderTokenEndpointAuth client_secret_basic
OIDCIDTokenSignedResponseAlg HS256
OIDCClientID {CLIENT}
OIDCClientSecret {SECRET}
OIDCCryptoPassphrase any
OIDCRedirectURI {callback}
OIDCRemoteUserClaim sub
OIDCSessionType client-cookie
"""

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
