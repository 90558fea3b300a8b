"""The signature of a function: what each argument and result is, by its attributes.

`pock.kind` and `pock.name` stand in the argument and result attributes of a `func.func`; this
module is the one place that reads and writes them there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, FunctionType, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, BlockArgument, SSAValue
from xdsl.rewriter import Rewriter

Attributes = Mapping[str, Attribute]


def argument_attributes(function: FuncOp) -> list[Attributes]:
    """The attributes of each argument; an empty mapping where there are none."""
    return _dictionaries(function.arg_attrs, len(function.args))


def result_attributes(function: FuncOp) -> list[Attributes]:
    """The attributes of each result; an empty mapping where there are none."""
    return _dictionaries(function.res_attrs, len(function.function_type.outputs))


def set_argument_attributes(function: FuncOp, attributes: Sequence[Attributes]) -> None:
    """Replace the attributes of all arguments."""
    function.arg_attrs = ArrayAttr(DictionaryAttr(dict(entry)) for entry in attributes)


def argument_attribute(function: FuncOp, index: int, key: str) -> Attribute | None:
    """One attribute of one argument, or None."""
    return argument_attributes(function)[index].get(key)


def set_argument_attribute(function: FuncOp, index: int, key: str, value: Attribute) -> None:
    """Set one attribute of one argument; those of the others are not built again."""
    if function.arg_attrs is None:
        set_argument_attributes(function, argument_attributes(function))
    entries = list(cast("ArrayAttr[DictionaryAttr]", function.arg_attrs).data)
    entries[index] = DictionaryAttr({**entries[index].data, key: value})
    function.arg_attrs = ArrayAttr(entries)


def set_result_attributes(function: FuncOp, attributes: Sequence[Attributes]) -> None:
    """Replace the attributes of all results."""
    function.res_attrs = ArrayAttr(DictionaryAttr(dict(entry)) for entry in attributes)


def kind_of(attributes: Attributes) -> str:
    """The `pock.kind`, or "" if there is none."""
    return _text(attributes, "pock.kind")


def name_of(attributes: Attributes) -> str:
    """The `pock.name`, or "" if there is none."""
    return _text(attributes, "pock.name")


def described(kind: str, name: str | None = None) -> Attributes:
    """The attributes of an argument or result of this kind and name."""
    entry: dict[str, Attribute] = {"pock.kind": StringAttr(kind)}
    if name is not None:
        entry["pock.name"] = StringAttr(name)
    return entry


def return_of(function: FuncOp) -> ReturnOp:
    """The terminator of a function of one block. Raises TypeError if it is no func.return."""
    last = function.body.block.last_op
    if not isinstance(last, ReturnOp):
        raise TypeError(f"@{function.sym_name.data} does not end in func.return")
    return last


def append_arguments(
    function: FuncOp, arguments: Sequence[tuple[Attribute, Attributes]]
) -> list[BlockArgument]:
    """Add arguments of these types and attributes behind the last one; return their values.

    Add many at once: each call costs a time linear in the number of all arguments.
    """
    entries = [*argument_attributes(function), *(attributes for _, attributes in arguments)]
    block = function.body.block
    values: list[BlockArgument] = []
    for type, attributes in arguments:
        value = block.insert_arg(type, len(block.args))
        name = name_of(attributes)
        value.name_hint = name if SSAValue.is_valid_name(name) else kind_of(attributes)
        values.append(value)
    function.update_function_type()
    set_argument_attributes(function, entries)
    return values


def replace_results(function: FuncOp, results: Sequence[tuple[SSAValue, Attributes]]) -> None:
    """Let the function return these values, with these attributes."""
    values = [value for value, _ in results]
    old = return_of(function)
    new = ReturnOp(*values)
    new.location = old.location
    Rewriter.replace_op(old, new, [])
    types = [value.type for value in values]
    function.function_type = FunctionType.from_lists(
        [argument.type for argument in function.args], types
    )
    set_result_attributes(function, [entry for _, entry in results])


def results_of(function: FuncOp) -> list[tuple[SSAValue, Attributes]]:
    """What the function returns: each value with the attributes of its result."""
    values = return_of(function).operands
    return list(zip(values, result_attributes(function), strict=True))


def _dictionaries(attribute: Attribute | None, count: int) -> list[Attributes]:
    if attribute is None:
        return [{} for _ in range(count)]
    return [entry.data for entry in cast("ArrayAttr[DictionaryAttr]", attribute).data]


def _text(attributes: Attributes, key: str) -> str:
    entry = attributes.get(key)
    return entry.data if isinstance(entry, StringAttr) else ""
