"""A job trained three times in lockstep: compiled, in its framework, and in float64 there.

After each step what the three computed is compared and let go, so that never more than the three
trainings themselves is held.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from pock.deviation import Errors, Key, Tensors, compare
from pock.frontends import reference_for
from pock.reference import Part, Reference, Setup, Training, neighbour, varied
from pock_ir.diagnostics import PockError
from pock_ir.interpret import find_function
from pock_ir.op import ints
from pock_ir.passes.signature import Attributes, argument_attributes, name_of
from pock_ir.passes.trained import MARK, trained_slice
from pock_ir.pipeline import Observer, Step
from pock_ir.targets.c.program.blob import HEADER_BYTES
from pock_ir.targets.c.program.images import framework_array, stored_array
from pock_ir.types import Array, tensor_type

if TYPE_CHECKING:
    from pock.compiler import Job
    from pock.program import Program


class Lockstep:
    """`job`, compiled so that it returns its gradients, beside its framework.

    reference: by default the job's own. Raises PockError if the job cannot be compiled or the
    framework is missing.
    """

    def __init__(self, job: Job, reference: Reference | None = None) -> None:
        from pock.compiler import gradient_program

        trained = TrainedParts()
        lowered, program = gradient_program(job, (trained,))
        imported = lowered.imported
        self._setup = Setup(lowered.optimizer, trained.parts, imported.aliases, job.seed)
        self._weights = imported.weights
        self._names = (*imported.inputs, *imported.targets)
        self._reference = reference_for(job) if reference is None else reference
        self._compiled = Compiled(program, imported.weights)

    def run(self, steps: int, seed: int | None = None) -> Iterator[tuple[Key, Errors]]:
        """Train for `steps` steps, each on a batch of its own (see `varied`), and compare.

        seed: all three start from parameters, and see batches, whose every f32 is moved to a
        neighbouring one at random (see `neighbour`); None: from the job's own.
        Raises PockError if one of them lacks a tensor that another has.
        """
        rng = None if seed is None else np.random.default_rng(seed)
        theirs, exact = self._start(rng)
        for step in range(steps):
            batch = varied(self._reference.batch(), step)
            if rng is not None:
                batch = [neighbour(value, rng) for value in batch]
            yield from self._step(step + 1, batch, theirs, exact)

    def _start(self, rng: np.random.Generator | None) -> tuple[Training, Training]:
        """Begin anew: the compiled program, and the framework in f32 and in float64."""
        moved: dict[str, Array] = {}
        if rng is not None:
            names = self._compiled.parameters()
            moved = {name: neighbour(self._weights[name], rng) for name in names}
        self._compiled.restart(moved)
        single = self._reference.training(self._setup, False, moved)
        return single, self._reference.training(self._setup, True, moved)

    def _step(
        self, step: int, batch: Sequence[Array], theirs: Training, exact: Training
    ) -> Iterator[tuple[Key, Errors]]:
        loss, ours = self._compiled.step(dict(zip(self._names, batch, strict=True)))
        losses = (loss, theirs.backward(batch), exact.backward(batch))
        sides = ({"loss": np.asarray(value)} for value in losses)
        yield from _keyed(step, "loss", compare(*sides, judged=()))
        errors = compare(ours, theirs.gradients(), exact.gradients(), judged=ours)
        yield from _keyed(step, "gradient", errors)
        # Adaptive optimizers divide by the size of a gradient and would make whole steps of noise.
        noise = {name: ours[name] for name, found in errors.items() if found.vanishing}
        for run in (theirs, exact):
            run.update(noise)
        names = frozenset(ours)
        del ours, noise
        yield from _keyed(step, "updated", self._updated(names, theirs, exact))

    def _updated(
        self, trained: Collection[str], theirs: Training, exact: Training
    ) -> dict[str, Errors]:
        """Compare what the step changed."""
        ours = self._compiled.updated()
        others = [self._changed(run.updated(), ours) for run in (theirs, exact)]
        floats = {name for name, value in others[1].items() if value.dtype.kind == "f"}
        statistics = floats - set(trained)
        return compare(ours, *others, judged=statistics)

    def _changed(self, updated: Tensors, ours: Collection[str]) -> Tensors:
        """What the program stores, and what it does not store although the framework changes it."""

        def changed(name: str, value: Array) -> bool:
            before = self._weights.get(name)
            return before is not None and bool((value.astype(before.dtype) != before).any())

        return {n: value for n, value in updated.items() if n in ours or changed(n, value)}


def _keyed(step: int, kind: str, found: Mapping[str, Errors]) -> Iterator[tuple[Key, Errors]]:
    return (((step, kind, name), errors) for name, errors in found.items())


class Compiled:
    """A session of a program that returns its gradients, to be started again and again.

    weights: the initial ones, by framework name. The program cannot be used otherwise afterwards.
    """

    def __init__(self, program: Program, weights: Mapping[str, Array]) -> None:
        self._session = program.new_session()
        self._program = program  # its library lies in a folder that goes with it
        program.files = {}  # the session has the images, and they are as large as the model
        self._weights = weights
        self._objects = {o.name: o for o in program.layout.objects if o.kind != "state"}

    def parameters(self) -> list[str]:
        """The names of all parameters, trained or frozen."""
        return [item.name for item in self._objects.values() if item.kind == "parameter"]

    def restart(self, moved: Mapping[str, Array]) -> None:
        """Go back to the initial state, but for the weights in `moved`."""
        session = self._session
        memory = {"state": session.state, "constants": session.constants[HEADER_BYTES:]}
        for name, item in self._objects.items():
            stored = stored_array(item, moved if name in moved else self._weights)
            data = stored.reshape(-1).view(np.uint8)
            memory[item.region][item.offset : item.offset + data.size] = data
        session.reset_optimizer()

    def step(self, batch: Mapping[str, Array]) -> tuple[float, dict[str, Array]]:
        """Loss and gradients of one step, gradients in the framework's layout."""
        results = self._session.run("train_step", self._session.ordered("train_step", batch))
        if results.loss is None:
            raise PockError("the training step has no loss")
        return results.loss, {n: self._unpermuted(n, a) for n, a in results.arrays.items()}

    def updated(self) -> dict[str, Array]:
        """Every tensor that training changes but the optimizer's own, as it is now."""
        changing = (item for item in self._objects.values() if item.region == "state")
        return {item.name: framework_array(item, self._session.state) for item in changing}

    def _unpermuted(self, name: str, gradient: Array) -> Array:
        return np.transpose(gradient, np.argsort(self._objects[name].permute))


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
