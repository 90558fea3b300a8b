"""Names of source files that depend on neither the machine nor the working directory."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def display_path(file: str) -> str:
    """`file` from its outermost package on, with forward slashes; its own name if it has none."""
    path = Path(file)
    package = path.parent
    while (package / "__init__.py").exists() and package.parent != package:
        package = package.parent
    inside = path.parent != package
    return path.relative_to(package).as_posix() if inside else path.name


@cache
def is_inside(file: str, folder: Path) -> bool:
    """Whether `file` lies in `folder` or below it."""
    return folder in Path(file).resolve().parents
