# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Every member and every constant of include/appcore.h is held by the test of its
layout, so that what is added to version 1 is frozen from then on, too."""

import re

import tree

HEADER = "include/appcore.h"
TEST = "test/unit/test_inproc_abi.c"
COMMENT = re.compile(r"/\*.*?\*/", re.S)
DEFINE = re.compile(r"^#define (APPCORE_\w+) ", re.M)
ENUM = re.compile(r"\benum \{(.*?)\}", re.S)
STRUCT = re.compile(r"^typedef struct (\w+) \{(.*?)^\} \1;", re.M | re.S)
FUNCTION = re.compile(r"\(\*(\w+)\)")
MADE = {"APPCORE_H"}


def constants(text):
    names = set(DEFINE.findall(text)) - MADE
    for body in ENUM.findall(text):
        names |= set(re.findall(r"\b(APPCORE_\w+)", body))
    return names


def members(body):
    """A member is a pointer to a function, or the names before the semicolon."""
    for statement in body.split(";"):
        function = FUNCTION.search(statement)
        if function:
            yield function.group(1)
            continue
        for part in statement.split(","):
            names = re.findall(r"\w+", part)
            if names:
                yield names[-1]


def check(header, test):
    for name in sorted(constants(header)):
        if f"IS({name}, " not in test:
            yield f"{TEST} does not hold {name}"
    for struct, body in STRUCT.findall(header):
        for member in members(body):
            if not re.search(rf"MEMBER\({struct},\s+\d+,\s+{member},", test):
                yield f"{TEST} does not hold {struct}.{member}"


source = COMMENT.sub("", tree.read(HEADER))
tree.finish(list(check(source, tree.read(TEST))),
            len(constants(source)) + len(STRUCT.findall(source)))
