"""What the parameters of a training graph are: blocks, head, biases and channel axes.

All of it is read from the graph and from the parameters' names, so that one definition serves
every framework:

- A *view* of a parameter is the result of nn.broadcast, nn.cast, nn.reshape or nn.transpose of
  it. An op *reads* a parameter if it takes the parameter or a view of it, and is no view itself.
  Parameters are ordered by the first op that reads them: the order of execution.
- The *block* of a parameter is the part of its name up to the first number: "features.3" of
  "features.3.conv.0.weight", "encoder.layer.5", "layer4.1". Numbers that follow each other belong
  together ("blocks.1.0" of "blocks.1.0.conv_pw.weight"), but the module that owns the parameter
  counts only if there is no other number ("features.0" of "features.0.1.weight", "classifier.1"
  of "classifier.1.bias"). "encoder_layer_4" is a number too. A name without a number has no
  block. Names that have slashes are cut there: "Block_3" of "Block_3/Dense_0/kernel".
- The *head* is what the last linear, matrix product or convolution before the loss reads, and
  every parameter that is first read after it: the classifier's weight and bias.
- A *bias* is a parameter of one axis that is only ever added: to a layer's result, or as the
  shift of a normalisation.
- The *first pointwise* weight of a block is the first one that a linear or a 1x1 convolution
  without groups reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from pock_ir.dialects.conv import Conv2dOp
from pock_ir.dialects.elementwise import AddOp, CastOp
from pock_ir.dialects.layer_norm import LayerNormOp
from pock_ir.dialects.matmul import LinearOp, MatMulOp
from pock_ir.dialects.norm import BatchNormInferenceOp, BatchNormOp
from pock_ir.dialects.shape import BroadcastOp, ReshapeOp, TransposeOp
from pock_ir.op import integer, text
from pock_ir.passes.signature import argument_attributes, kind_of, name_of, results_of
from pock_ir.types import Tensor, dtype_of, shape_of, tensor_type

VIEWS = (BroadcastOp, CastOp, ReshapeOp, TransposeOp)
LAYERS = (Conv2dOp, LinearOp, MatMulOp)
NORMS = (BatchNormInferenceOp, BatchNormOp, LayerNormOp)
BETA = 2
"""Which operand of a normalisation is its shift."""

_NUMBER = re.compile(r"(?:.*_)?[0-9]+", re.ASCII)


@dataclass(frozen=True)
class Read:
    """An op that reads a parameter as operand `operand`, directly or through a view."""

    op: Operation
    operand: int
    direct: bool


@dataclass(frozen=True)
class Channels:
    """Where a weight has channels: along `axis` of the stored tensor, `unit` rows for each."""

    axis: int
    count: int
    unit: int = 1


@dataclass
class Parameter:
    """One parameter of the graph; see the module's text.

    index: of the argument. order: position of the first op that reads it, -1 if none does.
    channels: by "input" and "output", for weights of linears and convolutions.
    """

    index: int
    name: str
    type: Tensor
    order: int
    block: str | None
    is_bias: bool
    channels: Mapping[str, Channels]
    is_head: bool = False
    is_first_pointwise: bool = False

    @property
    def is_float(self) -> bool:
        """Whether it can be trained at all."""
        return dtype_of(self.type).is_float


@dataclass
class Network:
    """The parameters of a function, and its blocks in the order of execution.

    A block that holds nothing but the head is none.
    """

    parameters: list[Parameter]
    blocks: list[str] = field(default_factory=list[str])


def network_of(function: FuncOp) -> Network:
    """The parameters of a training function at the `nn` level."""
    positions = {op: index for index, op in enumerate(function.body.block.ops)}
    arguments = zip(function.args, argument_attributes(function), strict=True)
    reads: dict[str, list[Read]] = {}
    parameters: list[Parameter] = []
    for index, (value, attributes) in enumerate(arguments):
        if kind_of(attributes) == "parameter":
            name = name_of(attributes)
            reads[name] = list(reads_of(value))
            parameters.append(_parameter(index, name, value, reads[name], positions))
    network = Network(parameters)
    _mark_head(network, reads, _last_layer(function, reads), positions)
    _find_blocks(network)
    _mark_pointwise(network, reads)
    return network


def reads_of(value: SSAValue, direct: bool = True) -> Iterator[Read]:
    """The ops that read `value`, in no particular order."""
    for use in value.uses:
        if isinstance(use.operation, VIEWS):
            yield from reads_of(use.operation.results[0], direct=False)
        else:
            yield Read(use.operation, use.index, direct)


def block_of(name: str) -> str | None:
    """The block that the parameter called `name` belongs to, or None; see the module's text."""
    separator = "/" if "/" in name else "."
    owner = name.split(separator)[:-1]
    first = next((i for i, part in enumerate(owner) if _NUMBER.fullmatch(part)), None)
    if first is None:
        return None
    run = list(takewhile(_NUMBER.fullmatch, owner[first:]))
    length = first + len(run)
    if length == len(owner) and len(run) > 1:
        length -= 1
    return separator.join(owner[:length])


def _parameter(
    index: int, name: str, value: SSAValue, reads: list[Read], positions: Mapping[Operation, int]
) -> Parameter:
    return Parameter(
        index=index,
        name=name,
        type=tensor_type(value),
        order=min((positions[read.op] for read in reads), default=-1),
        block=block_of(name),
        is_bias=len(shape_of(value)) == 1 and bool(reads) and all(map(_is_added, reads)),
        channels=_channels_of(reads),
    )


def _is_added(read: Read) -> bool:
    if isinstance(read.op, NORMS):
        return read.operand == BETA
    return isinstance(read.op, AddOp)


def _channels_of(reads: list[Read]) -> Mapping[str, Channels]:
    """The channel axes on which all reads agree; none if another op or a view is among them."""
    candidates = [_layer_channels(read) for read in reads]
    if not candidates or any(candidate != candidates[0] for candidate in candidates):
        return {}
    return candidates[0]


def _layer_channels(read: Read) -> Mapping[str, Channels]:
    """The channels of the weight of one linear or convolution.

    In a depthwise convolution an input channel owns some outputs and there is no other input
    axis. In other grouped convolutions an input channel is spread over the groups.
    """
    op = read.op
    if not isinstance(op, Conv2dOp | LinearOp) or read.operand != 1 or not read.direct:
        return {}
    layout, shape = text(op.weight_layout), shape_of(op.w)
    inputs, outputs = layout.index("i"), layout.index("o")
    groups = integer(op.groups) if isinstance(op, Conv2dOp) else 1
    result = {"output": Channels(outputs, shape[outputs])}
    if groups == 1:
        result["input"] = Channels(inputs, shape[inputs])
    elif shape[inputs] == 1:
        result["input"] = Channels(outputs, groups, shape[outputs] // groups)
    return result


def _last_layer(function: FuncOp, reads: Mapping[str, list[Read]]) -> Operation | None:
    """The last op before the loss that is a layer and reads a parameter."""
    layers = {read.op for entry in reads.values() for read in entry if isinstance(read.op, LAYERS)}
    reached = {value for value, entry in results_of(function) if kind_of(entry) == "loss"}
    for op in reversed(list(function.body.block.ops)):
        if any(result in reached for result in op.results):
            if op in layers:
                return op
            reached.update(op.operands)
    return None


def _mark_head(
    network: Network,
    reads: Mapping[str, list[Read]],
    layer: Operation | None,
    positions: Mapping[Operation, int],
) -> None:
    if layer is None:
        return
    for parameter in network.parameters:
        is_read = any(read.op is layer for read in reads[parameter.name])
        parameter.is_head = is_read or parameter.order > positions[layer]


def _find_blocks(network: Network) -> None:
    body = [p for p in network.parameters if p.block is not None and not p.is_head and p.order >= 0]
    ordered = sorted(body, key=lambda parameter: parameter.order)
    network.blocks = list(dict.fromkeys(p.block for p in ordered if p.block is not None))


def _mark_pointwise(network: Network, reads: Mapping[str, list[Read]]) -> None:
    found: set[str] = set()
    for parameter in sorted(network.parameters, key=lambda parameter: parameter.order):
        block = parameter.block
        if block is None or block in found or not any(map(_is_pointwise, reads[parameter.name])):
            continue
        found.add(block)
        parameter.is_first_pointwise = True


def _is_pointwise(read: Read) -> bool:
    """Whether this is the weight of a linear or of a 1x1 convolution without groups."""
    if read.operand != 1 or not isinstance(read.op, Conv2dOp | LinearOp):
        return False
    if isinstance(read.op, LinearOp):
        return True
    layout, shape = text(read.op.weight_layout), shape_of(read.op.w)
    kernel = (shape[layout.index("h")], shape[layout.index("w")])
    return kernel == (1, 1) and integer(read.op.groups) == 1
