"""Refusals of recurrent cells."""

from negatives.negative import table
from pock_ir.dialects import recurrent

NEGATIVES = [
    *table(
        recurrent.LstmCellOp,
        ["2x12xf32", "2x3xf32"],
        {},
        ({0: "2x9xf32"}, {}, "gates should be tensor<2x12xf32>, not tensor<2x9xf32>"),
        (["f32", "f32"], {}, "c should have a dim of cells"),
    ),
    *table(
        recurrent.LstmCellGradOp,
        ["2x12xf32", *["2x3xf32"] * 4],
        {},
        ({3: "3xf32"}, {}, "dh should be tensor<2x3xf32>, not tensor<3xf32>"),
    ),
    *table(
        recurrent.GruCellOp,
        ["2x9xf32", "2x9xf32", "2x3xf32"],
        {},
        ({1: "2x12xf32"}, {}, "h_gates should be tensor<2x9xf32>, not tensor<2x12xf32>"),
    ),
    *table(
        recurrent.GruCellGradOp,
        ["2x9xf32", "2x9xf32", "2x3xf32", "2x3xf32"],
        {},
        ({3: "3xf32"}, {}, "dnew_h should be tensor<2x3xf32>, not tensor<3xf32>"),
    ),
]
