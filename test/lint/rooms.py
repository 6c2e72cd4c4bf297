# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""A file includes only lower rooms and its own, and the rooms that unit tests and
unprivileged processes use know no httpd header. The order is that of
docs/architecture.md."""

import re

import tree

ORDER = ("base", "spec", "http1", "http2", "shared", "keeper", "manager", "relay",
         "parent", "conf", "conn", "outproc", "inproc", "request", "status")
NO_HTTPD = ORDER[:ORDER.index("parent")]
# The keeper forks manager and relay, so it names their main functions; it calls
# nothing else of theirs.
ALLOWED_UP = {("keeper", "manager/manager.h"), ("keeper", "relay/relay.h")}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
HTTPD = re.compile(r"^(httpd|http_\w+|ap_\w+|util_\w+|mod_\w+|mpm_\w+|scoreboard|"
                   r"unixd|heartbeat)\.h$")


def room_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def check(path):
    room = room_of(path)
    for kind, header in INCLUDE.findall(tree.read(path)):
        target = header.split("/")[0] if "/" in header else None
        if HTTPD.match(header) and room in NO_HTTPD:
            yield f"{path}: room {room} knows no httpd, but includes {header}"
        if kind == "<":
            continue
        if not HTTPD.match(header) and target is None and not header.startswith("ap"):
            yield f'{path}: "{header}" should be named "room/file.h"'
        elif target in ORDER and ORDER.index(target) > ORDER.index(room) \
                and (room, header) not in ALLOWED_UP:
            yield f"{path}: room {room} is below {target}, but includes {header}"
        if target in ORDER and not tree.exists(f"src/{header}"):
            yield f"{path}: src/{header} does not exist"


everything = tree.files(".c", ".h", under=("src",))
sources = [name for name in everything if room_of(name) in ORDER]
unknown = [f"{name}: not in a known room" for name in everything
           if room_of(name) not in ORDER + ("ctl",)]
tree.finish(unknown + [f for name in sources for f in check(name)], len(sources))
