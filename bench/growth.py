# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""The verdict of bench/soak: what grows with the number of requests."""

import itertools
import statistics

# What is looked at: its title, and how much it may grow in a million requests. A byte
# per request is 977 kB in a million. Of what is lost in a pool a part comes out of what
# was kept for it, so less of that may be seen. PSS is told alone: pages of files count
# for it, and what others share of these.
MEASURES = {"pss": ("PSS kB", None), "malloc": ("malloc kB", 488),
            "others": ("other kB", 195), "managed": ("managed kB", 488),
            "handles": ("GC handles", 30), "files": ("descriptors", 4),
            "threads": ("threads", 10)}
# What it may grow by in any number of requests.
SLACK = {"malloc": 200, "others": 400, "managed": 200, "handles": 30, "files": 4,
         "threads": 10}
HEAD = "| requests | " + " | ".join(title for title, _ in MEASURES.values()) + " |\n" \
    + "|" + "---:|" * (1 + len(MEASURES))


def row(sample):
    cells = [f"{sample['requests']:,}"] + [f"{sample[name]:,}" for name in MEASURES]
    return "| " + " | ".join(cells) + " |"


def slope(xs, ys):
    """Theil's and Sen's: the median of all slopes, which no single sample moves."""
    pairs = itertools.combinations(zip(xs, ys), 2)
    return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs)


def judge(samples, slack=1):
    """Prints what a line through all of them says; what is too much. slack: so many
    times SLACK is none."""
    requests = [sample["requests"] for sample in samples]
    span = requests[-1] - requests[0]
    failures = []
    for name, (title, limit) in MEASURES.items():
        values = [sample[name] for sample in samples]
        growth = slope(requests, values) * span
        print(f"{title}: {values[0]:,} to {values[-1]:,} ({min(values):,} to "
              f"{max(values):,}), the line grows by {growth:,.0f} in {span:,} requests")
        if limit is not None and growth > limit * span / 1e6 + slack * SLACK[name]:
            failures.append(f"{title} grow by {growth:,.0f}")
    return failures
