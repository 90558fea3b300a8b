"""`pock`: from a model to a training program, and what can be asked of one.

Only click is imported here: `pock --help` must not wait for the compiler.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from pock.tools.console import Console
from pock.tools.exits import EXIT_USER_ERROR, HELP, run

EPILOG = f"""\b
{HELP}

Every long option can stand in pock.toml, in a table with the name of the command; what the
command line says wins. Sizes are in bytes, 1 KB is 1024 bytes."""

JOB_HELP = (
    "JOB is FILE.py:NAME, NAME being a pock.Job or a function that returns one; or a .keras file, "
    "with the loss and the optimizer that the model was compiled with."
)
FRONTENDS = ("torch", "jax", "keras", "tensorflow")

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    return run("pock", lambda: _invoke(given), Path("pock-error.txt"))


def _invoke(arguments: Sequence[str]) -> int:
    try:
        # Not cli.main, which prints an empty line of its own on an interrupt.
        with cli.make_context("pock", list(arguments)) as context:
            status = cli.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        print(f"error: {' '.join(error.format_message().split())}", file=sys.stderr)
        command = getattr(getattr(error, "ctx", None), "command_path", "pock")
        print(f"  help: {command} --help", file=sys.stderr)
        return EXIT_USER_ERROR
    return status if isinstance(status, int) else 0


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from pock_ir import VERSION

        click.echo(f"pock {VERSION}")
        context.exit(0)


@click.group(context_settings=CONTEXT, epilog=EPILOG)
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.option("-q", "--quiet", is_flag=True, help="Print results only.")
@click.option("--config", type=click.Path(path_type=Path), help="Read this instead of pock.toml.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version)
@click.pass_context
def cli(context: click.Context, verbose: bool, quiet: bool, config: Path | None) -> None:
    """Compile training: from a framework's model to a small training program in C."""
    from pock.tools.config import read_config

    context.obj = Console(-1 if quiet else int(verbose))
    context.default_map = read_config(cli, config)


def _job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that replace fields of a job."""
    options = (
        click.option("--update", help='What trains: full, head, bias, "last:K", or a scheme file.'),
        click.option(
            "--optimizer", help="sgd, momentum, nesterov, adam, adamw, lion, adam{lr=0.001}."
        ),
        click.option("--target", help="A device, see `pock ops --targets`; host is this machine."),
        click.option("--threads", type=click.IntRange(1, 64), help="Parts that run in parallel."),
        click.option("--name", help="Of the program; prefix of its files and C functions."),
        click.option("--budget", "--ram", help="The most RAM (arena and state), like 256KB."),
        click.option("--layout", type=click.Choice(["nhwc", "keep"]), help="Of pictures."),
        click.option(
            "--recompute",
            type=click.Choice(["none", "cheap"]),
            help="What the backward pass computes again instead of keeping it.",
        ),
        click.option("--loss", type=click.Choice(["cross_entropy", "mse"])),
        click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Of dropout."),
        click.option(
            "--frontend",
            type=click.Choice(FRONTENDS),
            help="The importer; default: chosen by the model.",
        ),
        click.option(
            "--batch",
            type=click.IntRange(1),
            help="Of a .keras file: samples of a step; default: the model's, else 32.",
        ),
        click.option(
            "--data",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Of a .keras file: .npz with an array for each input and target, by name, as "
            "`pock run` takes; default: what the model and its loss say.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
JOB_ARGUMENT = click.argument("job", metavar="JOB")
FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))


@cli.command("compile", help=f"Compile a training program into a folder.\n\n{JOB_HELP}")
@JOB_ARGUMENT
@_job_options
@click.option("-o", "--output", required=True, metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--dump-ir", metavar="DIR", type=click.Path(path_type=Path), help="IR after each pass."
)
@json_option
@click.pass_obj
def compile_command(console: Console, **options: Any) -> int:
    from pock.tools.commands.compile import compile_job_to

    return compile_job_to(console, **options)


@cli.command("check", help=f"List everything that keeps a job from compiling.\n\n{JOB_HELP}")
@JOB_ARGUMENT
@_job_options
@json_option
@click.pass_obj
def check_command(console: Console, **options: Any) -> int:
    from pock.tools.commands.check import check

    return check(console, **options)


@cli.command("report")
@FOLDER
@click.option("--format", "form", type=click.Choice(["table", "json", "html"]), default="table")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--stack", is_flag=True, help="Also the stack, as GCC compiles the program here.")
@click.pass_obj
def report_command(console: Console, **options: Any) -> int:
    """Print the memory and the kernels of a compiled program."""
    from pock.tools.commands.report import report

    return report(console, **options)


@cli.command("verify")
@click.argument("what", metavar="JOB|DIR")
@click.option("--job", help="With DIR: the job that it was compiled from.")
@click.option("--steps", type=click.IntRange(1, 1000), default=3, show_default=True)
@_job_options
@json_option
@click.pass_obj
def verify_command(console: Console, **options: Any) -> int:
    """Compare a program with its source framework, tensor by tensor.

    Loss, every gradient and every updated tensor are compared after each step. Of a DIR without
    --job only the files are checked, and one step is run.
    """
    from pock.tools.commands.verify import verify

    return verify(console, **options)


@cli.command("run")
@FOLDER
@click.option(
    "--data",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=".npz with an array for each input and target, by name; rows are samples.",
)
@click.option(
    "--eval-data",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The same, to evaluate on at the end.",
)
@click.option("--iters", type=click.IntRange(0), default=100, show_default=True)
@click.option("--rate", type=click.FloatRange(0.0), help="Learning rate; default: the program's.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Of the order of samples and of dropout.",
)
@click.option("--steps-per-report", type=click.IntRange(1), default=10, show_default=True)
@click.option("--load", metavar="FILE", type=click.Path(path_type=Path), help="A saved state.")
@click.option("--save", metavar="FILE", type=click.Path(path_type=Path), help="Save the state.")
@click.option(
    "--export",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the trained weights as .safetensors.",
)
@json_option
@click.pass_obj
def run_command(console: Console, **options: Any) -> int:
    """Train with a compiled program, on this machine."""
    from pock.tools.commands.run import train

    return train(console, **options)


@cli.command("ops")
@click.option(
    "--frontend",
    type=click.Choice(FRONTENDS),
    help="What is supported of a framework instead.",
)
@click.option("--target", help="Show the kernels of this target only.")
@click.option("--targets", is_flag=True, help="List the targets instead.")
@json_option
@click.pass_obj
def ops_command(console: Console, **options: Any) -> int:
    """List the supported ops, forward and backward, with their kernels."""
    from pock.tools.commands.ops import ops

    return ops(console, **options)


@cli.command("demo")
@click.argument("name", type=click.Choice(["fruit"]))
@click.option("-o", "--output", required=True, metavar="DIR", type=click.Path(path_type=Path))
@click.option("--quick", is_flag=True, help="A few steps only, to see that everything works.")
@json_option
@click.pass_obj
def demo_command(_: Console, name: str, output: Path, quick: bool, as_json: bool) -> int:
    """Run an example from a pretrained model to a trained program."""
    from pock.demo.run import run_fruit

    run_fruit(output, json=as_json, quick=quick)
    return 0


if __name__ == "__main__":
    sys.exit(main())
