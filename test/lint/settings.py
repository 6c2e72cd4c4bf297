# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""A directive is whole: struct member with default and merge (AC_SETTINGS), entry in
the command table, section in docs/directives.md whose default is the one in force,
and a test of its merge.

The reference says the default in a line `Default: VALUE` under the directive's
heading; VALUE is what an administrator would write."""

import glob
import os
import re
import subprocess
import tempfile

import tree

REFERENCE = "docs/directives.md"
MEMBER = re.compile(r'\b(NUM|STR|LIST)\((\w+),\s*"(\w+)"(?:,\s*(.+?))?\)\s*\\?$', re.M)
COMMAND = re.compile(r'"(<?AppCore\w+>?)"\s*,')
UNITS = {"ms": 1000, "": 1, "s": 1000000, "K": 1024, "M": 1024 * 1024, "%": -1}
# Written as one directive with several values, or with a default in words.
SEVERAL = {"AppCoreLimit": "inherited", "AppCoreUmask": "inherited",
           "AppCoreStdoutLogEnabled": "auto", "AppCoreAsyncLimit": "computed"}


def settings():
    text = tree.read("src/spec/settings.h")
    body = text[text.index("#define AC_SETTINGS(NUM, STR, LIST)"):]
    return MEMBER.findall(body[:body.index("\n\n")])


def sections():
    """Directive -> its section of the reference."""
    parts = re.split(r"^#{2,4} `?<?(AppCore\w+)[^\n]*$", tree.read(REFERENCE), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def commands():
    text = "".join(tree.read(name) for name in tree.files(".c", under=("src/conf",)))
    return {name.strip("<>") for name in COMMAND.findall(text)}


def merge_tests():
    return "".join(tree.read(name) for name in tree.files(
        ".c", ".py", under=("test/unit", "test/integration")) if "merge" in name)


def evaluate(expressions):
    """The values of C constant expressions of settings.h, by the preprocessor."""
    compiler = os.environ.get("CC", "cc").split()
    apr = glob.glob("/usr/include/apr-1*") + glob.glob("/usr/local/include/apr-1*")
    source = '#include <stdio.h>\n#include "spec/settings.h"\nint main(void)\n{\n'
    source += "".join(f'    printf("%lld\\n", (long long)({e}));\n' for e in expressions)
    source += "    return 0;\n}\n"
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "defaults")
        flags = os.environ.get("APR_CPPFLAGS", "").split() or [f"-I{d}" for d in apr]
        compile_it = [*compiler, "-D_GNU_SOURCE", f"-I{tree.ROOT}/src", *flags,
                      "-x", "c", "-", "-o", program]
        subprocess.run(compile_it, input=source, text=True, check=True)
        return subprocess.check_output([program], text=True).split()


def documented_default(section):
    match = re.search(r"^Default: *`?([^`\n]+?)`?$", section, re.M)
    return match.group(1).strip() if match else None


def same(said, expression, value):
    """Whether a word or number of the reference is the default of the code."""
    if expression.startswith("AC_"):
        return expression.replace("_", "").endswith(said.upper())
    match = re.match(r"(\d+)(ms|[sKM%]?)$", "0" if said == "Off" else said)
    return bool(match) and int(match.group(1)) * UNITS[match.group(2)] == value


def check_defaults(members, reference):
    numbers = [m for m in members if m[0] == "NUM"]
    values = evaluate([m[3] for m in numbers])
    for (_, name, directive, expression), value in zip(numbers, values):
        said = documented_default(reference.get(directive, ""))
        if said is None:
            yield f"{REFERENCE}: {directive} has no line 'Default: …'"
        elif directive in SEVERAL:
            if SEVERAL[directive] not in said:
                yield f"{REFERENCE}: {directive}: default should say {SEVERAL[directive]}"
        elif not same(said, expression, int(value)):
            yield f"{REFERENCE}: {directive}: default {said}, but {name} is {value}"


def check_places(members, reference):
    table, tests = commands(), merge_tests()
    for directive in sorted({m[2] for m in members}):
        if directive not in table:
            yield f"{directive} is not in the command table of src/conf"
        if directive not in reference:
            yield f"{directive} has no section in {REFERENCE}"
        if directive not in tests:
            yield f"{directive} is in no merge test (a file named *merge* under test)"
    for directive in sorted(table - set(reference)):
        yield f"{directive} is in the command table, but not in {REFERENCE}"
    for directive in sorted(set(reference) - table):
        yield f"{directive} is in {REFERENCE}, but not in the command table"


if not tree.files(".c", under=("src/conf",)):
    tree.skip("there is no command table yet")
found = settings()
described = sections()
tree.finish([*check_places(found, described), *check_defaults(found, described)],
            len(found))
