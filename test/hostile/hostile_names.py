"""A tiny program whose tensors have names full of C and path syntax, built from IR alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region

from pock.compiler import name_module
from pock.host import resolve_target
from pock.pipeline import training_pipeline
from pock.program import Program
from pock.weights import parse_weights
from pock_ir.build import Emitter
from pock_ir.dialects import make_context
from pock_ir.dialects.elementwise import AddOp, MulOp, SquareOp
from pock_ir.dialects.levels import check_named_level
from pock_ir.dialects.reduce import SumOp
from pock_ir.location import file_location
from pock_ir.passes.optimizer import SGD
from pock_ir.passes.scheme import ApplySchemePass
from pock_ir.passes.signature import described, set_argument_attributes, set_result_attributes
from pock_ir.pipeline import VerifyEach
from pock_ir.targets.c.program.files import json_bytes, manifest, program_files
from pock_ir.targets.c.program.layout import model_hash
from pock_ir.targets.c.program.read import read_layout
from pock_ir.types import tensor
from pock_ir.verify import verify_module

PARAMETERS = (
    'a*/system("x");/*',
    "../../x",
    "/etc/passwd",
    "int",
    "a.b",
    "a_b",
    "a b",
    "größe",
    "\u202egnp.exe",
    "new\nline",
    'quote"back\\slash',
    "trigraph??/",
    "%s%n@name@",
    "#include <x>",
    "x" * 10_000,
    "日本語",
    "0",
    " ",
)
"""Names that are C, paths, format strings, not ASCII, long, or equal once they are identifiers."""

INPUTS = ("*/int main(void){", "for")

PROGRAM_NAMES = ("", "../x", "int", "a b", "A", "1a", "ü", "x" * 33, 'x"', "main", "a/b", "a\n")

SIZE = 3
RATE = 0.125

FILE = 'evil*/ "file\\\n.py'


def program(name: str = "names") -> Program:
    """sum over parameters of (p * x)^2 + y, trained with SGD. Raises PockError for a bad name."""
    module = _module()
    name_module(module, name, resolve_target("c"))
    verify_module(module)
    pipeline = training_pipeline(ApplySchemePass(), SGD(RATE).to_pass())
    pipeline.run(make_context(), module, [VerifyEach(check_named_level)])
    layout = read_layout(module, RATE, {})
    files = program_files(layout, weights(), 0)
    hash = model_hash(layout, files[f"{layout.name}.constants.bin"][64:])
    files["pock.json"] = json_bytes(manifest(layout, files, hash))
    return Program(layout, files, None)


def weights() -> dict[str, np.ndarray]:
    return {
        name: np.linspace(i, i + 1, SIZE, dtype=np.float32) for i, name in enumerate(PARAMETERS)
    }


def _module() -> ModuleOp:
    type = tensor((SIZE,))
    block = Block(arg_types=[type] * (len(PARAMETERS) + len(INPUTS)))
    emit = Emitter.at_end(block, file_location(FILE, 7, 1))
    *parameters, x, y = block.args
    total = y
    for parameter in parameters:
        total = emit(AddOp, total, emit(SquareOp, emit(MulOp, parameter, x)))
    loss = emit(SumOp, total, axes=[0])
    emit.insert(ReturnOp(loss))
    function = FuncOp("train", ([a.type for a in block.args], [loss.type]), Region(block))
    entries = [described("parameter", name) for name in PARAMETERS]
    entries += [described("input", name) for name in INPUTS]
    set_argument_attributes(function, entries)
    set_result_attributes(function, [described("loss")])
    return ModuleOp([function], {"pock.level": StringAttr("nn")})


def assert_trains(program: Program) -> None:
    """One step changes each parameter by -rate * 2 p x^2, and exports it under its name."""
    x = np.array([0.5, -1.0, 2.0], np.float32)
    before = weights()
    program.session.load(program.files["names.state.bin"])
    loss = program.step(x, np.zeros(SIZE, np.float32))
    assert abs(loss - sum(float(((p * x) ** 2).sum()) for p in before.values())) < 1e-2
    exported = parse_weights(program.session.export())
    assert set(exported) == set(PARAMETERS)
    for name, array in exported.items():
        expected = before[name] - RATE * 2 * before[name] * x * x
        np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-5)


STRICT = "-std=c11 -Wall -Wextra -Wconversion -Wshadow -Wtrigraphs -Wcomment -Werror -fsyntax-only"


def assert_strict(folder: Path, scratch: Path) -> None:
    """The sources compile without any warning, and mention no name outside of comments."""
    for source in sorted(folder.rglob("*.c")):
        command = ["gcc", *STRICT.split(), f"-I{folder / 'include'}", str(source)]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[:2000]
        assert source.read_text().isascii()


def damaged(good: bytes, name: str) -> bytes:
    """The state image `good`, damaged as the case `name` of the images is."""
    from hostile_files import GOOD, IMAGES

    case = IMAGES[name]
    if len(case) != len(GOOD):
        return case if len(case) < 64 else good + b"\0" if len(case) > len(GOOD) else good[:-1]
    at = next(i for i in range(len(GOOD)) if case[i] != GOOD[i])
    return good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :]
