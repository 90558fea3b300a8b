"""Each value exists where it is used."""

import random

import pytest
from xdsl.context import Context
from xdsl.dialects import arith, cf, func, scf, test
from xdsl.dialects.builtin import Builtin, i32
from xdsl.ir import Block, Operation, Region
from xdsl.irdl.dominance import DominanceInfo
from xdsl.parser import Parser

from pock_ir.diagnostics import PockError
from pock_ir.dominance import MAX_REPORTED, DominatorTree, check_dominance
from pock_ir.location import file_location, stamp


def parse(text: str) -> Operation:
    """Stock parsing and verification, which accept every text of this file."""
    context = Context()
    for dialect in (Builtin, arith.Arith, cf.Cf, func.Func, scf.Scf, test.Test):
        context.load_dialect(dialect)
    module = Parser(context, text).parse_module()
    module.verify()
    return module


def function(body: str) -> str:
    return f"func.func @f() -> i32 {{\n{body}\n}}"


GOOD = {
    "straight line": "%0 = arith.constant 1 : i32\n func.return %0 : i32",
    "nested use": "%0 = arith.constant 1 : i32\n %c = arith.constant true\n"
    "scf.if %c { %1 = arith.addi %0, %0 : i32 }\n func.return %0 : i32",
    "branch": "%0 = arith.constant 1 : i32\n cf.br ^a\n^a:\n func.return %0 : i32",
    "block argument": "%0 = arith.constant 1 : i32\n cf.br ^a(%0 : i32)\n"
    "^a(%x : i32):\n func.return %x : i32",
    "loop": "%0 = arith.constant 1 : i32\n %c = arith.constant true\n cf.br ^a\n"
    "^a:\n %1 = arith.addi %0, %0 : i32\n cf.cond_br %c, ^a, ^b\n^b:\n func.return %1 : i32",
}
BAD = {
    "use before definition": "%0 = arith.addi %1, %1 : i32\n"
    "%1 = arith.constant 1 : i32\n func.return %0 : i32",
    "use of itself": "%0 = arith.addi %0, %0 : i32\n func.return %0 : i32",
    "use in the own region": "%c = arith.constant true\n"
    "%0 = scf.if %c -> (i32) { scf.yield %0 : i32 } else { scf.yield %0 : i32 }\n"
    "func.return %0 : i32",
    "defined in one arm only": "%c = arith.constant true\n"
    "cf.cond_br %c, ^a, ^b\n ^a:\n %0 = arith.constant 1 : i32\n cf.br ^b\n"
    "^b:\n func.return %0 : i32",
    "defined in an unreachable block": "%0 = arith.constant 1 : i32\n func.return %1 : i32\n"
    "^a:\n %1 = arith.constant 1 : i32\n func.return %1 : i32",
}


@pytest.mark.parametrize("body", GOOD.values(), ids=GOOD)
def test_accepts(body: str) -> None:
    check_dominance(parse(function(body)))


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_refuses_what_upstream_still_accepts(body: str) -> None:
    """When the parsing here fails, xdslproject/xdsl#1033 is fixed and `dominance` can go."""
    with pytest.raises(PockError, match="uses a value that is not defined there"):
        check_dominance(parse(function(body)))


def test_names_op_operand_and_location() -> None:
    module = parse(function(BAD["use before definition"].replace("%1", "%late")))
    stamp(module, file_location("model.py", 12, 7))
    with pytest.raises(PockError) as caught:
        check_dominance(module)
    assert str(caught.value).splitlines() == [
        "model.py:12:7: error: arith.addi uses a value that is not defined there:"
        f" operand {index} '%late'"
        for index in (0, 1)
    ]


def test_reports_are_bounded() -> None:
    uses = "\n".join(f"%{index} = arith.addi %x, %x : i32" for index in range(1000))
    module = parse(f"{uses}\n%x = arith.constant 1 : i32")
    for number, op in enumerate(module.walk()):
        op.location = file_location("f", number, 0)
    with pytest.raises(PockError) as caught:
        check_dominance(module)
    assert MAX_REPORTED <= len(caught.value.diagnostics) < MAX_REPORTED + 2


def test_refuses_values_from_outside_the_module() -> None:
    elsewhere = parse("%0 = arith.constant 1 : i32")
    module = parse("%0 = arith.constant 1 : i32\n%1 = arith.addi %0, %0 : i32")
    foreign = next(op for op in elsewhere.walk() if op.results)
    user = next(op for op in module.walk() if op.operands)
    user.operands[0] = foreign.results[0]
    with pytest.raises(PockError, match="operand 0"):
        check_dominance(module)
    user.operands[0] = Block(arg_types=[i32]).args[0]
    with pytest.raises(PockError, match="operand 0"):
        check_dominance(module)


def random_region(rng: random.Random, size: int) -> Region:
    blocks = [Block() for _ in range(size)]
    for block in blocks:
        targets = rng.choices(blocks, k=rng.randrange(4))
        block.add_op(test.TestTermOp(successors=targets))
    return Region(blocks)


def test_dominators_agree_with_upstream_where_reachable() -> None:
    rng = random.Random(0)
    for _ in range(200):
        region = random_region(rng, rng.randrange(1, 9))
        ours, theirs = DominatorTree(region), DominanceInfo(region)
        reachable = [block for block in region.blocks if ours.dominates(block, block)]
        assert reachable[0] is region.blocks.first
        for a in reachable:
            for b in reachable:
                assert ours.dominates(a, b) == _dominates_by_removal(region, a, b)
                if len(reachable) == len(region.blocks):
                    assert ours.dominates(a, b) == theirs.dominates(a, b)


def _dominates_by_removal(region: Region, a: Block, b: Block) -> bool:
    """The definition: `b` cannot be reached once `a` is taken away."""
    entry = region.blocks.first
    assert entry is not None
    seen = set[Block]()
    stack = [entry]
    while stack:
        block = stack.pop()
        if block is a or block in seen:
            continue
        seen.add(block)
        assert block.last_op is not None
        stack += block.last_op.successors
    return b not in seen
