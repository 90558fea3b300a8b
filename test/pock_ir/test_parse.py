"""The guarded entry for IR text: a module, or PockError with a place; never anything else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser
from xdsl.utils.exceptions import ParseError, VerifyException

from pock_ir.compat import Limits
from pock_ir.diagnostics import PockError
from pock_ir.parse import parse_module, print_module, read_module
from pock_ir.verify import verify_module

sys.path.insert(0, str(Path(__file__).parent))
from fuzz_parse import SEEDS, Hang, collect_seeds, fuzz, outcome_of, reduce, upstream_context

REFUSED = {
    "": ":1:1: error: Could not parse entire input!",
    '"' + "a" * 60: ":1:1: error: End of file reached before closing string literal.",
    "%1 = arith.constant 1 : i32\n  %2 = arith.cmpi 99, %1, %1 : i32": ":2:19: error: ",
    "builtin.module {" * 2000: ":1:1040: error: nested too deeply",
    '"t.x"() {a = ' + "[" * 3000 + "} : () -> ()": ":1:78: error: nested too deeply",
    '"t.x"() {v = dense<0> : tensor<9999999x9999999xi8>} : () -> ()': ":1:51: error: dense",
    '"builtin.module"() ({^0(%0):}) : () -> ()': ":1:24: error: ('Invalid Block name",
    '"func.func"() ({}) : () -> ()': ":1:1: error: func.func: property 'sym_name' expected",
    '"t.x"()[^bb9] : () -> ()': ":1:1: error: ",
    '\n\n "t.x"() {a = dense<300> : tensor<2xsi8>} : () -> ()': ":3:41: error: Integer value 300",
    '"t.x"() : () -> i999999999999': ":1:30: error: integer type is too wide",
    '!a = !a\n"t.x"() : () -> !a': ":2:1: error: undefined symbol alias",
    "%0 = arith.addi %1, %1 : i32\n%1 = arith.constant 1 : i32": ":1:1: error: arith.addi uses",
    '"t.x"() ({\n"t.y"() : () -> ()\n^a: "t.z"()[^a] : () -> ()\n'
    ' "t.y"() : () -> ()}) : () -> ()': ":3:5: error: t.z: ",
    '"t.x"() {a = affine_map<() -> (1 floordiv 0)>} : () -> ()': ":1:44: error: ZeroDivisionError",
    "func.call @f() : () -> ()": ":1:1: error: func.call: '@f' could not be found",
    '"t.x"() {a = "\ud800"} : () -> ()': ":1:15: error: half of a surrogate pair",
}


@pytest.fixture(scope="module")
def context() -> Context:
    """Built once: loading the dialects takes longer than the tests."""
    return upstream_context()


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=range(len(REFUSED)))
def test_refuses_with_one_error_type_and_a_place(context: Context, text: str, message: str) -> None:
    with pytest.raises(PockError) as caught:
        parse_module(context, text, "bad.mlir")
    assert str(caught.value).startswith("bad.mlir" + message)


def test_reports_every_invalid_op(context: Context) -> None:
    line = '"func.func"() ({}) : () -> ()\n'
    with pytest.raises(PockError) as caught:
        parse_module(context, line * 3)
    places = [item.location for item in caught.value.diagnostics]
    assert places == ["<input>:1:1", "<input>:2:1", "<input>:3:1"]


def test_an_empty_block_is_refused_with_its_op(context: Context) -> None:
    text = 'func.func @f() {\n "scf.if"(%c) ({ ^bb0: }, {}) : (i1) -> ()\n func.return }'
    text = text.replace("{\n", "{\n %c = arith.constant true\n", 1)
    with pytest.raises(PockError, match=r"<input>:3:2: error: scf.if"):
        parse_module(context, text)


def test_the_longest_text(context: Context) -> None:
    text = '"test.op"() : () -> ()'
    parse_module(context, text, limits=Limits(characters=len(text)))
    with pytest.raises(PockError, match="longer than 21 characters"):
        parse_module(context, text, limits=Limits(characters=len(text) - 1))


@pytest.mark.parametrize("text", SEEDS)
@pytest.mark.parametrize("locations", [False, True])
@pytest.mark.parametrize("generic", [False, True])
def test_round_trip(context: Context, text: str, locations: bool, generic: bool) -> None:
    module = parse_module(context, text, "a.mlir")
    printed = print_module(module, locations=locations, generic=generic)
    again = parse_module(context, printed, "b.mlir")
    assert printed.endswith("\n")
    assert print_module(again, locations=locations, generic=generic) == printed
    assert again.is_structurally_equivalent(module)


def test_printing_does_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    source = (
        "from fuzz_parse import *\nfrom pock_ir.parse import print_module\n"
        "context = upstream_context()\n"
        "print([print_module(parse_module(context, s), locations=True) for s in SEEDS])"
    )
    root = Path(__file__).parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", source],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": os.pathsep.join((str(root), str(Path(__file__).parent))),
            },
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1


def test_verify_module_accepts_built_modules() -> None:
    verify_module(ModuleOp([]))


# Files


def test_reads_a_file(context: Context, tmp_path: Path) -> None:
    path = tmp_path / "a.mlir"
    path.write_bytes(b"\xef\xbb\xbf%0 = arith.constant 1 : i32\r\n// caf\xc3\xa9\r\n")
    module = read_module(context, path)
    assert f'loc("{path}":1:1)' in print_module(module, locations=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\1\2", ":0: error: a binary file, not IR text"),
        (b"ML\xefR\0", ": error: MLIR bytecode\n  help: convert it"),
        (b"ok\n  \xff", ":2:3: error: not valid UTF-8"),
        (b"caf\xc3\xa9 \xff", ":1:6: error: not valid UTF-8"),
        (b" " * 101, ": error: longer than 100 bytes"),
        (b"x", ":1:2: error: "),
    ],
)
def test_refuses_files_that_are_not_text(
    context: Context, tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "a.mlir"
    path.write_bytes(content)
    with pytest.raises(PockError) as caught:
        read_module(context, path, Limits(characters=100))
    assert str(caught.value).startswith(str(path) + message.replace(":0:", ":"))


def test_refuses_what_cannot_be_read(context: Context, tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none.mlir", "No such file or directory"),
        (tmp_path, "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (Path("a\0b"), "null byte"),
        (Path("x" * 10_000), "File name too long"),
    ):
        with pytest.raises(PockError, match=message) as caught:
            read_module(context, path)
        assert len(str(caught.value)) < 1000 and str(caught.value).isprintable()


def test_a_pipe_does_not_wait(context: Context, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(PockError, match="not a regular file"):
        read_module(context, path)


# The fuzzer


def test_seeds_are_valid(context: Context) -> None:
    assert [outcome_of(context, text) for text in SEEDS] == ["accepted"] * len(SEEDS)


def test_fuzz_briefly() -> None:
    outcomes, failure = fuzz(collect_seeds(), 2000, 0)
    assert failure is None
    assert outcomes["accepted"] > 40 and outcomes["refused"] > 40  # it tries both


def test_fuzzer_finds_what_escapes_the_stock_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    def unguarded(context: Context, text: str) -> None:
        try:
            Parser(context, text).parse_module().verify()
        except (ParseError, VerifyException) as error:
            raise PockError("refused") from error

    monkeypatch.setattr("fuzz_parse.parse_module", unguarded)
    monkeypatch.setattr("fuzz_parse.SECONDS", 0.1)
    _, failure = fuzz(SEEDS, 2000, 0, upstream_context)
    assert failure is not None and failure.outcome not in ("accepted", "refused")


def test_fuzzer_sees_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(context: Context, text: str) -> None:
        while True:
            try:
                while True:
                    pass
            except Exception:
                continue

    monkeypatch.setattr("fuzz_parse.parse_module", endless)
    monkeypatch.setattr("fuzz_parse.SECONDS", 0.01)
    assert outcome_of(upstream_context(), "") == "hang"
    assert not issubclass(Hang, Exception)


def test_reduce() -> None:
    assert reduce("abcXdefYghi" * 3, lambda text: "X" in text and "Y" in text) in ("XY", "YX")
