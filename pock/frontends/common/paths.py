"""Names of source files that depend on neither the machine nor the working directory."""

from __future__ import annotations

import traceback
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_STANDARD = Path(traceback.__file__).resolve().parent


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


@cache
def is_library(file: str, packages: tuple[str, ...]) -> bool:
    """Whether `file` is generated code, or a part of Python or of one of `packages`."""
    if file.startswith("<"):
        return True
    # Installed packages lie inside the standard library's folder, and may be the user's model.
    standard = is_inside(file, _STANDARD) and "site-packages" not in Path(file).parts
    return standard or any(is_inside(file, folder) for folder in _folders(packages))


@cache
def _folders(packages: tuple[str, ...]) -> tuple[Path, ...]:
    """Where those of `packages` lie that are installed."""
    origins = [spec.origin for name in packages if (spec := find_spec(name)) is not None]
    return tuple(Path(origin).resolve().parent for origin in origins if origin is not None)
