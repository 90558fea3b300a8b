"""What a loss takes of a model's outputs and of targets."""

import pytest

from pock.frontends.common.loss import logits_of, named_loss, target_of
from pock_ir.diagnostics import PockError


def leaves(tree: object) -> list[object]:
    """The numbers of nested mappings."""
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in leaves(part)]
    return [tree]


def test_the_output_called_logits_comes_before_the_first() -> None:
    assert logits_of({"hidden": 1, "logits": 2}, leaves) == 2
    assert logits_of({"hidden": {"last": 1}, "other": 2}, leaves) == 1
    assert target_of(3, leaves) == 3


def test_nothing_to_take_is_refused() -> None:
    with pytest.raises(PockError, match="the model returns no tensor that a loss could take"):
        logits_of({}, leaves)
    with pytest.raises(PockError, match="the loss needs a target"):
        target_of({}, leaves)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    losses = {"mse": 1, "output": 2}
    assert named_loss("mse", losses) == 1
    with pytest.raises(PockError) as caught:
        named_loss("huber", losses)
    (diagnostic,) = caught.value.diagnostics
    assert "no loss is called" in diagnostic.message and "huber" in diagnostic.message
    assert diagnostic.help is not None and "mse" in diagnostic.help and "output" in diagnostic.help
