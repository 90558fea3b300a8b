"""Fuzzes the guarded parser: mutated IR text must give a module or PockError, within 2 s.

Run `python test/pock_ir/fuzz_parse.py --count 100000 --seed 0`, or import `fuzz`. The seeds
are the `.mlir` files and the IR in docstrings of this repository. The first input that fails
is reduced and printed; the exit status is 1 then.
"""

import argparse
import ast
import importlib
import pkgutil
import random
import re
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from xdsl.context import Context
from xdsl.dialects import get_all_dialects
from xdsl.ir import Dialect

from pock_ir.diagnostics import PockError
from pock_ir.parse import parse_module

REPOSITORY = Path(__file__).resolve().parents[2]
SECONDS = 2.0
SEED_CHARACTERS = 1500  # longer seeds cost more than they find
INPUTS_PER_CONTEXT = 2000  # a context keeps a class for each unregistered name that it meets

UPSTREAM = (
    "arith",
    "builtin",
    "cf",
    "func",
    "linalg",
    "math",
    "memref",
    "scf",
    "tensor",
    "test",
    "vector",
)

_TOKEN_TEXT = (
    '% ^ ! # @ " ( ) { } < > [ ] : :: -> = , -1 0 1 x ? dense tensor i32 f32 si8 index none'
    " 0x 0xFF800000 1.0e999 1.0 ½ 999999999999999999999 i99999999 i0 vector memref complex"
    " * array<i32: 1> affine_map loc loc(unknown) fused \0 é // {-# #-} true unit %0 %0:2 %0#1"
    " ^bb0 ^0 builtin.module func.func func.call opaque dense_resource strided tuple<> i1 \\ \\FF"
)
TOKENS = tuple(_TOKEN_TEXT.split(" "))

_TOKEN = re.compile(r'\s+|"[^"\n]*"|[%^#!@]?[\w$.]+|.', re.S)

SEEDS = (
    """func.func @f(%x: tensor<4xf32>, %y: i32 {a.b = 1 : i32}) -> tensor<4xf32> {
  %0 = arith.addf %x, %x : tensor<4xf32>
  %1 = arith.constant dense<[0xFF800000, 1.0, 2.5, -0.0]> : tensor<4xf32>
  func.return %1 : tensor<4xf32>
}
func.func private @g(i32) -> (i32, f64)""",
    """%c = arith.constant true
%i = arith.constant 0 : index
%r = scf.if %c -> (i32) {
  %a = arith.constant 1 : i32
  scf.yield %a : i32
} else {
  %b = arith.constant -7 : i32
  scf.yield %b : i32
}
scf.for %k = %i to %i step %i {
}""",
    """#map = affine_map<(d0, d1)[s0] -> (d0 + s0 * 2, d1 floordiv 4)>
!t = tensor<2x?xf32>
"test.op"() ({
^bb0(%x: i32, %y: !t):
  "test.termop"(%x)[^bb1] {m = #map, l = [1, 2.0, "s", unit, @a::@b], n = {k = i8}} : (i32) -> ()
^bb1:
  %0:2 = "a.b"(%y) <{p = array<i64: 1, 2>}> : (!t) -> (vector<4xi8>, tuple<i1, f16>)
  "test.termop"() : () -> ()
}) : () -> () loc("model.py":12:7)""",
    """builtin.module @m attributes {a.x = dense<1> : tensor<2x2xi8>} {
  %a = memref.alloc() : memref<4x4xf32, strided<[4, 1], offset: 2>>
  %f = arith.constant 1.5e+00 : bf16
  %z = "other.op"(%a) {d = #d<x [1, (2)]>, c = dense<(1.0, 2.0)> : tensor<2xcomplex<f32>>}
      : (memref<4x4xf32, strided<[4, 1], offset: 2>>) -> !d<y>
} loc(fused["a":1:2, callsite("b" at "c":3:4)])""",
)


class Hang(BaseException):
    """An input took longer than `SECONDS`; no handler for Exception may swallow it."""


@dataclass(frozen=True)
class Failure:
    """A reduced input that neither parses nor gives PockError, and what happens instead."""

    text: str
    outcome: str


def upstream_context() -> Context:
    """A context with the upstream dialects in use, and unregistered ops."""
    context = Context(allow_unregistered=True)
    upstream = get_all_dialects()
    for name in UPSTREAM:
        context.load_dialect(upstream[name]())
    return context


def new_context() -> Context:
    """A context with the upstream dialects in use, all of pock's, and unregistered ops."""
    context = upstream_context()
    for dialect in _own_dialects():
        context.load_dialect(dialect)
    return context


def _own_dialects() -> Iterator[Dialect]:
    package = importlib.import_module("pock_ir.dialects")
    seen: set[str] = set()
    for module in pkgutil.walk_packages(package.__path__, "pock_ir.dialects."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Dialect) and value.name not in {*seen, *UPSTREAM}:
                seen.add(value.name)
                yield value


def collect_seeds(root: Path = REPOSITORY) -> list[str]:
    """Short IR texts: the `.mlir` files and the docstrings under `root`, and the built-in seeds.

    The built-in ones are repeated until they are half of all: docstrings mix IR with prose,
    so that few of their mutations get past the first line.
    """
    texts: list[str] = []
    for path in sorted(root.rglob("*.mlir")):
        if ".venv" not in path.parts:
            texts += re.split(r"^// -----.*$", path.read_text("utf-8", "replace"), flags=re.M)
    for room in ("passes", "lowering", "dialects"):
        for path in sorted((root / room).rglob("*.py")):
            docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
            if re.search(r"%\w+ = ", docstring):
                texts.append(docstring)
    found = [text[:SEED_CHARACTERS] for text in texts if text.strip()]
    return [*found, *SEEDS * (len(found) // len(SEEDS) + 1)]


class Mutator:
    """Makes token-level edits of texts; an edit prefers a token of the same kind from a seed."""

    def __init__(self, seeds: Sequence[str], rng: random.Random) -> None:
        self._seeds = [_TOKEN.findall(text) for text in seeds]
        self._rng = rng
        self._by_kind: dict[str, list[str]] = defaultdict(list)
        for token in sorted({token for seed in self._seeds for token in seed}.union(TOKENS)):
            self._by_kind[_kind(token)].append(token)

    def mutate(self) -> str:
        """One seed after one to three edits."""
        rng = self._rng
        tokens = list(rng.choice(self._seeds))
        for _ in range(rng.choice((1, 1, 2, 3))):
            start = rng.randrange(len(tokens) + 1)
            end = min(len(tokens), start + rng.choice((1, 1, 2, 5, 20)))
            tokens[start:end] = self._edit(tokens[start:end])
        return "".join(tokens)

    def _edit(self, old: list[str]) -> list[str]:
        rng = self._rng
        match rng.randrange(10):
            case 0:
                return []
            case 1:
                return [f" {rng.choice(TOKENS)} "]
            case 2:
                return [rng.choice(TOKENS), *old]
            case 3:
                return old * rng.choice((2, 3, 100))
            case 4:
                other = rng.choice(self._seeds)
                at = rng.randrange(len(other))
                return [*old, *other[at : at + rng.randint(1, 20)]]
            case 5:
                return [token[: rng.randint(1, len(token))] for token in old if token]
            case _:
                return [rng.choice(self._by_kind[_kind(token)]) for token in old]


def _kind(token: str) -> str:
    if not token:
        return token
    return "a" if token[0].isalpha() else "0" if token[0].isnumeric() else token[0]


def _raise_hang(signal_number: int, frame: FrameType | None) -> None:
    raise Hang


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _raise_hang)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def outcome_of(context: Context, text: str) -> str:
    """ "accepted", "refused", or what should not happen: "hang" or the name of an exception."""
    try:
        with _alarm(SECONDS):
            parse_module(context, text)
        return "accepted"
    except PockError:
        return "refused"
    except Hang:
        return "hang"
    except Exception as error:
        return type(error).__name__


def reduce(text: str, fails: Callable[[str], bool], attempts: int = 1000) -> str:
    """A shorter text for which `fails` still holds: pieces are cut out, ever smaller ones."""
    size = len(text) // 2
    while size:
        start = 0
        while start < len(text) and attempts:
            attempts -= 1
            shorter = text[:start] + text[start + size :]
            if fails(shorter):
                text = shorter
            else:
                start += size
        size //= 2
    return text


def _reduce_outcome(context: Context, text: str, outcome: str) -> str:
    attempts = 20 if outcome == "hang" else 1000  # each attempt may take `SECONDS`
    return reduce(text, lambda shorter: outcome_of(context, shorter) == outcome, attempts)


def fuzz(
    seeds: Sequence[str], count: int, seed: int, make: Callable[[], Context] = new_context
) -> tuple[Counter[str], Failure | None]:
    """Parse `count` mutations of `seeds` in contexts that `make` makes.

    Stops at the first that fails and reduces it.
    """
    mutator = Mutator(seeds, random.Random(seed))
    outcomes: Counter[str] = Counter()
    context = make()
    for number in range(1, count + 1):
        if number % INPUTS_PER_CONTEXT == 0:
            context = make()
        text = mutator.mutate()
        outcome = outcome_of(context, text)
        outcomes[outcome] += 1
        if outcome not in ("accepted", "refused"):
            return outcomes, Failure(_reduce_outcome(make(), text, outcome), outcome)
    return outcomes, None


def main() -> int:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    outcomes, failure = fuzz(collect_seeds(), arguments.count, arguments.seed)
    print(dict(outcomes.most_common()))
    if failure is not None:
        print(f"{failure.outcome}: {failure.text!r}")
    return 0 if failure is None else 1


if __name__ == "__main__":
    sys.exit(main())
