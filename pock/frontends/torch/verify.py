"""The training of a job three times in lockstep: compiled, in PyTorch, and in PyTorch's float64."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree
from xdsl.dialects.builtin import ModuleOp

from pock.frontends.torch.arguments import to_numpy
from pock.frontends.torch.oracle import Part, ReferenceTraining
from pock.verify import (
    Key,
    TrainingStep,
    Triple,
    compiled_step,
    step_errors,
    vanishing,
)
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


class TorchReference:
    """`job` compiled with its gradients, and the same training in PyTorch beside it.

    Raises PockError if the job cannot be compiled.
    """

    def __init__(self, job: Job) -> None:
        from pock.compiler import gradient_program

        self._job = job
        is_exported = isinstance(job.model, ExportedProgram)
        self._model: nn.Module = job.model.module() if is_exported else job.model
        trained = TrainedParts()
        self._lowered, self._program = gradient_program(job, (trained,))
        self._parts = trained.parts
        self._taken: list[dict[str, Array]] = []

    def train(self, steps: int) -> Iterator[Triple]:
        """Train for `steps` steps, each on a batch of its own (see `varied`).

        Compiled, as its target runs it; by PyTorch in f32, with dropout masks from pock's
        counter; and in the same way in float64.
        """
        session = self._program.new_session()
        theirs, exact = self._training(torch.float32), self._training(torch.float64)
        self._taken = []
        for step in range(steps):
            batch = self._batch(step)
            ours = compiled_step(session, named_arrays(self._lowered.imported, *batch))
            losses = [run.backward(*batch) for run in (theirs, exact)]
            noise = vanishing(exact.gradients()) & ours.gradients.keys()
            self._taken.append({name: ours.gradients[name] for name in noise})
            names = ours.updated.keys()
            yield (
                ours,
                self._finish(theirs, losses[0], step, names),
                self._finish(exact, losses[1], step, names),
            )

    def noise(self, steps: int, runs: int) -> dict[Key, float]:
        """The root mean square error of PyTorch's f32 over `runs` trainings, after `train`.

        Each starts from weights, and sees batches, whose every number is moved to a neighbouring
        one at random.
        """
        truth = list(self._alone(self._training(torch.float64), steps, None))
        squares: dict[Key, float] = {}
        for seed in range(runs):
            generator = torch.Generator().manual_seed(seed)
            run = self._alone(self._training(torch.float32, generator), steps, generator)
            for step, (moved, exact) in enumerate(zip(run, truth, strict=True), 1):
                for (kind, name), error in step_errors(moved, exact, exact).items():
                    key = (step, kind, name)
                    squares[key] = squares.get(key, 0.0) + error * error
        return {key: (total / runs) ** 0.5 for key, total in squares.items()}

    def _alone(
        self, run: ReferenceTraining, steps: int, generator: torch.Generator | None
    ) -> Iterator[TrainingStep]:
        """The steps of one training; a generator moves the numbers of its batches."""
        for step in range(steps):
            batch = self._batch(step)
            loss = run.backward(*(batch if generator is None else _neighbours(batch, generator)))
            yield self._finish(run, loss, step, None)

    def _training(
        self, dtype: torch.dtype, generator: torch.Generator | None = None
    ) -> ReferenceTraining:
        model = self._model
        if generator is not None:
            model = copy.deepcopy(model)
            with torch.no_grad():
                for value in model.parameters():
                    value.copy_(_neighbours(value.detach(), generator))
        return ReferenceTraining(
            model,
            self._job.loss,
            self._lowered.optimizer,
            dtype=dtype,
            trainable=self._parts,
            seed=self._job.seed,
        )

    def _batch(self, step: int) -> tuple[Any, Any]:
        return varied((self._job.example_inputs, self._job.example_targets), step)

    def _finish(
        self, run: ReferenceTraining, loss: float, step: int, names: Collection[str] | None
    ) -> TrainingStep:
        """Update, and note what the step computed.

        names: what the program stores; buffers that it does not are noted only if they changed.
        """
        gradients = run.gradients()
        run.update(self._taken[step])
        updated = run.updated()
        if names is not None:
            initial = self._lowered.imported.weights
            updated = {
                name: array
                for name, array in updated.items()
                if name in names or _differs(array, initial.get(name))
            }
        return TrainingStep(loss, gradients, updated)


def _neighbours(tree: Any, generator: torch.Generator) -> Any:
    """Every f32 of `tree` moved up or down to the next one, or left as it is."""

    def move(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dtype != torch.float32:
            return value
        direction = torch.randint(-1, 2, value.shape, generator=generator)
        away = torch.where(direction == 0, value, direction * torch.inf)
        return torch.nextafter(value, away.to(value.dtype))

    return pytree.tree_map(move, tree)


def _differs(value: Array, before: Array | None) -> bool:
    """Whether a buffer that the program does not store was changed by the framework."""
    return before is not None and bool((value.astype(before.dtype) != before).any())


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
