"""The gradient rules, one module per module of `dialects`, alphabetical by op.

A rule is called with the forward op, the cotangents of its results, which operand gradients are
needed, and an emitter. It may read the op's operands and results: what it reads is what the
training program has to keep from the forward pass, so it reads as little as it can.
"""
