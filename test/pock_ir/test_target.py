"""Target descriptions: names, options and refusals."""

import pytest
from xdsl.dialects.builtin import ModuleOp, StringAttr

import pock_ir.targets  # noqa: F401 - registers the declared targets
from pock_ir.diagnostics import PockError
from pock_ir.target import known_targets, register_target, target_named, target_of, target_text


def test_every_target_is_named_by_its_text():
    for target in known_targets():
        for threads in (1, 2):
            chosen = target.with_threads(threads)
            assert target_named(target_text(chosen)) == chosen


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pdp-11", "unknown target 'pdp-11'"),
        ("c:threads=0", "bad target option 'threads=0'"),
        ("c:threads=65", "bad target option 'threads=65'"),
        ("c:speed=9", "bad target option 'speed=9'"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(PockError, match=message):
        target_named(text)


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="registered already"):
        register_target(target_named("c"))


def test_a_module_must_name_its_target():
    with pytest.raises(PockError, match=r"names no target in its attribute pock\.target"):
        target_of(ModuleOp([]))
    module = ModuleOp([], {"pock.target": StringAttr("c")})
    assert target_of(module).name == "c"


def test_a_missing_kernel_is_named():
    with pytest.raises(PockError, match="target c has no kernel 'warp'"):
        target_named("c").kernel("warp")
