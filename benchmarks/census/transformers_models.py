"""Models of transformers in their smallest true structure: two layers, small widths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmarks.census.torch_jobs import BATCH, CLASSES, job, pictures, prepare, token_loss
from pock.compiler import Job

LENGTH = 16
VOCABULARY = 100

Options = Mapping[str, Any]

SIZES: Options = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
"""What most transformers call their sizes."""

TEXT: Options = {
    **SIZES,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 2 * LENGTH,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

DIM: Options = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2}
NO_DEPTH: Options = {"num_hidden_layers": None}
"""For configurations that say it otherwise; None takes an option out."""

GPT2: Options = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 2 * LENGTH}
GROUPED: Options = {"num_key_value_heads": 1}

XLNET: Options = {"d_model": 32, "n_layer": 2, "n_head": 2, "d_head": 16, "d_inner": 64}

ENCODERS: Mapping[str, Options] = {
    "Albert": {"embedding_size": 16},
    "Bert": {},
    "BigBird": {"attention_type": "original_full"},
    "Camembert": {},
    "ConvBert": {"embedding_size": 16, "num_attention_heads": 4},
    "Deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "DebertaV2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "DistilBert": DIM,
    "Electra": {"embedding_size": 16},
    "Esm": {"mask_token_id": 3, "position_embedding_type": "rotary"},
    "FNet": {},
    "Funnel": {**NO_DEPTH, "d_model": 32, "d_head": 16, "d_inner": 64, "block_sizes": [1, 1]},
    "Longformer": {"attention_window": 8},
    "MPNet": {},
    "MobileBert": {"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
    "ModernBert": {"global_attn_every_n_layers": 2, "local_attention": 8},
    "RoFormer": {},
    "Roberta": {},
    "SqueezeBert": {"embedding_size": 32},
    "XLM": {"emb_dim": 32, "n_layers": 2, "n_heads": 2},
    "XLNet": {**XLNET, "max_position_embeddings": None},
}
"""Classifiers of token sequences, and what their configuration has beside `TEXT`."""

DECODERS: Mapping[str, Options] = {
    "Bloom": {"n_layer": 2, "n_head": 2},
    "CodeGen": {**GPT2, "rotary_dim": 8, "n_head": 4, "num_attention_heads": 4},
    "Falcon": {},
    "GPT2": GPT2,
    "GPTJ": {**GPT2, "rotary_dim": 8},
    "GPTNeo": {"num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]]},
    "GPTNeoX": {},
    "Gemma": {**GROUPED, "head_dim": 16},
    "Gemma2": {**GROUPED, "head_dim": 16, "sliding_window": 8},
    "Llama": GROUPED,
    "Mamba": {"state_size": 4, "num_hidden_layers": 2},
    "Mistral": {**GROUPED, "sliding_window": 8},
    "Mixtral": {**GROUPED, "num_local_experts": 4},
    "OPT": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "Phi": {},
    "Phi3": GROUPED,
    "Qwen2": GROUPED,
    "Qwen3": {**GROUPED, "head_dim": 16},
    "SmolLM3": GROUPED,
    "StableLm": GROUPED,
}
"""Language models, and what their configuration has beside `TEXT`."""

PAIR: Options = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
}
T5: Options = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}

TRANSLATORS: Mapping[str, Options] = {
    "Bart": PAIR,
    "Pegasus": PAIR,
    "T5": T5,
}
"""Models of an encoder and a decoder, and what their configuration has beside `TEXT`."""

SIDE = 32
PATCHES: Options = {**SIZES, "image_size": SIDE, "patch_size": 8}
STAGES: Options = {"depths": [1, 1], "hidden_sizes": [16, 32], "embedding_size": 16}
WINDOWS: Options = {
    "image_size": SIDE,
    "patch_size": 2,
    "embed_dim": 16,
    "depths": [2, 2],
    "num_heads": [2, 2],
    "window_size": 4,
}

PYRAMID: Options = {"hidden_sizes": [16, 16, 32, 32], "depths": [1] * 4}

PICTURES: Mapping[str, Options] = {
    "Beit": PATCHES,
    "ConvNext": {"hidden_sizes": [16, 32], "depths": [1, 1], "num_stages": 2},
    "ConvNextV2": {"hidden_sizes": [16, 32], "depths": [1, 1], "num_stages": 2},
    "DeiT": PATCHES,
    "Dinov2": PATCHES,
    "MobileNetV1": {"image_size": SIDE, "depth_multiplier": 0.25},
    "MobileViT": {"image_size": 64, "hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8] * 7},
    "PoolFormer": PYRAMID,
    "Pvt": {**PYRAMID, "image_size": 64, "num_attention_heads": [1, 1, 2, 2]},
    "RegNet": {**STAGES, "groups_width": 8},
    "ResNet": STAGES,
    "Segformer": {**PYRAMID, "image_size": SIDE},
    "Swin": WINDOWS,
    "ViT": PATCHES,
}
"""Classifiers of pictures, and their configuration."""


def configured(kind: str, base: Options, changes: Options) -> Any:
    """transformers' model class `kind` on its own configuration with `base` and `changes`."""
    from benchmarks.census.torchvision_cpu import load_torchvision

    load_torchvision()  # transformers imports it if it is there
    import transformers

    model_class = getattr(transformers, kind)
    options = {"num_labels": CLASSES, **base, **changes}
    given = {key: value for key, value in options.items() if value is not None}
    return model_class(model_class.config_class(**given)).train()


def tokens() -> dict[str, Any]:
    """Token numbers i64[B, T] and a mask of which the last sequence is half padding."""
    import torch

    ids = torch.randint(3, VOCABULARY, (BATCH, LENGTH))
    mask = torch.ones_like(ids)
    mask[-1, LENGTH // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


def encoder(name: str, changes: Options) -> Job:
    """A classifier of sequences."""
    import torch

    prepare()
    model = configured(f"{name}ForSequenceClassification", TEXT, changes)
    return job(model, tokens(), torch.arange(BATCH) % CLASSES)


def decoder(name: str, changes: Options) -> Job:
    """A language model, trained on next tokens at all places."""
    import torch

    prepare()
    kind = {"GPT2": "GPT2LMHeadModel", "CTRL": "CTRLLMHeadModel"}.get(name, f"{name}ForCausalLM")
    model = configured(kind, {**TEXT, "use_cache": False}, changes)
    targets = torch.randint(3, VOCABULARY, (BATCH, LENGTH))
    return job(model, tokens(), targets, token_loss)


def translator(name: str, changes: Options) -> Job:
    """A model of two sequences, trained on next tokens of the second."""
    import torch

    prepare()
    model = configured(f"{name}ForConditionalGeneration", {**TEXT, "use_cache": False}, changes)
    given, targets = torch.randint(3, VOCABULARY, (2, BATCH, LENGTH))
    return job(model, {**tokens(), "decoder_input_ids": given}, targets, token_loss)


def classifier(name: str, changes: Options) -> Job:
    """A classifier of pictures."""
    side = changes.get("image_size", SIDE)
    return pictures(lambda: configured(f"{name}ForImageClassification", {}, changes), side)


GROUPS = (
    (encoder, ENCODERS),
    (decoder, DECODERS),
    (translator, TRANSLATORS),
    (classifier, PICTURES),
)

MODELS: Mapping[str, Callable[[], Job]] = {
    name: partial(make, name, changes) for make, group in GROUPS for name, changes in group.items()
}
"""Name -> what makes the job."""
