"""The command line of `pock-opt`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pock.tools.exits import HELP

DESCRIPTION = """\
Read IR, run passes on it, print it.

A module names its level in the attribute pock.level:
  nn     the model: forward functions on tensors
  train  one step of training: forward, backward and update on tensors
  kern   the same step as a sequence of kernels
  mem    kernels on buffers at fixed places in memory
  loops  kernels as loops over scalars and vectors
Each pass works at one level (--list-passes shows which)."""

EPILOG = f"""\
examples:
  pock-opt net.mlir -p 'apply-scheme{{update="last:2"}},autodiff'
  pock-opt net.mlir --pipeline 'training{{update=bias optimizer=adam}}' --stop-after fuse
  pock-opt net.mlir --pipeline training --print-ir-after=autodiff,fuse --timing -o planned.mlir
  pock-opt net.mlir -p simplify --validate-each
  pock-opt net.mlir --run eval --inputs batch.npz
  pock-opt net.mlir --pipeline training --bisect-script './is_bad.sh'

{HELP}"""


@dataclass(frozen=True)
class Arguments:
    """What the command line says; the fields are explained by `--help`."""

    input: str
    output: str
    passes: str | None
    pipeline: str | None
    start_at: str | None
    stop_after: str | None
    bisect: int | None
    bisect_script: str | None
    split_input_file: bool
    verify_diagnostics: bool
    parsing_diagnostics: bool
    allow_unregistered_dialect: bool
    verify_each: bool
    validate_each: bool
    print_ir_before: str | None
    print_ir_after: str | None
    print_ir_changed: bool
    dump_ir: Path | None
    timing: bool
    print_op_generic: bool
    print_locations: bool
    run: str | None
    inputs: Path | None
    results: Path | None
    seed: int
    values: bool
    reproducer: Path
    list_passes: bool
    list_ops: bool
    list_levels: bool


class _Parser(argparse.ArgumentParser):
    """Errors are one line and exit status 2, like every other user error."""

    def error(self, message: str) -> None:  # type: ignore[override]  # it never returns
        self.exit(2, f"error: {message}\n  help: {self.prog} --help\n")


def parse_arguments(arguments: Sequence[str]) -> Arguments:
    """Read the command line. Exits with status 2 if it is wrong, 0 after --help."""
    parser = _Parser(
        "pock-opt",
        usage="pock-opt [options] [FILE]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for add in (_add_files, _add_passes, _add_checks, _add_printing, _add_running, _add_lists):
        add(parser)
    return Arguments(**vars(parser.parse_args(arguments)))


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", nargs="?", default="-", metavar="FILE", help="default: - (stdin)")
    group = parser.add_argument_group("files")
    group.add_argument("-o", "--output", default="-", metavar="FILE", help="default: - (stdout)")
    group.add_argument(
        "--split-input-file",
        action="store_true",
        help="the input is several modules, separated by lines '// -----'",
    )
    group.add_argument(
        "--allow-unregistered-dialect",
        action="store_true",
        help="accept ops of unknown dialects in generic form",
    )


def _add_passes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("passes")
    chosen = group.add_mutually_exclusive_group()
    chosen.add_argument("-p", "--passes", metavar="LIST", help="'pass{option=value},pass,...'")
    chosen.add_argument(
        "--pipeline",
        metavar="NAME",
        help="training, or 'training{update=last:2 optimizer=adam layout=keep}'; other options are"
        " those of add-optimizer",
    )
    group.add_argument("--start-at", metavar="STAGE", help="first stage of the pipeline to run")
    group.add_argument("--stop-after", metavar="STAGE", help="last stage of the pipeline to run")
    group.add_argument("--bisect", type=_count, metavar="N", help="run only the first N passes")
    group.add_argument(
        "--bisect-script",
        metavar="COMMAND",
        help="find the first pass after which COMMAND FILE fails, FILE being the module",
    )


def _add_checks(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("checks")
    group.add_argument(
        "--verify-each",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="verify the module, dominance and its level after each pass (default: on)",
    )
    group.add_argument(
        "--validate-each",
        action="store_true",
        help="run every function before and after each pass on random inputs and compare",
    )
    group.add_argument(
        "--verify-diagnostics",
        action="store_true",
        help="print errors to the output, where a test can check them, and exit with 0",
    )
    group.add_argument(
        "--parsing-diagnostics",
        action="store_true",
        help="the same, for errors in the text only",
    )
    group.add_argument(
        "--reproducer",
        type=Path,
        default=Path("pock-reproducer.mlir"),
        metavar="FILE",
        help="where a crash leaves the module before the pass that crashed (default: %(default)s)",
    )


def _add_printing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("printing; IR between passes goes to the error output")
    for when in ("before", "after"):
        group.add_argument(
            f"--print-ir-{when}",
            nargs="?",
            const="all",
            metavar="NAMES",
            help=f"print IR {when} these stages or passes (default: all)",
        )
    group.add_argument(
        "--print-between-passes",
        dest="print_ir_after",
        action="store_const",
        const="all",
        help="the same as --print-ir-after",
    )
    group.add_argument("--print-ir-changed", action="store_true", help="only where a pass did it")
    group.add_argument("--dump-ir", type=Path, metavar="DIR", help="one file for each pass")
    group.add_argument("--timing", action="store_true", help="print the time of each pass")
    group.add_argument("--print-op-generic", action="store_true", help="print the generic form")
    group.add_argument(
        "--print-locations",
        "--print-debuginfo",
        action="store_true",
        help="print loc(...) behind each op",
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument("--run", metavar="FUNCTION", help="interpret a function after the passes")
    group.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE",
        help=".npz with arrays by name, or 'kind:name'; what is missing is random",
    )
    group.add_argument("--results", type=Path, metavar="FILE", help="write the results as .npz")
    group.add_argument("--seed", type=_count, default=0, help="of random inputs (default: 0)")
    group.add_argument("--values", action="store_true", help="print the results, not digests")


def _add_lists(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("lists")
    group.add_argument("--list-passes", action="store_true", help="every pass with its options")
    group.add_argument("--list-ops", action="store_true", help="every op of every dialect")
    group.add_argument("--list-levels", action="store_true", help="every level, in order")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number of 0 or more")
    return int(text)
