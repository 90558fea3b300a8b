"""PyTorch models as modules of level `nn`: @train, @eval and @infer, with weights beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.export import ExportedProgram
from xdsl.dialects.builtin import ModuleOp

from pock.frontends.common.signature import new_module, used_names
from pock.frontends.imported import Imported
from pock.frontends.torch.arguments import StoredTable
from pock.frontends.torch.capture import Example, capture_module, decompose, evaluation_mode
from pock.frontends.torch.function import FunctionSpec, Source, build_function
from pock.frontends.torch.loss import Loss, capture_loss, objective_for
from pock.frontends.torch.ops.dropout import draws_random_numbers
from pock.frontends.torch.structure import input_leaves
from pock_ir.diagnostics import DiagnosticCollector, PockError
from pock_ir.verify import verify_module


def import_torch(
    model: nn.Module | ExportedProgram,
    example_inputs: tuple[Any, ...] | Mapping[str, Any],
    example_targets: Any,
    loss: Loss,
    *,
    name: str = "net",
) -> Imported:
    """Import `model` with `loss`.

    example_inputs: positional arguments of forward as a tuple, or keyword arguments as a mapping;
        tensors may lie in nested tuples, lists and dicts. Their shapes and dtypes are compiled.
    example_targets: a tensor, or a tuple or dict of tensors.
    loss: "cross_entropy" or "mse" (both: mean), a torch.nn.Module, or a function; called with the
        outputs and the targets, and must give a float scalar. By name and as a module it gets
        the model's logits: the only or first output, or the one called "logits". A function gets
        what the model returns.

    @train is the model in the mode that it is in: a frozen batch norm is one in eval mode.
    @eval and @infer are the model in eval mode. The model and its tensors are not changed.
    An ExportedProgram has one mode, that in which it was exported. If nothing in it is specific
    to training (dropout, batch statistics), all three functions are made of it, else only @train.

    Raises PockError with everything that cannot be imported, each with the source line.
    """
    errors = DiagnosticCollector()
    trained, evaluated = _capture(model, example_inputs)
    table = StoredTable(errors)
    table.reserve(trained.state_dict)
    sources = _sources(trained, evaluated, loss, example_targets, table)
    errors.raise_if_any()
    module = new_module(name)
    for spec in _specs(sources, evaluated is not None):
        module.body.block.add_op(build_function(spec, table, errors))
    errors.raise_if_any()
    verify_module(module)
    return _imported(module, table, sources[0], sources[-1])


def _capture(
    model: nn.Module | ExportedProgram, example_inputs: tuple[Any, ...] | Mapping[str, Any]
) -> tuple[ExportedProgram, ExportedProgram | None]:
    """The program of the model as it is, and in eval mode (None if it has none)."""
    if isinstance(model, ExportedProgram):
        program = decompose(model, "the exported program")
        return program, None if _is_for_training(program) else program
    example = _example(example_inputs)
    what = type(model).__name__
    trained = capture_module(model, example, training=True, what=what)
    if not any(inner.training for inner in model.modules()):
        return trained, trained
    with evaluation_mode(model):
        return trained, capture_module(model, example, training=False, what=what)


def _example(inputs: tuple[Any, ...] | Mapping[str, Any]) -> Example:
    if isinstance(inputs, Mapping):
        return Example((), inputs)
    if not isinstance(inputs, tuple):  # pyright: ignore[reportUnnecessaryIsInstance] - user input
        raise PockError("example inputs should be a tuple of arguments or a dict of keywords")
    return Example(inputs, {})


def _is_for_training(program: ExportedProgram) -> bool:
    written = bool(program.graph_signature.buffers_to_mutate)
    return written or any(map(draws_random_numbers, program.graph.nodes))


def _sources(
    trained: ExportedProgram,
    evaluated: ExportedProgram | None,
    loss: Loss,
    targets: Any,
    table: StoredTable,
) -> list[Source]:
    """The model in its mode and, if it has one, in eval mode; each with its loss."""
    sources: list[Source] = []
    for program in (trained, evaluated):
        if program is None or (sources and program is sources[0].program):
            continue
        bound = table.bind(program)
        known = objective_for(sources[0].objective, program) if sources else None
        objective = known or capture_loss(loss, program, targets)
        loss_bound = table.bind(objective.program)
        sources.append(Source(program, bound, input_leaves(program), objective, loss_bound))
    return sources


def _specs(sources: list[Source], has_eval: bool) -> list[FunctionSpec]:
    """@train of the first source; @eval and @infer of the last."""
    specs = [FunctionSpec("train", sources[0], loss=True, outputs=False, updates=True)]
    if has_eval:
        specs.append(FunctionSpec("eval", sources[-1], loss=True, outputs=True, updates=False))
        specs.append(FunctionSpec("infer", sources[-1], loss=False, outputs=True, updates=False))
    return specs


def _imported(module: ModuleOp, table: StoredTable, trained: Source, evaluated: Source) -> Imported:
    used = used_names(module)
    return Imported(
        module,
        {name: item.data for name, item in table.tensors.items() if name in used},
        {alias: name for alias, name in table.aliases.items() if name in used},
        tuple(name for name in table.frozen if name in used),
        tuple(leaf.name for leaf in trained.inputs),
        tuple(leaf.name for leaf in trained.objective.targets),
        tuple(leaf.name for leaf in evaluated.objective.outputs),
    )
