"""No op loses its location."""

import pytest
from xdsl.builder import ImplicitBuilder
from xdsl.dialects.arith import AddiOp, ConstantOp, MuliOp
from xdsl.dialects.builtin import (
    UNKNOWN_LOC,
    CallSiteLoc,
    FusedLoc,
    LocationAttr,
    ModuleOp,
    NameLoc,
    NoneAttr,
    StringAttr,
    i32,
)
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)

from pock_ir.location import (
    Located,
    describe_location,
    file_location,
    fuse_locations,
    location_of,
    stamp,
    unlocated,
)

HERE = file_location("model.py", 12, 7)
THERE = file_location("model.py", 13, 1)


def module_with_multiplication() -> ModuleOp:
    module = ModuleOp([])
    with ImplicitBuilder(module.body):
        one = ConstantOp.from_int_and_width(1, i32)
        MuliOp(one, one)
    stamp(module, HERE)
    return module


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (HERE, "model.py:12:7"),
        (UNKNOWN_LOC, None),
        (NameLoc(StringAttr("layer1.conv"), NoneAttr()), "layer1.conv"),
        (NameLoc(StringAttr("layer1.conv"), HERE), "model.py:12:7"),
        (CallSiteLoc(UNKNOWN_LOC, HERE), "model.py:12:7"),
        (FusedLoc((UNKNOWN_LOC, THERE, HERE), NoneAttr()), "model.py:13:1"),
        (FusedLoc((), NoneAttr()), None),
    ],
)
def test_describe_location(location: LocationAttr, text: str | None) -> None:
    assert describe_location(location) == text
    op = ConstantOp.from_int_and_width(1, i32)
    op.location = location
    assert location_of(op) == text


def test_no_negative_places() -> None:
    with pytest.raises(ValueError, match="no such place"):
        file_location("f", -1, 0)


def test_fuse_flattens_and_drops_duplicates() -> None:
    def at(location: LocationAttr) -> ConstantOp:
        op = ConstantOp.from_int_and_width(1, i32)
        op.location = location
        return op

    both = FusedLoc((HERE, THERE), NoneAttr())
    assert fuse_locations([]) == UNKNOWN_LOC
    assert fuse_locations([at(UNKNOWN_LOC)]) == UNKNOWN_LOC
    assert fuse_locations([at(HERE), at(UNKNOWN_LOC), at(HERE)]) == HERE
    assert fuse_locations([at(HERE), at(THERE)]) == both
    assert fuse_locations([at(both), at(FusedLoc((THERE, HERE), NoneAttr()))]) == both


def test_stamp_reaches_nested_ops_and_keeps_known_locations() -> None:
    module = module_with_multiplication()
    inner = list(module.body.walk())
    inner[0].location = THERE
    inner[1].location = UNKNOWN_LOC
    assert unlocated(module) == [inner[1]]
    stamp([module], HERE)
    assert unlocated(module) == []
    assert [op.location for op in inner] == [THERE, HERE]


class MultiplicationToAdditions(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: MuliOp, rewriter: PatternRewriter, /) -> None:
        first = AddiOp(op.lhs, op.rhs)
        rewriter.replace(op, (first, AddiOp(first, op.rhs)))


def rewrite(pattern: RewritePattern) -> ModuleOp:
    module = module_with_multiplication()
    PatternRewriteWalker(pattern).rewrite_module(module)
    assert sum(isinstance(op, AddiOp) for op in module.walk()) == 2
    return module


def test_upstream_still_drops_locations_in_rewrites() -> None:
    """When this fails, xdslproject/xdsl#814 is fixed and `Located` can go."""
    assert len(unlocated(rewrite(MultiplicationToAdditions()))) == 2


def test_located_stamps_what_a_pattern_inserts() -> None:
    applier = GreedyRewritePatternApplier([MultiplicationToAdditions()], dce_enabled=False)
    module = rewrite(Located(applier))
    assert {op.location for op in module.body.walk()} == {HERE}


def test_located_lets_go_of_the_rewriter_when_a_pattern_raises() -> None:
    class Failing(RewritePattern):
        def match_and_rewrite(self, op: MuliOp, rewriter: PatternRewriter, /) -> None:
            raise ValueError("no")

    op = next(op for op in module_with_multiplication().walk() if isinstance(op, MuliOp))
    rewriter = PatternRewriter(op)
    with pytest.raises(ValueError, match="no"):
        Located(Failing()).match_and_rewrite(op, rewriter)
    assert not rewriter.operation_insertion_handler
