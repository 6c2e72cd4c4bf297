# SPDX-License-Identifier: Apache-2.0
# Part of mod_appcore; see LICENSE.
"""What apps were never told and rely on: how Kestrel and IIS go about callbacks that
fail, lengths, status codes, header fields that are removed."""

import contextlib
import os

import pytest

import dotnet
import env as environment
import inproc
from processes import wait_for
from test_231_dotnet_inproc_shapes import pytestmark            # noqa: F401

ON_PURPOSE = "on purpose"


@pytest.fixture(scope="module")
def inside(env):
    published = dotnet.project(os.path.join(environment.HERE, "apps", "inside"), "Inside")
    return dotnet.app(env, "inside", published, user="root" if env.is_root else None)


@pytest.fixture(scope="module")
def httpd(env, inside):
    # What an exception says goes on in further lines.
    env.always_allowed += [r"app inside: .*( at \S+\(|--->|--- End of)"]
    env.start("MaxRequestWorkers 8\nAllowEncodedSlashes NoDecode\n"
              + inproc.app("inside", inside, mount="/app"))
    yield env
    env.stop()


def get(httpd, path, **options):
    return httpd.get("/app/rules" + path, **options)


def test_callback_that_is_registered_by_another(httpd):
    assert get(httpd, "/completed").text == "x"
    wait_for(lambda: get(httpd, "/seen").text == "first inner last", 10, "all callbacks")


@pytest.mark.parametrize("caught", ["false", "true"])
def test_callback_that_fails_before_the_response(httpd, caught):
    """There is none without what was to be done before it."""
    answer = get(httpd, f"/starting?caught={caught}")
    httpd.wait_log(ON_PURPOSE)
    httpd.allow("The response has been aborted")
    assert answer.status == 500 and answer.body == b""
    seen = {"false": "nothing", "true": "ObjectDisposedException False"}[caught]
    assert get(httpd, "/seen").text == seen


@pytest.mark.parametrize("blocks", ["false", "true"])
def test_request_without_an_answer(httpd, blocks):
    """Logs and metrics of the app tell its status, and none of a fault."""
    with httpd.raw() as raw:
        raw.send(f"POST /app/rules/aborted?blocks={blocks} HTTP/1.1\r\nHost: x\r\n"
                 "Content-Length: 5\r\n\r\nsome")
        if blocks == "false":
            with contextlib.suppress(ConnectionResetError):
                assert raw.receive() == b""
        else:
            wait_for(lambda: get(httpd, "/seen").text == "", 10, "the request")
    wait_for(lambda: get(httpd, "/seen").text == "499 True", 10, "its end")


@pytest.mark.parametrize("late", ["false", "true"])
@pytest.mark.parametrize("size", [5, 200_000])
def test_exception_after_a_complete_response(httpd, size, late):
    answer = get(httpd, f"/complete?n={size}&late={late}")
    httpd.wait_log(ON_PURPOSE)
    assert answer.status == 200 and answer.body == bytes(size)


def test_writer_that_is_completed_with_an_exception(httpd):
    answer = get(httpd, "/writer")
    httpd.wait_log(ON_PURPOSE)
    assert answer.status == 500 and answer.body == b""


@pytest.mark.parametrize("code, reason", [(418, "I'm a teapot"), (299, ""),
                                          (413, "Payload Too Large")])
def test_reasons_are_those_of_aspnetcore(httpd, code, reason):
    answer = get(httpd, f"/status/{code}")
    assert (answer.status, answer.reason) == (code, reason)


@pytest.mark.parametrize("code", [0, 103, 1000])
def test_status_that_is_none(httpd, code):
    answer = get(httpd, f"/status/{code}")
    httpd.wait_log(f"HTTP allows no such response: status {code} ")
    httpd.allow("app inside gave no answer")
    assert answer.status == 500


@pytest.mark.parametrize("code", [204, 304])
def test_status_without_a_body(httpd, code):
    answer = get(httpd, f"/body/{code}")
    assert answer.status == code and answer.body == b""


@pytest.mark.parametrize("size", [1, 100_000])
def test_nothing_goes_out_beyond_the_length(httpd, size):
    """An app that expects the exception has a whole response."""
    assert get(httpd, f"/length?n={size}").text == "hello"


def test_read_that_nobody_waits_for_ends(httpd):
    with httpd.raw() as raw:
        raw.send("POST /app/rules/forgotten HTTP/1.1\r\nHost: x\r\n"
                 "Content-Length: 5\r\n\r\n")
        wait_for(lambda: get(httpd, "/seen").text == "ObjectDisposedException", 10,
                 "its end")
        raw.send("12345")
        assert raw.response().text == "x"


def test_write_that_nobody_waits_for_stays_in_its_response(httpd):
    """One connection, so that the next response is made in its place."""
    with httpd.raw() as raw:
        for _ in range(30):
            raw.send("GET /app/rules/unawaited HTTP/1.1\r\nHost: x\r\n\r\n")
            assert not raw.response().text.strip("\0")
            raw.send("GET /app/rules/own HTTP/1.1\r\nHost: x\r\n\r\n")
            assert raw.response().text == "of its own"


def test_fields_that_are_removed_while_they_are_listed(httpd):
    """None is passed over."""
    fields = {f"X-{i}": "secret" for i in range(5)}
    assert get(httpd, "/strip", headers=fields).text == ""


def test_thread_is_as_it_was(httpd):
    """More requests than there are workers."""
    assert {get(httpd, "/thread").text for _ in range(30)} == {"True "}


def test_address_can_be_taken_away(httpd):
    assert get(httpd, "/nobody").text == "nobody"


@pytest.mark.parametrize("sent, seen", [
    ("%E9%20%C3%A9", "%E9 \u00e9"), ("%c3", "%C3"), ("%ED%A0%80x%2F", "%ED%A0%80x%2F")])
def test_path_that_is_no_text(httpd, sent, seen):
    assert get(httpd, "/path/" + sent).text == "/rules/path/" + seen


def test_files_that_do_not_know_their_length(httpd):
    answer = httpd.get("/app/file?path=/proc/version")
    with open("/proc/version", encoding="ascii") as f:
        assert answer.text == f.read()
