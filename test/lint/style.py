# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The part of CONTRIBUTING.md's style that a program can see."""

import re

import tree

WIDTH = 90
FILE_LINES = 700
FUNCTION_LINES = 90
CODE = (".c", ".cc", ".h", ".py", ".sh", ".js", ".cs")
TEXT = CODE + (".am", ".ac", ".m4", ".inc", ".conf", ".load", ".md", ".json")
SCRIPTS = ("bootstrap", "quickstart", "runtests", ".ci/run", "bench/run",
           "bench/waiting")
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|alloca|popen|system)\s*\(")
SPDX = "SPDX-License-Identifier: Apache-2.0"


def is_code(path):
    return path.endswith(CODE) or path in SCRIPTS


def check_lines(path, lines):
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        if is_code(path) and len(line) > WIDTH:
            yield f"{where}: {len(line)} columns, {WIDTH} allowed"
        if is_code(path) and "\t" in line:
            yield f"{where}: a tab"
        if line != line.rstrip():
            yield f"{where}: space at the end of the line"


def check_functions(path, lines):
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            if number - start - 1 > FUNCTION_LINES:
                yield f"{path}:{start}: a function of {number - start - 1} lines"
            start = None


def check(path):
    text = tree.read(path)
    lines = text.split("\n")
    yield from check_lines(path, lines)
    if text and not text.endswith("\n"):
        yield f"{path}: no newline at the end"
    if is_code(path) and text and SPDX not in "\n".join(lines[:3]):
        yield f"{path}: no SPDX line at the top"
    if path.endswith((".c", ".h")):
        yield from check_functions(path, lines)
        if len(lines) > FILE_LINES:
            yield f"{path}: {len(lines)} lines; split it"
        for match in BANNED.finditer(re.sub(r"/\*.*?\*/", "", text, flags=re.S)):
            yield f"{path}: calls {match.group(1)}()"


names = [name for name in tree.files() if name.endswith(TEXT) or name in SCRIPTS]
tree.finish([finding for name in names for finding in check(name)], len(names))
