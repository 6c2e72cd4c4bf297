# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""ASP.NET Core apps, published once per run of the tests. Nothing is fetched, what the
SDK brings must be enough: but for apps that bring their runtime."""

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile

import pytest

PROJECT = """\
<Project Sdk="Microsoft.NET.Sdk.Web">
  <PropertyGroup>
    <TargetFramework>net{version}</TargetFramework>
    <Nullable>disable</Nullable>
    <ImplicitUsings>enable</ImplicitUsings>
  </PropertyGroup>
</Project>
"""
# No package source: a machine without a network builds as well.
NUGET = """\
<configuration><packageSources><clear /></packageSources></configuration>
"""


# What every app of the default templates warns of on Linux.
NO_ENCRYPTOR = r"XmlKeyManager\[35\] No XML encryptor configured"


def cache():
    """A folder that all processes of a run of pytest share."""
    folder = os.path.join(os.environ["APPCORE_SHARED"], "dotnet")
    os.makedirs(folder, 0o755, exist_ok=True)
    return folder


@contextlib.contextmanager
def locked(name):
    with open(os.path.join(cache(), name + ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def once(function):
    """One process of the run calls it with these arguments, all get its result."""
    @functools.lru_cache(None)
    def wrapper(*arguments):
        key = json.dumps([function.__name__, *arguments])
        name = "made-" + hashlib.sha256(key.encode()).hexdigest()
        path = os.path.join(cache(), name)
        with locked(name):
            if not os.path.exists(path):
                made = function(*arguments)
                with open(path, "w", encoding="utf-8") as f:
                    f.write(made)
        with open(path, encoding="utf-8") as f:
            return f.read()
    return wrapper


def try_run(*arguments):
    # What NuGet brings is kept where it keeps it for everybody.
    packages = os.path.join(os.path.expanduser("~"), ".nuget", "packages")
    environment = dict(os.environ, DOTNET_CLI_TELEMETRY_OPTOUT="1", DOTNET_NOLOGO="1",
                       DOTNET_GENERATE_ASPNET_CERTIFICATE="false",
                       DOTNET_CLI_HOME=os.path.join(cache(), "home"), TERM="dumb",
                       MSBUILDDISABLENODEREUSE="1", DOTNET_CLI_USE_MSBUILD_SERVER="0",
                       NUGET_PACKAGES=os.environ.get("NUGET_PACKAGES", packages))
    return subprocess.run(["dotnet", *arguments], env=environment, text=True,
                          capture_output=True, timeout=600, cwd=cache())


def run(*arguments):
    result = try_run(*arguments)
    assert result.returncode == 0, f"dotnet {arguments}:\n{result.stdout}{result.stderr}"
    return result.stdout


@functools.lru_cache(None)
def sdk():
    """Version of the newest SDK, or "" where there is none."""
    if not shutil.which("dotnet"):
        return ""
    listed = subprocess.run(["dotnet", "--list-sdks"], text=True,
                            capture_output=True).stdout.split("\n")
    found = [line.split(" ")[0] for line in listed if line]
    return found[-1] if found else ""


def need_sdk():
    if not sdk():
        pytest.skip("there is no .NET SDK: no ASP.NET Core app can be built")


PUBLISH = ("-c", "Release", "-p:NuGetAudit=false", "-v", "q", "-nodeReuse:false",
           "-p:UseSharedCompilation=false")


def publish(source, name):
    target = os.path.join(cache(), name + "-published")
    with open(os.path.join(source, "nuget.config"), "w", encoding="ascii") as f:
        f.write(NUGET)
    run("publish", source, "-o", target, *PUBLISH)
    return target


def new(source, kind):
    """One at a time: the templates' own cache bears no two."""
    with locked("new"):
        run("new", kind, "-n", "Unmodified", "-o", source, "--no-restore")


@once
def template(kind):
    """An app as `dotnet new` makes it, unmodified and published."""
    need_sdk()
    source = os.path.join(cache(), kind)
    new(source, kind)
    return publish(source, kind)


def source_of_template(kind):
    """A folder of its own with what `dotnet new` makes."""
    source = tempfile.mkdtemp(prefix=kind + "-", dir=cache())
    new(source, kind)
    return source


def publish_variant(source, name, options, files=None):
    """Of a copy, so that it can be done at the same time as others, with more files of
    a folder. Where it is and "", or None and why NuGet could not bring what it needs."""
    copy = tempfile.mkdtemp(prefix=name + "-", dir=cache())
    target = copy + "-published"
    shutil.copytree(source, copy, dirs_exist_ok=True)
    if files:
        shutil.copytree(files, copy, dirs_exist_ok=True)
    made = try_run("publish", copy, "-o", target, *PUBLISH, *options)
    missing = re.search(r"error (NU(1101|1102|1301): .*)", made.stdout)
    if missing:
        return None, missing.group(1)
    assert made.returncode == 0, made.stdout + made.stderr
    shutil.rmtree(copy)
    return target, ""


# Compiled ahead of time there would be no .NET left to host.
TEMPLATE_SETTINGS = {"webapiaot": ("-p:PublishAot=false",)}
# Where NuGet does not have the package of blazor's scripts.
WITHOUT_SCRIPTS = "-p:RequiresAspNetWebAssets=false"


@once
def template_source(kind):
    """The project that `dotnet new` makes."""
    need_sdk()
    folder = source_of_template(kind)
    if kind == "blazor":
        # The only line that names the mount, as every developer has to set it.
        path = os.path.join(folder, "Components", "App.razor")
        with open(path, encoding="utf-8-sig") as f:
            text = f.read()
        assert text.count('<base href="/" />') == 1
        with open(path, "w", encoding="utf-8") as f:
            f.write("@inject NavigationManager Here\n"
                    + text.replace('href="/"', 'href="@Here.BaseUri"'))
    return folder


@once
def template_variant(kind, files, *options):
    """It, with what a folder has besides, published with these options: where, or why
    that cannot be."""
    options = (*options, *TEMPLATE_SETTINGS.get(kind, ()))
    made, said = publish_variant(template_source(kind), kind, options, files)
    if not made and kind == "blazor":
        options = (*options, WITHOUT_SCRIPTS)
        made, said = publish_variant(template_source(kind), kind, options, files)
    return made or said


def missing_scripts(folder):
    """Below what of the app there are none, if there are none."""
    has = os.path.isdir(os.path.join(folder, "wwwroot", "_framework"))
    return None if has else "_framework/"


def own_source(text, name, version):
    """A folder of its own for a project of one source file."""
    source = tempfile.mkdtemp(prefix=name + "-", dir=cache())
    for file, content in (("Own.csproj", PROJECT.format(version=version)),
                          ("Program.cs", text)):
        with open(os.path.join(source, file), "w", encoding="utf-8") as f:
            f.write(content)
    return source


@once
def program(text, name="own"):
    """An app of one source file."""
    need_sdk()
    source = own_source(text, name, ".".join(sdk().split(".")[:2]))
    return publish(source, os.path.basename(source))


@once
def with_runtime(text, version, *options):
    """The same, of that version of .NET, which it brings along. Where NuGet cannot be
    reached the test is skipped."""
    need_sdk()
    source = own_source(text, "runtime", version)
    target = source + "-published"
    made = try_run("publish", source, "-o", target, "-r", "linux-x64",
                   "--self-contained", *PUBLISH, *options)
    if re.search(r"error NU(1101|1102|1301)", made.stdout):
        pytest.skip(f"NuGet does not bring the runtime of .NET {version}")
    assert made.returncode == 0, made.stdout + made.stderr
    shutil.rmtree(source)
    return target


@once
def project(folder, name):
    """An app of several source files; its assembly has the name of the folder."""
    need_sdk()
    source = os.path.join(cache(), name)
    shutil.copytree(folder, source)
    version = ".".join(sdk().split(".")[:2])
    with open(os.path.join(source, name + ".csproj"), "w", encoding="utf-8") as f:
        f.write(PROJECT.format(version=version))
    return publish(source, name)


def make_self_contained(folder, name):
    """Lays out a published app as `publish --self-contained` does, for which the SDK
    would have to fetch the runtime that is here already."""
    root = os.path.dirname(os.path.realpath(shutil.which("dotnet")))
    frameworks = {}
    for where in ("shared/Microsoft.NETCore.App", "shared/Microsoft.AspNetCore.App",
                  "host/fxr"):
        version = sorted(os.listdir(os.path.join(root, where)))[-1]
        frameworks[os.path.basename(where)] = version
        bring_runtime(folder, os.path.join(root, where, version))
    frameworks.pop("fxr")
    target = f".NETCoreApp,Version=v{sdk().split('.')[0]}.0/linux-x64"
    files = os.listdir(folder)
    parts = {kind: {file: {} for file in files if file.endswith(suffix)}
             for kind, suffix in (("runtime", ".dll"), ("native", ".so"))}
    library = {"type": "runtimepack", "serviceable": False, "sha512": ""}
    write_json(folder, name + ".deps.json", {
        "runtimeTarget": {"name": target}, "targets": {target: {"all/1.0.0": parts}},
        "libraries": {"all/1.0.0": library}})
    write_json(folder, name + ".runtimeconfig.json", {"runtimeOptions": {
        "includedFrameworks": [{"name": n, "version": v}
                               for n, v in frameworks.items()]}})


def bring_runtime(folder, where):
    """Copies what takes its own place for that of the runtime, links the others."""
    for name in os.listdir(where):
        target = os.path.join(folder, name)
        if name.endswith((".dll", ".so")) and not os.path.exists(target):
            copied = name.startswith("libhost") or name == "libcoreclr.so"
            (shutil.copy if copied else os.symlink)(os.path.join(where, name), target)


def write_json(folder, name, content):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        json.dump(content, f)


def app(env, name, published, **options):
    """A folder of an app with what was published."""
    folder = env.app(name, **options)
    env.always_allowed.append(NO_ENCRYPTOR)
    shutil.copytree(published, folder, dirs_exist_ok=True)
    env.give_tree(folder, env.owner(options.get("user")))
    return folder


# What a test does to the folder of an app, once that is there.

def remove(*names):
    def prepare(folder):
        for name in names:
            os.unlink(os.path.join(folder, name))
    return prepare


def put(name, text):
    def prepare(folder):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
    return prepare
