# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""appcore.h as an older or a newer version might have it: doctored.py small|large
HEADER OUTPUT. Small: structs end early; large: each has one more member."""

import re
import sys

# The last member that a small struct has.
SMALL = {"appcore_info": "content_length;", "appcore_host": "respond)",
         "appcore_config": "file;", "appcore_app": "handle)"}
GROWING = (*SMALL, "appcore_failure")


def shorten(text, name):
    """The struct without what follows the declaration of its last member."""
    last = re.search(rf"typedef struct {name} {{.*?}} {name};", text, re.S)
    body = last.group(0)
    end = body.index(";", body.index(SMALL[name])) + 1
    return text.replace(body, body[:end] + f"\n}} {name};")


def lengthen(text, name):
    assert text.count(f"}} {name};") == 1
    return text.replace(f"}} {name};", f"    void (*of_tomorrow)(void);\n}} {name};")


how, source, target = sys.argv[1:]
with open(source, encoding="utf-8") as f:
    header = f.read()
for struct in SMALL if how == "small" else GROWING:
    header = (shorten if how == "small" else lengthen)(header, struct)
with open(target, "w", encoding="utf-8") as f:
    f.write(header)
