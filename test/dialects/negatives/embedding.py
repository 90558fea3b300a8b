"""Refusals of embeddings."""

from negatives.negative import table
from pock_ir.dialects import embedding

NEGATIVES = [
    *table(
        embedding.EmbeddingOp,
        ["5x3xf32", "2xi64"],
        {"padding_index": -1},
        ({0: "5xf32"}, {}, "table should have rank 2, not 1"),
        ({0: "0x3xf32"}, {}, "the table should have at least one row"),
        ({1: "2xf32"}, {}, "ids should have index elements, not f32"),
        ({}, {"padding_index": 5}, "padding_index 5 should be -1 or a row of the 5 rows"),
        ({}, {"padding_index": -2}, "padding_index -2 should be -1 or a row of the 5 rows"),
    ),
    *table(
        embedding.EmbeddingGradOp,
        ["2xi64", "2x3xf32"],
        {"rows": 5, "padding_index": -1},
        ({1: "3x3xf32"}, {}, "dy of shape [3, 3] does not fit ids of shape [2]"),
        ({1: "2xf32"}, {}, "dy of shape [2] does not fit ids of shape [2]"),
        ({}, {"rows": 0}, "the table should have at least one row"),
        ({}, {"rows": -1}, "the table should have at least one row"),
    ),
]
