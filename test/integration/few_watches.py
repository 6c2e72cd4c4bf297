# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Runs a program in a user namespace with limits of its own for inotify; these are per
user and namespace, so nothing else on the machine notices. Arguments: the numbers of
watches and of instances that a user may have, then the program. Needs root."""

import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000
EVERYBODY = "0 0 4294967295"


def map_everybody(pid):
    """Only somebody outside may say who is who inside."""
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as f:
            f.write(EVERYBODY)


def leave():
    inside, outside = os.pipe()
    pid, child = os.getpid(), os.fork()
    if child == 0:
        os.close(outside)
        os.read(inside, 1)
        map_everybody(pid)
        os._exit(0)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    os.close(inside)
    os.close(outside)
    if os.waitpid(child, 0)[1]:
        raise OSError("the users could not be mapped")


def main(watches, instances, *program):
    leave()
    for name, limit in (("watches", watches), ("instances", instances)):
        with open(f"/proc/sys/user/max_inotify_{name}", "w", encoding="ascii") as f:
            f.write(limit)
    os.execv(program[0], program)


if __name__ == "__main__":
    main(*sys.argv[1:])
