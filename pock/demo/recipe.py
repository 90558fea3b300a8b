"""The demo's training recipe: EfficientNet-Lite0 with ImageNet weights on 14 kinds of fruit.

Two runs from the same weights over the same batches: HEAD_ONLY trains a new classifier, SPARSE
trains it together with a small part of the network, in the shape of PockEngine's schemes
(arXiv 2310.17752): biases of the last blocks and the first pointwise convolution of some of them.

Batch norm is frozen in both runs (its running statistics are used and kept, as in eval mode).
Then it is one scale and shift per channel, which a compiler can fold, `bias` is the bias of the
convolution before it, and the result of a step does not depend on which pictures share a batch.
"""

import math
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pock_ir.passes.scheme_rules import Rule, Scheme


@dataclass(frozen=True)
class Update:
    """Parameters to train: those whose whole name matches `pattern`, a shell pattern.

    Of a convolution weight [O, I, K, K] the first `ratio` of the I input channels is trained.
    """

    pattern: str
    ratio: float = 1.0


@dataclass(frozen=True)
class Run:
    """What one run trains, and its peak learning rate, tuned for each run on held-out rows."""

    name: str
    updates: tuple[Update, ...]
    peak_rate: float


@dataclass(frozen=True)
class Recipe:
    """What both runs share.  Sides are in pixels, warmup in steps.

    Pictures are loaded at `stored_side`; `side` is cut from them at random in training (mirrored
    half of the time) and from the centre in evaluation.
    """

    stored_side: int
    side: int
    batch: int
    epochs: int
    seed: int
    warmup: int
    adam_betas: tuple[float, float]
    adam_epsilon: float


RECIPE = Recipe(
    # 128 of ImageNet's 224 pixels: a third of the work, and the stride-32 output is still 4x4.
    stored_side=144,
    side=128,
    # Small, as on a device: the activations kept for the backward pass grow with it.
    batch=8,
    epochs=8,
    seed=0,
    # Adam's second moments are estimated from few gradients at first.
    warmup=20,
    adam_betas=(0.9, 0.999),
    adam_epsilon=1e-8,
)

HEAD = (Update("_fc.weight"), Update("_fc.bias"))

# Between 1e-3 and 6e-3 held-out accuracy is flat within its noise; the middle is taken.
HEAD_ONLY = Run("head only", HEAD, peak_rate=3e-3)

SPARSE = Run(
    "sparse",
    (
        # Biases of the last 8 of 16 blocks and of the last convolution: all at 8x8 and 4x4 pixels,
        # where activations are small, so that nothing before block 8 needs a backward pass.
        Update("_blocks.[89]._bn?.bias"),
        Update("_blocks.1[0-5]._bn?.bias"),
        Update("_bn1.bias"),
        # The first pointwise convolution is the most useful weight of a block (arXiv 2206.15472,
        # appendix).  Half of its input channels: half of the gradient and optimizer memory.
        Update("_blocks.1[2-5]._expand_conv.weight", ratio=0.5),
        *HEAD,
    ),
    # As good as 1e-3 on held-out rows within their noise, and further from 2e-3, where it falls.
    peak_rate=5e-4,
)


def steps_in(recipe: Recipe, rows: int) -> int:
    """The number of steps of one run over `rows` training rows; incomplete batches are dropped."""
    return recipe.epochs * (rows // recipe.batch)


def learning_rate(recipe: Recipe, run: Run, step: int, steps: int) -> float:
    """The rate of step `step` of `steps`, counted from 0: linear warm-up, then cosine to zero."""
    warm = min(1.0, (step + 1) / recipe.warmup)
    return run.peak_rate * warm * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def trained_ratios(run: Run, names: list[str]) -> dict[str, float]:
    """The trained parameters among `names` and their ratios, in the order of `names`.

    Raises ValueError for a pattern that matches no name: a silent miss would freeze what it means.
    """
    for update in run.updates:
        if not any(fnmatchcase(name, update.pattern) for name in names):
            raise ValueError(f"{run.name}: no parameter matches {update.pattern!r}")
    return {
        name: update.ratio
        for name in names
        for update in run.updates
        if fnmatchcase(name, update.pattern)
    }


def scheme_of(run: Run) -> Scheme:
    """The update scheme that trains what `run` trains: one rule for each of its patterns."""
    return Scheme(tuple(Rule(update.pattern, ratio=update.ratio) for update in run.updates))
