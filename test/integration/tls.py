# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""A certificate authority of the tests' own, and a client that speaks TLS."""

import hashlib
import http.client
import os
import shutil
import socket
import ssl
import subprocess

import client


class Authority:
    """Keys and certificates in a folder: NAME.key, NAME.pem; the CA's is ca.pem."""

    def __init__(self, folder):
        self.folder = folder
        self.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                 "-subj", "/CN=test authority", "-keyout", self.path("ca.key"),
                 "-out", self.path("ca.pem"))

    @staticmethod
    def available():
        return shutil.which("openssl") is not None

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def issue(self, name, subject):
        self.run("req", "-newkey", "rsa:2048", "-nodes", "-subj", subject,
                 "-keyout", self.path(name + ".key"), "-out", self.path(name + ".csr"))
        self.run("x509", "-req", "-days", "2", "-in", self.path(name + ".csr"),
                 "-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"),
                 "-CAcreateserial", "-out", self.path(name + ".pem"))

    def thumbprint(self, name):
        with open(self.path(name + ".pem"), encoding="ascii") as f:
            return hashlib.sha1(ssl.PEM_cert_to_DER_cert(f.read())).hexdigest().upper()

    def request(self, port, path, identity=None, host=None, sni=None, headers=None,
                method="GET", body=None):
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        context.check_hostname = False
        context.post_handshake_auth = True
        if identity:
            context.load_cert_chain(self.path(identity + ".pem"),
                                    self.path(identity + ".key"))
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30,
                                                 context=context)
        if sni:
            connection.sock = context.wrap_socket(socket.create_connection(
                ("127.0.0.1", port), 30), server_hostname=sni)
        try:
            connection.request(method, path, body, headers={
                **(headers or {}), **({"Host": host} if host else {})})
            answer = connection.getresponse()
            return client.Response(answer.status, answer.reason, answer.getheaders(),
                                   answer.read())
        finally:
            connection.close()
