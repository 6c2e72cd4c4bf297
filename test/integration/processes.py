# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What /proc says about httpd and ours."""

import os
import re
import time


class Process:
    def __init__(self, pid):
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            text = f.read()
        name, rest = text[text.index("(") + 1:].rsplit(")", 1)
        fields = rest.split()
        self.pid, self.name, self.state = pid, name, fields[0]
        self.ppid, self.pgid, self.sid = (int(n) for n in fields[1:4])

    def __repr__(self):
        return f"{self.pid} ({self.name}, {self.state}, parent {self.ppid})"


def everything():
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found[int(name)] = Process(int(name))
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found


def children(pid, processes=None):
    """Looked up among `processes`, else asked of the kernel, which is much cheaper."""
    if processes:
        return [p for p in processes.values() if p.ppid == pid]
    found = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        for child in read(pid, f"task/{thread}/children").split():
            try:
                found.append(Process(int(child)))
            except OSError:
                pass
    return found


def descendants(pid, processes=None):
    processes = processes or everything()
    found, todo = [], [pid]
    while todo:
        kids = children(todo.pop(), processes)
        found += kids
        todo += [p.pid for p in kids]
    return found


def link(pid, name):
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as f:
            return f.read()
    except OSError:
        return b""


def connections(port):
    """TCP connections of this port that its owner has not closed yet."""
    established, close_wait = "01", "08"
    lines = (line.split() for line in read("net", "tcp").decode().splitlines()[1:])
    return [fields for fields in lines if fields[3] in (established, close_wait)
            and fields[1].endswith(f":{port:04X}")]


def alive(pid):
    try:
        return Process(pid).state != "Z"
    except OSError:
        return False


# What the manager holds of each child of httpd.
OF_A_CHILD = ("anon_inode:[eventfd]", "anon_inode:[pidfd]")


def descriptors(pid):
    """Number of descriptors by what they are; None when the process is gone."""
    counts = {}
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            kind = re.sub(r":\[\d+\]$", "", link(pid, "fd/" + fd))
            counts[kind] = counts.get(kind, 0) + 1
    except OSError:
        return None
    return counts


def private(pid):
    """Bytes of memory that are this process's own."""
    text = read(pid, "smaps_rollup").decode()
    return sum(int(n) for n in re.findall(r"Private_\w+:\s+(\d+) kB", text)) * 1024


def pss(pid):
    """Bytes of memory, shared ones divided among those who share them."""
    text = read(pid, "smaps_rollup").decode()
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE).group(1)) * 1024


def mentioning(text):
    """Processes whose folder, program, command line or environment names it."""
    wanted, me = text.encode(), os.getpid()
    return [p for p in everything().values() if p.pid != me and p.state != "Z" and (
        text in link(p.pid, "cwd") or text in link(p.pid, "exe")
        or wanted in read(p.pid, "cmdline") or wanted in read(p.pid, "environ"))]


def wait_for(condition, timeout=10.0, what="the condition"):
    """The condition's first true value."""
    end = time.monotonic() + timeout
    while True:
        used = time.thread_time()
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        # A condition that costs much leaves the processor to what it waits for.
        time.sleep(max(0.01, 2 * (time.thread_time() - used)))
