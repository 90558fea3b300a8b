"""The rooms keep their order, and nothing dangerous or local is in the tracked files."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# In the order of imports: a room imports only from itself and from rooms before it.
ROOMS = (
    ("pock_ir", "pock_ir"),
    ("dialects", "pock_ir.dialects"),
    ("passes", "pock_ir.passes"),
    ("lowering", "pock_ir.lowering"),
    ("targets", "pock_ir.targets"),
    ("pock", "pock"),
    ("tools", "pock.tools"),
)
LINKS = {
    "pock_ir/dialects": "../dialects",
    "pock_ir/lowering": "../lowering",
    "pock_ir/passes": "../passes",
    "pock_ir/targets": "../targets",
    "pock/tools": "../tools",
}

# Package: where it may be imported. Of several places that hold a file the longest counts.
PLACES = {
    "torch": (
        "pock/frontends/torch/",
        "pock/zoo/",
        "pock/demo/",
        "test/",  # PyTorch is what ops and whole programs are compared with
        "test/frontends/torch/",
    ),
    **dict.fromkeys(
        ("jax", "jaxlib"),
        (
            "pock/frontends/jax/",
            "pock/frontends/jax/markers.py",
            "pock/jax.py",
            "pock/frontends/keras/",  # models on Keras's JAX backend are JAX functions
            "test/frontends/jax/",
            "test/frontends/keras/",
        ),
    ),
    **dict.fromkeys(("flax", "optax", "equinox"), ("pock/frontends/jax/", "test/frontends/jax/")),
    "keras": (
        "pock/frontends/keras/",
        "pock/keras.py",
        "pock/frontends/jax/markers.py",  # Keras's own functions, where a model brings them
        "pock/frontends/tensorflow/",  # models on Keras's TensorFlow backend
        "test/frontends/keras/",
        "test/frontends/tensorflow/",
    ),
    "tensorflow": ("pock/frontends/tensorflow/", "test/frontends/tensorflow/"),
    **dict.fromkeys(("transformers", "timm", "torchvision"), ()),
}
ANY_PACKAGE = ("benchmarks/", "scripts/", "test/frontends/differences/")
"""Places where all of them may be imported."""

# Calls that run or unpickle what they read; `literal_eval` and `weights_only=True` are allowed.
FORBIDDEN_NAMES = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"pickle", "dill", "shelve", "marshal", "cloudpickle", "joblib"}


@cache
def tracked() -> tuple[str, ...]:
    """The files of the repository: tracked ones, and new ones that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("this is no git checkout")
    names = done.stdout.decode().rstrip("\0").split("\0")
    return tuple(name for name in names if (REPOSITORY / name).exists())


def sources(*folders: str) -> list[str]:
    return [n for n in tracked() if n.endswith(".py") and n.startswith(folders)]


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse((REPOSITORY / name).read_text(encoding="utf-8"), name)


def imports(name: str) -> Iterator[tuple[int, str]]:
    """Line and full name of every module that a file imports, wherever in it."""
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: a relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def room_of(module: str) -> int | None:
    """The number of the room that a module's full name lies in; the longest package wins."""
    found = [
        (len(package), number)
        for number, (_, package) in enumerate(ROOMS)
        if module == package or module.startswith(f"{package}.")
    ]
    return max(found)[1] if found else None


def type_checking_lines(name: str) -> set[int]:
    """Lines under `if TYPE_CHECKING:`, which are never run."""
    return {
        line
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in node.body
        for line in range(child.lineno, (child.end_lineno or child.lineno) + 1)
    }


@pytest.mark.parametrize("number", range(len(ROOMS)), ids=[folder for folder, _ in ROOMS])
def test_rooms_import_only_from_rooms_before_them(number):
    wrong = [
        f"{name}:{line} imports {module}"
        for name in sources(f"{ROOMS[number][0]}/")
        for line, module in imports(name)
        if line not in type_checking_lines(name) and (room_of(module) or 0) > number
    ]
    assert wrong == []


def place_of(name: str) -> str | None:
    """The longest of `PLACES` and `ANY_PACKAGE` that holds a file."""
    places = {*ANY_PACKAGE, *(place for places in PLACES.values() for place in places)}
    return max((place for place in places if name.startswith(place)), key=len, default=None)


def may_import(name: str, package: str) -> bool:
    return place_of(name) in (*PLACES[package], *ANY_PACKAGE)


@cache
def framework_imports() -> list[tuple[str, int, str]]:
    """File, line and package of every import of one of `PLACES`."""
    return [
        (name, line, package)
        for name in sources("")
        for line, module in imports(name)
        if (package := module.split(".")[0]) in PLACES and line not in type_checking_lines(name)
    ]


@pytest.mark.parametrize("package", PLACES)
def test_frameworks_are_imported_only_where_they_belong(package):
    found = [(name, line) for name, line, imported in framework_imports() if imported == package]
    assert [f"{name}:{line}" for name, line in found if not may_import(name, package)] == []


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("pock/compiler.py", "torch"),
        ("pock/frontends/common/paths.py", "torch"),
        ("pock/frontends/keras/model.py", "torch"),
        ("pock/frontends/keras/model.py", "tensorflow"),
        ("pock/frontends/tensorflow/model.py", "jax"),
        ("test/imported_runs.py", "jax"),
        ("test/frontends/jax/jax_models.py", "torch"),
        ("test/frontends/keras/keras_models.py", "tensorflow"),
        ("pock/zoo/bert.py", "transformers"),
    ],
)
def test_frameworks_do_not_belong(name, package):
    assert not may_import(name, package)


def test_every_framework_of_an_extra_has_places():
    document = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    extras = document["project"]["optional-dependencies"]
    words = [word for name in extras for word in extras[name] if name not in ("demo", "test")]
    names = {re.split(r"[=<>!~ ]", word)[0].removesuffix("-cpu") for word in words}
    assert names and names <= PLACES.keys()


def test_no_framework_is_imported_outside_its_places():
    """Import all modules that have no place in the tables, and look at what that brought in."""
    modules = [
        ".".join((package, *Path(name).relative_to(folder).with_suffix("").parts))
        for folder, package in ROOMS
        for name in sources(f"{folder}/")
        if place_of(name) is None
    ]
    code = (
        "import sys; from importlib import import_module\n"
        "for name in sys.stdin.read().split(): import_module(name.removesuffix('.__init__'))\n"
        f"print(*sys.modules.keys() & {set(PLACES)})"
    )
    command = [sys.executable, "-c", code]
    given = {"input": " ".join(modules), "capture_output": True, "text": True}
    done = subprocess.run(command, cwd=REPOSITORY, check=False, **given)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
    assert "pock.compiler" in modules and "pock_ir.passes.signature" in modules


def test_tests_and_scripts_are_imported_by_nobody():
    folders = tuple(f"{folder}/" for folder, _ in ROOMS)
    wrong = [
        f"{name}:{line} imports {module}"
        for name in sources(*folders)
        for line, module in imports(name)
        if module.split(".")[0] in ("test", "scripts", "benchmarks")
    ]
    assert wrong == []


@pytest.mark.parametrize("link", LINKS)
def test_rooms_are_linked_into_their_packages(link):
    path = REPOSITORY / link
    assert path.is_symlink() and str(path.readlink()) == LINKS[link]


def call_name(node: ast.Call) -> str:
    return ast.unparse(node.func)


def keyword(node: ast.Call, name: str) -> str | None:
    return next((ast.unparse(k.value) for k in node.keywords if k.arg == name), None)


def dangers(name: str) -> Iterator[str]:
    """What could run or unpickle something that was read."""
    for line, module in imports(name):
        if module.split(".")[0] in FORBIDDEN_MODULES:
            yield f"{name}:{line}: imports {module}"
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Call):
            yield from (f"{name}:{node.lineno}: {reason}" for reason in call_dangers(node))


def call_dangers(node: ast.Call) -> Iterator[str]:
    called = call_name(node)
    if called in FORBIDDEN_NAMES:
        yield f"calls {called}"
    if called in ("yaml.load", "yaml.unsafe_load"):
        yield f"calls {called}"
    if called == "torch.load" and keyword(node, "weights_only") != "True":
        yield "torch.load without weights_only=True"
    if keyword(node, "allow_pickle") not in (None, "False"):
        yield "allow_pickle"
    if keyword(node, "shell") not in (None, "False"):
        yield "a subprocess through a shell"


def test_nothing_that_is_read_is_run():
    assert [danger for name in sources("") for danger in dangers(name)] == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "yaml.load(x)",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p, allow_pickle=True)",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_the_search_for_dangers_finds(text, monkeypatch):
    monkeypatch.setattr("test_layout.tree_of", lambda name: ast.parse(text))
    assert list(dangers("sample.py"))


def test_no_tracked_file_names_a_place_on_somebodys_machine():
    # Built from parts, so that this file does not contain what it looks for.
    places = ["/".join(("", *parts)).encode() for parts in (("work",), ("root",), ("home",))]
    wrong = [
        f"{name}: {place.decode()}"
        for name in tracked()
        if not (path := REPOSITORY / name).is_symlink() and path.is_file()
        for place in places
        if place + b"/" in path.read_bytes()
    ]
    assert wrong == []


def test_the_license_is_apache_2():
    text = (REPOSITORY / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert 'license = "Apache-2.0"' in (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
