# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""One httpd per test module, and what has to hold after every test: no complaint in
the error log that the test did not announce, the processes that there should be, no
zombie, no descriptor more than before, no core file."""

import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import ending  # noqa: E402
import env as environment  # noqa: E402
import processes  # noqa: E402
from processes import wait_for  # noqa: E402

HELPERS = ("httpd", "keeper", "manager", "relay")
# Files of tests that take longer than all others.
LONGEST = (
    "test_140_templates", "test_105_supervisor", "test_135_ancm_life",
    "test_135_folder", "test_030_crash", "test_121_companion_dotnet",
    "test_107_supervisor_reload", "test_108_supervisor_end", "test_076_concurrency",
    "test_160_park", "test_106_upgrade", "test_020_reload", "test_130_ancm_startup",
    "test_070_retry", "test_066_h2c", "test_061_time", "test_141_servers",
    "test_133_ancm_failures", "test_136_warmup")


def pytest_configure(config):
    config.addinivalue_line("markers", "mpm: runs on every multi-processing module")
    config.addinivalue_line("markers", "root: needs to be run as root")
    config.addinivalue_line("markers", "ancm(id, …): proves these of docs/ancm-parity.md")
    config.addinivalue_line("markers", "quiet: measures, so no other test may run")
    config.addinivalue_line("markers", "models(name, …): runs with these hosting models "
                            "alone")
    if not is_worker(config):
        os.environ["APPCORE_SHARED"] = tempfile.mkdtemp(prefix="ac-shared-", dir="/tmp")
        os.chmod(os.environ["APPCORE_SHARED"], 0o755)


def pytest_unconfigure(config):
    if not is_worker(config):
        shutil.rmtree(os.environ["APPCORE_SHARED"], ignore_errors=True)


def pytest_sessionfinish(session, exitstatus):
    """Of many files none may be left when the quiet ones are asked for apart."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED \
            and "quiet" in session.config.option.markexpr:
        session.exitstatus = pytest.ExitCode.OK


def is_worker(config):
    """One of several processes (pytest -n); the one that started them is none."""
    return hasattr(config, "workerinput")


def of_its_models(item):
    marker = item.get_closest_marker("models")
    model = getattr(item, "callspec", None) and item.callspec.params.get("hosting_model")
    return not marker or model in (None, *marker.args)


def pytest_collection_modifyitems(config, items):
    items[:] = filter(of_its_models, items)
    if is_worker(config):
        # Files are handed out in this order: at the end none should be waited for.
        items.sort(key=lambda item: LONGEST.index(item.path.stem)
                   if item.path.stem in LONGEST else len(LONGEST))
    if not environment.AS_ROOT:
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture(scope="module")
def hosting_model():
    """Modules that run once per hosting model override it; see acceptance.py."""
    return None


@pytest.fixture(scope="module")
def env(request, hosting_model):
    """The module's own httpd, not yet started. AS_USER in the module chooses whom it
    is started by."""
    made = environment.Env(getattr(request.module, "AS_USER", None))
    made.hosting_model = hosting_model
    yield made
    try:
        check_pipes(made)
    finally:
        made.destroy()


@pytest.fixture
def app(httpd):
    """The probe of apps in process (probe.py), where the module's httpd has one: it
    knows of nothing before the test, and found nothing wrong with its host."""
    httpd.made.forget()
    yield httpd.made
    httpd.made.check()


@pytest.fixture(scope="module")
def own(env):
    """A server of the app in apps/ending, in process; not yet started."""
    return ending.Server(env)


def check_pipes(made):
    """The keeper holds two pipes of every process and one of every log program; of
    ended ones for some seconds more, in case that the relay asks."""
    def closed():
        counts = processes.descriptors(made.keeper())
        apps = len(made.app_processes())
        programs = len(processes.children(made.keeper())) - apps - 2
        return counts is None or counts.get("pipe", 0) == 2 * apps + programs
    if made.httpd_pid():
        wait_for(closed, 20, "the keeper's closing of old pipes")


def settled(made):
    """Nothing on its way in or out: all helpers there, as many processes of an app as
    configured (`made.expected`: folder -> number, default one at most)."""
    if not made.keeper():
        return not made.app_processes()
    if not (made.helper("manager") and made.helper("relay")) or made.zombies():
        return False
    folders = [os.path.join(made.path("apps"), n) for n in os.listdir(made.path("apps"))]
    limits = getattr(made, "expected", {})
    return all(len(made.app_processes(f)) <= limits.get(f, 1) for f in folders)


def is_up(made):
    """The manager talks to all whom it talks to, by four sockets."""
    counts = processes.descriptors(made.helper("manager"))
    return not counts or counts.get("socket", 0) >= 4


def count_all(made):
    """Pipes of output apart: see check_pipes(). The manager holds two descriptors of
    every child of httpd that is there and has said so, and no others of the kind."""
    counts = made.descriptors()
    of_children = [counts["manager"].pop(kind, 0) if counts["manager"] else 0
                   for kind in processes.OF_A_CHILD]
    found = {name: sum(n for kind, n in counts[name].items() if kind != "pipe")
             if counts[name] else None for name in HELPERS}
    found["children"] = max(0, max(of_children) - len(made.workers()))
    return found


def compare_descriptors(made, before):
    """Processes of ours hold no more than before, if there are as many apps."""
    def unchanged():
        return made.apps_before != len(made.app_processes()) \
            or made.pids_before != made.helpers() \
            or all(n is None or n <= (before[name] or 0)
                   for name, n in count_all(made).items())
    try:
        wait_for(unchanged, 5)
    except AssertionError:
        pytest.fail(f"descriptors before: {before}, after: {made.descriptors()}")


@pytest.fixture(autouse=True)
def tidy(request):
    if "env" not in request.fixturenames:
        yield
        return
    # The server of the module starts first, so that its start is not this test's.
    for name in ("httpd", "env"):
        if name in request.fixturenames:
            made = request.getfixturevalue(name)
            break
    made.begin_test()
    running = bool(made.httpd_pid())
    if running:
        wait_for(lambda: is_up(made), what="a manager that is up")
        made.apps_before = len(made.app_processes())
        made.pids_before = made.helpers()
        before = dict(count_all(made), children=0)
    yield
    if made.httpd_pid():
        wait_for(lambda: settled(made), 15,
                 f"the expected set of processes (now {made.describe()})")
        if running:
            compare_descriptors(made, before)
    bad = made.bad_lines()
    assert not bad, "unexpected in the error log:\n" + "\n".join(bad)
    cores = os.listdir(made.path("core"))
    assert not cores, f"core files: {cores}"
