"""The pipeline of pock, one line per stage: from an imported model to planned memory.

The layout is chosen before autodiff, not after fusion: gradients then come out in the layout that
their forward ops have, and no gradient rule and no kernel ever converts one.
"""

from __future__ import annotations

from xdsl.passes import ModulePass

from pock_ir.lowering.kern_to_mem import KernToMemPass
from pock_ir.lowering.train_to_kern import TrainToKernPass
from pock_ir.passes.autodiff.autodiff_pass import AutodiffPass
from pock_ir.passes.canonicalize import CanonicalizePass
from pock_ir.passes.check_kernels import CheckKernelsPass
from pock_ir.passes.check_memory import CheckMemoryPass
from pock_ir.passes.check_order import CheckOrderPass
from pock_ir.passes.decompose_norms import DecomposeNormsPass
from pock_ir.passes.fuse import FusePass
from pock_ir.passes.lay_out import LayOutPass
from pock_ir.passes.optimizer import OptimizerPass
from pock_ir.passes.plan_memory import PlanMemoryPass
from pock_ir.passes.raise_ops import RaiseOpsPass
from pock_ir.passes.rematerialize import RematerializePass
from pock_ir.passes.schedule import SchedulePass
from pock_ir.passes.scheme import ApplySchemePass
from pock_ir.passes.select_kernels import SelectKernelsPass
from pock_ir.passes.simplify import SimplifyPass
from pock_ir.passes.write_back import WriteBackPass
from pock_ir.pipeline import Pipeline, Stage

# Which values the backward pass computes again instead of finding them in memory.
RECOMPUTE: dict[str, tuple[ModulePass, ...]] = {"none": (), "cheap": (RematerializePass(),)}


def training_pipeline(
    update: ApplySchemePass,
    optimizer: OptimizerPass,
    layout: str = "nhwc",
    recompute: str = "none",
) -> Pipeline:
    """The stages from level "nn" to level "mem".

    update: marks what is trained; optimizer: how. layout: "nhwc", or "keep" the framework's.
    recompute: a key of `RECOMPUTE`.
    """
    simplify = (DecomposeNormsPass(), CanonicalizePass(), SimplifyPass(), *RECOMPUTE[recompute])
    return Pipeline(
        (
            Stage("canonicalize", (CanonicalizePass(), SimplifyPass()), "nn"),
            # Flax's variance in one pass has the same meaning and loses digits: see numerics.md.
            Stage("raise", (RaiseOpsPass(fast_variance=True),), "nn"),
            Stage("lay-out", (LayOutPass(layout=layout), CanonicalizePass()), "nn"),
            Stage("scheme", (update,), "nn"),
            Stage("autodiff", (AutodiffPass(),), "train"),
            Stage("optimizer", (optimizer,), "train"),
            Stage("simplify", simplify, "train"),
            Stage("kernels", (TrainToKernPass(),), "kern"),
            Stage("fuse", (FusePass(),), "kern"),
            Stage("select", (SelectKernelsPass(), WriteBackPass(), CheckKernelsPass()), "kern"),
            Stage("schedule", (SchedulePass(), CheckOrderPass()), "kern"),
            Stage("bufferize", (KernToMemPass(),), "mem"),
            Stage("plan", (PlanMemoryPass(), CheckMemoryPass()), "mem"),
        )
    )
