"""`pock report`: the facts of a compiled program, for people, programs and browsers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pock.manifest import HELP, MAX_MANIFEST_BYTES, read_files, read_manifest
from pock.program import write_file
from pock.strict_json import Node, read_object
from pock.tools.console import Console, human_bytes, table
from pock.tools.exits import EXIT_OK
from pock_ir.diagnostics import PockError, one_line, quote

if TYPE_CHECKING:
    from pock.stack import StackUsage

MAX_ROWS = 10_000
PICTURE = "memory.svg"


@dataclass(frozen=True)
class Function:
    """The memory of one entry, in bytes, and its number of kernel calls."""

    name: str
    arena: int
    plan_bound: int
    order_bound: int | None
    calls: int
    at_peak: Mapping[str, int]


@dataclass(frozen=True)
class Facts:
    """What memory.json says, checked. Sizes in bytes; kernels: calls in one training step."""

    name: str
    target: str
    threads: int
    sizes: Mapping[str, int]
    trained: int
    values: int
    functions: tuple[Function, ...]
    kernels: tuple[tuple[str, int], ...]
    savings: Mapping[str, tuple[int, int]]


SIZES = (
    ("arena_bytes", "arena"),
    ("state_bytes", "state"),
    ("optimizer_bytes", "  of it optimizer"),
    ("constant_bytes", "constants (read only)"),
)


def report(
    console: Console, folder: Path, form: str, as_json: bool, output: Path | None, stack: bool
) -> int:
    """Print or write the report of the program in `folder`."""
    form = "json" if as_json else form
    usage = _stack(folder) if stack else None
    files = read_files(folder, read_manifest(folder))
    if "memory.json" not in files:
        raise PockError(f"{quote(folder)} has no memory.json")
    node = read_object(folder / "memory.json", MAX_MANIFEST_BYTES, HELP)
    facts = facts_of(node)
    text = {
        "json": _with_stack(files["memory.json"].decode().rstrip("\n"), usage),
        "table": details(facts) + _stack_text(usage),
        "html": page(facts, files.get(PICTURE, b"").decode("utf-8", "replace")),
    }[form]
    if output is None:
        console.result(text)
    else:
        write_file(output, (text + "\n").encode())
    return EXIT_OK


def _stack(folder: Path) -> StackUsage:
    """The stack of the program in `folder`. Raises PockError if GCC is missing."""
    from pock.manifest import load_program
    from pock.stack import stack_usage

    return stack_usage(load_program(folder))


def _with_stack(text: str, usage: StackUsage | None) -> str:
    if usage is None:
        return text
    stack = {"compiler": usage.compiler, "bytes": usage.bytes, "entries": dict(usage.entries)}
    return json.dumps({**json.loads(text), "stack": stack}, indent=2)


def _stack_text(usage: StackUsage | None) -> str:
    """Lines for the table. The stack depends on the compiler, so it stands in no written file."""
    if usage is None:
        return ""
    rows = "".join(f"\n  {name}: {size} bytes" for name, size in usage.entries.items())
    return f"\nstack, compiled with {usage.compiler}:{rows}"


def read_facts(data: Mapping[str, Any], source: str) -> Facts:
    """The facts of a report that is in memory."""
    return facts_of(Node(dict(data), source, "", None))


def facts_of(node: Node) -> Facts:
    """Check a report. Raises PockError naming what is missing or has the wrong type."""
    fields = Fields(node)
    return Facts(
        name=one_line(fields["name"].text()),
        target=one_line(fields["target"].text()),
        threads=fields["threads"].integer(),
        sizes={key: fields[key].integer() for key, _ in SIZES},
        trained=fields["trained_values"].integer(),
        values=fields["values"].integer(),
        functions=tuple(_function(item) for item in fields["functions"].elements(MAX_ROWS)),
        kernels=tuple(_kernel(item) for item in fields["kernels"].elements(MAX_ROWS)),
        savings=_savings(fields["savings"]),
    )


class Fields:
    """The fields of an object; asking for one that is missing is a PockError."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._items = node.items()

    def __getitem__(self, key: str) -> Node:
        if key not in self._items:
            raise self._node.fail(f"the key {quote(key)} is missing")
        return self._items[key]


def _function(node: Node) -> Function:
    fields = Fields(node)
    order = fields["order_lower_bound_bytes"]
    return Function(
        one_line(fields["name"].text()),
        fields["arena_bytes"].integer(),
        fields["plan_lower_bound_bytes"].integer(),
        None if order.value is None else order.integer(),
        fields["calls"].integer(),
        {
            one_line(key): item.integer()
            for key, item in fields["alive_at_peak_bytes"].items().items()
        },
    )


def _kernel(node: Node) -> tuple[str, int]:
    fields = Fields(node)
    return one_line(fields["kernel"].text()), fields["calls"].integer()


def _savings(node: Node) -> dict[str, tuple[int, int]]:
    """Work of full training and under the scheme, by what is counted."""
    if node.value is None:
        return {}
    fields = Fields(node)
    full, scheme = Fields(fields["full"]), Fields(fields["scheme"])
    return {key: (full[key].integer(), scheme[key].integer()) for key in ("ops", "flops", "bytes")}


def summary(facts: Facts) -> str:
    """The few lines that matter."""
    share = 100.0 * facts.trained / facts.values if facts.values else 0.0
    threads = f", {facts.threads} threads" if facts.threads > 1 else ""
    ram = facts.sizes["arena_bytes"] + facts.sizes["state_bytes"]
    lines = [f"{facts.name} for {facts.target}{threads}"]
    lines += [f"  {label:22} {human_bytes(facts.sizes[key])}" for key, label in SIZES]
    lines.append(f"  {'RAM (arena + state)':22} {human_bytes(ram)}")
    lines.append(f"  {'trained':22} {share:.4g} % of {facts.values} values ({facts.trained})")
    return "\n".join(lines)


def details(facts: Facts) -> str:
    """The summary and the tables."""
    parts = [summary(facts), table(_function_rows(facts), right=range(1, 5))]
    parts += [table(_peak_rows(item), right=[1]) for item in facts.functions if item.at_peak]
    if facts.kernels:
        rows = [["kernel", "calls per step"], *([name, str(n)] for name, n in facts.kernels)]
        parts.append(table(rows, right=[1]))
    if facts.savings:
        parts.append(table(_saving_rows(facts), right=[1, 2, 3]))
    return "\n\n".join(parts)


def _function_rows(facts: Facts) -> list[list[str]]:
    rows = [["entry", "arena", "bound of plan", "bound of order", "kernel calls"]]
    for item in facts.functions:
        order = "-" if item.order_bound is None else str(item.order_bound)
        rows.append([item.name, str(item.arena), str(item.plan_bound), order, str(item.calls)])
    return rows


def _peak_rows(item: Function) -> list[list[str]]:
    rows = [[f"{item.name}: alive at the peak", "bytes"]]
    return [*rows, *([key, str(size)] for key, size in item.at_peak.items())]


def _saving_rows(facts: Facts) -> list[list[str]]:
    rows = [["one step, before fusion", "all trained", "this scheme", "kept"]]
    for key, (full, scheme) in facts.savings.items():
        kept = f"{100.0 * scheme / full:.1f} %" if full else "-"
        rows.append([key, str(full), str(scheme), kept])
    return rows


PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; }}
pre {{ background: #f4f4f4; padding: 1em; overflow-x: auto; }} svg {{ max-width: 100%; }}</style>
</head><body><h1>{title}</h1>
<pre>{text}</pre>
{picture}
</body></html>"""


def page(facts: Facts, picture: str) -> str:
    """A self-contained page; the picture is shown as an image, in which no script can run."""
    from base64 import b64encode

    source = b64encode(picture.encode()).decode()
    image = f'<img alt="the arena over time" src="data:image/svg+xml;base64,{source}">'
    return PAGE.format(
        title=escape(f"{facts.name}: memory and kernels"),
        text=escape(details(facts)),
        picture=image if picture else "",
    )
