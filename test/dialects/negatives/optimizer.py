"""Refusals of optimizer steps."""

from negatives.negative import INF, NAN, table
from pock_ir.dialects import optimizer

PLACE = {"weight_decay": 0.0, "axis": 0, "begin": 0}
MOMENTUM = {**PLACE, "momentum": 0.9, "dampening": 0.0, "nesterov": False}
EARLY = {"decoupled": False, "eps_before_correction": False}
ADAM = {**PLACE, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, **EARLY}
W, G = "5x3xf32", "2x3xf32"

NEGATIVES = [
    *table(
        optimizer.SgdOp,
        [W, G, "f32"],
        PLACE,
        ({1: "2x4xf32"}, {}, "g of shape [2, 4] is no slice of w of shape [5, 3] on axis 0"),
        ({1: "3xf32"}, {}, "g of shape [3] is no slice of w of shape [5, 3] on axis 0"),
        ({}, {"begin": 4}, "elements 4..5 exceed the 5 of axis 0"),
        ({}, {"begin": -1}, "elements -1..0 exceed the 5 of axis 0"),
        ({}, {"axis": 1}, "g of shape [2, 3] is no slice of w of shape [5, 3] on axis 1"),
        ({}, {"axis": 2}, "axis 2 is out of range for rank 2"),
        (["f32", "f32", "f32"], {"axis": 1}, "axis 1 is out of range for rank 1"),
        (["f32", "f32", "f32"], {"begin": 1}, "elements 1..1 exceed the 1 of axis 0"),
        ({1: "2x3xf64"}, {}, "g has f64 elements, but w has f32"),
        ({2: "f64"}, {}, "rate should be tensor<f32>, not tensor<f64>"),
        ({2: "1xf32"}, {}, "rate should be tensor<f32>, not tensor<1xf32>"),
        ({}, {"weight_decay": -0.1}, "weight_decay should be at least 0.0, not -0.1"),
        ({}, {"weight_decay": INF}, "weight_decay should be finite, not inf"),
    ),
    *table(
        optimizer.MomentumOp,
        [W, G, G, "f32", "i32"],
        MOMENTUM,
        ({2: W}, {}, "buf should be tensor<2x3xf32>, not tensor<5x3xf32>"),
        ({4: "i64"}, {}, "step should be tensor<i32>, not tensor<i64>"),
        ({}, {"momentum": -0.5}, "momentum should be at least 0.0, not -0.5"),
        ({}, {"dampening": NAN}, "dampening should be finite, not nan"),
        ({}, {"nesterov": True, "momentum": 0.0}, "nesterov needs momentum, no dampening"),
        ({}, {"nesterov": True, "dampening": 0.1}, "nesterov needs momentum, no dampening"),
    ),
    *table(
        optimizer.AdamOp,
        [W, G, G, G, "f32", "f32", "f32"],
        ADAM,
        ({3: W}, {}, "v should be tensor<2x3xf32>, not tensor<5x3xf32>"),
        ({5: "f64"}, {}, "correction1 should be tensor<f32>, not tensor<f64>"),
        ({6: "1xf32"}, {}, "correction2 should be tensor<f32>, not tensor<1xf32>"),
        ({}, {"beta1": 1.0}, "beta1 should be in [0.0, 1.0), not 1.0"),
        ({}, {"beta2": -0.1}, "beta2 should be in [0.0, 1.0), not -0.1"),
        ({}, {"eps": -1e-8}, "eps should be at least 0.0, not -1e-08"),
    ),
    *table(
        optimizer.LionOp,
        [W, G, G, "f32"],
        {"beta1": 0.9, "beta2": 0.99, **PLACE},
        ({2: W}, {}, "m should be tensor<2x3xf32>, not tensor<5x3xf32>"),
        ({}, {"beta1": 1.0}, "beta1 should be in [0.0, 1.0), not 1.0"),
        ({}, {"beta2": -0.1}, "beta2 should be in [0.0, 1.0), not -0.1"),
    ),
    *table(
        optimizer.AdamCorrectionOp,
        ["i32"],
        {"beta1": 0.9, "beta2": 0.999},
        ({0: "i64"}, {}, "step should be tensor<i32>, not tensor<i64>"),
        ({}, {"beta2": 1.0}, "beta2 should be in [0.0, 1.0), not 1.0"),
    ),
]
