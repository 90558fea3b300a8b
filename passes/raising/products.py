"""Products in every order and association of their factors, with the constants multiplied out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import permutations
from typing import Any

from pock_ir.dialects.elementwise import DivOp, MulOp, NegOp, SquareOp
from pock_ir.passes.raising.match import Captures, Kinds, Pattern, all_fit, all_may_fit, is_close
from pock_ir.passes.raising.views import Shape, View


class Product(Pattern):
    """A product of factors in any order, and of constants that together are `coefficient`."""

    def __init__(self, coefficient: float, *factors: Pattern) -> None:
        self.coefficient = coefficient
        self.factors = factors

    def may_fit(self, present: Kinds) -> bool:
        return all_may_fit(self.factors, present)

    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        count = len(self.factors)
        for coefficient, views in split(view, count):
            if len(views) == count and is_close(coefficient, self.coefficient, view):
                for order in permutations(views):
                    yield from all_fit(self.factors, order, frame, known)


Factors = tuple[float, tuple[View, ...]]


def split(view: View, most: int) -> Iterator[Factors]:
    """The ways to write `view` as a constant times at most `most` factors."""
    number = view.number
    if number is not None:
        yield number, ()
    elif most >= 1:
        yield 1.0, (view,)
        inner = _SPLITS.get(type(view.owner))
        if inner is not None:
            yield from inner(view, most)


def _split_product(view: View, most: int) -> Iterator[Factors]:
    for left, views in split(view.operand(0), most):
        for right, others in split(view.operand(1), most - len(views)):
            yield left * right, (*views, *others)


def _split_quotient(view: View, most: int) -> Iterator[Factors]:
    divisor = view.operand(1).number
    if divisor is not None and divisor != 0.0:
        for coefficient, views in split(view.operand(0), most):
            yield coefficient / divisor, views


def _split_negation(view: View, most: int) -> Iterator[Factors]:
    for coefficient, views in split(view.operand(0), most):
        yield -coefficient, views


def _split_square(view: View, most: int) -> Iterator[Factors]:
    for coefficient, views in split(view.operand(0), most // 2):
        yield coefficient * coefficient, (*views, *views)


_SPLITS: Mapping[type[Any], Callable[[View, int], Iterator[Factors]]] = {
    DivOp: _split_quotient,
    MulOp: _split_product,
    NegOp: _split_negation,
    SquareOp: _split_square,
}
