"""From a model and its loss to the jaxprs of @train, @eval and @infer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from pock.frontends.common.refusal import first_line
from pock.frontends.jax.loss import Loss, loss_function
from pock.frontends.jax.markers import Markers
from pock.frontends.jax.model import Model
from pock.frontends.jax.source import describe_frame, error_frame
from pock.frontends.jax.structure import named_leaves
from pock_ir.diagnostics import Diagnostic, PockError

HELP_TRACE = "the model must be a function that jax.jit could compile; see JAX's documentation"


@dataclass(frozen=True)
class Given:
    """The arrays of a model and of one batch, by name, in the order in which they are traced.

    tree: (params, state, inputs, targets) as the user has them.
    """

    tree: tuple[Any, Any, Any, Any]
    params: dict[str, Any]
    state: dict[str, Any]
    inputs: dict[str, Any]
    targets: dict[str, Any]

    @property
    def batch(self) -> tuple[Any, Any]:
        """(inputs, targets) as the user has them."""
        return self.tree[2], self.tree[3]

    @staticmethod
    def of(model: Model, inputs: Any, targets: Any) -> Given:
        """The arrays of `model` and of a batch. Raises PockError if inputs are no collection."""
        if not isinstance(inputs, Mapping | tuple | list):
            raise PockError("example inputs should be a tuple of arguments or a dict of keywords")
        arrays = jax.tree_util.tree_map(
            jnp.asarray, (dict(inputs) if isinstance(inputs, Mapping) else tuple(inputs), targets)
        )
        named = arrays[0]
        if isinstance(named, tuple):
            named = dict(zip(model.input_names(len(named)), named, strict=True))
        return Given(
            (model.params, model.state, *arrays),
            named_leaves(model.params, "param"),
            named_leaves(model.state, "state"),
            _in_call_order(named, arrays[0]),
            named_leaves(arrays[1], "target"),
        )


def _in_call_order(named: Mapping[str, Any], inputs: Any) -> dict[str, Any]:
    """The leaves of the inputs by name, in the order in which JAX flattens them."""
    if isinstance(inputs, Mapping):
        return named_leaves(inputs, "input")
    found: dict[str, Any] = {}
    for name, value in named.items():
        leaves = named_leaves(value)
        found.update({"/".join(filter(None, (name, rest))): leaf for rest, leaf in leaves.items()})
    return found


@dataclass(frozen=True)
class Traced:
    """One function: its jaxpr over all leaves of `Given` (and a key), and names of its results.

    results: (kind, name) of each, in order. kinds: of the results that the function returns.
    """

    jaxpr: Any
    results: tuple[tuple[str, str], ...]
    has_key: bool
    kinds: tuple[str, ...]

    def only(self, *kinds: str) -> Traced:
        """The same function returning results of some kinds only."""
        return replace(self, kinds=kinds)

    @property
    def wanted(self) -> list[bool]:
        """Which results are returned."""
        return [kind in self.kinds for kind, _ in self.results]

    def names(self, kind: str) -> list[str]:
        """The names of the results of `kind`."""
        return [name for found, name in self.results if found == kind]


class Capture:
    """The functions of `model` with `loss` on examples. Raises PockError as `trace` does."""

    def __init__(self, model: Model, loss: Loss, given: Given, markers: Markers) -> None:
        self._model = model
        self._loss = loss_function(loss)
        self._given = given
        self._markers = markers

    def functions(self) -> dict[str, Traced]:
        """@train, @eval and @infer. What a model without modes does is traced once."""
        evaluated = self.evaluate()
        is_same = not self._model.has_modes and self._model.state is None
        return {
            "train": evaluated.only("loss") if is_same else self.train(),
            "eval": evaluated,
            "infer": evaluated.only("output"),
        }

    def train(self) -> Traced:
        """(loss, new state) in training."""

        def function(params: Any, state: Any, inputs: Any, targets: Any, key: Any) -> Any:
            loss, changed = self.loss(params, state, inputs, targets, True, key)
            return {"loss": loss}, changed

        return self._traced(function, ("loss", "update"))

    def evaluate(self) -> Traced:
        """(loss, outputs) in inference."""

        def function(params: Any, state: Any, inputs: Any, targets: Any) -> Any:
            outputs, _ = self._model.call(params, state, inputs, False)
            return {"loss": self._scalar(outputs, targets)}, outputs

        return self._traced(function, ("loss", "output"))

    def loss(
        self, params: Any, state: Any, inputs: Any, targets: Any, training: bool, key: Any
    ) -> tuple[Any, Any]:
        """(loss, new state) of one call."""
        outputs, changed = self._model.call(params, state, inputs, training, key)
        return self._scalar(outputs, targets), changed

    def _scalar(self, outputs: Any, targets: Any) -> Any:
        value = self._loss(outputs, targets)
        aval = getattr(value, "aval", value)
        shape, dtype = getattr(aval, "shape", None), getattr(aval, "dtype", None)
        if shape != () or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
            found = type(value).__name__ if shape is None else f"{dtype}{list(shape)}"
            raise PockError(
                Diagnostic(
                    f"the loss should be one float scalar, not {found}",
                    help="reduce it, for example with mean()",
                )
            )
        return value

    def _traced(self, function: Callable[..., Any], kinds: tuple[str, ...]) -> Traced:
        examples = list(self._given.tree)
        if len(kinds) == 2 and kinds[1] == "update":
            examples.append(jax.random.key(0))
        try:
            with self._markers.active():
                closed, shapes = jax.make_jaxpr(function, return_shape=True)(*examples)
        except PockError:
            raise
        except Exception as error:
            message = f"JAX cannot trace the model: {first_line(error)}"
            place = describe_frame(error_frame(error))
            raise PockError(Diagnostic(message, place, HELP_TRACE)) from error
        results = [
            (kind, name)
            for kind, tree in zip(kinds, shapes, strict=True)
            for name in named_leaves(tree, ROOTS[kind])
        ]
        return Traced(closed, tuple(results), len(examples) > 4, kinds)


ROOTS = {"loss": "loss", "output": "output", "update": "state"}
"""What a result that stands alone is called."""
