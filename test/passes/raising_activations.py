"""Forms in which frameworks and people write activations."""

from math import inf, pi, sqrt

from raising_forms import exp, sigmoid, square
from raising_graphs import T

from pock_ir.dialects.elementwise import ClampOp, ErfOp, HardSigmoidOp, ReciprocalOp, ReluOp, TanhOp
from pock_ir.dialects.functions import ErfcOp

GELU = sqrt(2 / pi)


def erf(x: T) -> T:
    return x.unary(ErfOp)


def tanh(x: T) -> T:
    return x.unary(TanhOp)


def gelu_new(x: T, scale: float = GELU, cubic: float = 0.044715) -> T:
    return 0.5 * x * (1.0 + tanh(scale * (x + cubic * x**3.0)))


def cdf(x: T, root: float = sqrt(2)) -> T:
    return 0.5 * (1.0 + erf(x / root))


def relu6(x: T) -> T:
    return x.unary(ClampOp, min=0.0, max=6.0)


def unit(x: T) -> T:
    return x.unary(ClampOp, min=0.0, max=1.0)


def at_least(x: T, low: float, predicate: str = "le") -> T:
    return x.compare(predicate, low).where(low, x)


def at_most(x: T, high: float, predicate: str = "ge") -> T:
    return x.compare(predicate, high).where(high, x)


ACTIVATIONS = {
    "sigmoid": (lambda x: 1.0 / (1.0 + exp(-x)), "sigmoid"),
    "sigmoid by reciprocal": (lambda x: (1.0 + exp(-x)).unary(ReciprocalOp), "sigmoid"),
    "sigmoid by -1": (lambda x: 1.0 / (exp(x * -1.0) + 1.0), "sigmoid"),
    "sigmoid by quotient": (lambda x: exp(x) / (1.0 + exp(x)), "sigmoid"),
    "swish": (lambda x: x * sigmoid(x), "silu"),
    "swish by exp": (lambda x: x * (1.0 / (1.0 + exp(-x))), "silu"),
    "swish by quotient": (lambda x: x / (1.0 + exp(-x)), "silu"),
    "gelu": (lambda x: x * cdf(x), "gelu"),
    "gelu, half first": (lambda x: 0.5 * x * (1.0 + erf(x * sqrt(0.5))), "gelu"),
    "gelu, half last": (lambda x: x * (1.0 + erf(x / sqrt(2.0))) / 2.0, "gelu"),
    "gelu, half inside": (lambda x: x * (0.5 + 0.5 * erf(x / sqrt(2.0))), "gelu"),
    "gelu of jax": (lambda x: 0.5 * x * (-x * sqrt(0.5)).unary(ErfcOp), "gelu"),
    "gelu of a product": (lambda x: (x * x) * cdf(x * x), "gelu"),
    "gelu_new": (gelu_new, "gelu"),
    "gelu of flax": (
        lambda x: x * (0.5 * (1.0 + tanh(GELU * (x + 0.044715 * (x * x * x))))),
        "gelu",
    ),
    "gelu by square": (
        lambda x: 0.5 * x * (1.0 + tanh(GELU * (x + 0.044715 * (square(x) * x)))),
        "gelu",
    ),
    "gelu of megatron": (
        lambda x: x * 0.5 * (1.0 + tanh(GELU * x * (1.0 + 0.044715 * x * x))),
        "gelu",
    ),
    "hard swish": (lambda x: x * (relu6(x + 3.0) / 6.0), "hard_swish"),
    "hard swish, factor last": (lambda x: x * relu6(x + 3.0) * (1 / 6), "hard_swish"),
    "hard swish, unit": (lambda x: x * unit(x / 6.0 + 0.5), "hard_swish"),
    "hard swish by sigmoid": (lambda x: x * x.unary(HardSigmoidOp), "hard_swish"),
    "hard sigmoid": (lambda x: relu6(x + 3.0) / 6.0, "hard_sigmoid"),
    "hard sigmoid, unit": (lambda x: unit(x * (1 / 6) + 0.5), "hard_sigmoid"),
    "relu": (lambda x: at_least(x, 0.0), "relu"),
    "clamp from below": (lambda x: at_least(x, -1.0), "clamp"),
    "clamp from above": (lambda x: at_most(x, 1.0), "clamp"),
    "relu6 by selection": (lambda x: at_most(at_least(x, 0.0), 6.0), "clamp"),
    "relu6 by relu": (lambda x: x.unary(ReluOp).unary(ClampOp, min=-inf, max=6.0), "clamp"),
    "clamp of clamp": (lambda x: relu6(x.unary(ClampOp, min=-1.0, max=2.0)), "clamp"),
    "relu of clamp": (lambda x: x.unary(ClampOp, min=-1.0, max=2.0).unary(ReluOp), "clamp"),
}
