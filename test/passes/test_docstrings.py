"""Every pass opens with IR before and after; this runs the pass on the one and compares."""

import re
from importlib import import_module
from pkgutil import walk_packages

import pytest
from xdsl.passes import ModulePass, PassPipeline

import pock_ir.lowering
import pock_ir.passes
import pock_ir.targets  # passes ask for the targets that this registers
from pock_ir.dialects import make_context
from pock_ir.parse import parse_module, print_module
from pock_ir.verify import verify_module

FIELD = re.compile(r"^(before|after|options|unchanged):[ ]?", re.MULTILINE)


def find_passes() -> dict[str, type[ModulePass]]:
    """Every pass of the two packages, by name."""
    found: dict[str, type[ModulePass]] = {}
    for package in (pock_ir.passes, pock_ir.lowering):
        for info in walk_packages(package.__path__, f"{package.__name__}."):
            for item in vars(import_module(info.name)).values():
                is_pass = isinstance(item, type) and issubclass(item, ModulePass)
                if is_pass and item.__module__ == info.name:
                    found[item.name] = item
    return dict(sorted(found.items()))


PASSES = find_passes()


def fields(text: str) -> dict[str, str]:
    """The parts of a docstring that begin with a keyword at the left margin."""
    parts = FIELD.split(text)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def first_module(text: str) -> str:
    """The indented lines at the beginning of a part."""
    lines = text.split("\n")
    end = next((i for i, line in enumerate(lines) if line and not line[0].isspace()), len(lines))
    return "\n".join(lines[:end])


def the_pass(name: str, options: str | None) -> ModulePass:
    spec = name if options is None else " ".join(first_lines(options).split())
    (built,) = PassPipeline.parse_spec({name: lambda: PASSES[name]}, spec).passes
    return built


def first_lines(options: str) -> str:
    """The option text, up to the brace that closes it at the end of a line."""
    return options[: re.search(r"\}\s*$", options, re.MULTILINE).end()]


@pytest.mark.parametrize("name", PASSES)
def test_docstring_shows_what_the_pass_does(name: str) -> None:
    text = import_module(PASSES[name].__module__).__doc__ or ""
    parts = fields(text)
    wanted = {"before", "after", "unchanged"}
    assert wanted <= parts.keys(), f"the docstring has no {sorted(wanted - parts.keys())}"
    context = make_context()
    module = parse_module(context, first_module(parts["before"]), "before")
    expected = parse_module(context, first_module(parts["after"]), "after")
    the_pass(name, parts.get("options")).apply(context, module)
    verify_module(module)
    assert print_module(bare(module)) == print_module(bare(expected))


def bare(module):
    """The module without name hints, so that printing numbers the values."""
    for op in module.walk():
        for result in op.results:
            result.name_hint = None
        for region in op.regions:
            for block in region.blocks:
                for argument in block.args:
                    argument.name_hint = None
    return module
