"""From the command line to a pipeline, with each pass at a level it works at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

import pock_ir.targets  # noqa: F401  registers the targets that passes ask for
from pock.pipeline import RECOMPUTE, training_pipeline
from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.levels import level_name_of
from pock_ir.passes.optimizer import OptimizerPass
from pock_ir.passes.scheme import ApplySchemePass
from pock_ir.pipeline import Pipeline, Stage
from pock_ir.registry import (
    PassInfo,
    Spec,
    Value,
    all_passes,
    build_pass,
    parse_passes,
    parse_specs,
)

FIRST_LEVEL = "nn"
PIPELINES = ("training",)


@cache
def working_levels() -> Mapping[str, tuple[str, ...]]:
    """The levels that each pass works at: those it states, and those the pipeline runs it at."""
    found = {name: dict.fromkeys(info.levels) for name, info in all_passes().items()}
    level = FIRST_LEVEL
    for stage in training_pipeline(ApplySchemePass(), OptimizerPass()).stages:
        for action in stage.passes:
            found[action.name][level] = None
            level = all_passes()[action.name].level_after(level)
        level = stage.level
    return {name: tuple(levels) for name, levels in found.items()}


def pass_pipeline(text: str, level: str) -> Pipeline:
    """One stage for each pass in `text`, on a module of `level`.

    Raises PockError if the text is wrong, or a pass does not work at the level that the module
    then has.
    """
    stages: list[Stage] = []
    for action in parse_passes(text):
        info = all_passes()[action.name]
        _check_level(info, level)
        level = info.level_after(level)
        stages.append(Stage(action.name, (action,), level))
    return Pipeline(tuple(stages))


def _check_level(info: PassInfo, level: str) -> None:
    levels = working_levels()[info.name]
    if levels and level not in levels:
        known = " or ".join(map(quote, levels))
        raise PockError(
            Diagnostic(
                f"pass {info.name} works at level {known}, but the module is at {quote(level)}",
                help=_way_to(levels, level),
            )
        )


def _way_to(levels: tuple[str, ...], level: str) -> str:
    """Which passes lead from `level` to one of `levels`, or where to start instead."""
    way: list[str] = []
    seen = {level}
    while level not in levels:
        step = next((i for i in all_passes().values() if i.before == level != i.after), None)
        if step is None or step.level_after(level) in seen:
            return f"give it a module at level {' or '.join(map(quote, levels))}"
        way.append(step.name)
        level = step.level_after(level)
        seen.add(level)
    return f"run first: {','.join(way)}"


def named_pipeline(text: str) -> Pipeline:
    """The pipeline that `text` names, with its options. Raises PockError if it is wrong."""
    specs = parse_specs(text, "pipeline")
    if len(specs) != 1 or specs[0].name not in PIPELINES:
        names = ",".join(spec.name for spec in specs)
        known = ", ".join(PIPELINES)
        raise PockError(Diagnostic(f"no pipeline is called {quote(names)}", help=f"known: {known}"))
    options = dict(specs[0].options)
    update = _built(ApplySchemePass, {"update": options.pop("update", ("full",))})
    layout = _chosen("layout", options, ("nhwc", "keep"))
    recompute = _chosen("recompute", options, tuple(RECOMPUTE))
    optimizer = _built(OptimizerPass, options)
    assert isinstance(update, ApplySchemePass) and isinstance(optimizer, OptimizerPass)
    return training_pipeline(update, optimizer, layout, recompute)


def _built(kind: type[ModulePass], options: Mapping[str, tuple[Value, ...]]) -> ModulePass:
    return build_pass(Spec(kind.name, options))


def _chosen(name: str, options: dict[str, tuple[Value, ...]], known: tuple[str, ...]) -> str:
    """The word of option `name`, which is taken out; the first of `known` if it is not given."""
    values = options.pop(name, known[:1])
    if len(values) != 1 or values[0] not in known:
        raise PockError(
            Diagnostic(f"no {name} is called {quote(values[0])}", help=f"known: {', '.join(known)}")
        )
    return str(values[0])


def check_start(pipeline: Pipeline, module: ModuleOp) -> None:
    """Raise PockError if the first pass of `pipeline` does not work at the module's level."""
    if pipeline.stages:
        _check_level(all_passes()[pipeline.stages[0].passes[0].name], level_name_of(module))
