# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""appcore-dotnet.so with the real .NET, but without httpd: test/apps/host is a host of
one app. The unit tests of test_dotnet.c do the same with a runtime that is a script."""

import json
import os
import shutil
import subprocess

import pytest

import dotnet
import env

BUILT = os.path.join(env.BUILD, ".libs", "appcore")


def companion():
    folders = [name for name in os.listdir(BUILT) if name.startswith("net")]
    return os.path.join(BUILT, folders[0], "AppCore.AspNetCore.dll")


def host(folder, lines=(), name="Unmodified", environment=None):
    """What a host of the app prints, and its exit status."""
    program = os.path.join(env.BUILD, "test", "apps", "host", "apphost")
    return subprocess.run(
        [program, "-f", folder, "-s", f"appcore.assembly={folder}/{name}.dll",
         "-s", f"appcore.companion={companion()}",
         os.path.join(BUILT, "appcore-dotnet.so")],
        input="".join(line + "\n" for line in lines), text=True, capture_output=True,
        timeout=120, env=dict(os.environ, **(environment or {})))


@pytest.fixture
def app(tmp_path):
    """The app of `dotnet new web`, in a folder of its own."""
    folder = tmp_path / "app"
    shutil.copytree(dotnet.template("web"), folder)
    return str(folder)


def configure(app, change):
    path = os.path.join(app, "Unmodified.runtimeconfig.json")
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    change(config["runtimeOptions"])
    dotnet.write_json(app, "Unmodified.runtimeconfig.json", config)


def failed(done, substatus, *texts):
    assert done.returncode == 1, done
    assert done.stdout.startswith(f"failed 500.{substatus} "), done
    assert done.stdout.endswith("shut down\n"), done
    for text in texts:
        assert text in done.stdout, done


def test_a_framework_that_is_missing_is_named_by_the_runtime(app):
    def ask_for_more(options):
        for framework in options["frameworks"]:
            framework["version"] = "99.0.0"
    configure(app, ask_for_more)
    failed(host(app), 31, "You must install or update .NET to run this application.",
           "version '99.0.0'")


@pytest.mark.parametrize("file", ["runtimeconfig", "deps"])
def test_what_the_runtime_cannot_read_it_names(app, file):
    with open(f"{app}/Unmodified.{file}.json", "w", encoding="ascii") as f:
        f.write("{")
    failed(host(app), 31, "Failed to parse file", f"Unmodified.{file}.json")


def test_without_a_configuration_the_runtime_is_looked_for_with_the_app(app):
    os.unlink(f"{app}/Unmodified.runtimeconfig.json")
    failed(host(app), 31, "Unmodified.runtimeconfig.json' was not found")


def test_half_of_an_assembly_does_not_end_the_process(app):
    assembly = f"{app}/Unmodified.dll"
    os.truncate(assembly, os.path.getsize(assembly) - 1)
    failed(host(app), 38, "Unmodified.dll is cut off")
    os.truncate(assembly, 0)
    failed(host(app), 38, "Unmodified.dll is empty")


def test_a_single_file_is_told_from_a_missing_assembly(app):
    os.unlink(f"{app}/Unmodified.dll")
    failed(host(app), 38, "published as a single file")
    os.unlink(f"{app}/Unmodified")
    failed(host(app), 38, "Unmodified.dll is missing")


def test_an_app_that_runs_no_hooks_is_not_begun(app):
    configure(app, lambda options: options.setdefault("configProperties", {}).update(
        {"System.StartupHookProvider.IsSupported": False}))
    failed(host(app), 33, "no start-up hooks")


def test_an_app_serves_and_ends(app):
    done = host(app, ["GET /", "POST / text", "leave GET /"])
    assert done.returncode == 0, done
    assert done.stdout.startswith("started\nHTTP 200"), done
    answers = done.stdout.split("\n--\n")
    assert "\n\nHello World!" in answers[0] and "Content-Length: 12" in answers[0]
    assert answers[1].startswith("HTTP 405") and answers[3] == "shut down\n"


def test_an_exception_in_main_does_not_end_the_process():
    path = os.path.join(env.HERE, "apps", "failing", "Program.cs")
    with open(path, encoding="utf-8") as f:
        folder = dotnet.program(f.read())
    done = host(folder, name="Own", environment={"FAIL": "throw"})
    failed(done, 30, "exit 134: The app threw an exception: no <database> to be had",
           "at Program.<Main>$")
