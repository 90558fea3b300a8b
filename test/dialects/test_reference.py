"""The reference semantics against PyTorch, in f32 and f64, for every sample."""

import ml_dtypes
import numpy as np
import pytest
from samples import all_samples

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from references import REFERENCES, WITHOUT_TORCH  # noqa: E402

from pock_ir.dialects import all_ops  # noqa: E402
from pock_ir.dialects.elementwise import ElementwiseOp  # noqa: E402

# Relative to the largest magnitude of the result. Sums of a few hundred products in two orders
# differ by some 30 roundings of 2^-24 and 2^-53.
TOLERANCE = {"f32": 2e-6, "f64": 1e-14}

# By sample, or op and dtype: a factor on the tolerance and its reason.
LOOSER = {
    "nn.batch_norm-far": (1e3, "the mean of 1000 is rounded before it is subtracted"),
    "nn.layer_norm-far": (1e3, "the mean of 1000 is rounded before it is subtracted"),
    "train.layer_norm_grad_params-single": (1e3, "rstd is 1/sqrt(1e-5), and PyTorch fuses"),
    "train.adam-f64": (1e7, "the bias corrections are f32"),
}

# By sample: where PyTorch is NaN and ours is not.
NAN_IN_TORCH = {"nn.gelu-erf-special": "PyTorch's vectorised f32 gelu gives NaN at inf"}

COMPARED = [sample for sample in all_samples() if sample.op_type in REFERENCES]


def to_torch(array):
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)
    return torch.from_numpy(np.array(array))


def to_numpy(value):
    if value.dtype == torch.bfloat16:
        return value.to(torch.float32).numpy().astype(ml_dtypes.bfloat16)
    return value.detach().numpy()


def tolerance_of(sample, floats):
    rows = (str(sample), f"{sample.op_type.name}-{floats}")
    return TOLERANCE[floats] * max((LOOSER[row][0] for row in rows if row in LOOSER), default=1.0)


def assert_close(sample, found, wanted, floats):
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    if found.dtype.kind not in "fV":
        np.testing.assert_array_equal(found, wanted)
        return
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    if str(sample) in NAN_IN_TORCH:
        found = np.where(np.isnan(wanted), wanted, found)
    # An elementwise result owes nothing to its neighbours' magnitude.
    finite = wanted[np.isfinite(wanted) & (not issubclass(sample.op_type, ElementwiseOp))]
    scale = max(1.0, np.abs(finite).max(initial=0.0))
    tolerance = tolerance_of(sample, floats)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("floats", ["f32", "f64"])
@pytest.mark.parametrize("sample", COMPARED, ids=str)
def test_equals_pytorch(sample, floats):
    op, arrays = sample.op(floats), sample.arrays(floats)
    outcome = REFERENCES[sample.op_type](op, *map(to_torch, arrays))
    wanted = outcome if isinstance(outcome, tuple) else (outcome,)
    results = sample.evaluate(floats)
    assert len(results) == len(wanted)
    for found, value in zip(results, wanted, strict=True):
        assert_close(sample, found, to_numpy(value), floats)


def test_every_op_is_compared_or_says_why_not():
    names = {op.name for op in all_ops() if op.name.startswith(("nn.", "train."))}
    assert names == {op.name for op in REFERENCES} | set(WITHOUT_TORCH)
