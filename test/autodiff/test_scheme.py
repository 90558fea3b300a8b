"""Schemes: blocks, head, biases, rules, files and their refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_graphs import CONTEXT, Graph
from xdsl.dialects.builtin import ModuleOp, UnitAttr
from xdsl.ir import SSAValue
from xdsl.passes import PassPipeline

from pock_ir.diagnostics import PockError
from pock_ir.dialects.conv import Conv2dOp
from pock_ir.dialects.elementwise import AddOp, MulOp, ReluOp, TanhOp
from pock_ir.dialects.embedding import EmbeddingOp
from pock_ir.dialects.matmul import LinearOp
from pock_ir.dialects.norm import BatchNormOp
from pock_ir.dialects.reduce import MeanOp
from pock_ir.dialects.shape import BroadcastOp, TransposeOp
from pock_ir.interpret import find_function
from pock_ir.passes.autodiff.autodiff_pass import AutodiffPass
from pock_ir.passes.network import block_of, network_of
from pock_ir.passes.savings import savings
from pock_ir.passes.scheme import ApplySchemePass, apply_scheme
from pock_ir.passes.scheme_file import option_text, parse_json, parse_toml, parse_update
from pock_ir.passes.scheme_rules import PATTERN_LIMIT, Rule, Scheme
from pock_ir.passes.signature import argument_attributes, name_of
from pock_ir.passes.trained import MARK, trained_slice
from pock_ir.types import tensor_type

NHWC = {"layout": "nhwc", "weight_layout": "hwio"}


class MobileNet(Graph):
    """Three inverted residual blocks on 4x4 images with 4 channels, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        x = self.input("x", 2, 4, 4, 4)
        for index in range(3):
            x = self(AddOp, x, self.inverted(f"features.{index}.conv", x))
        pooled = self(MeanOp, x, axes=(1, 2))
        weight = self.parameter("classifier.1.weight", 5, 4)
        self.logits = self.biased(
            self(LinearOp, pooled, weight, weight_layout="oi"),
            self.parameter("classifier.1.bias", 5),
        )

    def inverted(self, name: str, x: SSAValue) -> SSAValue:
        x = self(ReluOp, self.normed(f"{name}.0", x, 1, (1, 1, 4, 10), 1))
        x = self(ReluOp, self.normed(f"{name}.1", x, 3, (3, 3, 1, 10), 10))
        return self.normed(f"{name}.2", x, 1, (1, 1, 10, 4), 1)

    def normed(self, name: str, x: SSAValue, kernel: int, shape, groups: int) -> SSAValue:
        pad = (kernel // 2, kernel // 2)
        window = {"strides": (1, 1), "dilation": (1, 1), "pad_low": pad, "pad_high": pad}
        weight = self.parameter(f"{name}.0.weight", *shape)
        y = self(Conv2dOp, x, weight, groups=groups, **window, **NHWC)
        gamma = self.parameter(f"{name}.1.weight", shape[-1])
        beta = self.parameter(f"{name}.1.bias", shape[-1])
        return self.emit.op(BatchNormOp, y, gamma, beta, axis=3, eps=1e-5).results[0]


def mobile_net() -> ModuleOp:
    g = MobileNet()
    return g.module(g.total(g.logits))


MOBILE_NET = mobile_net()
NAMES = [p.name for p in network_of(find_function(MOBILE_NET, "train")).parameters]
HEAD = ["classifier.1.weight", "classifier.1.bias"]


def marks(scheme: Scheme, module: ModuleOp = MOBILE_NET) -> dict[str, object]:
    """What each trained parameter's mark says: None or (axis, begin, size)."""
    copy = module.clone()
    function = find_function(copy, "train")
    apply_scheme(function, scheme)
    found = {}
    for value, entry in zip(function.args, argument_attributes(function), strict=True):
        if MARK in entry:
            part = trained_slice(entry[MARK], tensor_type(value))
            found[name_of(entry)] = part and (part.axis, part.begin, part.size)
    return found


def error(call, *args) -> list[str]:
    with pytest.raises(PockError) as caught:
        call(*args)
    return str(caught.value).split("\n")


# What the network is.


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("features.3.conv.0.weight", "features.3"),
        ("features.0.1.weight", "features.0"),
        ("features.18.0.weight", "features.18"),
        ("encoder.layer.5.attention.self.query.weight", "encoder.layer.5"),
        ("layer4.1.conv1.weight", "layer4.1"),
        ("layer4.0.downsample.0.weight", "layer4.0"),
        ("blocks.12.attn.heads.0.weight", "blocks.12"),
        ("blocks.1.0.conv_pw.weight", "blocks.1.0"),
        ("encoder.layers.encoder_layer_4.mlp.0.weight", "encoder.layers.encoder_layer_4"),
        ("classifier.1.bias", "classifier.1"),
        ("0.weight", "0"),
        ("Block_3/Dense_0/kernel", "Block_3"),
        ("params/encoder/layers_5/mlp/kernel", "params/encoder/layers_5"),
        ("fc.weight", None),
        ("conv1.weight", None),
        ("weight_1", None),
        ("2", None),
        ("layer.١.weight", None),
    ],
)
def test_block_of_a_name(name: str, block: str | None) -> None:
    assert block_of(name) == block


def test_blocks_head_biases_and_pointwise_weights() -> None:
    network = network_of(find_function(MOBILE_NET, "train"))
    assert network.blocks == ["features.0", "features.1", "features.2"]
    assert [p.name for p in network.parameters if p.is_head] == HEAD
    biases = [name for name in NAMES if name.endswith(".bias")]
    assert [p.name for p in network.parameters if p.is_bias] == biases
    pointwise = [p.name for p in network.parameters if p.is_first_pointwise]
    assert pointwise[:3] == [f"features.{i}.conv.0.0.weight" for i in range(3)]


def test_blocks_are_in_order_of_execution() -> None:
    g = Graph()
    x = g.input("x", 2, 3)
    w = {i: g.parameter(f"layers.{i}.weight", 3, 3) for i in range(4)}
    for index in (2, 0, 1, 3):
        x = g(TanhOp, g(LinearOp, x, w[index], weight_layout="oi"))
    network = network_of(find_function(g.module(g.total(x)), "train"))
    assert network.blocks == ["layers.2", "layers.0", "layers.1"]
    assert [p.name for p in network.parameters if p.is_head] == ["layers.3.weight"]


def test_head_with_a_tied_weight_and_a_scale_behind_it() -> None:
    g = Graph()
    table, ids = g.parameter("wte.weight", 6, 4), g.input("ids", 3, dtype="i32")
    scale, w = g.parameter("scale", 6), g.parameter("h.0.weight", 4, 4)
    x = g(EmbeddingOp, table, ids, padding_index=-1)
    x = g(TanhOp, g(LinearOp, x, w, weight_layout="oi"))
    x = g(LinearOp, x, table, weight_layout="oi")
    x = g(MulOp, x, g(BroadcastOp, scale, shape=(3, 6), axes=(1,)))
    dead = g.parameter("dead", 4, 4)
    g(LinearOp, g.input("y", 2, 4), dead, weight_layout="oi")
    network = network_of(find_function(g.module(g.total(x)), "train"))
    head = [p.name for p in network.parameters if p.is_head]
    assert head == ["wte.weight", "scale", "dead"]
    assert [p.name for p in network.parameters if p.is_bias] == []


# Schemes.


def test_full() -> None:
    assert marks(Scheme.full()) == dict.fromkeys(NAMES)


def test_head() -> None:
    assert marks(Scheme.head()) == dict.fromkeys(HEAD)


def test_last_blocks() -> None:
    wanted = [n for n in NAMES if n.startswith(("features.1", "features.2", "classifier"))]
    assert marks(Scheme.last_k_blocks(2)) == dict.fromkeys(wanted)


def test_bias_only() -> None:
    wanted = [n for n in NAMES if n.endswith("bias") or n in HEAD]
    assert marks(Scheme.bias_only()) == dict.fromkeys(wanted)


def test_sparse() -> None:
    scheme = Scheme.sparse(bias_blocks=2, weights={"features.1": 0.5, "features.2": 1.0})
    wanted = [n for n in NAMES if n.endswith("bias") and n[9] in "12"] + HEAD
    weights = ("features.1.conv.0.0.weight", "features.2.conv.0.0.weight")
    assert marks(scheme) == {**dict.fromkeys(wanted), weights[0]: (2, 0, 2), weights[1]: None}


def test_last_rule_decides() -> None:
    rules = (
        Rule("features.*"),
        Rule("*.bias", train=False),
        Rule("re:features\\.[01]\\..*", train=False),
    )
    wanted = [n for n in NAMES if n.startswith("features.2") and not n.endswith("bias")]
    assert marks(Scheme(rules)) == dict.fromkeys(wanted)


@pytest.mark.parametrize(
    ("ratio", "name", "axis", "mark"),
    [
        (0.1, "features.0.conv.0.0.weight", "input", (2, 0, 1)),
        (0.26, "features.0.conv.0.0.weight", "input", (2, 0, 2)),
        (0.3, "features.0.conv.0.0.weight", "output", (3, 0, 3)),
        (0.99, "features.0.conv.0.0.weight", "input", None),
        (0.5, "features.0.conv.1.0.weight", "input", (3, 0, 5)),
        (0.5, "classifier.1.weight", "input", (1, 0, 2)),
        (0.5, "classifier.1.weight", "output", (0, 0, 3)),
    ],
)
def test_ratio(ratio: float, name: str, axis, mark) -> None:
    assert marks(Scheme((Rule(name, ratio=ratio, axis=axis),))) == {name: mark}


def test_ratio_is_exact_where_the_product_is_not() -> None:
    g = Graph()
    x, w = g.input("x", 2, 30), g.parameter("w", 3, 30)
    module = g.module(g.total(g(LinearOp, x, w, weight_layout="oi")))
    assert marks(Scheme((Rule("w", ratio=0.1),)), module) == {"w": (1, 0, 3)}


def test_frozen_names_are_never_trained() -> None:
    frozen = ("classifier.1.bias", "elsewhere")
    assert marks(Scheme((Rule("@head"),), frozen=frozen)) == {"classifier.1.weight": None}
    assert error(marks, Scheme((Rule("*.1.bias", within="@head"),), frozen=frozen)) == [
        "error: rules[0] ('*.1.bias'): it matches no parameter within '@head'"
    ]


def test_earlier_marks_are_removed() -> None:
    module = MOBILE_NET.clone()
    ApplySchemePass("full").apply(CONTEXT, module)
    ApplySchemePass("head").apply(CONTEXT, module)
    entries = argument_attributes(find_function(module, "train"))
    assert [name_of(e) for e in entries if e.get(MARK) == UnitAttr()] == HEAD


def test_savings() -> None:
    modules = []
    for update in ("full", "full", "bias", "head"):
        modules.append(MOBILE_NET.clone())
        ApplySchemePass(update).apply(CONTEXT, modules[-1])
        AutodiffPass().apply(CONTEXT, modules[-1])
    same, bias, head = (savings(modules[0], module) for module in modules[1:])
    assert [same.kept(what) for what in ("ops", "flops", "bytes")] == [1.0, 1.0, 1.0]
    for what in ("ops", "flops", "bytes"):
        assert head.kept(what) < bias.kept(what) < 1.0


# Refusals that need a network.


def test_patterns_that_match_nothing() -> None:
    rules = (
        Rule("features.0.conv.0.0.weigth"),
        Rule("zzzzzzz"),
        Rule("re:features.*gamma"),
        Rule("@block:feature.0"),
        Rule("@last:4"),
        Rule("@bias", within="@block:classifier.1"),
        Rule("@first-pointwise", within="*.bias"),
    )
    assert error(marks, Scheme(rules, "plan.json")) == [
        "plan.json: error: rules[0] ('features.0.conv.0.0.weigth'): it matches no parameter; near"
        " misses: 'features.0.conv.0.0.weight', 'features.2.conv.0.0.weight',"
        " 'features.1.conv.0.0.weight'",
        "plan.json: error: rules[1] ('zzzzzzz'): it matches no parameter",
        "plan.json: error: rules[2] ('re:features.*gamma'): it matches no parameter",
        "plan.json: error: rules[3] ('@block:feature.0'): there is no block 'feature.0'; near"
        " misses: 'features.0', 'features.2', 'features.1'",
        "plan.json: error: rules[4] ('@last:4'): it asks for 4 blocks, but the network has 3",
        "plan.json: error: rules[5] ('@bias'): there is no block 'classifier.1'",
        "plan.json: error: rules[6] ('@first-pointwise'): it matches no parameter within '*.bias'",
    ]


def test_ratio_without_channels() -> None:
    reason = "a ratio below 1 needs weights of linears or convolutions with input channels"
    assert error(marks, Scheme((Rule("features.0.conv.0.*", ratio=0.5),))) == [
        f"error: rules[0] ('features.0.conv.0.*'): {reason}, which these have not:"
        " 'features.0.conv.0.1.weight', 'features.0.conv.0.1.bias'"
    ]
    assert error(marks, Scheme((Rule("*", ratio=0.5),)))[0].endswith(
        "'features.0.conv.1.1.weight', ..."
    )


def test_ratio_of_a_weight_that_is_read_in_another_way() -> None:
    g = Graph()
    x, w = g.input("x", 2, 3), g.parameter("w", 3, 3)
    turned = g(TransposeOp, w, permutation=(1, 0))
    module = g.module(g.total(g(LinearOp, x, turned, weight_layout="oi")))
    assert len(error(marks, Scheme((Rule("w", ratio=0.5),)), module)) == 1
    assert marks(Scheme((Rule("@head"),)), module) == {"w": None}


def test_scheme_that_trains_nothing() -> None:
    scheme = Scheme((Rule("*"), Rule("*", train=False)))
    assert error(marks, scheme) == ["error: the scheme trains no parameter"]


def test_integers_are_never_trained() -> None:
    g = Graph()
    x = g.parameter("x", 3)
    g.parameter("count", dtype="i32")
    module = g.module(g.total(x))
    assert marks(Scheme.full(), module) == {"x": None}
    assert error(marks, Scheme((Rule("count"),)), module) == [
        "error: rules[0] ('count'): it matches no parameter"
    ]


# Text.


def test_words() -> None:
    assert parse_update("full") == Scheme.full()
    assert parse_update("head") == Scheme.head()
    assert parse_update("bias") == Scheme.bias_only()
    assert parse_update("last:2") == Scheme.last_k_blocks(2)
    assert error(parse_update, "heads") == [
        "error: there is no update 'heads' (did you mean head?)",
        "  help: use one of full, head, bias, last:K, or the name of a .json or .toml file",
    ]
    for text in ("last:0", "last:", "last:-1", "last:1000000", "last:²"):
        pattern = f"@{text}"
        assert error(parse_update, text) == [
            f"error: rules[0]: '{pattern}' should name a number of blocks, like '@last:2'"
        ]


def test_files(tmp_path: Path) -> None:
    scheme = Scheme.sparse(2, {"features.1": 0.5})
    path = tmp_path / "plan.json"
    path.write_text(scheme.to_json(indent=2))
    assert parse_update(str(path)).rules == scheme.rules
    path = tmp_path / "plan.toml"
    path.write_text('[[rules]]\nparameters = "*"\n[[rules]]\nparameters = "x"\nratio = 1\n')
    assert parse_update(str(path)).rules == (Rule("*"), Rule("x"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    assert error(parse_update, str(missing))[0].endswith("missing.json': No such file or directory")
    assert (
        error(parse_update, "a\0.json")[0] == "error: cannot read 'a\\x00.json': embedded null byte"
    )
    path = tmp_path / "plan.json"
    path.write_bytes(b"\xff")
    assert error(parse_update, str(path)) == [f"{path}: error: not valid UTF-8"]
    path.write_bytes(b" " * ((1 << 20) + 1))
    assert error(parse_update, str(path)) == [f"{path}: error: longer than 1048576 bytes"]


def test_malformed_text() -> None:
    assert error(parse_json, '{"rules": [}', "a.json") == [
        "a.json:1:12: error: not JSON: Expecting value"
    ]
    assert error(parse_json, '{"rules": [], "rules": []}', "a.json") == [
        "a.json: error: the key 'rules' occurs twice"
    ]
    assert error(parse_json, '{"rules": [{"parameters": "*", "ratio": NaN}]}') == [
        "error: NaN is not a JSON number"
    ]
    assert error(parse_json, "[" * 100_000, "a.json") == ["a.json: error: nested too deeply"]
    assert error(parse_json, "[]", "a.json") == [
        'a.json: error: a scheme should be an object with the key "rules"'
    ]
    assert error(parse_json, "{}") == ["error: a scheme needs at least one rule"]
    assert error(parse_json, '{"rules": 3}') == ["error: rules: this should be a list"]
    assert error(parse_json, '{"rules": [], "frozen": [1]}') == [
        "error: frozen: this should be a list of texts"
    ]
    assert error(parse_toml, "rules = [", "a.toml")[0].startswith("a.toml: error: not TOML: ")


def test_all_errors_of_a_file_at_once() -> None:
    document = {
        "rules": [
            {"parameters": 3, "train": 1, "ratio": True, "axis": None, "within": []},
            {"paramters": "*"},
            [],
        ],
        "rate": 1,
    }
    assert error(parse_json, json.dumps(document), "a.json") == [
        "a.json: error: rate: there is no such key; known are rules, frozen",
        "a.json: error: rules[0].parameters: this should be a text",
        "a.json: error: rules[0].train: this should be true or false",
        "a.json: error: rules[0].ratio: this should be a number",
        "a.json: error: rules[0].axis: this should be a text",
        "a.json: error: rules[0].within: this should be a text",
        "a.json: error: rules[1].paramters: there is no such key; known are parameters, train,"
        " ratio, axis, within",
        'a.json: error: rules[1]: the key "parameters" is missing',
        "a.json: error: rules[2]: a rule should be an object",
    ]


def test_all_errors_of_the_rules_at_once() -> None:
    rules = [
        {"parameters": "re:(", "within": "@head:1"},
        {"parameters": "@heads", "ratio": 0, "axis": "inputs"},
        {"parameters": "@block:", "ratio": 2},
        {"parameters": "x", "train": False, "ratio": 0.5},
        {"parameters": "*" * (PATTERN_LIMIT + 1)},
    ]
    known = "known are @bias, @first-pointwise, @head, @block:NAME, @last:K"
    assert error(parse_json, json.dumps({"rules": rules}), "a.json") == [
        "a.json: error: rules[0]: '(' is not a regular expression: missing ), unterminated"
        " subpattern at position 0",
        f"a.json: error: rules[0]: there is no '@head:1'; {known}",
        "a.json: error: rules[1]: ratio should be above 0 and at most 1, not 0",
        'a.json: error: rules[1]: axis should be "input" or "output", not \'inputs\'',
        f"a.json: error: rules[1]: there is no '@heads'; {known}",
        "a.json: error: rules[2]: ratio should be above 0 and at most 1, not 2",
        "a.json: error: rules[2]: '@block:' should name a block, like '@block:features.3'",
        "a.json: error: rules[3]: a rule that trains nothing has no ratio",
        "a.json: error: rules[4]: a pattern should have at most 500 characters, not 501",
    ]


RULES = st.builds(
    Rule,
    st.text(max_size=12).filter(lambda text: not text.startswith(("@", "re:"))),
    ratio=st.sampled_from([1.0, 0.1, 0.25]),
    axis=st.sampled_from(["input", "output"]),
    within=st.none() | st.sampled_from(["@head", "@last:3", "re:a\\(", "'\"%20"]),
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(RULES, min_size=1, max_size=4), st.lists(st.text(max_size=5), max_size=2))
def test_text_round_trips(rules: list[Rule], frozen: list[str]) -> None:
    scheme = Scheme(tuple(rules), frozen=tuple(frozen))
    assert parse_json(scheme.to_json()) == scheme
    action = ApplySchemePass.of(scheme)
    assert parse_update(option_text(scheme)) == scheme
    spec = str(action.pipeline_pass_spec())
    (read,) = PassPipeline.parse_spec({"apply-scheme": lambda: ApplySchemePass}, spec).passes
    assert read == action
