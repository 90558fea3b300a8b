"""README.md: its picture follows the pipeline, and the runner of its blocks notices failures."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from pock.pipeline import training_pipeline
from pock_ir.passes.optimizer import OptimizerPass
from pock_ir.passes.scheme import ApplySchemePass

REPOSITORY = Path(__file__).resolve().parent.parent


def load_runner():
    spec = importlib.util.spec_from_file_location(
        "run_readme", REPOSITORY / "scripts" / "run_readme.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def runner():
    return load_runner()


def test_the_picture_names_the_stages_in_their_order():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    picture = re.findall(r"```\n(.*?)```", text, re.DOTALL)[0]
    stages = training_pipeline(ApplySchemePass("full"), OptimizerPass()).names()
    found = [word for word in re.findall(r"[a-z-]+", picture) if word in stages]
    assert list(dict.fromkeys(found)) == list(stages)


def test_links_of_the_documentation_lead_somewhere():
    documents = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
    broken = [
        f"{document.name}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8"))
        if not target.startswith("https://") and not (document.parent / target).exists()
    ]
    assert broken == []


def write(tmp_path, text):
    path = tmp_path / "TEXT.md"
    path.write_text(text, encoding="utf-8")
    return path


def test_blocks_share_a_folder_and_run_in_order(runner, tmp_path):
    text = "```sh\necho 1 > a\n```\n```python\n# b.py\nprint(open('a').read())\n```\n"
    assert runner.run_document(write(tmp_path, text)) == 2


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nfalse\ntrue\n```\n",
        "```sh\nfalse | true\n```\n",
        "```python\n# a.py\nraise ValueError\n```\n",
        "```python\nprint('no name')\n```\n",
        "```c\nint main(void);\n```\n",
    ],
    ids=["a command fails", "a pipe fails", "python raises", "no name", "unknown language"],
)
def test_what_fails_or_cannot_run_is_noticed(runner, tmp_path, text):
    with pytest.raises(SystemExit, match="line 2"):
        runner.run_document(write(tmp_path, text))


def test_only_what_is_run_elsewhere_is_skipped(runner, tmp_path, capsys):
    assert runner.run_document(write(tmp_path, "```sh\nmake demo\n```\n")) == 0
    assert "skipped" in capsys.readouterr().out
    assert set(runner.SKIPPED) == {"make demo", "make test"}
