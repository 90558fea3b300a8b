"""Scalar bodies: their numpy meaning, and that constants never widen."""

import numpy as np
import pytest

from pock_ir import scalar
from pock_ir.scalar import arg, evaluate

X, Y = arg(0), arg(1)
VALUES = np.array([-2.5, -0.0, 0.0, 0.5, 3.0], np.float32)

CASES = [
    ("operators", (X + 1.0) * 2.0 - X / 4.0, (VALUES + 1) * 2 - VALUES / 4),
    ("reflected", 1.0 - (2.0 / (3.0 + X * X)), 1 - 2 / (3 + VALUES * VALUES)),
    ("select", scalar.select(X <= 0.0, 0.0, X), np.maximum(VALUES, 0)),
    ("two constants", scalar.select(X > 0.0, 1.0, -1.0), np.where(VALUES > 0, 1.0, -1.0)),
    ("both", scalar.select(scalar.both(X > -1.0, X < 1.0), X, 0.0), [0, -0.0, 0, 0.5, 0]),
    ("either", scalar.select(scalar.either(X < -1.0, X > 1.0), X, 0.0), [-2.5, 0, 0, 0, 3]),
    ("sigmoid", scalar.sigmoid(X), 1 / (1 + np.exp(-VALUES))),
]


@pytest.mark.parametrize(
    ("expression", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_meaning(expression, expected):
    assert np.allclose(evaluate(expression, [VALUES]), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_constants_take_the_dtype_of_what_they_meet(dtype):
    body = scalar.exp(X * 0.5) + scalar.maximum(X, 0.0) - scalar.erf(X) / 3.0
    assert evaluate(body, [VALUES.astype(dtype)]).dtype == dtype


def test_maximum_and_minimum_return_nan():
    nan = np.array([np.nan, 1.0], np.float32)
    one = np.array([1.0, np.nan], np.float32)
    assert np.isnan(evaluate(scalar.maximum(X, Y), [nan, one])).all()
    assert np.isnan(evaluate(scalar.minimum(X, Y), [nan, one])).all()


def test_integers_divide_toward_minus_infinity():
    left, right = np.array([7, -7], np.int32), np.array([2, 2], np.int32)
    assert evaluate(X / Y, [left, right]).tolist() == [3, -4]


def test_cast_truncates_toward_zero():
    assert evaluate(scalar.cast(X, "i32"), [VALUES]).tolist() == [-2, 0, 0, 0, 3]
