# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The acceptance list of docs/ancm-parity.md and the tests agree: every id is proved
by the test files that its row names, or has a reason instead; every id that a test
names is on the list."""

import re

import tree

PAGE = "docs/ancm-parity.md"
HEADING = "## Acceptance list"
ROW = re.compile(r"^\| ([A-Z]+\d+[a-z]?) \| (.+) \| (.+) \|$", re.M)
# In Python a marker, in C a comment: ANCM("NT2", "NT3").
MARKER = re.compile(r"(?:@ids|pytest\.mark\.ancm|\bANCM)\(([^)]*)\)")
FILE = re.compile(r"`(test_\w+)`")
# What may stand where a row names no test.
REASONS = ("Windows only",)


def rows():
    """Id -> (what the row says, its last cell)."""
    text = tree.read(PAGE)
    return ROW.findall(text[text.index(HEADING):])


def proved():
    """Id -> names of the files whose tests are marked with it."""
    found = {}
    for path in tree.files(".py", ".c", under=("test/integration", "test/unit")):
        name = path.rsplit("/", 1)[1].rsplit(".", 1)[0]
        for arguments in MARKER.findall(tree.read(path)):
            for ident in re.findall(r'"([^"]+)"', arguments):
                found.setdefault(ident, set()).add(name)
    return found


def check_row(ident, cell, tests):
    named = set(FILE.findall(cell))
    if not named and not cell.startswith(REASONS):
        yield f"{PAGE}: {ident} has neither a test nor a reason of {REASONS}"
    for name in sorted(named - tests):
        yield f"{PAGE}: {ident} names {name}, where no test is marked with it"
    if tests and not named:
        yield f"{PAGE}: {ident} is proved by {sorted(tests)} and does not say so"


def check():
    tests, listed = proved(), set()
    for ident, _, cell in rows():
        if ident in listed:
            yield f"{PAGE}: {ident} is listed twice"
        listed.add(ident)
        yield from check_row(ident, cell, tests.get(ident, set()))
    for ident in sorted(set(tests) - listed):
        yield f"{PAGE}: {ident} of {sorted(tests[ident])} is not listed"


tree.finish(list(check()), len(rows()))
