"""Dropout with a counter-based generator: the mask is a function of seed, step and position.

Nothing is stored between forward and backward, and a resumed run draws the same masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import between, expect_type, operand_type
from pock_ir.dialects.fields import integer_property, number_property
from pock_ir.dialects.wide import widened
from pock_ir.op import PockOp, integer, number, require
from pock_ir.types import Array, num_elements, tensor

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
"""Threefry2x32's rotation distances, four rounds each in turn."""

PARITY = 0x1BD11BDA
"""Threefry's key-schedule parity word."""

ROUND_GROUPS = 5
"""Groups of four rounds: 20 rounds in all, the recommended strength."""

FRACTION_BITS = 24
"""Random bits in a uniform number: as many as an f32 holds exactly."""


def threefry2x32(key: tuple[int, int], counter: tuple[Array, Array]) -> tuple[Array, Array]:
    """Two 32-bit random words for each counter.

    key: two words; counter: two uint32 arrays of one shape -> two uint32 arrays of that shape.
    Threefry2x32 with 20 rounds: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
    SC 2011, section 4.
    """
    words = [np.uint32(key[0]), np.uint32(key[1])]
    words.append(words[0] ^ words[1] ^ np.uint32(PARITY))
    with np.errstate(over="ignore"):
        x = np.asarray(counter[0], np.uint32) + words[0]
        y = np.asarray(counter[1], np.uint32) + words[1]
        for group in range(ROUND_GROUPS):
            for distance in ROTATIONS[group % 2]:
                x = x + y
                y = ((y << np.uint32(distance)) | (y >> np.uint32(32 - distance))) ^ x
            x = x + words[(group + 1) % 3]
            y = y + words[(group + 2) % 3] + np.uint32(group + 1)
    return x, y


def keep_threshold(p: float) -> int:
    """The least t such that t * 2^-24 >= p: an element is kept if its 24 bits are at least t."""
    return ceil(p * 2**FRACTION_BITS)


def uniform_bits(shape: Sequence[int], seed: Array, step: Array, stream: int) -> Array:
    """The random bits of each element of a tensor of `shape`: uint32 below 2^24.

    Element i in row-major order has the top 24 bits of the first word of
    threefry2x32(key=(seed, step), counter=(i, stream)).
    seed, step: i32 scalars, read as unsigned words.
    """
    count = int(np.prod(shape, dtype=np.int64))
    index = np.arange(count, dtype=np.uint32)
    key = (int(seed) & 0xFFFFFFFF, int(step) & 0xFFFFFFFF)
    first, _ = threefry2x32(key, (index, np.full(count, stream, np.uint32)))
    bits: Array = first >> np.uint32(32 - FRACTION_BITS)
    return bits.reshape(shape)


def keep_mask(shape: Sequence[int], seed: Array, step: Array, p: float, stream: int) -> Array:
    """Which elements of a tensor of `shape` are kept with drop probability `p`; bool.

    An element is kept if its `uniform_bits` times 2^-24 are at least p.
    """
    return uniform_bits(shape, seed, step, stream) >= keep_threshold(p)


def expect_stream(attr: Attribute) -> None:
    """A stream number is an unsigned 32-bit word. Raises VerifyException."""
    stream = integer(attr)
    require(0 <= stream < 2**32, f"stream should be in 0..2^32-1, not {stream}")


def expect_key(seed: SSAValue, step: SSAValue) -> None:
    """seed and step are i32 scalars. Raises VerifyException."""
    expect_type(seed, "seed", tensor((), "i32"))
    expect_type(step, "step", tensor((), "i32"))


def expect_countable(elements: int) -> None:
    """Positions fit a 32-bit counter. Raises VerifyException."""
    require(elements <= 2**32, f"dropout reaches 2^32 elements at most, not {elements}")


@irdl_op_definition
class DropoutOp(PockOp):
    """x / (1 - p) where `keep_mask` keeps the element, else 0; 0 <= p < 1.

    x: floats of any shape; seed, step: i32 [] -> result like x. `stream` tells the dropouts of one
    program apart. A dropped NaN becomes 0. Its gradient is the same op on dy.
    """

    name = "nn.dropout"
    x = operand_def(TensorType)
    seed = operand_def(TensorType)
    step = operand_def(TensorType)
    p = number_property()
    stream = integer_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        x = operand_type(self.x, "x", "float")
        expect_key(self.seed, self.step)
        between(self.p, 0.0, 1.0, "p", open_end=True)
        expect_stream(self.stream)
        expect_countable(num_elements(x))
        return [x]

    def evaluate(self, *args: Array) -> Array:
        x, (seed, step), p = widened(args[0]), args[1:], number(self.p)
        keep = keep_mask(x.shape, seed, step, p, integer(self.stream))
        scaled: Array = x / x.dtype.type(1 - p)
        return np.where(keep, scaled, np.zeros_like(x))

    def flops(self) -> int:
        """One product per element; the generator's integer work is not counted."""
        return num_elements(self.x)
