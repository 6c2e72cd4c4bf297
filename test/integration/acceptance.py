# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The acceptance site on an httpd, with as many apps of it as a module of tests wants,
each configured as its users would: by a web.config. Tests ask the mount, so that they
hold for either hosting model.

What is expected, by id, is listed in docs/ancm-parity.md."""

import os
import shutil
from xml.sax.saxutils import quoteattr

import pytest

import dotnet
import env as environment

MODELS = ("OutOfProcess",)
SOURCE = os.path.join(environment.HERE, "apps", "acceptance")
ASSEMBLY = "AcceptanceSite"
DLL = ASSEMBLY + ".dll"
WEB_CONFIG = """\
<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <location path="." inheritInChildApplications="false">
    <system.webServer>
      <handlers>
        <add name="aspNetCore" path="*" verb="*" modules="AspNetCoreModuleV2"
             resourceType="Unspecified" />
      </handlers>
      <aspNetCore {attributes}>
        <environmentVariables>{variables}</environmentVariables>
        <handlerSettings>{settings}</handlerSettings>
      </aspNetCore>
      {more}
    </system.webServer>
  </location>
</configuration>
"""


@pytest.fixture(scope="module", params=MODELS)
def hosting_model(request):
    return request.param


def published():
    return dotnet.project(SOURCE, ASSEMBLY)


def pairs(element, values):
    return "".join(f"<{element} name={quoteattr(name)} value={quoteattr(value)} />"
                   for name, value in (values or {}).items())


def web_config(mode="", variables=None, settings=None, more="", **attributes):
    """Attributes by their names in web.config; mode is an argument of the app."""
    given = {"processPath": "dotnet", "arguments": f".\\{DLL} {mode}".rstrip(),
             **attributes}
    return WEB_CONFIG.format(
        attributes=" ".join(f"{name}={quoteattr(str(value))}"
                            for name, value in given.items() if value is not None),
        variables=pairs("environmentVariable", variables),
        settings=pairs("handlerSetting", settings), more=more)


# What the app itself logs, which the module passes on with its level.
OWN_LINE = r"\] app \w[\w-]*: (Microsoft|System)\.[\w.]+\[\d+\] "


class Site:
    def __init__(self, env, model):
        env.always_allowed.append(OWN_LINE)
        self.env, self.model, self.text = env, model, ""
        self.apps = {}

    def add(self, name, mode="", directives="", prefix=None, **config):
        """An app mounted at its name. config: see web_config()."""
        folder = dotnet.app(self.env, name, published())
        self.apps[name] = folder
        self.write(name, "web.config", web_config(mode, **config))
        self.text += f"""
<AppCoreApp {name}>
    AppCorePath "{folder}"
    AppCoreHostingModel {self.model}
    {directives}
</AppCoreApp>
AppCoreMount "{prefix or "/" + name}" {name}
"""
        return folder

    def start(self, more="", secure=""):
        self.env.start(f"AllowEncodedSlashes NoDecode\nMergeSlashes Off\n"
                       f"{self.text}{more}{secure}")
        return self

    def path(self, name, *rest):
        return os.path.join(self.apps[name], *rest)

    def write(self, name, file, text):
        """A file of the app, replaced in one step."""
        path = self.path(name, file)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        self.env.give(path + ".new", self.env.owner())
        os.rename(path + ".new", path)
        return path

    def get(self, path, app="site", **options):
        return self.env.get(f"/{app}{path}", **options)

    def text_of(self, path, app="site", **options):
        answer = self.get(path, app, **options)
        assert answer.status == 200, answer
        return answer.text

    def variable(self, name, app="site"):
        return self.text_of(f"/GetEnvironmentVariable?name={name}", app)

    def pid(self, app="site"):
        return int(self.text_of("/ProcessId", app))

    def processes(self, name):
        return self.env.app_processes(self.apps[name])

    def replace(self, name):
        """Puts another publish into the app's folder."""
        shutil.copytree(published(), self.apps[name], dirs_exist_ok=True)
        self.env.give_tree(self.apps[name], self.env.owner())


def ids(*names):
    return pytest.mark.ancm(*names)
