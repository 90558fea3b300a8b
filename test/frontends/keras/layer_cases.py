"""Every public layer of Keras: how it is made, and what it is called on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from keras import layers

VECTOR, SEQUENCE, IMAGE, VOLUME = (6,), (8, 3), (8, 8, 3), (4, 4, 4, 2)
FILM = (3, 6, 6, 2)
"""The shapes of one sample; a film is a sequence of images."""


@dataclass(frozen=True)
class Case:
    """How to make a layer, and the shapes of its inputs; they are one argument if `as_list`."""

    make: Callable[[], Any]
    shapes: tuple[tuple[int, ...], ...] = (VECTOR,)
    dtype: str = "float32"
    as_list: bool = False


def _on(*shapes: tuple[int, ...], as_list: bool = False, **options: Any) -> Callable[[str], Case]:
    """A case of the layer with this name, with options."""
    return lambda name: Case(lambda: getattr(layers, name)(**options), shapes, as_list=as_list)


def _ids(shape: tuple[int, ...] = VECTOR, **options: Any) -> Callable[[str], Case]:
    return lambda name: Case(lambda: getattr(layers, name)(**options), (shape,), "int32")


def _ranked(name: str, *by_rank: tuple[int, ...], **options: Any) -> dict[str, Any]:
    """The cases of `name` with 1D, 2D and 3D at its end or in it."""
    return {name.format(rank): _on(shape, **options) for rank, shape in enumerate(by_rank, 1)}


def _doubled(params: Any, inputs: Any) -> Any:
    return inputs * 2.0


def _flax() -> Any:
    # By name: only this layer needs flax, which pock[keras] does not bring.
    return layers.FlaxLayer(import_module("flax.linen").Dense(4))


PAIR = _on(VECTOR, VECTOR, as_list=True)
PICTURE = _on(IMAGE)
FACTOR = _on(IMAGE, factor=0.3)
FACTORS = (
    *("RandomBrightness", "RandomColorDegeneration", "RandomContrast", "RandomHue"),
    *("RandomRotation", "RandomSaturation", "RandomSharpness"),
)
PICTURES = (
    *("AugMix", "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization"),
    *("RandAugment", "RandomElasticTransform", "RandomErasing", "RandomFlip"),
    *("RandomGaussianBlur", "RandomGrayscale", "RandomInvert", "RandomPerspective", "RandomShear"),
    "Solarization",
)

MADE: dict[str, Callable[[str], Case]] = {
    "Activation": _on(VECTOR, activation="gelu"),
    "ActivityRegularization": _on(VECTOR, l2=0.1),
    **_ranked("AdaptiveAveragePooling{}D", SEQUENCE, IMAGE, VOLUME, output_size=2),
    **_ranked("AdaptiveMaxPooling{}D", SEQUENCE, IMAGE, VOLUME, output_size=2),
    **dict.fromkeys(("Add", "Average", "Concatenate", "Maximum", "Minimum"), PAIR),
    **dict.fromkeys(("Multiply", "Subtract"), PAIR),
    **dict.fromkeys(("AdditiveAttention", "Attention"), _on(SEQUENCE, SEQUENCE, as_list=True)),
    "AlphaDropout": _on(VECTOR, rate=0.3),
    **_ranked("AveragePooling{}D", SEQUENCE, IMAGE, VOLUME, pool_size=2),
    **dict.fromkeys(("BatchNormalization", "Flatten", *PICTURES), PICTURE),
    **dict.fromkeys(FACTORS, FACTOR),
    "Bidirectional": lambda _: Case(lambda: layers.Bidirectional(layers.LSTM(4)), (SEQUENCE,)),
    "CategoryEncoding": _ids(num_tokens=5),
    "CenterCrop": _on(IMAGE, height=4, width=4),
    **_ranked("Conv{}D", SEQUENCE, IMAGE, VOLUME, filters=4, kernel_size=2),
    **_ranked("Conv{}DTranspose", SEQUENCE, IMAGE, VOLUME, filters=4, kernel_size=2, strides=2),
    **_ranked("ConvLSTM{}D", (3, 6, 2), FILM, (2, 4, 4, 4, 1), filters=2, kernel_size=2),
    **_ranked("Cropping{}D", SEQUENCE, IMAGE, VOLUME),
    "Dense": _on(VECTOR, units=4),
    **_ranked("DepthwiseConv{}D", SEQUENCE, IMAGE, kernel_size=2),
    "Discretization": _on(VECTOR, bin_boundaries=[-1.0, 0.0, 1.0]),
    "Dot": _on(VECTOR, VECTOR, as_list=True, axes=1),
    "Dropout": _on(VECTOR, rate=0.3),
    "EinsumDense": _on(VECTOR, equation="ab,bc->ac", output_shape=4),
    "Embedding": _ids(input_dim=5, output_dim=4),
    "FlaxLayer": lambda _: Case(_flax),
    **dict.fromkeys(("GRU", "LSTM", "SimpleRNN"), _on(SEQUENCE, units=4)),
    "GaussianDropout": _on(VECTOR, rate=0.3),
    "GaussianNoise": _on(VECTOR, stddev=0.3),
    **_ranked("GlobalAveragePooling{}D", SEQUENCE, IMAGE, VOLUME),
    **_ranked("GlobalMaxPooling{}D", SEQUENCE, IMAGE, VOLUME),
    "GroupNormalization": _on((8, 8, 4), groups=2),
    "GroupQueryAttention": _on(
        SEQUENCE, SEQUENCE, head_dim=4, num_query_heads=2, num_key_value_heads=1
    ),
    "HashedCrossing": lambda _: Case(
        lambda: layers.HashedCrossing(num_bins=4), ((), ()), "int32", as_list=True
    ),
    "Hashing": _ids(num_bins=4),
    "IntegerLookup": _ids(vocabulary=[1, 2, 3]),
    "JaxLayer": lambda _: Case(lambda: layers.JaxLayer(_doubled, params={})),
    "Lambda": lambda _: Case(lambda: layers.Lambda(lambda x: x * 2.0)),
    "Masking": _on(SEQUENCE),
    **_ranked("MaxPooling{}D", SEQUENCE, IMAGE, VOLUME),
    "MelSpectrogram": _on((64,), fft_length=16, sequence_stride=8, num_mel_bins=4),
    "MultiHeadAttention": _on(SEQUENCE, SEQUENCE, num_heads=2, key_dim=4),
    "Normalization": _on(VECTOR, mean=0.5, variance=2.0),
    "Permute": _on(SEQUENCE, dims=(2, 1)),
    "Pipeline": lambda _: Case(lambda: layers.Pipeline([layers.Rescaling(2.0)])),
    "RNN": lambda _: Case(lambda: layers.RNN(layers.GRUCell(4)), (SEQUENCE,)),
    **{f"{kind}Cell": _on(VECTOR, (4,), units=4) for kind in ("GRU", "LSTM", "SimpleRNN")},
    "RandomColorJitter": _on(IMAGE, brightness_factor=0.3),
    "RandomCrop": _on(IMAGE, height=4, width=4),
    "RandomPosterization": _on(IMAGE, factor=4),
    "RandomTranslation": _on(IMAGE, height_factor=0.3, width_factor=0.3),
    "RandomZoom": _on(IMAGE, height_factor=0.3),
    "RepeatVector": _on(VECTOR, n=3),
    "Rescaling": _on(VECTOR, scale=0.5, offset=1.0),
    "Reshape": _on(VECTOR, target_shape=(2, 3)),
    "Resizing": _on(IMAGE, height=4, width=4),
    "ReversibleEmbedding": _ids(input_dim=5, output_dim=4),
    "STFTSpectrogram": _on((64, 1), frame_length=16, frame_step=8, fft_length=16),
    **_ranked("SeparableConv{}D", SEQUENCE, IMAGE, filters=4, kernel_size=2),
    **_ranked("SpatialDropout{}D", SEQUENCE, IMAGE, VOLUME, rate=0.3),
    "SpectralNormalization": lambda _: Case(lambda: layers.SpectralNormalization(layers.Dense(4))),
    "StackedRNNCells": lambda _: Case(
        lambda: layers.RNN([layers.GRUCell(4), layers.GRUCell(3)]), (SEQUENCE,)
    ),
    "TimeDistributed": lambda _: Case(lambda: layers.TimeDistributed(layers.Dense(4)), (SEQUENCE,)),
    **_ranked("UpSampling{}D", SEQUENCE, IMAGE, VOLUME),
    **_ranked("ZeroPadding{}D", SEQUENCE, IMAGE, VOLUME),
}

NO_LAYERS = ("InputLayer", "InputSpec", "Layer", "Wrapper")
"""Public names that do nothing by themselves."""

ELSEWHERE: dict[str, str] = {
    "Equalization": "Keras cannot put it into a functional model",
    **dict.fromkeys(("CutMix", "MaxNumBoundingBoxes", "MixUp"), "changes targets as well"),
    **dict.fromkeys(("StringLookup", "TextVectorization"), "takes texts"),
    "TFSMLayer": "holds a TensorFlow program",
    "TorchModuleWrapper": "holds a PyTorch module",
}
"""Layers that no model of numbers on JAX can hold or be made of, and why."""


def names() -> list[str]:
    """The public layers, without second names of one."""
    found = {
        name: kind
        for name, kind in vars(layers).items()
        if inspect.isclass(kind) and name[0] != "_"
    }
    return [name for name in sorted(found) if found[name].__name__ == name not in NO_LAYERS]


def case_of(name: str) -> Case:
    """That of `MADE`; else the layer is made without arguments and called on vectors."""
    return MADE.get(name, _on(VECTOR))(name)
