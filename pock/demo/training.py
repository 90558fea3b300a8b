"""Fine-tuning with a compiled program, by the recipe: batches, rate of each step, evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pock.demo.fruit import Split, evaluation_batches, training_batches
from pock.demo.recipe import Recipe, Run, learning_rate, steps_in
from pock.program import Program

Progress = Callable[[int, int, float], None]
"""Told after each step: steps done, all steps, and the loss."""


def accuracy(program: Program, split: Split, recipe: Recipe) -> float:
    """The part of a split that the model names rightly with its present weights, in [0, 1]."""
    right = 0
    for images, labels, valid in evaluation_batches(split, recipe.side, recipe.batch):
        (logits,) = program.infer(images).values()
        right += int(np.sum(np.argmax(logits[:valid], axis=1) == labels[:valid]))
    return right / len(split.labels)


def train(
    program: Program, run: Run, recipe: Recipe, split: Split, progress: Progress
) -> list[float]:
    """Train by the recipe; the learning rate is set before each step. Returns every loss."""
    steps = steps_in(recipe, len(split.labels))
    losses: list[float] = []
    batches = training_batches(split, recipe.side, recipe.batch, recipe.epochs, recipe.seed)
    for step, (images, labels) in enumerate(batches):
        program.learning_rate = learning_rate(recipe, run, step, steps)
        losses.append(program.step(images, labels))
        progress(step + 1, steps, losses[-1])
    return losses


def shortened(recipe: Recipe, split: Split, rows: int) -> tuple[Recipe, Split]:
    """One epoch over `rows` rows of the split, spread over it, to see that everything runs."""
    chosen = np.linspace(0, len(split.labels) - 1, rows).astype(np.int64)
    return replace(recipe, epochs=1), Split(split.images[chosen], split.labels[chosen])
