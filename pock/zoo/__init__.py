"""Plain PyTorch definitions of the models that the demo, the tests and the benchmarks train.

One family per module: `mlp`, `mobilenet`, `efficientnet_lite`, `mcunet`, `resnet`, `bert`.
This package imports nothing, so that `import pock.zoo` works where torch is not installed;
import the family that is needed, for example `from pock.zoo import resnet`.
"""
