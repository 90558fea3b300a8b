"""C text for one row of attention scores: scale, mask, exponential, dropout.

A row holds the raw products of one query with all keys, padded to whole vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue

from pock_ir.dialects.attention import AttentionBase, AttentionGeometry
from pock_ir.dialects.dropout import FRACTION_BITS, keep_threshold
from pock_ir.op import flag, integer, number, text
from pock_ir.targets.c.kernels.product import argument
from pock_ir.targets.c.kernels.vector import Vector, c_function, indent
from pock_ir.targets.c.scalar_c import float_literal
from pock_ir.types import shape_of


@dataclass(frozen=True)
class Rows:
    """What is done to the scores of `op`, in C text over `vector`."""

    op: AttentionBase
    vector: Vector

    @property
    def geometry(self) -> AttentionGeometry:
        return self.op.geometry()

    @property
    def width(self) -> int:
        """Floats of a padded row."""
        lanes = self.vector.lanes
        return -(-self.geometry.keys // lanes) * lanes

    @property
    def dropout(self) -> float:
        return number(self.op.dropout)

    @property
    def mask(self) -> SSAValue | None:
        rest = self.op.inputs()[3]
        return rest[0] if text(self.op.mask) != "none" else None

    @property
    def masked_rows(self) -> str:
        """The rule for queries that see no key. Without a mask there are none: "zero" costs least.

        A causal query always sees the first key.
        """
        return "zero" if self.mask is None else text(self.op.masked_rows)

    @property
    def masked_weight(self) -> str:
        """The probability of each key for such a query."""
        return float_literal(self.op.masked_weight())

    def mask_parameters(self) -> list[str]:
        """What masking takes beside the row: the query's number and its row of the mask."""
        found = ["size_t t"] if flag(self.op.causal) else []
        if self.mask is not None:
            kind = "uint8_t" if text(self.op.mask) == "boolean" else "float"
            found.append(f"const {kind} *mask")
        return found

    def mask_arguments(self) -> list[str]:
        """The same for query t of head h in batch b, where `item` is b * heads + h."""
        found = ["t"] if flag(self.op.causal) else []
        if self.mask is None:
            return found
        g = self.geometry
        b, h, t, _ = shape_of(self.mask)
        terms = [argument(self.mask)]
        terms += [f"item / {g.heads} * {h * t * g.keys}"] if b > 1 else []
        terms += [f"item % {g.heads} * {t * g.keys}"] if h > 1 else []
        terms += [f"t * {g.keys}"] if t > 1 else []
        return [*found, " + ".join(terms)]

    def random_parameters(self) -> list[str]:
        """What dropout takes: the first key's element number, and the state."""
        return ["uint32_t index", "uint32_t seed", "uint32_t step"] if self.dropout else []

    def random_arguments(self) -> list[str]:
        """The same for query t of pair `item`."""
        if not self.dropout:
            return []
        g = self.geometry
        seed, step = self.op.inputs()[3][-2:]
        index = f"(uint32_t)((item * {g.queries} + t) * {g.keys})"
        return [index, f"(uint32_t)*{argument(seed)}", f"(uint32_t)*{argument(step)}"]

    def function(self, name: str) -> str:
        """The prelude's name of a function for this vector."""
        return f"pock_{name}" if self.vector.lanes == 1 else f"pock_v{name}"

    def _select(self, condition: str, true: str, false: str) -> str:
        return f"{self.function('select')}({condition}, {true}, {false})"

    def score(self, tail: bool) -> list[str]:
        """Statements that set x, the masked score of keys s.. of `row`; padding gets -inf."""
        vector, count = self.vector, self.geometry.keys % self.vector.lanes if tail else 0
        hidden = vector.splat("-INFINITY")
        scale = float_literal(number(self.op.scale))
        lines = [f"{vector.type} x = {vector.load('row + s')} * {scale};"]
        kind = text(self.op.mask)
        if kind == "additive":
            lines.append(f"x += {vector.load_part('mask + s', count)};")
        if kind == "boolean":
            lines.append(f"x = {self._select(self._visible(count), 'x', hidden)};")
        if flag(self.op.causal):
            lines.append(f"x = {self._select(f'{self._position()} <= (int32_t)t', 'x', hidden)};")
        if count:
            inside = f"{self._position()} < {self.geometry.keys}"
            lines.append(f"x = {self._select(inside, 'x', hidden)};")
        return lines

    def _position(self) -> str:
        return "(int32_t)s" if self.vector.lanes == 1 else "(pock_lane() + (int32_t)s)"

    def _visible(self, count: int) -> str:
        if self.vector.lanes == 1:
            return "mask[s] != 0"
        return f"pock_load_mask_{count}(mask + s)" if count else "pock_load_mask(mask + s)"

    def definitions(self) -> str:
        """A load of a part of a boolean mask, guarded."""
        count = self.geometry.keys % self.vector.lanes
        if not count or text(self.op.mask) != "boolean":
            return ""
        body = f"""\
POCK_INLINE pock_vi pock_load_mask_{count}(const uint8_t *p)
{{
    uint8_t bytes[{self.vector.lanes}] = {{0}};
    memcpy(bytes, p, {count});
    return pock_load_mask(bytes);
}}
"""
        return f"#ifndef POCK_MASK_{count}\n#define POCK_MASK_{count}\n{body}#endif\n"

    def factor(self) -> list[str]:
        """Statements that set f, the dropout factor of keys s..; none without dropout."""
        if not self.dropout:
            return []
        vector = self.vector
        index = "index + (uint32_t)s"
        if vector.lanes > 1:
            index = f"(pock_vu)pock_lane() + ({index})"
        stream = f"{integer(self.op.stream)}u"
        least = float_literal(keep_threshold(self.dropout) * 2.0**-FRACTION_BITS)
        kept = vector.splat(float_literal(1 / (1 - self.dropout)))
        uniform = f"{self.function('uniform')}(seed, step, {index}, {stream})"
        chosen = self._select(f"{uniform} >= {least}", kept, vector.splat("0.0f"))
        return [f"const {vector.type} f = {chosen};"]

    def over_keys(self, body: Sequence[str], masked: bool) -> list[str]:
        """`body` for all vectors s of a row, with x the masked score before it if `masked`."""
        lanes, keys = self.vector.lanes, self.geometry.keys
        whole = keys // lanes * lanes if masked else self.width
        lines: list[str] = []
        if whole:
            head = self.score(False) if masked else []
            lines += [f"for (size_t s = 0; s < {whole}; s += {lanes}) {{"]
            lines += [*indent([*head, *body]), "}"]
        if whole < self.width:
            lines += ["{", f"    const size_t s = {whole};"]
            lines += [*indent([*self.score(True), *body]), "}"]
        return lines

    def mask_row(self, name: str) -> str:
        """float NAME(row, ...): scale and mask the row in place; returns its largest score, 0 if
        no key is visible. A NaN is passed over here; its own power is NaN again."""
        vector = self.vector
        body = [vector.store("row + s", "x"), f"high = {self._select('x > high', 'x', 'high')};"]
        peak = "high" if vector.lanes == 1 else "pock_vmaximum(high)"
        lines = [
            f"{vector.type} high = {vector.splat('-INFINITY')};",
            *self.over_keys(body, masked=True),
            f"const float peak = {peak};",
            "return peak == -INFINITY ? 0.0f : peak;",
        ]
        head = f"static float {name}({', '.join(['float *row', *self.mask_parameters()])})"
        return c_function(head, lines)

    def power_row(self, name: str) -> str:
        """void NAME(row, inverse, normalizer, ...): masked scores become powers, with dropout
        applied; *inverse holds the largest score before and 1 over the sum of the powers after.
        If no key is visible, powers times *inverse are what the rule of the op says."""
        vector = self.vector
        power = f"{self.function('exp')}({vector.load('row + s')} - peak)"
        body = [
            f"const {vector.type} e = {power};",
            "total += e;",
            *self.factor(),
            vector.store("row + s", "e * f" if self.dropout else "e"),
        ]
        lines = [
            "const float peak = *inverse;",
            f"{vector.type} total = {vector.zero};",
            *self.over_keys(body, masked=False),
            f"const float sum = {vector.sum('total')};",
            "*inverse = 1.0f / sum;",
            "*normalizer = peak + pock_log(sum);",
        ]
        lines[-2:-2] = ["if (sum == 0.0f) {", *indent(self._unseen()), "    return;", "}"]
        fixed = ["float *row", "float *inverse", "float *normalizer", *self.random_parameters()]
        return c_function(f"static void {name}({', '.join(fixed)})", lines)

    def _unseen(self) -> list[str]:
        """Statements that end a row of powers without a visible key, all of which are 0."""
        if self.masked_rows == "zero":
            return ["*inverse = 0.0f;", "*normalizer = 0.0f;"]
        lines = [f"*inverse = {self.masked_weight};", "*normalizer = -INFINITY;"]
        if self.masked_rows == "nan":
            return lines
        power = "f" if self.dropout else self.vector.splat("1.0f")
        ones = [*self.factor(), self.vector.store("row + s", power)]
        return [*self.over_keys(ones, masked=False), *lines]

    def _unseen_gradient(self) -> list[str]:
        """Statements that do `gradient` for a row without a visible key, unless p and ds are 0."""
        if self.masked_rows == "zero":
            return []
        vector, weight = self.vector, self.vector.splat(self.masked_weight)
        slope = zero = vector.splat("0.0f")
        if text(self.op.mask) == "additive":
            # The addition of -inf passes NaN on to the products, what a condition hides does not.
            slope = weight
            if flag(self.op.causal):
                slope = self._select(f"{self._position()} <= (int32_t)t", weight, zero)
        body = [
            *self.factor(),
            vector.store("row + s", f"f * {weight}" if self.dropout else weight),
            vector.store("slope + s", slope),
        ]
        lines = [*self.over_keys(body, masked=False), "return;"]
        return ["if (normalizer == -INFINITY) {", *indent(lines), "}"]

    def gradient(self, name: str) -> str:
        """void NAME(row, slope, normalizer, inner, ...): scores become dropped probabilities and
        `slope`, the gradient to those, becomes the gradient to the raw products."""
        vector = self.vector
        scale = float_literal(number(self.op.scale))
        kept, slope = ("e * f", "f * d") if self.dropout else ("e", "d")
        power = f"{self.function('exp')}(x - normalizer)"
        tail = [
            f"const {vector.type} d = {vector.load('slope + s')};",
            *self.factor(),
            vector.store("row + s", kept),
            vector.store("slope + s", f"e * ({slope} - inner) * {scale}"),
        ]
        lines = self._unseen_gradient()
        if text(self.op.mask) == "additive":
            lines += self._summed_powers(power)
            e = f"{vector.load('row + s')} * inverse"
            lines += self.over_keys([f"const {vector.type} e = {e};", *tail], masked=False)
        else:
            lines += self.over_keys([f"const {vector.type} e = {power};", *tail], masked=True)
        fixed = ["float *row", "float *slope", "float normalizer", "float inner"]
        given = [*fixed, *self.mask_parameters(), *self.random_parameters()]
        head = f"static void {name}({', '.join(given)})"
        return c_function(head, lines)

    def _summed_powers(self, power: str) -> list[str]:
        """Statements that make the row powers of about 1 in sum, and `inverse` 1 over that sum.

        A mask that adds -1e9 to all scores of a row makes them so large that the logarithm of
        their number is lost in the normalizer.
        """
        vector = self.vector
        body = [
            f"const {vector.type} e = {power};",
            "total += e;",
            vector.store("row + s", "e"),
        ]
        return [
            f"{vector.type} total = {vector.zero};",
            *self.over_keys(body, masked=True),
            f"const float sum = {vector.sum('total')};",
            "const float inverse = sum == 0.0f ? 0.0f : 1.0f / sum;",
        ]


def inner_product(name: str, width: int, vector: Vector) -> str:
    """float NAME(x, y): the sum of products of `width` floats."""
    lanes = vector.lanes
    whole, count = width // lanes * lanes, width % lanes
    lines = [f"{vector.type} total = {vector.zero};"]
    if whole:
        lines.append(f"for (size_t i = 0; i < {whole}; i += {lanes})")
        lines.append(f"    total += {vector.load('x + i')} * {vector.load('y + i')};")
    if count:
        x, y = (vector.load_part(f"{p} + {whole}", count) for p in "xy")
        lines.append(f"total += {x} * {y};")
    lines.append(f"return {vector.sum('total')};")
    return c_function(f"static float {name}(const float *x, const float *y)", lines)
