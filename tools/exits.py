"""What the exit status of both commands means, and the one place where errors become one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from traceback import format_exception

from pock_ir.diagnostics import EXIT_USER_ERROR, PockError

EXIT_OK = 0

EXIT_FAILED = 1
"""The command did its work and the answer is no: verify found a difference, over budget."""

EXIT_INTERNAL = 70
"""A defect of pock itself; the number is EX_SOFTWARE of BSD's sysexits."""

EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

HELP = """\
exit status: 0 done; 1 done, and the answer is no (a check found a difference, a program is over
its budget); 2 the input cannot be used, with one message for each reason; 70 a defect of pock;
130 interrupted."""


class NegativeAnswer(PockError):
    """The work was done and its result is that something does not hold: exit status 1."""


def run(command: str, work: Callable[[], int], trace_file: Path | None = None) -> int:
    """The exit status of `work`; prints one message for whatever it raises.

    trace_file: where the details of an internal error go, so that the terminal shows one line.
    """
    try:
        return _run(command, work, trace_file)
    finally:
        _flush()


def _run(command: str, work: Callable[[], int], trace_file: Path | None) -> int:
    try:
        return work()
    except NegativeAnswer as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    except PockError as error:
        print(error, file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print(f"{command}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_BROKEN_PIPE
    except Exception as error:
        report_internal(command, error, trace_file)
        return EXIT_INTERNAL


def report_internal(command: str, error: Exception, trace_file: Path | None) -> None:
    """One line that names a defect, and its details in a file, or printed where that fails."""
    summary = " ".join(str(error).split())[:300]
    print(
        f"{command}: internal error, please report it: {type(error).__name__}: {summary}",
        file=sys.stderr,
    )
    for note in getattr(error, "__notes__", ()):
        print(f"  {str(note).splitlines()[0][:300]}", file=sys.stderr)
    details = "".join(format_exception(error))
    try:
        if trace_file is None:
            raise OSError
        trace_file.write_text(details, encoding="utf-8")
    except OSError:
        print(details, file=sys.stderr)
    else:
        print(f"  details written to {trace_file}", file=sys.stderr)


def _flush() -> None:
    """Flush the output; if nobody reads it any more, keep the interpreter from complaining."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
