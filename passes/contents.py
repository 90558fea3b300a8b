"""What the buffers of a training step hold: activations, what is saved for backward, gradients.

A call is *forward* if the loss, an output or an updated buffer of the model needs it; every other
call is backward.
"""

from __future__ import annotations

from xdsl.ir import SSAValue

from pock_ir.passes.signature import argument_attributes, kind_of, results_of
from pock_ir.passes.storage import Place, Storage, replaced_argument


def forward_calls(storage: Storage) -> list[bool]:
    """For each call whether it is forward."""
    function = storage.function
    kinds: dict[SSAValue, str] = dict(
        zip(function.args, map(kind_of, argument_attributes(function)), strict=True)
    )
    replaced = replaced_argument(function)
    return _needed_for(
        storage,
        [
            storage.returned[position]
            for position, (_, attributes) in enumerate(results_of(function))
            if kind_of(attributes) in ("loss", "output")
            or (position in replaced and kinds[replaced[position]] == "buffer")
        ],
    )


def loss_calls(storage: Storage) -> list[bool]:
    """For each call whether the loss needs it."""
    results = zip(storage.returned, results_of(storage.function), strict=True)
    return _needed_for(storage, [v for v, (_, entry) in results if kind_of(entry) == "loss"])


def _needed_for(storage: Storage, values: list[SSAValue]) -> list[bool]:
    needed = [False] * len(storage.calls)
    stack = list(values)
    while stack:
        index = storage.producer.get(stack.pop())
        if index is not None and not needed[index]:
            needed[index] = True
            stack.extend(storage.operands[index])
    return needed


def contents_of(storage: Storage) -> dict[Place, str]:
    """For each place of the arena one of `mem.CLASSES`: activation, saved or gradient."""
    forward = forward_calls(storage)
    contents: dict[Place, str] = {}
    for place in storage.places:
        if not place.arena:
            continue
        readers = [index for value in place.versions for index in storage.readers.get(value, ())]
        if not forward[storage.producer[place.versions[0]]]:
            contents[place] = "gradient"
        elif all(forward[index] for index in readers):
            contents[place] = "activation"
        else:
            contents[place] = "saved"
    return contents
