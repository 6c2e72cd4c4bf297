# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""Whose memory of a process grows: what bench/soak sees of it in /proc."""

import os
import re

ARENA = 64 << 20        # how malloc aligns its arenas, and the most that one takes
# No one but the collector of .NET reserves as much in one piece.
RESERVED = 16 << 30
GUARD = ROUND = 64 << 10


class Mapping:
    def __init__(self, head):
        where, self.access, *_, self.name = (head + " ").split(" ", 5)
        self.start, self.end = (int(n, 16) for n in where.split("-"))
        self.name = self.name.strip()
        self.anonymous = 0      # kB that are there and of no file


def mappings(pid):
    found = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as f:
        for line in f:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                found.append(Mapping(line))
            elif line.startswith("Anonymous:"):
                found[-1].anonymous = int(line.split()[1])
    return found


def runs(found):
    """Mappings without a name that lie side by side."""
    run = []
    for mapping in found:
        if run and (mapping.name or mapping.start != run[-1].end):
            yield run
            run = []
        if not mapping.name:
            run.append(mapping)
    if run:
        yield run


def reserved(pid):
    """Where the collector has its heap, once it runs: (start, end). What is mapped
    later lies elsewhere, perhaps beside it."""
    ends = [(run[0].start, run[-1].end) for run in runs(mappings(pid))]
    return [(start, end) for start, end in ends if end - start >= RESERVED]


def of_malloc(found):
    """The heap, and arenas: what is used of one and what is not are two mappings."""
    for mapping, after in zip(found, found[1:] + found[:1]):
        arena = mapping.start + ARENA
        whole = mapping.end == arena or (
            after.start == mapping.end and after.end == arena
            and after.access.startswith("---"))
        if mapping.name == "[heap]" or (
                not mapping.name and mapping.start % ARENA == 0 and whole):
            yield mapping


def of_stacks(found):
    """Of threads: above a small piece that nobody may touch, and of a round size. What
    is mapped beside one is taken for a part of it by the kernel, and for none here."""
    for guard, mapping in zip(found, found[1:]):
        if guard.access.startswith("---") and guard.end == mapping.start \
                and not mapping.name and guard.end - guard.start <= GUARD \
                and (mapping.end - mapping.start) % ROUND == 0:
            yield mapping


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.MULTILINE).group(1))


def others(pid, without):
    """kB of memory that is of no file, without malloc's, stacks, and those ranges:
    APR's pools above all."""
    found = mappings(pid)
    apart = {m.start for kind in (of_malloc, of_stacks) for m in kind(found)}
    return sum(m.anonymous for m in found if m.start not in apart
               and not any(start <= m.start < end for start, end in without))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))
