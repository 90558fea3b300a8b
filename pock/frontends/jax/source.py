"""Where in the user's source an equation comes from.

JAX records the Python stack of every equation. The frame that a user can act on is the innermost
one outside of JAX and of the libraries above it. The body of a library's own compiled function
(`jnp.where`) is traced once and remembered, with the stack of its first caller: equations inside
one are located at the call.

Paths never depend on where the project lies or a package is installed: a file is named from its
outermost package on ("models/resnet.py"), and a file in no package by its own name ("model.py").
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from jax._src import source_info_util
from xdsl.dialects.builtin import LocationAttr

from pock.frontends.common import paths
from pock.frontends.common.paths import display_path
from pock_ir.location import describe_location, file_location

Frame = tuple[str, int, int]
"""File, line and column, both from 1."""

LIBRARIES = ("jax", "flax", "optax", "equinox", "haiku", "chex", "jaxtyping", "keras")
"""Packages whose lines say nothing to a user."""

FRONTENDS = Path(__file__).resolve().parents[1]


def equation_frame(source: Any) -> Frame | None:
    """The user's line of an equation's source info; None if it has none."""
    frames = source_info_util.user_frames(source.traceback)
    for frame in frames:
        if not is_library(frame.file_name):
            return frame.file_name, frame.start_line, frame.start_column
    return None


def error_frame(error: BaseException) -> Frame | None:
    """The user's line that was running when `error` was raised, if any was."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not is_library(frame.filename):
            return frame.filename, frame.lineno or 0, 0
    return None


def is_library(file: str) -> bool:
    """Whether `file` is part of JAX, a library above it, Python or the importers."""
    return paths.is_inside(file, FRONTENDS) or paths.is_library(file, LIBRARIES)


def frame_location(frame: Frame) -> LocationAttr:
    """The location of `frame`."""
    return file_location(display_path(frame[0]), frame[1], frame[2])


def describe_frame(frame: Frame | None) -> str | None:
    """Text such as "model.py:12:9" for diagnostics, or None without a frame."""
    return None if frame is None else describe_location(frame_location(frame))
