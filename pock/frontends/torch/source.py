"""Where in the user's source an exported node comes from.

torch.export records the Python stack of every node, as far as it is functions called `forward`.
The frame that a user can act on is the innermost one outside PyTorch; a model made of PyTorch's
own modules only has PyTorch's frames.

Paths never depend on the working directory, on where the project lies or on where a package is
installed: a file is named from its outermost package on ("pock/zoo/resnet.py"), and a file in
no package by its own name ("model.py").
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from pathlib import Path

import torch
from torch.fx import Node
from xdsl.dialects.builtin import LocationAttr

from pock.frontends.common.paths import display_path, is_inside
from pock_ir.diagnostics import Diagnostic
from pock_ir.location import describe_location, file_location

Frame = tuple[str, int]

_FRAME = re.compile(r'^\s*File "(.+)", line (\d+), in ', re.MULTILINE)
_TORCH = Path(torch.__file__).resolve().parent
_HERE = Path(__file__).resolve().parent


def node_frame(node: Node) -> Frame | None:
    """(file, line) of the user's code that `node` comes from; None if it has no real frame."""
    trace = node.meta.get("stack_trace")
    if not trace:
        return None
    return _choose([(file, int(line)) for file, line in _FRAME.findall(trace)])


def error_frame(error: BaseException) -> Frame | None:
    """(file, line) of the user's code that was running when `error` was raised, if any was."""
    frames = traceback.extract_tb(error.__traceback__)
    return _innermost_user([(frame.filename, frame.lineno or 0) for frame in frames])


def running_frame() -> Frame | None:
    """(file, line) of the user's code that is running now inside a trace, if any is."""
    stack = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_stack()]
    while stack and _is_hidden(stack[-1][0]):
        stack.pop()
    # What lies outside of this importer's frames is the caller of the importer, not the model.
    start = max((i for i, frame in enumerate(stack) if _is_hidden(frame[0])), default=-1)
    return _innermost_user(stack[start + 1 :])


def _innermost_user(frames: list[Frame]) -> Frame | None:
    """The innermost frame of neither PyTorch nor this importer; frames go from outside in."""
    outside = (frame for frame in reversed(frames) if not _is_torch(frame[0]))
    return next((frame for frame in outside if not _is_hidden(frame[0])), None)


def _choose(frames: list[Frame]) -> Frame | None:
    """The innermost frame outside PyTorch, else the innermost one; frames go from outside in."""
    visible = [frame for frame in reversed(frames) if not _is_hidden(frame[0])]
    return next((frame for frame in visible if not _is_torch(frame[0])), next(iter(visible), None))


def _is_hidden(file: str) -> bool:
    """Frames of generated code (graph modules) and of this importer say nothing to a user."""
    return file.startswith("<eval_with_key>") or is_inside(file, _HERE)


def _is_torch(file: str) -> bool:
    return is_inside(file, _TORCH)


def frame_location(frame: Frame) -> LocationAttr:
    """The location of `frame`; its column is 0, since PyTorch records lines only."""
    return file_location(display_path(frame[0]), frame[1], 0)


def describe_frame(frame: Frame | None) -> str | None:
    """Text such as "model.py:12:0" for diagnostics, or None without a frame."""
    return None if frame is None else describe_location(frame_location(frame))


def diagnose(message: str, node: Node, help: str | None = None) -> Diagnostic:
    """A diagnostic located at `node`."""
    return Diagnostic(message, describe_frame(node_frame(node)), help)


def first_frame(nodes: Iterable[Node]) -> Frame | None:
    """The first frame that is known among `nodes`."""
    return next((frame for node in nodes if (frame := node_frame(node)) is not None), None)
