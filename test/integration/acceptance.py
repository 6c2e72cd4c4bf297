# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The acceptance site on an httpd, with as many apps of it as a module of tests wants,
each configured as its users would: by a web.config. Tests ask the mount, so that they
hold for either hosting model. In process httpd is started anew for another app.

What is expected, by id, is listed in docs/ancm-parity.md."""

import os
import re
import shutil
from xml.sax.saxutils import quoteattr

import pytest

import client
import dotnet
import env as environment
import kinds

MODELS = ("OutOfProcess", "InProcess")
SOURCE = os.path.join(environment.HERE, "apps", "acceptance")
ASSEMBLY = "AcceptanceSite"
DLL = ASSEMBLY + ".dll"
WEB_CONFIG = kinds.WEB_CONFIG.format(inner="""\
<aspNetCore {attributes}>
        <environmentVariables>{variables}</environmentVariables>
        <handlerSettings>{settings}</handlerSettings>
      </aspNetCore>
      {more}""")


@pytest.fixture(scope="module", params=MODELS)
def hosting_model(request):
    if request.param == "InProcess" and environment.MPM == "prefork":
        pytest.skip("the prefork MPM hosts no runtime")
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


GENERAL = "AllowEncodedSlashes NoDecode\nMergeSlashes Off\n"
# What an app counts it counts in one process.
ONE_CHILD = "MaxRequestWorkers 16\n"


# What the app itself logs, which the module passes on with its level.
OWN_LINE = r"\] app \w[\w-]*: (AppCore|Microsoft|System)\.[\w.]+\[\d+\] "


class Site:
    def __init__(self, env, model):
        env.always_allowed.append(OWN_LINE)
        self.env, self.model = env, model
        self.apps, self.mounts = {}, {}
        self.inside = self.layout = None

    @property
    def in_process(self):
        return self.model == "InProcess"

    @property
    def text(self):
        return "".join(self.mounts.values())

    def owner(self):
        """Whose rights the app has."""
        return environment.SERVER_USER if self.in_process else None

    def add(self, name, mode="", directives="", prefix=None, folder=None, **config):
        """An app mounted at its name. config: see web_config()."""
        folder = dotnet.app(self.env, folder or name, published(), user=self.owner())
        self.apps[name] = folder
        self.write(name, "web.config", web_config(mode, **config))
        self.mounts[name] = f"""
<AppCoreApp {name}>
    AppCorePath "{folder}"
    AppCoreHostingModel {self.model}
    {directives}
</AppCoreApp>
AppCoreMount "{prefix or "/" + name}" {name}
"""
        return folder

    def start(self, layout=lambda apps: GENERAL + apps):
        """layout: the configuration around that of the apps."""
        self.layout = layout
        if self.in_process:
            self.enter(next(iter(self.mounts)))
        else:
            self.env.start(self.conf())
        return self

    def conf(self, name=None, mounted=True):
        """The configuration with all apps, in process with that one; mounted: or with
        none of that name."""
        if self.in_process:
            return ONE_CHILD + self.layout(self.mounts[name] if mounted else "")
        gone = rf"(?m)^AppCoreMount .* {name}$"
        return self.layout(self.text if mounted else re.sub(gone, "", self.text))

    def unmount(self, name):
        """As an administrator who does not want it any more."""
        self.enter(name)
        self.env.reload(self.conf(name, False), wait_workers=False)

    def mount(self, name):
        self.env.reload(self.conf(name))

    def enter(self, name):
        """In process only one can be hosted: starts httpd anew if it is another one."""
        if self.in_process and self.inside != name and name in self.mounts:
            assert not self.env.app_processes(), f"{self.inside} is not in process"
            self.env.stop()
            self.env.start(self.conf(name))
            self.inside = name

    def path(self, name, *rest):
        return os.path.join(self.apps[name], *rest)

    def write(self, name, file, text):
        """A file of the app, replaced in one step."""
        path = self.path(name, file)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        self.env.give(path + ".new", self.env.owner(self.owner()))
        os.rename(path + ".new", path)
        return path

    def get(self, path, app="site", **options):
        self.enter(app)
        return self.env.get(f"/{app}{path}", **options)

    def raw(self, app="site", **options):
        self.enter(app)
        return client.Raw(self.env.port, **options)

    def raw_get(self, path, app="site", **options):
        self.enter(app)
        return self.env.raw_get(f"/{app}{path}", **options)

    def text_of(self, path, app="site", **options):
        answer = self.get(path, app, **options)
        assert answer.status == 200, answer
        return answer.text

    def leave(self):
        """Ends httpd with the app in it."""
        if self.in_process:
            self.env.stop()
            self.inside = None

    @property
    def substatus(self):
        """Of a start that failed for no more special reason."""
        return "500.30" if self.in_process else "502.5"

    def variable(self, name, app="site"):
        return self.text_of(f"/GetEnvironmentVariable?name={name}", app)

    def pid(self, app="site"):
        return int(self.text_of("/ProcessId", app))

    def processes(self, name):
        return self.env.app_processes(self.apps[name])

    def replace(self, name):
        """Puts another publish into the app's folder."""
        shutil.copytree(published(), self.apps[name], dirs_exist_ok=True)
        self.env.give_tree(self.apps[name], self.env.owner(self.owner()))


# Tests whose subject is a process of the app's own, or a child that hosts the app.
outside = pytest.mark.models("OutOfProcess")
inside = pytest.mark.models("InProcess")


def ids(*names):
    return pytest.mark.ancm(*names)
