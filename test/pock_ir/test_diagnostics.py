"""What a user sees of an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pock_ir.diagnostics import (
    EXIT_USER_ERROR,
    LINE_LIMIT,
    MESSAGE_LIMIT,
    QUOTE_LIMIT,
    Diagnostic,
    DiagnosticCollector,
    PockError,
    one_line,
    quote,
)


def test_error_prints_one_line_each_and_indented_help() -> None:
    error = PockError(
        Diagnostic("aten.foo is not supported", "model.py:12:7", "use aten.bar"),
        Diagnostic("no weights"),
        "plain text",
    )
    assert str(error).splitlines() == [
        "model.py:12:7: error: aten.foo is not supported",
        "  help: use aten.bar",
        "error: no weights",
        "error: plain text",
    ]
    assert error.diagnostics[2] == Diagnostic("plain text")


def test_error_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="at least one"):
        PockError()


def test_exit_status_of_user_errors_is_two() -> None:
    assert EXIT_USER_ERROR == 2


def test_collector_reports_everything_at_once_and_nothing_twice() -> None:
    collector = DiagnosticCollector()
    collector.raise_if_any()
    assert not collector
    collector.add("a", location="f.py:1:1")
    collector.add("b", help="do")
    collector.add("a", location="f.py:1:1")
    collector.extend(PockError("c", "b"))
    assert collector
    with pytest.raises(PockError) as caught:
        collector.raise_if_any()
    assert caught.value.diagnostics == collector.diagnostics
    assert [item.message for item in caught.value.diagnostics] == ["a", "b", "c", "b"]


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("conv.weight", "'conv.weight'"),
        ("größe", "'größe'"),
        ("it's", r"'it\'s'"),
        ("a\nb\x1b[31m", r"'a\x0ab\x1b[31m'"),
        ("\u202eabc\ud800\U000e0001", r"'\u202eabc\ud800\U000e0001'"),  # bidi, surrogate, tag
        (7, "'7'"),
    ],
)
def test_quote(name: object, quoted: str) -> None:
    assert quote(name) == quoted


def test_quote_keeps_both_ends_of_a_long_name() -> None:
    quoted = quote("first" + "x" * 10**6 + "last")
    assert len(quoted) == QUOTE_LIMIT + 2
    assert quoted.startswith("'first") and quoted.endswith("last'") and "..." in quoted


@given(st.text())
def test_any_text_becomes_one_printable_line(text: str) -> None:
    for line in (quote(text), one_line(text), str(Diagnostic("m", None, None))):
        assert line.isprintable()
        line.encode()


@given(st.text(), st.text(), st.text())
def test_untrusted_text_cannot_add_lines(message: str, location: str, help: str) -> None:
    printed = str(PockError(Diagnostic(message, location, help)))
    assert len(printed.splitlines()) == 2
    printed.encode()


def test_printing_is_bounded() -> None:
    assert len(one_line("\0" * 10**7)) == MESSAGE_LIMIT < LINE_LIMIT
