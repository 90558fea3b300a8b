"""Attention and its gradient without a [B, H, T, S] tensor in memory.

Each part runs through its share of the (batch, head) pairs. For one pair, blocks of queries are
processed so that their scores [block, S] stay in the cache: scores = q k^T, row-wise softmax,
out = powers v / sum. The gradient computes the probabilities again from log_normalizer:

    p  = exp(scale q k^T - log_normalizer)        dp = dout v^T
    ds = scale p (r dp - sum of dout out)         with r the dropout factor
    dv += (p r)^T dout      dk += ds^T q          dq = ds k

Method: Dao et al., FlashAttention-2 (2023), with whole rows of scores instead of blocks of keys:
the caches of a CPU hold them, and the softmax needs no correction.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from xdsl.ir import BlockArgument, Operation, SSAValue

from pock_ir.dialects.attention import AttentionBase, AttentionGradOp, AttentionOp
from pock_ir.dialects.kern import CallOp, body_ops, yielded
from pock_ir.op import PockOp, text
from pock_ir.target import Kernel, Target
from pock_ir.targets.c.kernels.attention_rows import Rows, inner_product
from pock_ir.targets.c.kernels.gemm import Gemm
from pock_ir.targets.c.kernels.gemm_plan import Operand, Problem, plan, seconds
from pock_ir.targets.c.kernels.product import argument, moved_bytes, parameters
from pock_ir.targets.c.kernels.vector import Vector, aligned, c_function, indent, vector_of
from pock_ir.types import dtype_of, shape_of


class Store:
    """The epilogue `c[row * stride + column] = value`, times `factor`, plus what is there."""

    def __init__(self, stride: int, factor: str = "", adds: bool = False) -> None:
        self._stride = stride
        self._factor = factor
        self._adds = adds

    @property
    def parameters(self) -> Sequence[str]:
        extra = ["const float *inverse"] if self._factor else []
        return ["float *c", *extra, *(["int add"] if self._adds else [])]

    @property
    def names(self) -> Sequence[str]:
        return [item.split("*")[-1].split()[-1] for item in self.parameters]

    @property
    def weight(self) -> int:
        return 1

    def partial(self, row: str, column: str) -> str:
        return f"c + {row} * {self._stride} + {column}"

    def statements(
        self, value: str, row: str, column: str, count: int, vector: Vector
    ) -> list[str]:
        place = self.partial(row, column)
        if self._factor:
            value = f"{value} * {self._factor.format(row=row)}"
        if self._adds:
            new = f"add ? {value} + {vector.load_part(place, count)} : {value}"
            sum = f"const {vector.type} sum = {new};"
            return [sum, vector.store_part(place, "sum", count)]
        return [vector.store_part(place, value, count)]


@dataclass(frozen=True)
class Matrix:
    """The rows of one (batch, head) pair of a tensor [B, H, T, D] or [B, T, H, D].

    name: C name of the tensor's pointer, "" if it is not wanted. stride: floats between rows.
    base: C expression of the first row's offset, from `item` = batch * heads + head.
    """

    name: str
    tokens: int
    width: int
    stride: int
    base: str

    @property
    def start(self) -> str:
        return f"{self.name} + {self.base}"

    def row(self, index: str) -> str:
        return f"{self.start} + {index} * {self.stride}"


def matrix(op: AttentionBase, value: SSAValue, name: str) -> Matrix:
    """The rows of q, k, v, out or a gradient of one of them."""
    heads = op.geometry().heads
    _, _, tokens, width = op.heads_first(shape_of(value))
    if text(op.layout) == "bhtd":
        return Matrix(name, tokens, width, width, f"item * {tokens * width}")
    base = f"(item / {heads} * {tokens * heads} + item % {heads}) * {width}"
    return Matrix(name, tokens, width, heads * width, base)


class AttentionKernel(Kernel):
    """What both directions share."""

    kind: type[PockOp]

    def matches(self, call: Operation, target: Target) -> bool:
        ops = body_ops(call) if isinstance(call, CallOp) else []
        if len(ops) != 1 or not isinstance(ops[0], self.kind):
            return False
        values = [*ops[0].operands, *ops[0].results]
        if any(0 in shape_of(value) for value in values):
            return False
        plain = all(isinstance(value, BlockArgument) for value in ops[0].operands)
        allowed = ("f32", "i1", "i32")
        return plain and all(dtype_of(value).name in allowed for value in values)

    def _block(self, call: Operation, target: Target) -> Blocks:
        assert isinstance(call, CallOp)
        (main,) = body_ops(call)
        return self.blocks(call, main, target)

    @abstractmethod
    def blocks(self, call: CallOp, main: PockOp, target: Target, symbol: str = "f") -> Blocks:
        """The text generator of the call."""

    def seconds(self, call: Operation, target: Target) -> float:
        block = self._block(call, target)
        g = block.rows.geometry
        items = g.batch * g.heads
        products = sum(seconds(p.problem, p.plan, target) for p in block.products(block.size))
        # an exponential with its loads and stores takes about as long as 40 FMA
        powers = g.queries * g.keys * 80 / target.rates.flops
        busy = items * (products * g.queries / block.size + powers)
        return max(busy, moved_bytes(call) / target.rates.bandwidth / 2) + target.rates.call

    def parts(self, call: Operation, target: Target) -> int:
        g = self._block(call, target).rows.geometry
        return min(target.threads, g.batch * g.heads)

    def scratch_bytes(self, call: Operation, target: Target) -> int:
        return 4 * self._block(call, target).scratch_floats * self.parts(call, target)

    def emit(self, call: Operation, target: Target, symbol: str) -> str:
        assert isinstance(call, CallOp)
        (main,) = body_ops(call)
        blocks = self.blocks(call, main, target, symbol)
        return blocks.text(parameters(call), self.parts(call, target))


def results_by_name(call: CallOp, main: PockOp) -> dict[SSAValue, str]:
    """The C name of each result of the main op that the call returns."""
    outputs = list(yielded(call))
    return {value: f"r{outputs.index(value)}" for value in main.results if value in outputs}


class Blocks:
    """The text of one kernel: products and row functions for blocks of queries."""

    tiles = 1
    """Score blocks in scratch."""

    def __init__(self, call: CallOp, main: PockOp, target: Target, symbol: str) -> None:
        assert isinstance(main, AttentionBase)
        self.op = main
        self.symbol = symbol
        self.target = target.with_threads(1)
        self.vector = vector_of(target)
        self.rows = Rows(main, self.vector)
        self.q, self.k, self.v = (
            matrix(main, value, argument(value)) for value in main.inputs()[:3]
        )
        self.named = results_by_name(call, main)

    def result(self, value: SSAValue) -> Matrix:
        return matrix(self.op, value, self.named.get(value, ""))

    @cached_property
    def size(self) -> int:
        """Queries in a block: their scores fill at most half of the second-level cache."""
        cache = self.target.caches.l2 or 1 << 16
        limit = max(16, cache // 2 // (4 * self.tiles * self.rows.width))
        return -(-self.q.tokens // -(-self.q.tokens // limit))

    @property
    def last(self) -> int:
        """Queries in the last block."""
        return (self.q.tokens - 1) % self.size + 1

    @property
    def several(self) -> bool:
        return self.size < self.q.tokens

    def sizes(self) -> list[int]:
        return sorted({self.size, self.last}, reverse=True)

    @property
    def score_floats(self) -> int:
        return aligned(self.size * self.rows.width)

    @property
    def scratch_floats(self) -> int:
        """For one part: scores, one number per row, then what the products need in turn."""
        most = max(p.scratch_floats for size in self.sizes() for p in self.products(size))
        return self.tiles * self.score_floats + aligned(self.size) + most

    def product(
        self,
        name: str,
        sizes: tuple[int, int, int],
        a: Operand,
        b: Operand,
        store: Store,
        keeps: bool = True,
    ) -> Gemm:
        m, n, k = sizes
        problem = Problem(m=m, n=n, k=k, a=a, b=b, keeps=keeps)
        return Gemm(
            name=f"{self.symbol}_{name}",
            problem=problem,
            plan=plan(problem, self.target),
            epilogue=store,
            parameters=["const float *left", "const float *right", *store.parameters],
            a="left",
            b="right",
        )

    def scores(self, size: int) -> Gemm:
        """The raw products of `size` queries with all keys."""
        return self.product(
            f"scores_{size}",
            (size, self.k.tokens, self.q.width),
            Operand(self.q.stride, 1),
            Operand(1, self.k.stride),
            Store(self.rows.width),
        )

    @abstractmethod
    def products(self, size: int) -> list[Gemm]:
        """The products of a block of `size` queries."""

    @abstractmethod
    def functions(self) -> list[str]:
        """Texts of functions beside the products."""

    @abstractmethod
    def steps(self, size: int) -> list[str]:
        """C lines that process queries t0 .. t0 + size of pair `item`."""

    def text(self, head: Sequence[str], parts: int) -> str:
        """All functions; the kernel's parameters are `head`."""
        lanes = self.vector.lanes
        counts = [self.rows.geometry.keys % lanes, self.v.width % lanes]
        texts = [self.vector.definitions(counts)]
        texts += [self.rows.definitions(), *self.functions()]
        texts += [p.text() for size in self.sizes() for p in self.products(size)]
        signature = ", ".join([*head, "unsigned char *scratch", "int part"])
        body = self._driver(parts)
        texts.append(c_function(f"static void {self.symbol}({signature})", body))
        return "\n".join(text for text in texts if text)

    def _driver(self, parts: int) -> list[str]:
        g = self.rows.geometry
        items = g.batch * g.heads
        part = "(size_t)part" if parts > 1 else "0"
        own = f" + {part} * {self.scratch_floats}" if parts > 1 else ""
        lines = [
            *([] if parts > 1 else ["(void)part;"]),
            f"float *const scores = (float *)(void *)scratch{own};",
            f"float *const each = scores + {self.tiles * self.score_floats};",
            f"unsigned char *const rest = (unsigned char *)(each + {aligned(self.size)});",
        ]
        if self.tiles > 1:
            lines.append(f"float *const slopes = scores + {self.score_floats};")
        lines += [
            f"const size_t end = pock_share({items}, {part} + 1, {parts});",
            f"for (size_t item = pock_share({items}, {part}, {parts}); item < end; item++) {{",
            *indent(self._over_blocks()),
            "}",
        ]
        return lines

    def _over_blocks(self) -> list[str]:
        whole = self.q.tokens // self.size * self.size
        lines = [
            f"for (size_t t0 = 0; t0 < {whole}; t0 += {self.size}) {{",
            *indent(self.steps(self.size)),
            "}",
        ]
        if self.last != self.size:
            lines += ["{", f"    const size_t t0 = {whole};", *indent(self.steps(self.last)), "}"]
        return lines

    def call(self, name: str, *args: str) -> str:
        """A call of a product; it borrows the scratch behind the scores."""
        return f"{self.symbol}_{name}({', '.join([*args, 'rest', '0'])});"


class Forward(Blocks):
    """out and log_normalizer."""

    def __init__(self, call: CallOp, main: PockOp, target: Target, symbol: str) -> None:
        super().__init__(call, main, target, symbol)
        assert isinstance(main, AttentionOp)
        self.out = self.result(main.out)
        self.normalizer = self.named.get(main.log_normalizer, "")

    def products(self, size: int) -> list[Gemm]:
        values = self.product(
            f"values_{size}",
            (size, self.v.width, self.k.tokens),
            Operand(self.rows.width, 1),
            Operand(self.v.stride, 1),
            Store(self.out.stride, factor="inverse[{row}]"),
        )
        return [self.scores(size), values]

    def functions(self) -> list[str]:
        return [
            self.rows.mask_row(f"{self.symbol}_mask"),
            self.rows.power_row(f"{self.symbol}_power"),
        ]

    def steps(self, size: int) -> list[str]:
        tokens, width = self.q.tokens, self.rows.width
        row = f"scores + i * {width}"
        mask = ", ".join([row, *self.rows.mask_arguments()])
        power = ", ".join([row, "each + i", "&normalizer", *self.rows.random_arguments()])
        keep = f"{self.normalizer}[item * {tokens} + t] = normalizer;"
        query = ["    const size_t t = t0 + i;"]
        return [
            self.call(f"scores_{size}", self.q.row("t0"), self.k.start, "scores"),
            # Two passes, so that the processor can work on several rows at once.
            f"for (size_t i = 0; i < {size}; i++) {{",
            *query,
            "    (void)t;",
            f"    each[i] = {self.symbol}_mask({mask});",
            "}",
            f"for (size_t i = 0; i < {size}; i++) {{",
            *query,
            "    float normalizer;",
            f"    {self.symbol}_power({power});",
            "    " + (keep if self.normalizer else "(void)t;"),
            "}",
            self.call(f"values_{size}", "scores", self.v.start, self.out.row("t0"), "each"),
        ]


class Backward(Blocks):
    """dq, dk and dv, as far as they are wanted."""

    tiles = 2

    def __init__(self, call: CallOp, main: PockOp, target: Target, symbol: str) -> None:
        super().__init__(call, main, target, symbol)
        assert isinstance(main, AttentionGradOp)
        self.dout = matrix(main, main.dout, argument(main.dout))
        self.out = matrix(main, main.out, argument(main.out))
        self.normalizer = argument(main.log_normalizer)
        self.dq, self.dk, self.dv = (self.result(value) for value in main.results)

    def products(self, size: int) -> list[Gemm]:
        keys, width = self.k.tokens, self.rows.width
        found = [self.scores(size)]
        found.append(
            self.product(
                f"slopes_{size}",
                (size, keys, self.v.width),
                Operand(self.dout.stride, 1),
                Operand(1, self.v.stride),
                Store(width),
            )
        )
        if self.dq.name:
            found.append(
                self.product(
                    f"dq_{size}",
                    (size, self.q.width, keys),
                    Operand(width, 1),
                    Operand(self.k.stride, 1),
                    Store(self.dq.stride),
                )
            )
        for name, result, right in (("dk", self.dk, self.q), ("dv", self.dv, self.dout)):
            if result.name:
                found.append(
                    self.product(
                        f"{name}_{size}",
                        (keys, right.width, size),
                        Operand(1, width),
                        Operand(right.stride, 1),
                        Store(result.stride, adds=self.several),
                        keeps=not self.several,
                    )
                )
        return found

    def functions(self) -> list[str]:
        return [
            inner_product(f"{self.symbol}_inner", self.v.width, self.vector),
            self.rows.gradient(f"{self.symbol}_gradient"),
        ]

    def steps(self, size: int) -> list[str]:
        width, tokens = self.rows.width, self.q.tokens
        inner = f"{self.symbol}_inner({self.dout.row('t')}, {self.out.row('t')})"
        row = [
            f"scores + i * {width}",
            f"slopes + i * {width}",
            f"{self.normalizer}[item * {tokens} + t]",
            inner,
            *self.rows.mask_arguments(),
            *self.rows.random_arguments(),
        ]
        add = ["t0 != 0"] if self.several else []
        lines = [
            self.call(f"scores_{size}", self.q.row("t0"), self.k.start, "scores"),
            self.call(f"slopes_{size}", self.dout.row("t0"), self.v.start, "slopes"),
            f"for (size_t i = 0; i < {size}; i++) {{",
            "    const size_t t = t0 + i;",
            f"    {self.symbol}_gradient({', '.join(row)});",
            "}",
        ]
        if self.dq.name:
            lines.append(self.call(f"dq_{size}", "slopes", self.k.start, self.dq.row("t0")))
        if self.dk.name:
            lines.append(self.call(f"dk_{size}", "slopes", self.q.row("t0"), self.dk.start, *add))
        if self.dv.name:
            right = self.dout.row("t0")
            lines.append(self.call(f"dv_{size}", "scores", right, self.dv.start, *add))
        return lines


class Attention(AttentionKernel):
    """nn.attention."""

    name = "attention"
    kind = AttentionOp

    def blocks(self, call: CallOp, main: PockOp, target: Target, symbol: str = "f") -> Blocks:
        return Forward(call, main, target, symbol)


class AttentionGrad(AttentionKernel):
    """train.attention_grad."""

    name = "attention_grad"
    kind = AttentionGradOp

    def blocks(self, call: CallOp, main: PockOp, target: Target, symbol: str = "f") -> Blocks:
        return Backward(call, main, target, symbol)
