"""The pipeline engine: order, limits, observers, reproducer."""

from __future__ import annotations

import io
import shlex
from dataclasses import dataclass

import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.passes import ModulePass

from pock_ir.diagnostics import PockError
from pock_ir.dialects import make_context
from pock_ir.parse import parse_module
from pock_ir.pipeline import (
    DumpIR,
    Limits,
    Pipeline,
    PrintIR,
    Progress,
    Stage,
    Timing,
    Validate,
    VerifyEach,
)


@dataclass(frozen=True)
class Mark(ModulePass):
    """Writes its letter behind those of the passes before it."""

    name = "mark"
    letter: str = "a"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        before = op.attributes.get("marks")
        text = before.data if isinstance(before, StringAttr) else ""
        op.attributes["marks"] = StringAttr(text + self.letter)


@dataclass(frozen=True)
class Crash(ModulePass):
    name = "crash"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        op.attributes["half"] = StringAttr("done")
        raise ZeroDivisionError("a bug")


@dataclass(frozen=True)
class Idle(ModulePass):
    name = "idle"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        pass


PIPELINE = Pipeline(
    (
        Stage("first", (Mark("a"), Mark("b")), "nn"),
        Stage("second", (Mark("c"),), "train"),
        Stage("third", (Mark("d"),), "kern"),
    )
)


def marks(pipeline, observers=(), limits=None):
    module = ModuleOp([])
    pipeline.run(make_context(), module, observers, limits)
    level = module.attributes.get("pock.level")
    return module.attributes["marks"].data, None if level is None else level.data


def test_stages_run_in_order_and_leave_their_level():
    assert marks(PIPELINE) == ("abcd", "kern")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(stop_after="second"), ("abc", "train")),
        (Limits(passes=1), ("a", None)),
        (Limits(passes=2), ("ab", "nn")),
    ],
)
def test_limits(limits, expected):
    assert marks(PIPELINE, limits=limits) == expected


def test_a_pipeline_is_a_value_to_change():
    extra = Stage("extra", (Mark("x"),), "train")
    assert marks(PIPELINE.insert_after("first", extra))[0] == "abxcd"
    assert marks(PIPELINE.replace("second", extra))[0] == "abxd"
    assert marks(PIPELINE.without("first"))[0] == "cd"
    assert marks(PIPELINE.until("first"))[0] == "ab"
    assert marks(PIPELINE.starting_at("third"))[0] == "d"
    assert marks(PIPELINE)[0] == "abcd"


def test_an_unknown_stage_lists_the_names():
    with pytest.raises(PockError, match="no stage is called 'fourth'") as caught:
        PIPELINE.until("fourth")
    assert "first, second, third" in str(caught.value)


def test_the_text_of_a_pipeline_is_what_the_tool_reads():
    assert PIPELINE.until("first").text().count("mark") == 2


def test_observers_see_every_pass():
    timing, seen = Timing(), []
    marks(PIPELINE, (timing, Progress(lambda name, done, total: seen.append((name, done, total)))))
    assert [row[0] for row in timing.rows] == ["first", "first", "second", "third"]
    assert seen == [("first", 0, 4), ("first", 1, 4), ("second", 2, 4), ("third", 3, 4)]
    assert timing.total() >= 0.0


def test_printing_only_what_changed():
    out = io.StringIO()
    stages = Pipeline((Stage("only", (Idle(), Mark("a")), "nn"),))
    marks(stages, (PrintIR(out, after_names=frozenset({"all"}), changed_only=True),))
    assert "after only: mark" in out.getvalue()
    assert "idle" not in out.getvalue()


def test_dumps_are_numbered_and_parse(tmp_path):
    marks(PIPELINE, (DumpIR(tmp_path / "ir"),))
    files = sorted((tmp_path / "ir").iterdir())
    assert [file.name[:2] for file in files] == ["00", "01", "02", "03", "04"]
    for file in files:
        parse_module(make_context(), file.read_text(), file.name)


def test_verification_names_the_pass():
    def refuse(module: ModuleOp, level: str) -> None:
        if level == "train":
            raise PockError("no good")

    with pytest.raises(AssertionError, match="invalid IR after pass mark: error: no good"):
        marks(PIPELINE, (VerifyEach(refuse),))


def test_validation_compares_before_and_after():
    seen = []

    def compare(before: ModuleOp, after: ModuleOp, name: str) -> None:
        old = before.attributes.get("marks")
        seen.append((None if old is None else old.data, after.attributes["marks"].data))

    marks(PIPELINE.until("first"), (Validate(compare),))
    assert seen == [(None, "a"), ("a", "ab")]


def test_a_crash_leaves_the_module_before_the_pass_and_the_command(tmp_path):
    path = tmp_path / "crash.mlir"
    broken = PIPELINE.insert_after("second", Stage("bad", (Crash(),), "train"))
    with pytest.raises(ZeroDivisionError) as caught:
        marks(broken, limits=Limits(reproducer=path))
    assert any(str(path) in note for note in caught.value.__notes__)
    text = path.read_text()
    words = shlex.split(text.splitlines()[0].removeprefix("// "))
    assert words == ["pock-opt", "crash.mlir", "-p", "crash"]
    module = parse_module(make_context(), text)
    assert module.attributes["marks"].data == "abc"
    assert "half" not in module.attributes


def test_a_refusal_is_no_crash(tmp_path):
    @dataclass(frozen=True)
    class Refuse(ModulePass):
        name = "refuse"

        def apply(self, ctx: Context, op: ModuleOp) -> None:
            raise PockError("not this model")

    path = tmp_path / "none.mlir"
    with pytest.raises(PockError, match="not this model"):
        marks(Pipeline((Stage("s", (Refuse(),), "nn"),)), limits=Limits(reproducer=path))
    assert not path.exists()


def test_the_collector_is_paused_while_passes_run_and_comes_back():
    import gc

    @dataclass(frozen=True)
    class Look(ModulePass):
        name = "look"

        def apply(self, ctx: Context, op: ModuleOp) -> None:
            op.attributes["marks"] = StringAttr(str(gc.isenabled()))

    assert marks(Pipeline((Stage("s", (Look(),), "nn"),)))[0] == "False"
    assert gc.isenabled()
