# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""A Kerberos realm of the tests' own: a real KDC on loopback, nothing of the machine's
own configuration touched."""

import os
import shutil
import subprocess

from processes import wait_for

REALM = "TEST.EXAMPLE"
KRB5_CONF = """\
[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
[realms]
{realm} = {{
    kdc = 127.0.0.1:{port}
}}
[domain_realm]
localhost = {realm}
"""
KDC_CONF = """\
[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realm} = {{
    database_name = {folder}/principals
    key_stash_file = {folder}/stash
    acl_file = {folder}/acl
    supported_enctypes = aes256-cts-hmac-sha1-96:normal
}}
[logging]
kdc = FILE:{folder}/kdc.log
"""
PROGRAMS = ("krb5kdc", "kdb5_util", "kadmin.local", "kinit")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def available():
    return all(shutil.which(name, path=PATH) for name in PROGRAMS)


class Realm:
    def __init__(self, folder, port):
        os.mkdir(folder, 0o755)
        self.folder = folder
        self.environment = {
            "PATH": PATH, "KRB5_CONFIG": self.path("krb5.conf"),
            "KRB5_KDC_PROFILE": self.path("kdc.conf"), "KRB5RCACHENAME": "none:",
            "KRB5CCNAME": "FILE:" + self.path("tickets")}
        for name, text in (("krb5.conf", KRB5_CONF), ("kdc.conf", KDC_CONF)):
            with open(self.path(name), "w", encoding="ascii") as f:
                f.write(text.format(realm=REALM, port=port, folder=folder))
        self.run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        self.process = subprocess.Popen(["krb5kdc", "-n"], env=self.environment,
                                        stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *command, text=""):
        return subprocess.run(command, env=self.environment, input=text, text=True,
                              check=True, capture_output=True, timeout=60).stdout

    def add_service(self, principal):
        """Returns the keytab of it."""
        self.run("kadmin.local", "addprinc", "-randkey", principal)
        self.run("kadmin.local", "ktadd", "-k", self.path("keytab"), principal)
        return self.path("keytab")

    def add_user(self, name, password):
        self.run("kadmin.local", "addprinc", "-pw", password, name)

    def log_in(self, name, password):
        def got_ticket():
            assert self.process.poll() is None, "the KDC ended"
            try:
                self.run("kinit", name, text=password + "\n")
            except subprocess.CalledProcessError:
                return False
            return True
        wait_for(got_ticket, 30, "a ticket")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
