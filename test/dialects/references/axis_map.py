"""What PyTorch computes for reversals."""

from pock_ir.dialects import axis_map
from pock_ir.op import integer

REFERENCES = {
    axis_map.ReverseOp: lambda op, x: x.flip(integer(op.axis)),
}
