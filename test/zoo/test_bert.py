import pytest

torch = pytest.importorskip("torch")

from pock.zoo import bert  # noqa: E402


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def tiny_inputs():
    """Two rows of 8 tokens, the second with 5 and padding."""
    ids = torch.arange(16).view(2, 8) + 1
    mask = torch.ones(2, 8, dtype=torch.int64)
    mask[1, 5:] = 0
    return ids, mask


# Hugging Face's BertModel counts: BERT-base and MiniLM-L6 with pooler; MiniLM-L3 is without.
@pytest.mark.parametrize(
    "config, pooler, count",
    [
        (bert.BERT_BASE, True, 109_482_240),
        (bert.MINILM_L6, True, 22_713_216),
        (bert.MINILM_L3, False, 17_241_984),
    ],
)
def test_parameter_count(config, pooler, count):
    with torch.device("meta"):
        assert parameters(bert.bert_model(config, pooler)) == count


def test_names_are_those_of_hugging_face():
    names = list(bert.bert_model(bert.TINY, pooler=True).state_dict())
    assert names[:5] == [
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
        "embeddings.LayerNorm.weight",
        "embeddings.LayerNorm.bias",
    ]
    stems = [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    ]
    layer = [f"encoder.layer.0.{stem}.{kind}" for stem in stems for kind in ("weight", "bias")]
    assert names[5:21] == layer
    assert names[-2:] == ["pooler.dense.weight", "pooler.dense.bias"]


@pytest.mark.parametrize("pooling", ["mean", "pooler"])
def test_forward_and_backward(pooling):
    model = bert.bert_classifier(bert.TINY, 3, pooling)
    logits = model(*tiny_inputs())
    assert logits.shape == (2, 3)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("pooling", ["mean", "pooler"])
def test_padding_changes_nothing(pooling):
    model = bert.bert_classifier(bert.TINY, 3, pooling).eval()
    ids, mask = tiny_inputs()
    changed = ids.clone()
    changed[1, 5:] = 99
    with torch.no_grad():
        expected, found = model(ids, mask), model(changed, mask)
        alone = model(ids[1:, :5], mask[1:, :5])
    assert torch.equal(expected, found)
    torch.testing.assert_close(alone, expected[1:], atol=1e-6, rtol=1e-5)


def test_without_token_types_all_are_zero():
    model = bert.bert_model(bert.TINY).eval()
    ids, mask = tiny_inputs()
    with torch.no_grad():
        torch.testing.assert_close(model(ids, mask), model(ids, mask, torch.zeros_like(ids)))
        assert not torch.allclose(model(ids, mask), model(ids, mask, torch.ones_like(ids)))


def test_dropout_acts_in_training_mode_only_and_can_be_switched_off():
    ids, mask = tiny_inputs()
    noisy = bert.bert_model(bert.TINY).train()
    quiet = bert.bert_model(bert.TINY.without_dropout()).train()
    assert not torch.equal(noisy(ids, mask), noisy(ids, mask))
    assert torch.equal(quiet(ids, mask), quiet(ids, mask))


def test_another_pooling_is_refused():
    with pytest.raises(ValueError, match="'max'"):
        bert.bert_classifier(bert.TINY, 3, "max")
