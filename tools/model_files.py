"""Jobs from a model's file: a `.keras` file holds the model, its loss and its optimizer."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pock.frontends.keras.archive import SUFFIX
from pock.tools.arrays import read_arrays
from pock_ir.diagnostics import Diagnostic, PockError, quote
from pock_ir.targets.c.program.text import RESERVED

if TYPE_CHECKING:
    from pock.compiler import Job

HELP_LOSS = "give --loss cross_entropy or mse, or call model.compile before saving it"


def is_model_file(text: str) -> bool:
    """Whether `text` names a model's file and not a job in Python."""
    return text.endswith(SUFFIX)


def keras_job(
    file: Path, batch: int | None, data: Path | None, loss: str | None, optimizer: str | None
) -> Job:
    """The training of the model in a .keras file; see `pock.keras.example`.

    data: an .npz file with arrays for all inputs and targets. loss, optimizer: what the command
    line gives instead of the model's own.

    Raises PockError if the file or the data cannot be used, the model has no loss, or an optimizer
    that has taken steps.
    """
    import pock.keras
    from pock.compiler import Job

    arrays = None if data is None else read_arrays(data)
    model = pock.keras.load(file)
    if loss is None and not model.compiled:
        raise PockError(Diagnostic("the model is not compiled with a loss", str(file), HELP_LOSS))
    if optimizer is None and model.compiled:
        _check_steps(file, model.optimizer)
    try:
        inputs, targets = pock.keras.example(model, batch, arrays, loss)
    except PockError as error:
        place = str(file if data is None else data)
        raise PockError(*(replace(item, location=place) for item in error.diagnostics)) from error
    return Job(model, inputs, targets, loss, name=_program_name(file))


def _check_steps(file: Path, optimizer: Any) -> None:
    """Raise PockError if `optimizer` has state, with the option that starts it anew."""
    from pock.frontends import optimizer_from
    from pock.optimizers import optimizer_text

    steps = int(optimizer.iterations)
    if not steps:
        return
    fresh = optimizer_from(type(optimizer).from_config(optimizer.get_config()))
    # The rate is an f32 of Keras's; this is the shortest number that stands for it.
    anew = optimizer_text(replace(fresh, lr=float(str(np.float32(fresh.lr)))))
    count = f"{steps} step{'s' * (steps > 1)}"
    raise PockError(
        Diagnostic(
            f"the optimizer has taken {count} already, and its state cannot be taken over",
            str(file),
            f"start it anew with --optimizer {quote(anew)}",
        )
    )


def _program_name(file: Path) -> str:
    """A name for the program after its file."""
    words = re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_")
    is_name = words[:1].isalpha() and words not in RESERVED
    return (words if is_name else f"model_{words}".rstrip("_"))[:32].rstrip("_")
