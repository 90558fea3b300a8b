"""The kernels that are one or more matrix products: what they share.

A subclass says which op it runs and which products that is; everything a target asks of a kernel
(cost, scratch, parts, reuse of memory, text) follows from the plans of the products.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from xdsl.ir import BlockArgument, Operation, SSAValue

from pock_ir.dialects.kern import CallOp
from pock_ir.op import PockOp
from pock_ir.target import Kernel, Target
from pock_ir.targets.c.kernels.epilogue import BodyEpilogue, elementwise_reuses, main_op
from pock_ir.targets.c.kernels.gemm import NO_ITEMS, Gemm, Items
from pock_ir.targets.c.kernels.gemm_plan import Problem, plan, seconds
from pock_ir.targets.c.kernels.vector import c_function
from pock_ir.types import dtype_of, num_bytes


def parameters(call: Operation) -> list[str]:
    """The C parameters of a kernel: operands a0.. and results r0.., each a pointer."""
    read = [f"const {dtype_of(x).c} *a{i}" for i, x in enumerate(call.operands)]
    return [*read, *(f"{dtype_of(x).c} *r{i}" for i, x in enumerate(call.results))]


def arguments(call: Operation) -> list[str]:
    """The names of `parameters`."""
    operands, results = range(len(call.operands)), range(len(call.results))
    return [*(f"a{i}" for i in operands), *(f"r{i}" for i in results)]


def moved_bytes(call: Operation) -> int:
    """Bytes of all operands and results."""
    return sum(num_bytes(value) for value in (*call.operands, *call.results))


def argument(value: SSAValue) -> str:
    """The C name of the operand that is this argument of the body."""
    assert isinstance(value, BlockArgument)
    return f"a{value.index}"


def simple_product(
    call: CallOp,
    main: PockOp,
    target: Target,
    symbol: str,
    problem: Problem,
    operands: tuple[SSAValue, SSAValue],
    items: Items = NO_ITEMS,
    rank: int | None = None,
) -> Gemm:
    """The product of two operands of the call that is the main op's result as it lies.

    rank: the number of leading axes of the result that count, if those behind have size 1.
    """
    return Gemm(
        name=symbol,
        problem=problem,
        plan=plan(problem, target),
        epilogue=BodyEpilogue(call, main, target, rank=rank),
        parameters=parameters(call),
        a=argument(operands[0]),
        b=argument(operands[1]),
        items=items,
    )


class ProductKernel(Kernel):
    """A kernel whose work is `products`, run one after the other by each part."""

    kind: type[PockOp]

    @abstractmethod
    def products(self, call: CallOp, main: PockOp, target: Target, symbol: str) -> Sequence[Gemm]:
        """The products; if there is only one, its name is `symbol`."""

    def accepts(self, main: PockOp) -> bool:
        """Whether this kernel runs `main`, which is a `kind` on f32."""
        del main
        return True

    def _main(self, call: Operation) -> PockOp:
        main = main_op(call, self.kind)
        assert main is not None, f"{self.name} does not match the call"
        return main

    def _products(self, call: Operation, target: Target, symbol: str = "f") -> Sequence[Gemm]:
        assert isinstance(call, CallOp)
        return self.products(call, self._main(call), target, symbol)

    def matches(self, call: Operation, target: Target) -> bool:
        main = main_op(call, self.kind)
        return main is not None and self.accepts(main)

    def seconds(self, call: Operation, target: Target) -> float:
        busy = sum(seconds(p.problem, p.plan, target) for p in self._products(call, target))
        return max(busy, moved_bytes(call) / target.rates.bandwidth / 4) + target.rates.call

    def scratch_bytes(self, call: Operation, target: Target) -> int:
        return sum(4 * product.scratch_floats for product in self._products(call, target))

    def parts(self, call: Operation, target: Target) -> int:
        return max(product.plan.parts for product in self._products(call, target))

    def reuses(self, call: Operation, target: Target) -> tuple[int, ...]:
        # Between blocks of K, partial sums stand in the result: it may not be an operand then.
        if any(product.blocked for product in self._products(call, target)):
            return super().reuses(call, target)
        assert isinstance(call, CallOp)
        return elementwise_reuses(call, self._main(call))

    def emit(self, call: Operation, target: Target, symbol: str) -> str:
        products = list(self._products(call, target, symbol))
        if len(products) == 1:
            return products[0].text()
        offset = 0
        for index, product in enumerate(products):
            products[index] = replace(product, name=f"{symbol}_{index}", offset=offset)
            offset += product.scratch_floats
        texts = [product.text() for product in products]
        names = ", ".join([*arguments(call), "scratch", "part"])
        body: list[str] = []
        parts = max(product.plan.parts for product in products)
        for product in products:
            guard = f"if (part < {product.plan.parts}) " if product.plan.parts < parts else ""
            body.append(f"{guard}{product.name}({names});")
        head = ", ".join([*parameters(call), "unsigned char *scratch", "int part"])
        return "\n".join([*texts, c_function(f"static void {symbol}({head})", body)])
