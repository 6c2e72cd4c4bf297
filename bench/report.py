# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""From the rounds of bench/run to a table in markdown."""

import platform
import re
import statistics
import subprocess

BASES = ("mod_proxy_http", "handler")     # the first that was measured


def spread(values, digits=2):
    """Median, smallest and largest."""
    if not values:
        return "–"
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def middle(rounds, key, digits=0):
    values = [r[key] for r in rounds if r[key] is not None and valid(r)]
    return f"{statistics.median(values):,.{digits}f}" if values else "–"


def valid(measurement):
    """Error pages are cheap: what failed says nothing about speed."""
    return measurement["errors"] * 1000 <= measurement["requests"]


def ratios(rounds, basis, key):
    """Each round against the basis in the same round. The basis itself is taken
    against its own median: that is its spread."""
    pairs = [(r[key], b[key]) for r, b in zip(rounds, basis)
             if valid(r) and valid(b) and b[key]]
    if rounds is basis and pairs:
        own = statistics.median([b for _, b in pairs])
        return [b / own for _, b in pairs]
    return [r / b for r, b in pairs]


def milliseconds(rounds, key):
    return middle(rounds, key, 2)


def row(name, rounds, basis):
    cells = [name, middle(rounds, "rps")]
    if basis:
        cells += [spread(ratios(rounds, basis, "rps")),
                  middle(rounds, "server_us", 1),
                  spread(ratios(rounds, basis, "server_us"))]
    else:
        cells += ["–", middle(rounds, "server_us", 1), "–"]
    cells += [middle(rounds, "app_us", 1), milliseconds(rounds, "p50"),
              milliseconds(rounds, "p99"), str(sum(r["errors"] for r in rounds))]
    return "| " + " | ".join(cells) + " |"


HEAD = """\
| server | req/s | ratio | httpd µs/req | ratio | app µs/req | p50 ms | p99 ms | errors |
|---|---:|---|---:|---|---:|---:|---:|---:|"""


def table(results):
    """results: {workload: {server: [round]}}, in the order of measurement."""
    lines = []
    for workload, servers in results.items():
        basis = next((servers[name] for name in BASES if name in servers), None)
        lines += [f"**{workload}**", "", HEAD]
        lines += [row(name, rounds, basis) for name, rounds in servers.items()]
        lines.append("")
    return "\n".join(lines)


def first_line(command):
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=False)
        return (out.stdout + out.stderr).splitlines()[0].strip()
    except (OSError, IndexError):
        return "unknown"


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            found = re.search(r"^model name\s*:\s*(.*)$", f.read(), re.MULTILINE)
            return found.group(1) if found else platform.machine()
    except OSError:
        return platform.machine()


def machine(httpd, cores):
    version = first_line([httpd, "-v"]).replace("Server version: ", "")
    return f"{processor()}, {cores} cores, Linux {platform.release()}, {version}"
