"""GFLOP/s of the generated hot kernels beside torch's own, on one thread, by shape family.

    python benchmarks/kernels.py [--target x86-64-v4] [--family conv] [--rounds 15]

Both sides run in turns, each round long enough for the clock; the figure is the median of the
rounds in CPU time, so that other work on the machine disturbs little. torch computes the same
results in its fastest layout (channels last); its time includes what its call does beside.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "test" / "targets" / "c"))

import numpy as np
import torch
from harness import _compile, _pointers, _wrapper, aligned, buffers, random_arrays, text_of
from hot_cases import Attend, Conv, call_of, f32
from torch.nn import functional as F

from pock_ir.dialects.matmul import LinearGradWeightOp, LinearOp, MatMulOp
from pock_ir.target import Target, target_named

MANY = """
void many(void **a, void **r, unsigned char *scratch, int count);
void many(void **a, void **r, unsigned char *scratch, int count)
{
    for (int i = 0; i < count; i++)
        run(a, r, scratch, 0);
}
"""

Run = Callable[[int], None]
"""Runs a kernel so many times."""

Row = tuple[str, str, Any, Run]
"""Label, kernel name, call, torch's side."""


def own(call: Any, kernel: str, target: Target) -> Run:
    """The generated kernel, compiled as a program would compile it."""
    source = text_of(call, kernel, target) + _wrapper(call) + MANY
    flags = ("-O3", "-fPIC", "-shared", *target.compile_flags)
    library = ctypes.CDLL(str(_compile(source, flags, ".so", "gcc")))
    operands, results = buffers(call, random_arrays(call))
    scratch = aligned([target.kernel(kernel).scratch_bytes(call, target) + 64], np.uint8)
    pointers = _pointers(operands), _pointers(results), ctypes.c_void_p(scratch.ctypes.data)

    def run(count: int, keep: Any = (operands, results, scratch)) -> None:
        del keep
        library.many(*pointers, count)

    return run


def repeated(step: Callable[[], Any]) -> Run:
    """A Python call as a `Run`."""

    def run(count: int) -> None:
        for _ in range(count):
            step()

    return run


def median_times(runs: list[Run], flops: int, rounds: int) -> list[float]:
    """Median CPU seconds of one execution of each, measured in turns."""
    count = max(1, int(4e8 / flops))
    times: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run(2)
    for _ in range(rounds):
        for run, found in zip(runs, times, strict=True):
            start = time.process_time()
            run(count)
            found.append((time.process_time() - start) / count)
    return [statistics.median(found) for found in times]


def gemm() -> Iterator[Row]:
    """Linear layers: square, BERT and MiniLM, classifiers; weights [O, I] as torch has them."""
    sizes = [(512, 512, 512), (1024, 1024, 1024), (1024, 384, 384), (1024, 384, 1536)]
    sizes += [(1024, 1536, 384), (128, 768, 3072), (16, 1280, 1000), (64, 64, 64)]
    for m, i, o in sizes:
        x, w, dy = torch.randn(m, i), torch.randn(o, i), torch.randn(m, o)
        layout = {"weight_layout": "oi"}
        call = call_of(LinearOp, [f32(m, i), f32(o, i)], layout)
        yield f"{m}x{i}x{o} y", "linear", call, repeated(lambda x=x, w=w: F.linear(x, w))
        call = call_of(LinearOp, [f32(m, o), f32(o, i)], {"weight_layout": "io"})
        yield f"{m}x{i}x{o} dx", "linear", call, repeated(lambda d=dy, w=w: d @ w)
        call = call_of(LinearGradWeightOp, [f32(m, i), f32(m, o)], layout)
        side = repeated(lambda d=dy, x=x: d.T @ x)
        yield f"{m}x{i}x{o} dw", "linear_grad_weight", call, side
    a, b = torch.randn(96, 128, 32), torch.randn(96, 128, 32)
    call = call_of(
        MatMulOp,
        [f32(96, 128, 32), f32(96, 128, 32)],
        {"transpose_lhs": False, "transpose_rhs": True},
    )
    yield "96 x 128x32x128", "matmul", call, repeated(lambda: a @ b.mT)


def _convolution(conv: Conv, kernel: str) -> Iterator[Row]:
    """Three directions of one convolution; symmetric padding."""
    last = torch.channels_last
    x = torch.randn(conv.n, conv.i, *conv.size).to(memory_format=last)
    w = torch.randn(conv.o, conv.i // conv.groups, *conv.kernel).to(memory_format=last)
    given = (conv.strides, conv.pad[:2], conv.dilation, conv.groups)
    dy = F.conv2d(x, w, None, *given)

    def backward(mask: list[bool]) -> Run:
        def step() -> Any:
            stride, pad, dilation, groups = given
            return torch.ops.aten.convolution_backward(
                dy, x, w, None, stride, pad, dilation, False, [0, 0], groups, mask
            )

        return repeated(step)

    forward, to_x, to_w = conv.calls()
    yield f"{conv.id} y", kernel, forward, repeated(lambda: F.conv2d(x, w, None, *given))
    yield f"{conv.id} dx", f"{kernel}_grad_input", to_x, backward([True, False, False])
    yield f"{conv.id} dw", f"{kernel}_grad_weight", to_w, backward([False, True, False])


def pointwise() -> Iterator[Row]:
    """The 1x1 convolutions of MobileNetV2 and EfficientNet."""
    sizes = [(1, 112, 16, 96), (1, 112, 32, 16), (1, 56, 96, 24), (1, 56, 24, 144)]
    sizes += [(1, 28, 144, 40), (1, 28, 32, 192), (1, 14, 384, 64), (1, 14, 96, 576)]
    sizes += [(1, 14, 672, 112), (1, 7, 160, 960), (1, 7, 960, 320), (8, 14, 80, 480)]
    for n, side, i, o in sizes:
        label = f"{n}x{side}x{side} {i}->{o}"
        conv = Conv(label, n, (side, side), i, o, (1, 1), pad=(0, 0, 0, 0))
        yield from _convolution(conv, "conv2d_pointwise")


def convolution() -> Iterator[Row]:
    """3x3 convolutions: first layer, ResNet stages, a strided one."""
    sizes = [(1, 224, 3, 32, 2), (1, 56, 64, 64, 1), (8, 28, 64, 64, 1), (1, 28, 128, 128, 1)]
    sizes += [(1, 14, 256, 256, 1), (4, 7, 512, 512, 1), (1, 56, 64, 128, 2)]
    for n, side, i, o, s in sizes:
        label = f"{n}x{side}x{side} {i}->{o} /{s}"
        yield from _convolution(Conv(label, n, (side, side), i, o, strides=(s, s)), "conv2d_gemm")


def depthwise() -> Iterator[Row]:
    """Depthwise convolutions of MobileNetV2 and EfficientNet."""
    sizes = [(1, 112, 32, 3, 1), (1, 112, 96, 3, 2), (1, 56, 144, 3, 1), (1, 28, 192, 3, 1)]
    sizes += [(1, 14, 384, 3, 1), (1, 14, 480, 5, 1), (1, 28, 240, 5, 2), (1, 7, 960, 3, 1)]
    for n, side, c, k, s in sizes:
        label, half = f"{n}x{side}x{side} {c} {k}x{k} /{s}", k // 2
        conv = Conv(label, n, (side, side), c, c, (k, k), (s, s), pad=(half,) * 4, groups=c)
        yield from _convolution(conv, "depthwise")


def attention() -> Iterator[Row]:
    """MiniLM and BERT at 128 tokens, BERT at 512."""
    for b, h, t, d in ((8, 12, 128, 32), (2, 12, 128, 64), (1, 12, 512, 64)):
        forward, backward = Attend(f"{b}x{h} {t} {d}", b, h, t, t, d, d, "bhtd").cases()
        q, k, v = (torch.randn(b, h, t, d, requires_grad=True) for _ in range(3))
        out = F.scaled_dot_product_attention(q, k, v)
        dout = torch.randn_like(out)

        def step(q: Any = q, k: Any = k, v: Any = v) -> Any:
            with torch.no_grad():
                return F.scaled_dot_product_attention(q, k, v)

        def grad(out: Any = out, q: Any = q, k: Any = k, v: Any = v, dout: Any = dout) -> Any:
            return torch.autograd.grad(out, (q, k, v), dout, retain_graph=True)

        yield f"{forward.id} y", "attention", forward.call, repeated(step)
        yield f"{forward.id} dq dk dv", "attention_grad", backward.call, repeated(grad)


FAMILIES = (gemm, pointwise, convolution, depthwise, attention)


def main() -> None:
    """Print one table per family, and the mean ratio by its logarithm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="x86-64-v4")
    parser.add_argument("--family", default="")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    target = target_named(options.target)
    for family in FAMILIES:
        if not family.__name__.startswith(options.family):
            continue
        print(f"{family.__name__:34} {'own':>8} {'torch':>8}  ratio   GFLOP/s")
        ratios: list[float] = []
        for label, kernel, call, side in family():
            flops = call.flops()
            mine, other = median_times([own(call, kernel, target), side], flops, options.rounds)
            ratios.append(other / mine)
            rates = f"{flops / mine / 1e9:8.1f} {flops / other / 1e9:8.1f} {other / mine:6.2f}"
            print(f"  {label:32} {rates}", flush=True)
        print(
            f"  {'geometric mean of the ratio':32} {'':17} {statistics.geometric_mean(ratios):6.2f}"
        )


if __name__ == "__main__":
    main()
