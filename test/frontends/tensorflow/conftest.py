"""Chooses Keras's backend before anything imports it; skips the folder without TensorFlow."""

import os
from importlib.util import find_spec

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

if find_spec("tensorflow") is None:
    collect_ignore_glob = ["*.py"]
