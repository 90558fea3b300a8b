"""Is one sample of errors larger than another? Tests of ranks, which no outlier can sway.

Errors of a training are a mixture: most runs err by a few units in the last place, and in some a
rounded number falls on the other side of a ReLU's corner, which costs four digits more. Means and
root mean squares of such samples are made by their few largest values, which are luck. Ranks are
not: if both samples come from one distribution, every order of the pooled values is equally likely,
whatever the distribution is.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, sqrt
from typing import TypeAlias

import numpy as np

from pock_ir.types import Array

Sample: TypeAlias = Sequence[float] | Array


def exceedance(first: Sample, second: Sample) -> float:
    """The probability that a value of `first` exceeds one of `second`, ties counting half."""
    a, b = _values(first), _values(second)
    larger = np.count_nonzero(a[:, None] > b[None, :])
    equal = np.count_nonzero(a[:, None] == b[None, :])
    return (larger + 0.5 * equal) / (a.size * b.size)


def mann_whitney(first: Sample, second: Sample) -> float:
    """How likely samples of one distribution rank `first` at least so far above `second`.

    The one-sided U test with the normal approximation, corrected for continuity and for ties
    (Lehmann, Nonparametrics, 1975, section 1.4). For small samples it overstates small results.
    """
    a, b = _values(first), _values(second)
    pairs, count = a.size * b.size, a.size + b.size
    ties = np.unique(np.concatenate((a, b)), return_counts=True)[1].astype(np.float64)
    tied = float((ties**3 - ties).sum()) / (count * (count - 1))
    variance = pairs / 12 * (count + 1 - tied)
    if variance <= 0:  # all values are equal
        return 1.0
    excess = pairs * (exceedance(first, second) - 0.5)
    return 0.5 * erfc((excess - 0.5) / sqrt(2 * variance))


def floor_probability(first: Sample, second: Sample) -> float:
    """How likely samples of one distribution have so many of `second` below all of `first`.

    If the k smallest of all m + n values are of the second sample, of n values: exactly
    (n choose k) / (m + n choose k). It finds what a rank sum does not: a wrong computation errs in
    every run, which puts a floor under its errors, while those above the floor may mix.
    """
    a, b = _values(first), _values(second)
    lowest = np.count_nonzero(b < a.min())
    chance = 1.0
    for drawn in range(lowest):
        chance *= (b.size - drawn) / (a.size + b.size - drawn)
    return chance


def _values(sample: Sample) -> Array:
    """As float64, with infinity for what is no number: nothing is worse."""
    values = np.asarray(sample, np.float64)
    return np.where(np.isnan(values), np.inf, values)
