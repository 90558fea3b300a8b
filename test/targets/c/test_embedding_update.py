"""Tables that are updated by their gradient: every optimizer, against the ops' own meaning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from batch import Case
from harness import call_of, f32, random_arrays
from hot_cases import (
    CLANG,
    SCALAR_I32,
    TARGETS,
    adam,
    check,
    momentum,
    needs_clang,
    positive,
    same_bits,
    sgd,
)

from pock_ir.build import Emitter
from pock_ir.dialects.embedding import EmbeddingGradOp
from pock_ir.dialects.optimizer import SgdOp
from pock_ir.types import tensor

ROWS, COUNT = 40, 23


def plain_sgd(emit: Emitter, v: Any) -> list[Any]:
    """Without weight decay, rows that no index names are left alone."""
    return [emit(SgdOp, v[3], v[0], v[4], weight_decay=0.0, axis=0, begin=0)]


def one(id: str, make: Any, extra: list[Any], updates: list[int], width: int, padding: int) -> Case:
    properties = {"rows": ROWS, "padding_index": padding}
    types = [tensor((COUNT,), "i64"), f32(COUNT, width)]
    call = call_of(EmbeddingGradOp, types, properties, make, extra, updates)
    arrays = list(random_arrays(call))
    # Several indices of one row, rows without any, and the first and the last row.
    arrays[0] = np.array([0, 39, 7, 7, 7, 3, *range(10, 20), 7, 0, 39, 5, 5, 3, 38], np.int64)
    return Case(f"{id}_{width}", call, "embedding_update", arrays)


def cases() -> list[Case]:
    found: list[Case] = []
    for width, padding in ((48, -1), (37, 7), (5, 0)):  # whole vectors, a tail, less than a vector
        w, scalar = f32(ROWS, width), f32()
        found += [
            one("plain", plain_sgd, [w, scalar], [2], width, padding),
            one("sgd", sgd, [w, scalar], [2], width, padding),
            one("momentum", momentum, [w, w, scalar, SCALAR_I32], [2, 3], width, padding),
        ]
        moments = [one("adam", adam, [w, w, w, scalar, scalar, scalar], [2, 3, 4], width, padding)]
        found += positive(moments, [4, 6, 7])
    return found


@pytest.mark.parametrize("target", TARGETS)
def test_updates(target: str) -> None:
    check(cases(), target)


def test_parts_run_in_any_order() -> None:
    target = "x86-64-v4:threads=2"
    assert same_bits(check(cases(), target), check(cases(), target, backwards=True))


def test_sanitizers_find_nothing() -> None:
    check(cases(), "x86-64-v4:threads=2", sanitized=True)


@needs_clang
def test_clang_agrees() -> None:
    check(cases(), "x86-64-v4", compiler=CLANG)
