"""Compiler flags that every C target shares."""

from __future__ import annotations

STRICT_MATH = ("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
"""Fused multiply-add where the device has it; errno and exception flags are not looked at.

None of these lets the compiler reorder a sum or assume that there is no NaN.
"""
