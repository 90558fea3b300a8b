"""Cases of the hot kernels: tables of shapes, each with its reason, and epilogues.

A test runs a whole table as one batch: `check` compares every case with the ops' own meaning.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from batch import Case, run_batch, run_batch_sanitized
from harness import call_of, f32, random_arrays, reference, relative_error

from pock_ir.build import Emitter
from pock_ir.dialects.attention import AttentionGradOp, AttentionOp
from pock_ir.dialects.conv import Conv2dGradInputOp, Conv2dGradWeightOp, Conv2dOp
from pock_ir.dialects.elementwise import AddOp, CompareOp, GeluOp, MulOp, ReluOp, SelectOp
from pock_ir.dialects.matmul import LinearGradWeightOp, LinearOp, MatMulOp
from pock_ir.dialects.optimizer import AdamOp, MomentumOp, SgdOp
from pock_ir.dialects.shape import BroadcastOp, ConstantOp
from pock_ir.op import PockOp
from pock_ir.target import Target, target_named
from pock_ir.types import Array, shape_of, tensor

TARGETS = ("c", "x86-64-v3", "x86-64-v4")
CLANG = "clang-19"
needs_clang = pytest.mark.skipif(shutil.which(CLANG) is None, reason=f"{CLANG} is not installed")
SCALAR_I32 = tensor((), "i32")


def case(id: str, kernel: str, call: Any, in_place: bool = False) -> Case:
    """A case on random operands."""
    return Case(id, call, kernel, random_arrays(call), in_place)


def check(
    cases: Sequence[Case],
    target: Target | str,
    tolerance: float = 3e-6,
    sanitized: bool = False,
    **options: Any,
) -> list[list[Array]]:
    """Run the cases and compare; a failure names every case that differs."""
    target = target_named(target) if isinstance(target, str) else target
    run = run_batch_sanitized if sanitized else run_batch
    found = run(cases, target, **options)
    wrong: list[str] = []
    for item, results in zip(cases, found, strict=True):
        wanted = reference(item.call, item.arrays)
        errors = [relative_error(a, b) for a, b in zip(results, wanted, strict=True)]
        if not max(errors) <= tolerance:
            wrong.append(f"{item.id}: {errors}")
    assert not wrong, "\n".join(wrong)
    return found


def some(cases: Sequence[Case], *words: str) -> list[Case]:
    """The cases whose id begins with one of `words`: sanitized code is slow to compile."""
    found = [item for item in cases if item.id.startswith(words)]
    assert found, words
    return found


def same_bits(one: Sequence[Sequence[Array]], other: Sequence[Sequence[Array]]) -> bool:
    """Whether two runs gave the same bytes."""
    pairs = zip(one, other, strict=True)
    return all(a.tobytes() == b.tobytes() for x, y in pairs for a, b in zip(x, y, strict=True))


# Matrix products: (id, M, I, O). The reason stands beside each.
LINEAR_SHAPES = (
    ("one", 1, 1, 1),  # smallest
    ("row", 1, 40, 33),  # one row: classifier at batch 1; O leaves one lane
    ("small_o", 37, 20, 8),  # half a vector of AVX-512, M prime
    ("o24", 50, 17, 24),  # 16 + 8 lanes
    ("o40", 49, 96, 40),  # 7x7 image: rows 49 are cut evenly
    ("o10", 16, 84, 10),  # ten classes: a tail that is no half vector
    ("panels", 70, 33, 150),  # several column panels and a tail
    ("packed", 130, 200, 96),  # B is large and reused: packed panels
    ("deep", 20, 1100, 520),  # K comes in blocks, B too large for the cache, read in place
    ("deep_rows", 100, 2100, 30),  # K in blocks with packed B
)


def linear_cases() -> list[Case]:
    """Forward in both layouts and the weight gradient in both."""
    cases: list[Case] = []
    for id, m, i, o in LINEAR_SHAPES:
        for layout in ("oi", "io"):
            properties = {"weight_layout": layout}
            w = f32(o, i) if layout == "oi" else f32(i, o)
            forward = call_of(LinearOp, [f32(m, i), w], properties)
            cases.append(case(f"{id}_{layout}", "linear", forward))
            backward = call_of(LinearGradWeightOp, [f32(m, i), f32(m, o)], properties)
            cases.append(case(f"{id}_{layout}_dw", "linear_grad_weight", backward))
    return cases


def matmul_cases() -> list[Case]:
    """All transpositions, with and without batch dims."""
    shapes = (
        ("plain", (), 19, 21, 18),  # no batch
        ("heads", (2, 3), 17, 8, 23),  # two batch dims as in attention
        ("vector", (5,), 1, 30, 7),  # one row per item
        ("deep", (2,), 70, 700, 40),  # K in blocks for A by columns
    )
    cases: list[Case] = []
    for id, batch, m, k, n in shapes:
        for a in (False, True):
            for b in (False, True):
                left = f32(*batch, k, m) if a else f32(*batch, m, k)
                right = f32(*batch, n, k) if b else f32(*batch, k, n)
                properties = {"transpose_lhs": a, "transpose_rhs": b}
                call = call_of(MatMulOp, [left, right], properties)
                cases.append(case(f"{id}_{int(a)}{int(b)}", "matmul", call))
    return cases


@dataclass(frozen=True)
class Conv:
    """One convolution, channels last; `pad` is (top, left, bottom, right)."""

    id: str
    n: int
    size: tuple[int, int]
    i: int
    o: int
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pad: tuple[int, int, int, int] = (1, 1, 1, 1)
    groups: int = 1
    weights: str = "hwio"

    def calls(self) -> list[Any]:
        """Forward, gradient to the input, gradient to the weights."""
        properties: dict[str, Any] = {
            "strides": self.strides,
            "dilation": self.dilation,
            "pad_low": self.pad[:2],
            "pad_high": self.pad[2:],
            "groups": self.groups,
            "layout": "nhwc",
            "weight_layout": self.weights,
        }
        x = (self.n, *self.size, self.i)
        w = (*self.kernel, self.i // self.groups, self.o)
        w = w if self.weights == "hwio" else (w[3], w[2], w[0], w[1])
        forward = call_of(Conv2dOp, [f32(*x), f32(*w)], properties)
        y = f32(*shape_of(forward.results[0]))
        to_x = call_of(Conv2dGradInputOp, [y, f32(*w)], {**properties, "input_shape": x})
        to_w = call_of(Conv2dGradWeightOp, [f32(*x), y], {**properties, "weight_shape": w})
        return [forward, to_x, to_w]

    def cases(self, kernel: str) -> list[Case]:
        """The three directions by the kernels `kernel`, `kernel`_grad_input, ..._grad_weight."""
        names = [kernel, f"{kernel}_grad_input", f"{kernel}_grad_weight"]
        return [
            case(f"{self.id}_{name}", name, call)
            for name, call in zip(names, self.calls(), strict=True)
        ]


POINTWISE = (
    Conv("expand", 2, (7, 5), 24, 96, (1, 1), pad=(0, 0, 0, 0)),
    Conv("project", 1, (9, 9), 72, 24, (1, 1), pad=(0, 0, 0, 0)),
    Conv("oihw", 1, (5, 4), 12, 20, (1, 1), pad=(0, 0, 0, 0), weights="oihw"),
    Conv("one_output", 2, (5, 4), 6, 1, (1, 1), pad=(0, 0, 0, 0)),
)

CONV = (
    Conv("same", 2, (9, 7), 16, 24),  # the usual 3x3
    Conv("first", 1, (15, 16), 3, 32, strides=(2, 2), pad=(0, 0, 1, 1)),  # TF's first layer
    Conv("down", 2, (8, 8), 20, 10, (1, 1), (2, 2), pad=(0, 0, 0, 0)),  # pixels that get nothing
    Conv("groups", 1, (12, 12), 8, 12, (3, 2), dilation=(2, 2), pad=(2, 1, 2, 1), groups=4),
    Conv("uneven", 1, (10, 11), 70, 66, (5, 5), (3, 2), pad=(2, 2, 2, 2)),  # unequal strides
    Conv("deep", 1, (10, 10), 256, 40),  # K in blocks that cut a row of taps
    Conv("wide_pad", 1, (3, 4), 5, 6, (3, 3), pad=(3, 3, 3, 3)),  # windows wholly outside
    Conv("gap", 1, (7, 7), 4, 4, (2, 2), (3, 3), pad=(0, 0, 0, 0)),  # stride above kernel
    Conv("pool_like", 1, (6, 6), 17, 19, (6, 6), pad=(0, 0, 0, 0)),  # one position
)

DEPTHWISE = (
    Conv("same", 2, (9, 7), 24, 24, groups=24),  # 16 + 8 lanes
    Conv("tf", 1, (15, 16), 32, 32, strides=(2, 2), pad=(0, 0, 1, 1), groups=32),
    Conv("five", 1, (14, 14), 40, 40, (5, 5), pad=(2, 2, 2, 2), groups=40),
    Conv("seven", 2, (19, 23), 16, 16, (7, 7), (2, 2), pad=(3, 3, 3, 3), groups=16),
    Conv("dilated", 1, (20, 20), 8, 8, dilation=(2, 2), pad=(2, 2, 2, 2), groups=8),
    Conv("odd", 1, (12, 30), 19, 19, strides=(2, 1), groups=19),  # a tail of three lanes
    Conv("tiny", 1, (3, 3), 48, 48, (5, 5), pad=(2, 2, 2, 2), groups=48),  # window above image
    Conv("valid", 1, (7, 7), 16, 16, strides=(2, 2), pad=(0, 0, 0, 0), groups=16),
    Conv("flat", 3, (1, 9), 33, 33, (1, 3), pad=(0, 1, 0, 1), groups=33),  # one-dimensional
    Conv("blind", 1, (2, 2), 4, 4, (3, 3), (4, 4), pad=(3, 3, 3, 3), groups=4),  # empty windows
)


@dataclass(frozen=True)
class Attend:
    """One attention; mask_shape is that of the mask, if there is one."""

    id: str
    b: int
    h: int
    t: int
    s: int
    d: int
    e: int
    layout: str = "bthd"
    causal: bool = False
    mask: str = "none"
    mask_shape: tuple[int, ...] = ()
    dropout: float = 0.0
    masked_rows: str = "zero"

    def cases(self) -> list[Case]:
        """Attention and its gradient, on the forward's own results."""

        def shape(tokens: int, width: int) -> Any:
            heads_last = self.layout == "bthd"
            sizes = (tokens, self.h) if heads_last else (self.h, tokens)
            return f32(self.b, *sizes, width)

        properties: dict[str, Any] = {
            "layout": self.layout,
            "scale": self.d**-0.5,
            "causal": self.causal,
            "mask": self.mask,
            "masked_rows": self.masked_rows,
            "dropout": self.dropout,
            "stream": 3,
        }
        kind = "i1" if self.mask == "boolean" else "f32"
        rest = [tensor(self.mask_shape, kind)] if self.mask != "none" else []
        rest += [SCALAR_I32, SCALAR_I32] if self.dropout else []
        qkv = [shape(self.t, self.d), shape(self.s, self.d), shape(self.s, self.e)]
        forward = case(self.id, "attention", call_of(AttentionOp, [*qkv, *rest], properties))
        out, normalizer = reference(forward.call, forward.arrays)
        y = shape(self.t, self.e)
        operands = [y, *qkv, y, f32(self.b, self.h, self.t), *rest]
        backward = call_of(AttentionGradOp, operands, properties)
        dout = np.random.default_rng(1).standard_normal(out.shape).astype(np.float32)
        kept = [out.astype(np.float32), normalizer.astype(np.float32)]
        arrays = [dout, *forward.arrays[:3], *kept, *forward.arrays[3:]]
        return [forward, Case(f"{self.id}_grad", backward, "attention_grad", arrays)]


ATTENTION = (
    Attend("square", 2, 3, 16, 16, 32, 32),
    Attend("odd", 1, 2, 10, 19, 8, 5, layout="bhtd"),  # all sizes differ, none a whole vector
    Attend("causal", 2, 2, 17, 17, 16, 16, causal=True),
    Attend("padding", 2, 2, 12, 21, 16, 16, mask="boolean", mask_shape=(2, 1, 1, 21)),
    Attend("blind", 1, 1, 6, 1, 4, 4, mask="boolean", mask_shape=(1, 1, 6, 1)),  # no visible key
    # 17 keys: the last is in a tail; of three random ones some rows see none.
    *(
        Attend(
            f"{rule}{drop:g}",
            2,
            1,
            40,
            s,
            8,
            5,
            "bthd",
            s > 9,
            "boolean",
            (2, 1, 40, s),
            drop,
            rule,
        )
        for rule in ("zero", "uniform", "nan")
        for s, drop in ((3, 0.0), (17, 0.25))
    ),
    Attend("bias", 2, 2, 12, 21, 16, 16, "bhtd", False, "additive", (1, 2, 12, 21), 0.25),
    Attend("blocks", 1, 1, 300, 1000, 16, 16, causal=True, dropout=0.1),  # several blocks, uneven
)


# Epilogues: (emitter, [main result, *all arguments]) -> results. Arguments from 2 on are extra.


def bias_relu(emit: Emitter, v: Sequence[Any]) -> list[Any]:
    """relu(y + bias[last axis])"""
    shape = shape_of(v[0])
    bias = emit(BroadcastOp, v[3], shape=list(shape), axes=[len(shape) - 1])
    return [emit(ReluOp, emit(AddOp, v[0], bias))]


def bias_gelu_residual(emit: Emitter, v: Sequence[Any]) -> list[Any]:
    """gelu(y + bias) + residual, and y + bias for the backward pass"""
    shape = shape_of(v[0])
    bias = emit(BroadcastOp, v[3], shape=list(shape), axes=[len(shape) - 1])
    before = emit(AddOp, v[0], bias)
    return [emit(AddOp, emit(GeluOp, before, approximation="none"), v[4]), before]


def residual(emit: Emitter, v: Sequence[Any]) -> list[Any]:
    """y + residual"""
    return [emit(AddOp, v[0], v[3])]


def masked(emit: Emitter, v: Sequence[Any]) -> list[Any]:
    """The gradient of relu: y where x > 0, else 0"""
    zero = emit(ConstantOp, value=0.0, type=v[0].type)
    positive = emit(CompareOp, v[3], zero, predicate="gt")
    return [emit(SelectOp, positive, v[0], zero)]


def per_image_scale(emit: Emitter, v: Sequence[Any]) -> list[Any]:
    """y * scale[n, channel]: a squeeze-and-excitation gate on [N, H, W, C]"""
    shape = shape_of(v[0])
    return [emit(MulOp, v[0], emit(BroadcastOp, v[3], shape=list(shape), axes=[0, 3]))]


def per_row_scale(emit: Emitter, v: Sequence[Any]) -> list[Any]:
    """y * scale[row] * factor, a scalar"""
    shape = shape_of(v[0])
    scale = emit(BroadcastOp, v[3], shape=list(shape), axes=[0])
    factor = emit(BroadcastOp, v[4], shape=list(shape), axes=[])
    return [emit(MulOp, emit(MulOp, v[0], scale), factor)]


SLICE: dict[str, Any] = {"weight_decay": 0.01, "axis": 0, "begin": 0}


def sgd(emit: Emitter, v: Sequence[Any]) -> list[Any]:
    """w' from the gradient; extra: w, rate"""
    return [emit(SgdOp, v[3], v[0], v[4], **SLICE)]


def momentum(emit: Emitter, v: Sequence[Any]) -> list[Any]:
    """w' and buf'; extra: w, buf, rate, step"""
    properties = {"momentum": 0.9, "dampening": 0.0, "nesterov": True, **SLICE}
    return list(emit.op(MomentumOp, v[3], v[0], *v[4:7], **properties).results)


def adam(emit: Emitter, v: Sequence[Any]) -> list[Any]:
    """w', m', v'; extra: w, m, v, rate, correction1, correction2"""
    properties = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "decoupled": True, **SLICE}
    properties["eps_before_correction"] = False
    return list(emit.op(AdamOp, v[3], v[0], *v[4:9], **properties).results)


def positive(cases: Sequence[Case], numbers: Sequence[int]) -> list[Case]:
    """The cases with the absolute values of some operands: second moments, corrections."""
    found: list[Case] = []
    for item in cases:
        arrays = list(item.arrays)
        for number in numbers:
            arrays[number] = np.abs(arrays[number]) + np.float32(0.1)
        found.append(replace(item, arrays=arrays))
    return found


def linear_epilogue_cases() -> list[Case]:
    """Every kind of operand that an epilogue may read, whole vectors and tails."""
    cases: list[Case] = []
    for m, i, o in ((33, 40, 40), (20, 30, 70)):
        y = f32(m, o)
        table: tuple[tuple[str, Any, Any, bool], ...] = (
            ("bias_relu", bias_relu, [f32(o)], False),
            ("gelu", bias_gelu_residual, [f32(o), y], False),
            ("residual", residual, [y], False),
            ("residual_in_place", residual, [y], True),
            ("masked", masked, [y], False),
            ("per_row", per_row_scale, [f32(m), f32()], False),
        )
        for id, make, extra, in_place in table:
            types = [f32(m, i), f32(i, o)]
            call = call_of(LinearOp, types, {"weight_layout": "io"}, make, extra)
            cases.append(case(f"{id}_{o}", "linear", call, in_place))
    return cases


def update_cases() -> list[Case]:
    """Weight gradients that never reach memory: the parameter is updated in their place."""
    cases: list[Case] = []
    scalar = f32()
    for rows in (50, 1500):  # 1500: partial sums, which may not stand in the parameter
        for i, o in ((17, 24), (40, 37)):
            w = f32(i, o)
            table: tuple[tuple[str, Any, Any, list[int]], ...] = (
                ("sgd", sgd, [w, scalar], [2]),
                ("momentum", momentum, [w, w, scalar, SCALAR_I32], [2, 3]),
                ("adam", adam, [w, w, w, scalar, scalar, scalar], [2, 3, 4]),
            )
            for id, make, extra, updates in table:
                types, layout = [f32(rows, i), f32(rows, o)], {"weight_layout": "io"}
                call = call_of(LinearGradWeightOp, types, layout, make, extra, updates)
                cases.append(case(f"{id}_{rows}_{o}", "linear_grad_weight", call))
    moments = [item for item in cases if item.id.startswith("adam")]
    return [item for item in cases if not item.id.startswith("adam")] + positive(moments, [4, 6, 7])


def conv_epilogue_cases() -> list[Case]:
    """Epilogues on images, for products and for depthwise kernels."""
    cases: list[Case] = []
    tables: tuple[tuple[Conv, str], ...] = (
        (POINTWISE[0], "conv2d_pointwise"),
        (CONV[0], "conv2d_gemm"),
        (CONV[3], "conv2d_gemm"),
        (CONV[2], "conv2d_gemm"),
        (DEPTHWISE[0], "depthwise"),
        (DEPTHWISE[1], "depthwise"),
    )
    for conv, kernel in tables:
        cases += _with_epilogues(conv, kernel)
    return cases


def _again(call: Any, make: Any, extra: Any, updates: Sequence[int] | None = None) -> Any:
    """The call's main op with an epilogue."""
    main: PockOp = call.body.block.first_op
    operands = [operand.type for operand in main.operands]
    return call_of(type(main), operands, dict(main.properties), make, extra, updates)


def _with_epilogues(conv: Conv, kernel: str) -> list[Case]:
    forward, to_x, to_w = conv.calls()
    x, y = forward.operands[0].type, forward.results[0].type
    gate = f32(conv.n, conv.o)
    return [
        case(f"{conv.id}_{kernel}_relu", kernel, _again(forward, bias_relu, [f32(conv.o)])),
        case(f"{conv.id}_{kernel}_gate", kernel, _again(forward, per_image_scale, [gate])),
        case(f"{conv.id}_{kernel}_res", kernel, _again(forward, residual, [y]), True),
        case(f"{conv.id}_{kernel}_dx", f"{kernel}_grad_input", _again(to_x, masked, [x])),
        case(
            f"{conv.id}_{kernel}_dw",
            f"{kernel}_grad_weight",
            _again(to_w, sgd, [to_w.results[0].type, f32()], [2]),
        ),
    ]
