"""Flax, Equinox and plain JAX models of the census, in the manner of these libraries' examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module

from pock.compiler import Job

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "pictures": ("mnist_cnn", "mnist_nnx", "resnet18", "resnet50", "vae", "vae_given_noise"),
    "language": ("lm1b", "lm1b_broadcast_dropout", "wmt", "nlp_seq"),
    "recurrent": ("sst2", "seq2seq", "seq2seq_free", "gru_tower"),
    "other": ("ppo", "molecules", "graph_attention", "gemma"),
    "equinox_models": (
        *("equinox_cnn", "equinox_rnn", "equinox_vit", "equinox_score_mixer", "equinox_unet"),
    ),
    "plain": (
        *("mnist_from_scratch", "scanned_decoder", "neural_ode", "linear_recurrence"),
        *("vq_autoencoder", "radiance_field", "mixture_of_experts", "gaussian_process"),
        *("contrastive", "deep_equilibrium"),
    ),
}
"""Module of `flax_examples` -> its functions that make a job."""


def _made(module: str, function: str) -> Job:
    """The job of an example, whose module imports the frameworks."""
    return getattr(import_module(f"benchmarks.census.flax_examples.{module}"), function)()


MODELS: Mapping[str, Callable[[], Job]] = {
    name: partial(_made, module, name) for module, names in EXAMPLES.items() for name in names
}
"""Name -> what makes the job."""
