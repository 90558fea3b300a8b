"""What optimizer ops promise beyond PyTorch's numbers."""

import numpy as np
import pytest
from samples import all_samples

from pock_ir.dialects.optimizer import AdamCorrectionOp, AdamOp, UpdateOp
from pock_ir.op import integer, number


def of(op_type):
    return [sample for sample in all_samples() if issubclass(sample.op_type, op_type)]


@pytest.mark.parametrize("sample", of(AdamCorrectionOp), ids=str)
def test_corrections(sample):
    op, count = sample.op(), int(sample.arrays()[0]) + 1
    first, second = sample.evaluate()
    assert first == np.float32(1 - number(op.beta1) ** count)
    assert second == np.float32(np.sqrt(1 - number(op.beta2) ** count))


@pytest.mark.parametrize("sample", of(UpdateOp), ids=str)
def test_the_rest_of_the_parameter_keeps_its_bits(sample):
    op = sample.op()
    w, g = sample.arrays()[:2]
    if w.ndim == 0:
        return
    axis, begin = integer(op.axis), integer(op.begin)
    updated = np.zeros(w.shape, bool)
    np.moveaxis(updated, axis, 0)[begin : begin + g.shape[axis]] = True
    np.testing.assert_array_equal(sample.evaluate()[0][~updated], w[~updated])


def test_operands_are_not_written():
    for sample in of(AdamOp):
        op, arrays = sample.op(), sample.arrays()
        before = [array.copy() for array in arrays]
        op.evaluate(*arrays)
        for array, kept in zip(arrays, before, strict=True):
            np.testing.assert_array_equal(array, kept)
