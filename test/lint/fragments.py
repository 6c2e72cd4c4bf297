# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Every source is built: listed in the fragment of its folder, and every fuzz
target has inputs to replay."""

import os
import re

import tree


def words(name):
    text = tree.read(name) if tree.exists(name) else ""
    return set(text.replace("\\\n", " ").split())


def rooms():
    for name in tree.files(".c", ".h", under=("src",)):
        fragment = os.path.join(os.path.dirname(name), "Makefile.inc")
        if name not in words(fragment):
            yield f"{name} is not listed in {fragment}"


def tests(folder):
    listed = set()
    for fragment in tree.files(".inc", under=(folder,)):
        listed |= words(fragment)
    return listed


def units():
    listed = tests("test/unit")
    for name in tree.files(".c", ".h", under=("test/unit",)):
        if name not in listed:
            yield f"{name} is not listed in a test/unit/*.inc"


def targets():
    listed = tests("test/fuzz")
    for name in tree.files(".c", under=("test/fuzz",)):
        match = re.match(r"test/fuzz/fuzz_(\w+)\.c$", name)
        if not match:
            continue
        corpus = os.path.join(tree.ROOT, "test/fuzz/corpus", match.group(1))
        if match.group(1) not in listed:
            yield f"{name}: {match.group(1)} is in no FUZZ_TARGETS"
        if not os.path.isdir(corpus) or not os.listdir(corpus):
            yield f"{name}: nothing to replay in test/fuzz/corpus/{match.group(1)}"


checked = len(tree.files(".c", ".h", under=("src", "test/unit", "test/fuzz")))
tree.finish([*rooms(), *units(), *targets()], checked)
