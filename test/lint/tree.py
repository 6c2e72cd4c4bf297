# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What the lints share: the files of the tree, and how a finding is reported.

A release tarball has no git, so files are found by walking the folders that the
project knows."""

import os
import sys

SKIP = 77               # automake: the test could not run
ROOT = os.path.abspath(os.environ.get("srcdir", "."))
BUILD = os.path.abspath(os.environ.get("builddir", "."))

FOLDERS = (".ci", "bench", "docs", "httpd-conf", "include", "m4", "packaging",
           "runtimes", "src", "test")
TOP = ("Makefile.am", "configure.ac", "bootstrap", "quickstart", "runtests",
       "mod_appcore.c", "README.md", "CONTRIBUTING.md", "SECURITY.md", "ChangeLog")
# Made by tools, or inputs of fuzzers: not ours to format.
LEFT_OUT = {"__pycache__", ".pytest_cache", ".deps", ".libs", "node_modules",
            "bin", "obj", "corpus", "build"}
MADE_BY_LIBTOOL = ("libtool.m4", "ltoptions.m4", "ltsugar.m4", "ltversion.m4",
                   "lt~obsolete.m4")


def files(*suffixes, under=FOLDERS):
    """Paths relative to the root, sorted; all suffixes when none is named."""
    found = []
    if under is FOLDERS:
        found += [name for name in TOP if os.path.isfile(os.path.join(ROOT, name))]
    for folder in under:
        for where, folders, names in os.walk(os.path.join(ROOT, folder)):
            folders[:] = [name for name in folders if name not in LEFT_OUT]
            found += [os.path.relpath(os.path.join(where, name), ROOT)
                      for name in names if name not in MADE_BY_LIBTOOL]
    return sorted(name for name in found if not suffixes or name.endswith(suffixes))


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as f:
        return f.read()


def exists(name):
    return os.path.exists(os.path.join(ROOT, name))


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


def finish(findings, checked):
    """Prints the findings and ends the lint; looking at nothing is a fault too."""
    for finding in findings:
        print(finding)
    if not checked:
        sys.exit("nothing was checked")
    print(f"{checked} checked, {len(findings)} findings")
    sys.exit(1 if findings else 0)
