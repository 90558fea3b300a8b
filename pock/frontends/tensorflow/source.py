"""Where in the user's source a node of a graph comes from.

TensorFlow records the Python stack of every node. The frame that a user can act on is the innermost
one outside of TensorFlow and Keras. A model of library layers alone has none: its nodes are then
known by their name, which begins with the layer's.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xdsl.dialects.builtin import UNKNOWN_LOC, LocationAttr, NameLoc, StringAttr

from pock.frontends.common.paths import display_path, is_inside, is_library
from pock_ir.location import describe_location, file_location

Frame = tuple[str, int]
"""File and line."""

LIBRARIES = ("tensorflow", "keras")
"""Packages whose lines say nothing to a user."""

HERE = Path(__file__).resolve().parent


def node_location(node: Any, outer: LocationAttr | None = None) -> LocationAttr:
    """The user's line that made `node`, else `outer` (where it is called), else its name."""
    frame = _innermost((str(f.filename), int(f.lineno or 0)) for f in node.traceback)
    if frame is not None:
        return frame_location(frame)
    return outer or NameLoc(StringAttr(node.name), UNKNOWN_LOC)


def frame_location(frame: Frame) -> LocationAttr:
    """The location of `frame`; its column is 0, since TensorFlow records lines only."""
    return file_location(display_path(frame[0]), frame[1], 0)


def error_place(error: BaseException) -> str | None:
    """The user's line that was running when `error` was raised, as text, if any was."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = _innermost((frame.filename, frame.lineno or 0) for frame in frames)
    return None if frame is None else describe_location(frame_location(frame))


def custom_gradient_home(node: Any) -> str | None:
    """The file of the function whose own gradient made `node`; None if there is no such."""
    files = [str(frame.filename) for frame in node.traceback]
    inside = [i for i, file in enumerate(files) if file.endswith("ops/custom_gradient.py")]
    if not inside:
        return None
    outside = (file for file in reversed(files[: inside[0]]) if not _is_plumbing(file))
    return next(outside, None)


def is_inside_function(node: Any, functions: Iterable[tuple[str, str]]) -> bool:
    """Whether `node` was made in one of the (end of file's name, function's name)."""
    frames = [(str(frame.filename), str(frame.name)) for frame in node.traceback]
    return any(
        name == function and file.endswith(end)
        for file, name in frames
        for end, function in functions
    )


def _is_plumbing(file: str) -> bool:
    """Wrappers that TensorFlow puts around every function of its interface."""
    return file.endswith(("util/traceback_utils.py", "util/dispatch.py"))


def _innermost(frames: Iterable[Frame]) -> Frame | None:
    """The innermost frame of the model: inside of this importer's, outside of the libraries."""
    listed = list(frames)
    # What lies outside of this importer's frames is its caller, not the model.
    start = max((i for i, frame in enumerate(listed) if is_inside(frame[0], HERE)), default=-1)
    inner = (
        frame for frame in reversed(listed[start + 1 :]) if not is_library(frame[0], LIBRARIES)
    )
    return next(inner, None)
