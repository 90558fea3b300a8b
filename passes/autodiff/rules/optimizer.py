"""Optimizer updates come after the gradients; nothing differentiates through them."""

from __future__ import annotations

from pock_ir.dialects.optimizer import AdamCorrectionOp, AdamOp, LionOp, MomentumOp, SgdOp
from pock_ir.passes.autodiff.facet import refuse_second_order

refuse_second_order(AdamCorrectionOp, AdamOp, LionOp, MomentumOp, SgdOp)
