"""Refusals of padding with what is there."""

from negatives.negative import table
from pock_ir.dialects import border_pad

NEGATIVES = [
    *table(
        border_pad.BorderPadOp,
        ["2x4xf32"],
        {"axis": 1, "low": 0, "high": 0, "mode": "reflect"},
        (
            {},
            {"mode": "wrap"},
            "mode should be one of edge, reflect, symmetric, circular, not 'wrap'",
        ),
        ({}, {"low": -1}, "low should be at least 0, not -1"),
        ({}, {"high": 4}, "high 4 is more than the 3 that reflect has for 4 elements"),
        (
            {},
            {"mode": "circular", "low": 5},
            "low 5 is more than the 4 that circular has for 4 elements",
        ),
        ({0: "2x0xf32"}, {}, "there is nothing to repeat"),
    ),
    *table(
        border_pad.BorderPadGradOp,
        ["2x4xf32"],
        {"axis": 1, "low": 0, "high": 0, "mode": "edge"},
        ({}, {"low": 4}, "there is nothing to repeat"),
        ({0: "2x4xi32"}, {}, "operand 0 should have float elements, not i32"),
    ),
]
