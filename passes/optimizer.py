"""Turn gradients into updates of the parameters, with the optimizer of a framework.

@train_step gets an argument `rate` and, for each gradient, the optimizer's state of that
parameter; the gradient results are replaced by the updated parameter and state. Where an
optimizer counts steps, an argument `step` (steps completed before this one) is used or added.
A parameter that is trained in part has state for that part only.

before:
    builtin.module attributes {pock.level = "train"} {
      func.func @train_step(
        %w: tensor<3xf32> {pock.kind = "parameter", pock.name = "w", pock.train}
      ) -> (
        tensor<f32> {pock.kind = "loss"},
        tensor<3xf32> {pock.kind = "gradient", pock.name = "w"}
      ) {
        %loss = nn.sum %w {axes = array<i64: 0>} : (tensor<3xf32>) -> tensor<f32>
        %dw = nn.constant {value = 1.0 : f64, type = tensor<3xf32>} : () -> tensor<3xf32>
        func.return %loss, %dw : tensor<f32>, tensor<3xf32>
      }
    }
after:
    builtin.module attributes {pock.level = "train"} {
      func.func @train_step(
        %w: tensor<3xf32> {pock.kind = "parameter", pock.name = "w", pock.train},
        %rate: tensor<f32> {pock.kind = "rate"}
      ) -> (
        tensor<f32> {pock.kind = "loss"},
        tensor<3xf32> {pock.kind = "update", pock.name = "w"}
      ) {
        %loss = nn.sum %w {axes = array<i64: 0>} : (tensor<3xf32>) -> tensor<f32>
        %dw = nn.constant {value = 1.0 : f64, type = tensor<3xf32>} : () -> tensor<3xf32>
        %updated = train.sgd %w, %dw, %rate
          {weight_decay = 0.01 : f64, axis = 0 : i64, begin = 0 : i64}
          : (tensor<3xf32>, tensor<3xf32>, tensor<f32>) -> tensor<3xf32>
        func.return %loss, %updated : tensor<f32>, tensor<3xf32>
      }
    }
options: add-optimizer{optimizer="sgd" weight_decay=0.01}
unchanged: the loss and the updates of buffers, bit for bit.
Source: the formulas of torch.optim, see the ops in `dialects/optimizer.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint

from pock_ir.build import Emitter
from pock_ir.diagnostics import DiagnosticCollector, PockError, quote
from pock_ir.dialects.optimizer import AdamCorrectionOp, AdamOp, LionOp, MomentumOp, SgdOp
from pock_ir.dialects.shape import ReshapeOp
from pock_ir.interpret import find_function
from pock_ir.op import PockOp
from pock_ir.passes.signature import (
    Attributes,
    append_arguments,
    argument_attributes,
    described,
    kind_of,
    name_of,
    replace_results,
    results_of,
    return_of,
)
from pock_ir.passes.storage import base_of
from pock_ir.passes.trained import MARK, trained_slice
from pock_ir.types import shape_of, tensor, tensor_type

Result: TypeAlias = tuple[SSAValue, Attributes]
Properties: TypeAlias = Mapping[str, bool | float]


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent as torch.optim.SGD, with one group of parameters.

    lr: the rate at which training starts; it is an argument of every step.
    Raises PockError if a value is out of its range.
    """

    lr: float
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        problems = _not_negative(self, "lr", "momentum", "weight_decay")
        if not isfinite(self.dampening):
            problems.add(f"SGD: dampening should be finite, not {self.dampening}")
        if self.nesterov and (self.momentum == 0.0 or self.dampening != 0.0):
            problems.add("SGD: nesterov needs a momentum above 0 and no dampening")
        problems.raise_if_any()

    def to_pass(self, gradients: bool = False) -> OptimizerPass:
        """The pass that adds this optimizer; with `gradients` they stay results."""
        heavy = "nesterov" if self.nesterov else "momentum"
        return OptimizerPass(
            optimizer=heavy if self.momentum else "sgd",
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            dampening=self.dampening,
            gradients=gradients,
        )


@dataclass(frozen=True)
class Adam:
    """Adam as torch.optim.Adam, without amsgrad: the weight decay adds to the gradient.

    eps_before_correction: eps is added to the root of the second moment before its bias is
    corrected, as in Keras, instead of after that. Raises PockError if a value is out of its range.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    eps_before_correction: bool = False

    def __post_init__(self) -> None:
        problems = _not_negative(self, "lr", "eps", "weight_decay")
        _check_betas(self, problems)
        problems.raise_if_any()

    def to_pass(self, gradients: bool = False) -> OptimizerPass:
        """The pass that adds this optimizer; with `gradients` they stay results."""
        return OptimizerPass(
            optimizer=type(self).__name__.lower(),
            weight_decay=self.weight_decay,
            beta1=self.betas[0],
            beta2=self.betas[1],
            eps=self.eps,
            eps_before_correction=self.eps_before_correction,
            gradients=gradients,
        )


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam as torch.optim.AdamW, without amsgrad: the weight decay shrinks the parameter."""

    weight_decay: float = 1e-2


@dataclass(frozen=True)
class Lion:
    """Lion as optax.lion: steps of `lr` along the sign of the momentum, and decoupled decay.

    Raises PockError if a value is out of its range.
    """

    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 1e-3

    def __post_init__(self) -> None:
        problems = _not_negative(self, "lr", "weight_decay")
        _check_betas(self, problems)
        problems.raise_if_any()

    def to_pass(self, gradients: bool = False) -> OptimizerPass:
        """The pass that adds this optimizer; with `gradients` they stay results."""
        return OptimizerPass(
            optimizer="lion",
            weight_decay=self.weight_decay,
            beta1=self.betas[0],
            beta2=self.betas[1],
            gradients=gradients,
        )


Optimizer: TypeAlias = SGD | Adam | AdamW | Lion


def _check_betas(optimizer: Adam | Lion, problems: DiagnosticCollector) -> None:
    """One diagnostic for each of the two decay rates that is out of its range."""
    for name, beta in zip(("betas[0]", "betas[1]"), optimizer.betas, strict=True):
        if not 0.0 <= beta < 1.0:
            kind = type(optimizer).__name__
            problems.add(f"{kind}: {name} should be at least 0 and below 1, not {beta}")


def _not_negative(optimizer: Optimizer, *names: str) -> DiagnosticCollector:
    """One diagnostic for each named value that is negative, infinite or NaN."""
    problems = DiagnosticCollector()
    for name in names:
        value: float = getattr(optimizer, name)
        if not (isfinite(value) and value >= 0.0):
            kind = type(optimizer).__name__
            problems.add(f"{kind}: {name} should be finite and not negative, not {value}")
    return problems


@dataclass(frozen=True)
class _Rule:
    """How one optimizer is built.

    The op's operands are the parameter, the gradient, one state per name in `states`, and the
    values of `shared`; its results are the new parameter and states. `properties` are those
    besides axis and begin.
    """

    op: type[PockOp]
    states: tuple[str, ...]
    shared: tuple[str, ...]
    properties: Callable[[OptimizerPass], Properties]


# A user may write a whole number as an integer, which would become an integer property.


def _momentum_properties(options: OptimizerPass) -> Properties:
    return {
        "momentum": float(options.momentum),
        "dampening": float(options.dampening),
        "nesterov": options.optimizer == "nesterov",
        "weight_decay": float(options.weight_decay),
    }


def _adam_properties(options: OptimizerPass) -> Properties:
    return {
        "beta1": float(options.beta1),
        "beta2": float(options.beta2),
        "eps": float(options.eps),
        "weight_decay": float(options.weight_decay),
        "decoupled": options.optimizer == "adamw",
        "eps_before_correction": options.eps_before_correction,
    }


def _lion_properties(options: OptimizerPass) -> Properties:
    return {
        "beta1": float(options.beta1),
        "beta2": float(options.beta2),
        "weight_decay": float(options.weight_decay),
    }


_MOMENTUM = _Rule(MomentumOp, ("momentum",), ("rate", "step"), _momentum_properties)
_ADAM = _Rule(
    AdamOp,
    ("exp_avg", "exp_avg_sq"),
    ("rate", "correction1", "correction2"),
    _adam_properties,
)
RULES: Mapping[str, _Rule] = {
    "adam": _ADAM,
    "adamw": _ADAM,
    "lion": _Rule(LionOp, ("exp_avg",), ("rate",), _lion_properties),
    "momentum": _MOMENTUM,
    "nesterov": _MOMENTUM,
    "sgd": _Rule(
        SgdOp, (), ("rate",), lambda options: {"weight_decay": float(options.weight_decay)}
    ),
}


def add_optimizer(function: FuncOp, options: OptimizerPass) -> None:
    """Replace the gradient results of `function` by updates; see the module's text.

    Raises PockError if there is no gradient, or one that belongs to no parameter.
    """
    results = results_of(function)
    gradients = [entry for entry in results if kind_of(entry[1]) == "gradient"]
    if not gradients:
        raise PockError(f"@{function.sym_name.data} returns no gradient: apply autodiff first")
    others = [entry for entry in results if kind_of(entry[1]) != "gradient"]
    updates = _updates(function, options, gradients)
    replace_results(function, others + updates + (gradients if options.gradients else []))


def _updates(function: FuncOp, options: OptimizerPass, gradients: list[Result]) -> list[Result]:
    """The results that replace each parameter and its state, in the order of the gradients."""
    rule = RULES[options.optimizer]
    parameters = {
        name_of(attributes): (value, attributes)
        for value, attributes in zip(function.args, argument_attributes(function), strict=True)
        if kind_of(attributes) == "parameter"
    }
    shared = _shared_values(function, options, rule.shared)
    states = iter(_append_states(function, rule, gradients))
    updates: list[Result] = []
    for gradient, described_gradient in gradients:
        name = name_of(described_gradient)
        if name not in parameters:
            raise PockError(f"there is a gradient but no parameter {quote(name)}")
        parameter, attributes = parameters[name]
        replaced = [parameter, *(next(states) for _ in rule.states)]
        axis, begin = _begin_of(attributes, parameter)
        properties = {**rule.properties(options), "axis": axis, "begin": begin}
        emit = _emitter(function, gradient.owner)
        values = _update(emit, rule.op, replaced, gradient, shared, properties)
        names = [name, *_state_names(rule, name)]
        updates += [(v, described("update", n)) for v, n in zip(values, names, strict=True)]
    return updates


def _update(
    emit: Emitter,
    op: type[PockOp],
    replaced: Sequence[SSAValue],
    gradient: SSAValue,
    shared: Sequence[SSAValue],
    properties: Properties,
) -> Sequence[SSAValue]:
    """The new parameter and states, for `replaced`, the old ones.

    The gradient of a weight that the model reshapes is reshaped as well. All of it is then updated
    in the shape in which it was computed, so that one kernel can do both.
    """
    source = base_of(gradient)
    if gradient.type != replaced[0].type or source is gradient:
        return emit.op(op, replaced[0], gradient, *replaced[1:], *shared, **properties).results
    shape = shape_of(source)
    flat = [emit.op(ReshapeOp, value, shape=shape).results[0] for value in replaced]
    new = emit.op(op, flat[0], source, *flat[1:], *shared, **properties).results
    return [
        emit.op(ReshapeOp, value, shape=shape_of(old)).results[0]
        for value, old in zip(new, replaced, strict=True)
    ]


def _state_names(rule: _Rule, parameter: str) -> list[str]:
    return [f"{state}:{parameter}" for state in rule.states]


def _append_states(function: FuncOp, rule: _Rule, gradients: list[Result]) -> list[BlockArgument]:
    """One new argument per state of each gradient's parameter, of the gradient's type."""
    return append_arguments(
        function,
        [
            (gradient.type, described("state", state))
            for gradient, attributes in gradients
            for state in _state_names(rule, name_of(attributes))
        ],
    )


def _begin_of(attributes: Attributes, parameter: SSAValue) -> tuple[int, int]:
    """The axis and the first index of the trained part; (0, 0) for all of it."""
    mark = attributes.get(MARK)
    part = None if mark is None else trained_slice(mark, tensor_type(parameter))
    return (0, 0) if part is None else (part.axis, part.begin)


def _emitter(function: FuncOp, origin: object) -> Emitter:
    """An emitter before the return, at the location of `origin` if that is an op."""
    place = origin if isinstance(origin, Operation) else function
    return Emitter(InsertPoint.before(return_of(function)), place.location)


def _shared_values(
    function: FuncOp, options: OptimizerPass, names: tuple[str, ...]
) -> list[SSAValue]:
    """What the updates of all parameters read: arguments, and bias corrections computed once."""
    rate = _scalar_argument(function, "rate", "f32")
    if names == ("rate",):
        return [rate]
    step = _scalar_argument(function, "step", "i32")
    if names == ("rate", "step"):
        return [rate, step]
    emit = _emitter(function, function)
    correction = emit.op(AdamCorrectionOp, step, beta1=options.beta1, beta2=options.beta2)
    return [rate, *correction.results]


def _scalar_argument(function: FuncOp, kind: str, dtype: str) -> SSAValue:
    """The argument of this kind, added behind the others if there is none."""
    for value, attributes in zip(function.args, argument_attributes(function), strict=True):
        if kind_of(attributes) == kind:
            return value
    type: Attribute = tensor((), dtype)
    return append_arguments(function, [(type, described(kind))])[0]


@dataclass(frozen=True)
class OptimizerPass(ModulePass):
    """See the module's text.

    optimizer: a key of `RULES`. momentum, dampening: for momentum and nesterov. beta1, beta2: for
    adam, adamw and lion; eps, eps_before_correction: for adam and adamw. weight_decay: for all;
    adamw and lion decay the parameter itself, the others add to the gradient. gradients: also
    return the gradients, for verification.
    """

    name = "add-optimizer"

    optimizer: str = "sgd"
    weight_decay: float = 0.0
    momentum: float = 0.9
    dampening: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    eps_before_correction: bool = False
    gradients: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if self.optimizer not in RULES:
            known = ", ".join(RULES)
            raise PockError(f"no optimizer {quote(self.optimizer)}; there are {known}")
        self.user_facing()
        add_optimizer(find_function(op, "train_step"), self)

    def user_facing(self, lr: float = 0.0) -> Optimizer:
        """The optimizer with these options. Raises PockError if one is out of its range."""
        if self.optimizer in ("adam", "adamw"):
            kind = AdamW if self.optimizer == "adamw" else Adam
            betas, early = (self.beta1, self.beta2), self.eps_before_correction
            return kind(lr, betas, self.eps, self.weight_decay, early)
        if self.optimizer == "lion":
            return Lion(lr, (self.beta1, self.beta2), self.weight_decay)
        heavy = self.optimizer != "sgd"
        return SGD(
            lr,
            self.momentum if heavy else 0.0,
            self.dampening if heavy else 0.0,
            self.optimizer == "nesterov",
            self.weight_decay,
        )
