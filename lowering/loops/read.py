"""Reads a call's body as a loop program, or says that it is none."""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.ir import BlockArgument, OpResult, SSAValue

from pock_ir.dialects.kern import NONE, CallOp, reuses_of, updates_of, yielded
from pock_ir.dialects.optimizer import UpdateOp
from pock_ir.lowering.loops.body import BodyReader, Domain, Map, Unsupported
from pock_ir.lowering.loops.program import Access, Buffer, LoopProgram, Nest, Store, row_major
from pock_ir.lowering.loops.rows import DOMAINS, RULES
from pock_ir.lowering.loops.spill import spilled
from pock_ir.lowering.loops.updates import is_partial
from pock_ir.scalar import arg
from pock_ir.types import dtype_of, num_elements, shape_of

LONGEST_BODY = 120
"""Ops in a body: more gain nothing from fusion, since their values do not stay in registers."""


def read_domain(call: CallOp) -> Domain:
    """The domain of a call's body. Raises Unsupported if its ops do not share one."""
    found = {DOMAINS[type(op)](op) for op in call.body.block.ops if type(op) in DOMAINS}
    if len(found) > 1:
        raise Unsupported("reductions over several domains")
    if found:
        sizes, reduced = found.pop()
        return Domain(sizes, reduced)
    shapes = {_result_shape(value) for value in yielded(call)}
    if len(shapes) != 1:
        raise Unsupported("results of several shapes")
    return Domain(shapes.pop(), frozenset())


def _result_shape(value: SSAValue) -> tuple[int, ...]:
    """The shape over which a result is computed: that of the gradient for an update."""
    update = _update_of(value)
    return shape_of(value if update is None else update.g)


def _update_of(value: SSAValue) -> UpdateOp | None:
    """The op that makes `value` by updating a slice of a parameter."""
    if not isinstance(value, OpResult) or value.index != 0:
        return None
    op = value.op
    return op if isinstance(op, UpdateOp) and is_partial(op) else None


def _place(domain: Domain, shape: tuple[int, ...]) -> Map:
    """Where a result of `shape` runs. Raises Unsupported."""
    for place in (domain.identity, domain.kept):
        if tuple(domain.sizes[dim] for dim in place) == shape:
            return place
    raise Unsupported("a result of another shape")


def read_body(call: CallOp) -> LoopProgram:
    """The loop program of a call. Raises Unsupported, with the reason, if there is none."""
    if len(call.body.block.ops) > LONGEST_BODY:
        raise Unsupported("a body of too many ops for the registers")
    domain = read_domain(call)
    reader = BodyReader(domain, RULES)
    stores: list[Store] = []
    copies: list[Nest] = []
    aliases = buffer_aliases(call)
    for index, value in enumerate(yielded(call)):
        buffer = len(call.operands) + index
        update = _update_of(value)
        if update is not None:
            place = _place(domain, shape_of(update.g))
            to = reader.slice_access(buffer, update, place)
            copies += _rest_of_parameter(update, buffer, aliases)
            stores.append(Store(to, reader.updated_slice(update, place)))
        else:
            place = _place(domain, shape_of(value))
            to = Access(buffer, dtype_of(value), reader.strides(row_major(shape_of(value)), place))
            stores.append(Store(to, reader.term(value, place)))
    nest = Nest(
        domain.sizes,
        domain.reduced,
        tuple(reader.sources),
        tuple(reader.reductions),
        tuple(stores),
    )
    nests = (*copies, spilled(nest, aliases))
    return LoopProgram(buffers_of(call), nests, aliases, split=not copies and bool(nest.kept))


def _rest_of_parameter(op: UpdateOp, buffer: int, aliases: Mapping[int, int]) -> list[Nest]:
    """A copy of the whole parameter, unless the result takes over its memory."""
    w: SSAValue = op.w
    if not isinstance(w, BlockArgument):
        raise Unsupported("a slice of a computed parameter")
    if aliases.get(buffer) == w.index:
        return []
    sizes = shape_of(w)
    strides = row_major(sizes)
    dtype = dtype_of(w)
    source = Access(w.index, dtype, strides)
    store = Store(Access(buffer, dtype, strides), arg(0))
    return [Nest(sizes, frozenset(), (source,), (), (store,))]


def buffers_of(call: CallOp) -> tuple[Buffer, ...]:
    """One buffer per operand, then one per result."""
    values = [*call.operands, *call.results]
    return tuple(Buffer(dtype_of(value), num_elements(value)) for value in values)


def buffer_aliases(call: CallOp) -> dict[int, int]:
    """Result buffers that are the memory of an operand, by number."""
    aliases: dict[int, int] = {}
    pairs = zip(updates_of(call), reuses_of(call), strict=True)
    for index, (update, reuse) in enumerate(pairs):
        operand = update if update != NONE else reuse
        if operand != NONE:
            aliases[len(call.operands) + index] = operand
    return aliases
