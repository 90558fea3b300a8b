"""`pock-opt`: run passes on IR text, one at a time or as the whole pipeline.

The options are those that people know from mlir-opt and xdsl-opt; see `--help`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pock.tools.exits import EXIT_OK, NegativeAnswer, run
from pock.tools.opt_arguments import Arguments, parse_arguments
from pock_ir.diagnostics import Diagnostic, PockError, one_line, quote

if TYPE_CHECKING:
    from xdsl.context import Context
    from xdsl.dialects.builtin import ModuleOp

    from pock_ir.pipeline import Limits, Observer, Pipeline, Timing

SEPARATOR = "// -----"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns its exit status."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    return run("pock-opt", lambda: _work(options), options.reproducer.with_suffix(".txt"))


def _work(options: Arguments) -> int:
    if options.list_passes or options.list_ops or options.list_levels:
        print(_lists_text(options))
        return EXIT_OK
    chunks = list(_chunks(_input_text(options.input), options.split_input_file))
    outputs = [_process(chunk, options) for chunk in chunks]
    _write(options.output, f"{SEPARATOR}\n".join(outputs))
    return EXIT_OK


def _lists_text(options: Arguments) -> str:
    from pock.tools.opt_lists import levels_text, ops_text, passes_text

    chosen = (
        (options.list_levels, levels_text),
        (options.list_passes, passes_text),
        (options.list_ops, ops_text),
    )
    return "\n\n".join(text() for wanted, text in chosen if wanted)


def _input_text(name: str) -> str:
    from pock_ir.parse import DEFAULT_LIMITS, decode_text, read_text

    if name != "-":
        return read_text(name)
    return decode_text(sys.stdin.buffer.read(DEFAULT_LIMITS.characters + 1), "<stdin>")


def _chunks(text: str, split: bool) -> Iterator[str]:
    """The modules of an input; each keeps its line numbers by the empty lines before it."""
    if not split:
        yield text
        return
    lines, start = text.split("\n"), 0
    for index, line in enumerate([*lines, SEPARATOR]):
        if line.strip() == SEPARATOR:
            yield "\n" * start + "\n".join(lines[start:index])
            start = index + 1


def _process(chunk: str, options: Arguments) -> str:
    """The output for one module. Raises PockError, unless the options ask to print it."""
    try:
        context, module = _parse(chunk, options)
    except PockError as error:
        if options.parsing_diagnostics or options.verify_diagnostics:
            return f"{error}\n"
        raise
    try:
        return _transform(context, module, options)
    except PockError as error:
        if options.verify_diagnostics:
            return f"{error}\n"
        raise


def _parse(text: str, options: Arguments) -> tuple[Context, ModuleOp]:
    from pock_ir.dialects import make_context
    from pock_ir.dialects.levels import check_own_level
    from pock_ir.levels import LEVEL_ATTRIBUTE
    from pock_ir.parse import parse_module

    context = make_context()
    context.allow_unregistered = options.allow_unregistered_dialect
    name = "<stdin>" if options.input == "-" else options.input
    module = parse_module(context, text, name)
    if options.verify_each and LEVEL_ATTRIBUTE in module.attributes:
        check_own_level(module)
    return context, module


def _transform(context: Context, module: ModuleOp, options: Arguments) -> str:
    pipeline = _pipeline(module, options)
    _check_names(pipeline, options)
    if options.bisect_script is not None:
        from pock.tools.opt_bisect import bisect

        return bisect(context, module, pipeline, options.bisect_script)
    from pock_ir.pipeline import Timing

    timing = Timing()
    observers = [*_observers(options, timing)]
    _run_pipeline(pipeline, context, module, observers, options)
    if options.timing:
        _print_timing(timing)
    if options.run is not None:
        from pock.tools.opt_run import run_text

        return run_text(module, options)
    return _module_text(module, options)


def _run_pipeline(
    pipeline: Pipeline,
    context: Context,
    module: ModuleOp,
    observers: list[Observer],
    options: Arguments,
) -> None:
    try:
        pipeline.run(context, module, observers, _limits(options))
    except OSError as error:  # of --dump-ir or of the reproducer; passes open no files
        name = one_line(str(error.filename))
        raise PockError(f"cannot write {name}: {error.strerror}") from error


def _module_text(module: ModuleOp, options: Arguments) -> str:
    from pock_ir.parse import print_module

    return print_module(module, locations=options.print_locations, generic=options.print_op_generic)


def _pipeline(module: ModuleOp, options: Arguments) -> Pipeline:
    from pock_ir.levels import level_name_of
    from pock_ir.pipeline import Pipeline

    if options.passes is None and options.pipeline is None:
        return Pipeline(())
    from pock.tools.passes import check_start, named_pipeline, pass_pipeline

    if options.passes is not None:
        level = level_name_of(module)
        return _part(pass_pipeline(options.passes, level), options)
    pipeline = _part(named_pipeline(options.pipeline or ""), options)
    check_start(pipeline, module)
    return pipeline


def _part(pipeline: Pipeline, options: Arguments) -> Pipeline:
    if options.start_at is not None:
        pipeline = pipeline.starting_at(options.start_at)
    return pipeline if options.stop_after is None else pipeline.until(options.stop_after)


def _limits(options: Arguments) -> Limits:
    from pock_ir.pipeline import Limits

    return Limits(None, options.bisect, options.reproducer)


def _observers(options: Arguments, timing: Timing) -> Iterator[Observer]:
    from pock_ir.dialects.levels import check_named_level
    from pock_ir.pipeline import DumpIR, PrintIR, Validate, VerifyEach

    yield timing
    before, after = options.print_ir_before, options.print_ir_after
    if options.print_ir_changed and after is None:
        after = "all"
    if before or after:
        yield PrintIR(sys.stderr, _names(before), _names(after), options.print_ir_changed)
    if options.dump_ir is not None:
        yield DumpIR(options.dump_ir)
    if options.verify_each:
        yield VerifyEach(check_named_level, every_pass=True)
    if options.validate_each:
        yield Validate(_compare)


def _compare(before: ModuleOp, after: ModuleOp, pass_name: str) -> None:
    from pock_ir.lowering.execute import DifferenceError, compare

    try:
        compare(before, after, pass_name)
    except DifferenceError as error:
        raise NegativeAnswer(*error.diagnostics) from error


def _check_names(pipeline: Pipeline, options: Arguments) -> None:
    """Raise PockError for a name after --print-ir-* that would silently print nothing."""
    actions = [action.name for stage in pipeline.stages for action in stage.passes]
    known = ("all", *pipeline.names(), *actions)
    for name in _names(options.print_ir_before) | _names(options.print_ir_after):
        if name not in known:
            listed = ", ".join(dict.fromkeys(known))
            message = f"nothing to print: no stage or pass {quote(name)} runs"
            raise PockError(Diagnostic(message, help=f"known: {listed}"))


def _names(text: str | None) -> frozenset[str]:
    return frozenset() if text is None else frozenset(text.split(","))


def _print_timing(timing: Timing) -> None:
    total = timing.total() or 1.0
    lines = [f"{'seconds':>9}  {'%':>5}  {'ops':>7}  stage: pass"]
    for stage, name, seconds, count in timing.rows:
        lines.append(f"{seconds:9.4f}  {100 * seconds / total:5.1f}  {count:7}  {stage}: {name}")
    lines.append(f"{timing.total():9.4f}  total")
    print("\n".join(lines), file=sys.stderr)


def _write(name: str, text: str) -> None:
    if name == "-":
        sys.stdout.write(text)
        return
    from pock.program import write_file

    write_file(Path(name), text.encode())


if __name__ == "__main__":
    sys.exit(main())
