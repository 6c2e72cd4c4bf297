# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""bench/soak, which is for millions of requests, with some ten thousand: an app in C and
one of ASP.NET Core in one child, requests of every kind, and nothing grows. What it
allows on a busy machine is so much that it finds only what is lost per request."""

import os
import shutil
import subprocess

import pytest

import dotnet
import env as environment
import probe

# It leaves no processor to others.
pytestmark = [pytest.mark.quiet, pytest.mark.skipif(
    bool(os.environ.get("APPCORE_PRELOAD")) or environment.MPM != "event"
    or not (probe.HAS_TLS and probe.HAS_HTTP2 and shutil.which("wrk")
            and shutil.which("h2load")),
    reason="needs mod_ssl, mod_http2, wrk and h2load, and no sanitizer")]


def test_short_soak():
    published = dotnet.project(os.path.join(environment.HERE, "apps", "inside"),
                               "Inside")
    result = subprocess.run(
        [os.path.join(environment.TOP, "bench", "soak"), "--requests", "5000",
         "--slice", "1", "--slices", "7", "--slack", "40", "--connections", "4",
         "--module", environment.MODULE, "--published", published],
        capture_output=True, text=True, timeout=600, check=False)
    print(result.stdout)
    assert result.returncode == 0, result.stdout + result.stderr
