"""Untrusted names in generated C: identifiers, comments and strings cannot break out."""

import re

import pytest

from pock_ir.diagnostics import PockError
from pock_ir.targets.c.program.text import (
    RESERVED,
    c_string,
    comment,
    fill,
    identifiers,
    program_name,
)

ODD = ["int", "loss", "x", "x", "a.b", "a_b", "9lives", "*/system(0);/*", "", "é", "_", "a" * 99]


def test_identifiers_are_distinct_and_legal():
    table = identifiers((index, name) for index, name in enumerate(ODD))
    assert len(set(table.values())) == len(ODD)
    for name in table.values():
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) and name not in RESERVED


def test_identifiers_keep_plain_names():
    assert identifiers([(1, "input_ids"), (2, "a.b")]) == {1: "input_ids", 2: "a_b"}


@pytest.mark.parametrize("text", ["*/ evil(); /*", "a\nb", "a\\", "??/", "\x00", "日本"])
def test_comments_stay_comments(text):
    safe = comment(text)
    assert "*/" not in safe and "/*" not in safe and "??" not in safe
    assert "\\" not in safe and safe.isprintable() and safe.isascii()


def test_strings_are_escaped():
    assert c_string(b'a"b\\c?\n\xff') == 'a\\"b\\\\c\\?\\012\\377'


@pytest.mark.parametrize("name", ["", "Net", "9a", "a-b", "../x", "int", "a" * 33, "main"])
def test_program_names_are_refused(name):
    with pytest.raises(PockError, match="cannot name a program"):
        program_name(name)


def test_fill_needs_every_value():
    assert fill("@a@ and @B@", {"a": "1", "B": "2"}) == "1 and 2"
    with pytest.raises(KeyError):
        fill("@missing@", {})
