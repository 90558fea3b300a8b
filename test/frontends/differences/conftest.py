"""Chooses Keras's backend before anything imports it; skips the folder without all frameworks."""

import os
from importlib.util import find_spec

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

if not all(map(find_spec, ("torch", "jax", "flax", "optax", "tensorflow", "keras"))):
    collect_ignore_glob = ["*.py"]
