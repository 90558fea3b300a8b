"""The training of a job three times in lockstep: compiled, in PyTorch, and in PyTorch's float64."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree
from xdsl.dialects.builtin import ModuleOp

from pock.frontends.torch.arguments import to_numpy
from pock.frontends.torch.graph import draws_random_numbers
from pock.frontends.torch.oracle import Part, ReferenceTraining
from pock.verify import TrainingStep, Triple, compiled_step, vanishing_gradients
from pock_ir.diagnostics import Diagnostic, PockError
from pock_ir.interpret import find_function
from pock_ir.op import ints
from pock_ir.passes.signature import Attributes, argument_attributes, name_of
from pock_ir.passes.trained import MARK, trained_slice
from pock_ir.pipeline import Observer, Step
from pock_ir.types import Array, tensor_type

if TYPE_CHECKING:
    from pock.compiler import Job
    from pock.frontends.imported import Imported


class TrainedParts(Observer):
    """Notes which parameters the update scheme trains.

    parts: framework name -> None for all of it, or axis and indices, in the framework's layout.
    """

    def __init__(self) -> None:
        self.parts: dict[str, Part | None] = {}

    def after(self, step: Step, module: ModuleOp) -> None:
        if step.stage.name != "scheme":
            return
        function = find_function(module, "train")
        for value, attributes in zip(function.args, argument_attributes(function), strict=True):
            if MARK in attributes:
                part = trained_slice(attributes[MARK], tensor_type(value))
                self.parts[name_of(attributes)] = part and (
                    _framework_axis(attributes, part.axis),
                    range(part.begin, part.begin + part.size),
                )


def _framework_axis(attributes: Attributes, axis: int) -> int:
    """Where axis `axis` of the stored tensor is in the framework's."""
    permute = attributes.get("pock.permute")
    return axis if permute is None else ints(permute)[axis]


def torch_trajectories(job: Job, steps: int) -> Iterator[Triple]:
    """Train `job` for `steps` steps, each on a batch of its own (see `varied`).

    Compiled, as its target runs it; by PyTorch in f32, with dropout masks from pock's counter;
    and in the same way in float64. Raises PockError if the job cannot be compiled, or PyTorch
    cannot run its model in this way.
    """
    from pock.compiler import gradient_program

    model = trainable_module(job.model)
    trained = TrainedParts()
    lowered, program = gradient_program(job, (trained,))
    session = program.new_session()
    theirs, exact = (
        ReferenceTraining(
            model,
            job.loss,
            lowered.optimizer,
            dtype=dtype,
            trainable=trained.parts,
            seed=job.seed,
        )
        for dtype in (torch.float32, torch.float64)
    )
    initial = lowered.imported.weights
    for step in range(steps):
        batch = varied((job.example_inputs, job.example_targets), step)
        ours = compiled_step(session, named_arrays(lowered.imported, *batch))
        yield ours, *_reference_steps(theirs, exact, batch, ours, initial)


def _reference_steps(
    theirs: ReferenceTraining,
    exact: ReferenceTraining,
    batch: tuple[Any, Any],
    ours: TrainingStep,
    initial: Mapping[str, Array],
) -> tuple[TrainingStep, TrainingStep]:
    losses = [run.backward(*batch) for run in (theirs, exact)]
    gradients = [run.gradients() for run in (theirs, exact)]
    noise = vanishing_gradients(gradients[1])
    taken = {name: ours.gradients[name] for name in noise if name in ours.gradients}
    steps: list[TrainingStep] = []
    for run, loss, own in zip((theirs, exact), losses, gradients, strict=True):
        run.update(taken)
        updated = run.updated()
        unused = updated.keys() - ours.updated.keys()
        changed = {n: updated[n] for n in unused if _differs(updated[n], initial.get(n))}
        kept = {name: array for name, array in updated.items() if name not in unused}
        steps.append(TrainingStep(loss, own, kept | changed))
    return steps[0], steps[1]


def _differs(value: Array, before: Array | None) -> bool:
    """Whether a buffer that the program does not store was changed by the framework."""
    return before is not None and (value.astype(before.dtype) != before).any().item()


def trainable_module(model: Any) -> nn.Module:
    """`model` as a module that PyTorch can run with other parameters.

    Raises PockError for an exported program with dropout: its random numbers cannot be matched.
    """
    if not isinstance(model, ExportedProgram):
        return cast("nn.Module", model)
    if any(map(draws_random_numbers, model.graph.nodes)):
        raise PockError(
            Diagnostic(
                "an exported program with dropout cannot be verified",
                help="verify the module that it was exported from",
            )
        )
    return model.module()


def named_arrays(imported: Imported, inputs: Any, targets: Any) -> dict[str, Array]:
    """Every input and target of a batch by the name that the program gives it."""
    tensors = [leaf for leaf in pytree.tree_leaves((inputs, targets)) if isinstance(leaf, Tensor)]
    names = (*imported.inputs, *imported.targets)
    return {name: to_numpy(tensor) for name, tensor in zip(names, tensors, strict=True)}


def varied(batch: Any, step: int) -> Any:
    """`batch` at step 0, and afterwards the same numbers in another order.

    So every value stays in its range, and floats keep their distribution. Masks and other tensors
    of zeros and ones only trade places between samples, so that none becomes all zero.
    """
    if step == 0:
        return batch
    generator = torch.Generator().manual_seed(step)

    def vary(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.ndim == 0:
            return value
        if not value.is_floating_point() and bool(((value == 0) | (value == 1)).all()):
            return value[torch.randperm(value.shape[0], generator=generator)]
        order = torch.randperm(value.numel(), generator=generator)
        return value.detach().reshape(-1)[order].reshape(value.shape)

    return pytree.tree_map(vary, batch)
