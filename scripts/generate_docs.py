"""Write the lists of the documentation, and the table of support that `pock ops` prints.

What supports what is found by asking: each sample of each op is lowered to a kernel call and shown
to every kernel of every target; each case of a framework's operator is imported while the ops that
its handler makes are written down. Run it after any change to ops, passes, kernels or handlers;
`--check` only says whether the files are up to date.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("", "frontends/torch", "frontends/jax", "frontends/tensorflow")
sys.path[:0] = [str(ROOT / "test" / folder) for folder in TESTS]

NOTE = "<!-- Written by scripts/generate_docs.py: do not edit. -->\n"
SUPPORT = "tools/support.json"
KERAS_LEDGER = "test/frontends/keras/ledger.json"


def kernel_support() -> dict[str, dict[str, list[str]]]:
    """Op name -> target name -> kernels that run at least one sample of the op."""
    from samples import all_samples

    from pock_ir.target import known_targets

    import_module("pock_ir.targets")
    found: dict[str, dict[str, set[str]]] = {}
    for sample in all_samples():
        name = sample.op_type.name
        by_target = found.setdefault(name, {target.name: set() for target in known_targets()})
        for call in _calls(sample.module(), name):
            for target in known_targets():
                matching = {k.name for k in target.kernels if k.matches(call, target)}
                by_target[target.name] |= matching
    return {
        name: {target: sorted(kernels) for target, kernels in sorted(rows.items())}
        for name, rows in sorted(found.items())
    }


def _calls(module: Any, name: str) -> Iterator[Any]:
    """The kernel calls of a module of one op that perform the op called `name`."""
    from pock_ir.dialects import make_context
    from pock_ir.dialects.kern import CallOp, body_ops
    from pock_ir.lowering.train_to_kern import TrainToKernPass

    TrainToKernPass().apply(make_context(), module)
    for op in module.walk():
        if isinstance(op, CallOp) and any(inner.name == name for inner in body_ops(op)):
            yield op


def torch_support() -> dict[str, dict[str, Any]]:
    """PyTorch operator -> the ops that its handler makes, and whether gradients pass through."""
    import torch
    from operator_cases import CASES

    from pock.frontends.torch import import_torch
    from pock.frontends.torch.table import handlers

    made: dict[str, set[str]] = {str(target): set() for target in handlers()}
    restore = _record(made, handlers())

    class Table(torch.nn.Module):
        def forward(self, tensors: Any) -> Any:
            return {name: function(*tensors[name]) for name, (function, _) in CASES.items()}

    def loss(outputs: Any, target: Any) -> Any:
        return outputs["relu"].sum() + target

    tensors = {name: args for name, (_, args) in CASES.items()}
    try:
        for model in (Table().eval(), Table()):
            import_torch(model, (tensors,), torch.zeros(()), loss)
    finally:
        restore()
    return _handler_rows(made, handlers())


def torch_others() -> int:
    """How many core operators of ATen, derivatives aside, have no handler and no decomposition."""
    import torch
    from torch.export import default_decompositions

    from pock.frontends.torch.table import handlers

    known = handlers().keys() | default_decompositions().keys()
    packets = [getattr(torch.ops.aten, name) for name in dir(torch.ops.aten)]
    operators = [
        getattr(p, name) for p in packets if hasattr(p, "overloads") for name in p.overloads()
    ]
    core = [operator for operator in operators if torch.Tag.core in operator.tags]
    return sum("backward" not in str(operator) for operator in core if operator not in known)


def keras_support() -> dict[str, dict[str, Any]]:
    """Layer, activation, loss or optimizer of Keras -> whether it is imported, and its gradients.

    Read from the ledger that scripts/keras_ledger.py writes.
    """
    ledger = json.loads((ROOT / KERAS_LEDGER).read_text(encoding="utf-8"))
    return {part: {"forward": row[0], "backward": row[1]} for part, row in sorted(ledger.items())}


def jax_support() -> dict[str, dict[str, Any]]:
    """JAX primitive or named call -> the ops that its handler makes, and its gradients."""
    import jax.numpy as jnp
    from primitive_cases import CASES

    from pock.frontends.jax import table
    from pock.frontends.jax.importer import import_jax
    from pock.frontends.jax.model import Model

    tables = (table.handlers(), table.whole_handlers())
    made: dict[str, set[str]] = {name: set() for handlers in tables for name in handlers}
    undo = [_record(made, handlers) for handlers in tables]
    try:
        for function, arguments in CASES.values():
            model = Model(lambda _, *xs, function=function: {"y": function(*xs)}, {})
            import_jax(model, arguments, None, lambda *_: jnp.zeros(()))
    finally:
        for restore in undo:
            restore()
    return {name: row for handlers in tables for name, row in _handler_rows(made, handlers).items()}


def jax_others() -> int:
    """How many primitives of JAX have no handler and no body that is imported."""
    import jax.extend.core.primitives as known

    from pock.frontends.jax.calls import BODIES
    from pock.frontends.jax.loops import LOOPS
    from pock.frontends.jax.table import handlers

    named = {getattr(value, "name", None) for key, value in vars(known).items() if key[-2:] == "_p"}
    return len(named - {None} - handlers().keys() - BODIES.keys() - LOOPS.keys())


def tensorflow_support() -> dict[str, dict[str, Any]]:
    """TensorFlow operation -> the ops that its handler makes, and its gradients."""
    import numpy as np
    import tensorflow as tf
    from operation_cases import CASES

    from pock.frontends.tensorflow import import_tensorflow, table

    made: dict[str, set[str]] = {name: set() for name in table.handlers()}
    restore = _record(made, table.handlers())
    arguments = {name: args for name, (_, args) in CASES.items()}

    def model(tensors: Any) -> Any:
        return {name: function(*tensors[name]) for name, (function, _) in CASES.items()}

    def loss(outputs: Any, target: Any) -> Any:
        return tf.reduce_sum(outputs["relu"]) + target

    try:
        import_tensorflow(model, (arguments,), np.zeros(()), loss)
    finally:
        restore()
    return _handler_rows(made, table.handlers())


def tensorflow_others() -> int:
    """How many operations of TensorFlow the importer does not know."""
    import tensorflow as tf

    from pock.frontends.tensorflow.graph import SPECIAL
    from pock.frontends.tensorflow.table import handlers

    named = {name for name in dir(tf.raw_ops) if not name.startswith("_")}
    return len(named - handlers().keys() - SPECIAL)


def _handler_rows(made: Mapping[str, set[str]], handlers: Mapping[Any, Any]) -> dict[str, Any]:
    by_handler: dict[Any, set[str]] = {}
    for target, handler in handlers.items():
        by_handler.setdefault(handler, set()).update(made[str(target)])
    return {
        str(target): _operator_row(handler, made[str(target)] or by_handler[handler])
        for target, handler in sorted(handlers.items(), key=lambda item: str(item[0]))
    }


def _record(made: dict[str, set[str]], handlers: Any) -> Callable[[], None]:
    """Let every handler of a table note the ops that it makes; returns what undoes it."""
    from pock_ir.op import PockOp

    current: list[str] = []
    make = PockOp.make_with.__func__
    originals = dict(handlers)

    def recording_make(cls: Any, *args: Any, **properties: Any) -> Any:
        if current:
            made[current[-1]].add(cls.name)
        return make(cls, *args, **properties)

    def recording(target: Any, handler: Any) -> Any:
        def run(call: Any) -> Any:
            current.append(str(target))
            try:
                return handler(call)
            finally:
                current.pop()

        return run

    PockOp.make_with = classmethod(recording_make)
    for target, handler in originals.items():
        handlers[target] = recording(target, handler)

    def restore() -> None:
        PockOp.make_with = classmethod(make)
        handlers.update(originals)

    return restore


# Ops that only prepare operands; an operator made of these and of inactive ops has no gradient.
PREPARING = {"nn.constant", "nn.iota", "nn.broadcast", "nn.cast", "nn.reshape"}


def _operator_row(handler: Any, ops: set[str]) -> dict[str, Any]:
    """ops: what the handler made of the operator or, where no case uses it, of its like."""
    from pock.tools.catalogue import gradient_of
    from pock_ir.dialects import all_ops

    by_name = {op.name: op for op in all_ops()}
    gradients = {name: gradient_of(by_name[name]) for name in ops}
    refused = sorted(name for name, text in gradients.items() if text.startswith("no"))
    active = [n for n, text in gradients.items() if text == "yes" and n not in PREPARING]
    zero = {name for name, text in gradients.items() if text == "zero"}
    # A constant beside ops that move elements is an operand that some case has.
    is_zero = bool(zero - PREPARING or zero == set(ops)) and bool(zero) and not active
    backward = f"no: {refused[0]}" if refused else "zero" if is_zero else "yes"
    summary = (handler.__doc__ or "").strip().partition("\n")[0]
    is_refused = summary.startswith("Refused")
    return {
        "ops": sorted(ops),
        "forward": f"no: {summary}" if is_refused else "yes",
        "backward": "no" if is_refused else backward,
    }


def support_text() -> str:
    """The table that `pock ops` reads."""
    table = {
        "jax": jax_support(),
        "keras": keras_support(),
        "kernels": kernel_support(),
        "others": {
            "jax": jax_others(),
            "keras": 0,
            "tensorflow": tensorflow_others(),
            "torch": torch_others(),
        },
        "tensorflow": tensorflow_support(),
        "torch": torch_support(),
    }
    return json.dumps(table, indent=1, sort_keys=True) + "\n"


def table_text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def ops_page(kernels: Mapping[str, Mapping[str, list[str]]]) -> str:
    """docs/ops.md."""
    from pock.tools.catalogue import op_rows

    parts = [NOTE, "# Ops\n\n"]
    parts.append(
        "Properties are in braces; `*` marks operands of any number and `?` optional ones. Backward"
        " says whether autodiff has a rule (`zero`: the op is constant almost everywhere). A kernel"
        " is listed under a target if it runs at least one sample of the op alone; fused kernels"
        " run more.\n"
    )
    rows = op_rows()
    for family in sorted({row.name.partition(".")[0] for row in rows}):
        parts.append(f"\n## {family}\n\n")
        for row in (row for row in rows if row.name.partition(".")[0] == family):
            parts.append(f"### `{row.name}`\n\n{row.summary}\n\n`{row.signature}`\n\n")
            parts.append(f"- levels: {', '.join(row.levels)}\n")
            if row.gradient:
                parts.append(f"- backward: {row.gradient}\n")
            parts += [f"- {line}\n" for line in _kernel_lines(kernels.get(row.name, {}))]
            parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def _kernel_lines(by_target: Mapping[str, list[str]]) -> list[str]:
    """One line for each set of kernels, with the targets that have it."""
    groups: dict[str, list[str]] = {}
    for target, kernels in by_target.items():
        if target != "reference":
            groups.setdefault(", ".join(kernels) or "none", []).append(target)
    return [f"kernels on {', '.join(targets)}: {text}" for text, targets in groups.items()]


def passes_page() -> str:
    """docs/passes.md."""
    from pock.tools.catalogue import pass_rows
    from pock.tools.passes import training_pipeline
    from pock_ir.dialects.levels import LEVELS
    from pock_ir.passes.optimizer import OptimizerPass
    from pock_ir.passes.scheme import ApplySchemePass

    levels = table_text(["level", "what it is"], [[v.name, v.description] for v in LEVELS])
    pipeline = training_pipeline(ApplySchemePass(), OptimizerPass())
    stages = table_text(
        ["stage", "passes", "level afterwards"],
        [[s.name, ", ".join(p.name for p in s.passes), s.level] for s in pipeline.stages],
    )
    parts = [NOTE, "# Passes\n\n## Levels\n\n", levels, "\n## Pipeline\n\n", stages]
    for row in pass_rows():
        parts.append(f"\n## `{row.name}`\n\n{row.summary}\n\n")
        arrow = f", leads to {row.after}" if row.after else ""
        parts.append(f"- level: {' or '.join(row.levels) or 'any'}{arrow}\n")
        for option in row.options:
            default = "must be given" if option.default is None else f"default `{option.default}`"
            parts.append(f"- option `{option.name}`: {option.type}, {default}\n")
    return "".join(parts).replace("default ``", "default none")


def _operators_text(rows: Mapping[str, Mapping[str, Any]]) -> str:
    return table_text(
        ["operator", "forward", "backward", "becomes"],
        [
            [f"`{name}`", row["forward"], row["backward"], " ".join(f"`{op}`" for op in row["ops"])]
            for name, row in rows.items()
        ],
    )


def jax_page(rows: Mapping[str, Mapping[str, Any]], others: int) -> str:
    """docs/support-jax.md."""
    opening = (
        "# JAX primitives\n\nModels are imported from their jaxpr. jit, remat and closed calls are"
        " imported as their bodies; so are JAX's own functions with derivatives of their own, but"
        " not a user's where a gradient passes. `scan` and `fori_loop` are unrolled, `cond` and"
        " `while` followed if their course is known. What depends on constants only is computed"
        " while importing. Some functions are kept whole: their names stand at the end of the"
        f" table. The other {others} primitives of JAX are refused with their source line. `zero`:"
        " the result is constant almost everywhere. The last column lists the ops that the"
        " importer makes of the primitive in the tests' cases.\n\n"
    )
    return NOTE + opening + _operators_text(rows)


def keras_page(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """docs/support-keras.md."""
    refused = sum(row["forward"] != "yes" for row in rows.values())
    opening = (
        "# Keras: layers, activations, losses and optimizers\n\nModels on Keras's JAX backend are"
        " imported from their jaxpr, so that a layer of your own works if its functions do: see"
        " [support-jax.md](support-jax.md), and [support-tensorflow.md](support-tensorflow.md) for"
        " models on its TensorFlow backend. This table says what became of each public part of"
        " Keras in the smallest model that has it, on the JAX backend, by"
        f" `scripts/keras_ledger.py`: {len(rows) - refused} are supported, {refused} are refused."
        " Layers that prepare data need TensorFlow in Keras itself. `zero`: there is nothing to"
        " take a gradient of.\n\n"
    )
    cells = [[f"`{name}`", row["forward"], row["backward"]] for name, row in rows.items()]
    return NOTE + opening + table_text(["part of Keras", "forward", "backward"], cells)


def tensorflow_page(rows: Mapping[str, Mapping[str, Any]], others: int) -> str:
    """docs/support-tensorflow.md."""
    opening = (
        "# TensorFlow operations\n\nModels are imported from the graph of a concrete function."
        " Calls are imported as their bodies; `If`, `Case` and `While` are followed if their course"
        " is known, and loops are unrolled. Variables and lists of tensors are values while"
        " importing. What depends on constants only is computed then. Uniform random numbers that"
        f" are compared with a fixed probability are dropout's. The other {others} operations of"
        " TensorFlow are refused with their source line. `zero`: the result is constant almost"
        " everywhere. The last column lists the ops that the importer makes of the operation in the"
        " tests' cases.\n\n"
    )
    return NOTE + opening + _operators_text(rows)


def torch_page(rows: Mapping[str, Mapping[str, Any]], others: int) -> str:
    """docs/support-torch.md."""
    text = _operators_text(rows)
    opening = (
        "# PyTorch operators\n\nEvery other operator is taken apart by PyTorch's own"
        " decompositions first, and refused with its source line if these do not end in the"
        f" operators below. Of ATen's core operators, {others} are refused: nothing takes them"
        " apart. `zero`: the result is constant almost everywhere. The last column lists the ops"
        " that the importer makes of the operator in all its uses.\n\n"
    )
    return NOTE + opening + text


def pages() -> Iterator[tuple[str, str]]:
    """Path and contents of every generated file."""
    text = support_text()
    table = json.loads(text)
    yield SUPPORT, text
    yield "docs/ops.md", ops_page(table["kernels"])
    yield "docs/passes.md", passes_page()
    yield "docs/support-jax.md", jax_page(table["jax"], table["others"]["jax"])
    tensorflow = table["tensorflow"], table["others"]["tensorflow"]
    yield "docs/support-tensorflow.md", tensorflow_page(*tensorflow)
    yield "docs/support-keras.md", keras_page(table["keras"])
    yield "docs/support-torch.md", torch_page(table["torch"], table["others"]["torch"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a file is stale")
    check: bool = parser.parse_args(arguments).check
    stale: list[str] = []
    for path, text in pages():
        file = ROOT / path
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not check:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{'stale' if check else 'written'}: {path}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
