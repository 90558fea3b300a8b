"""The Keras importer: models on Keras's JAX backend come through `frontends.jax`.

Models on its TensorFlow backend are passed to `frontends.tensorflow`.
"""
