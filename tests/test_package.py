"""The package as a whole: public names, imports, the version."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

import amtl_cvx
from amtl_cvx.cli import main

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(amtl_cvx.__path__, "amtl_cvx.")
    if module.name != "amtl_cvx.__main__" and not module.name.startswith("amtl_cvx.problems")
)
ROOT = Path(__file__).resolve().parents[1]
WORKING = ("certify", "explore", "export", "fit", "predict", "tune")
WORK = ", ".join(f"amtl_cvx.commands.{name}" for name in WORKING)
LATE = {"asyncio", "matplotlib", "networkx", "pandas", "sklearn", "jinja2", "rich"}


@pytest.mark.parametrize("name", amtl_cvx.__all__)
def test_public_names_have_docstrings(name: str) -> None:
    found = getattr(amtl_cvx, name)
    assert inspect.getdoc(found) and found.__doc__.strip()


def test_all_is_sorted_and_complete() -> None:
    assert list(amtl_cvx.__all__) == sorted(amtl_cvx.__all__) == sorted(amtl_cvx._MODULES)
    assert {name for name in dir(amtl_cvx) if not name.startswith("_")} == set(amtl_cvx.__all__)
    with pytest.raises(AttributeError, match="no attribute 'fti'"):
        _ = amtl_cvx.fti


def test_type_checkers_see_the_names_where_they_are() -> None:
    seen = {
        alias.name: node.module
        for node in ast.walk(ast.parse(inspect.getsource(amtl_cvx)))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"amtl_cvx.{module}" for name, module in amtl_cvx._MODULES.items()}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__ and module.__doc__.strip()
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public)


def loaded(*statements: str) -> list[set[str]]:
    """The modules that a fresh interpreter has after each of some imports."""
    code = (
        "import json, sys\n"
        "for statement in sys.argv[1:]:\n"
        "    exec(statement)\n"
        "    print(json.dumps(sorted(sys.modules)))"
    )
    odd = {**os.environ, "MPLBACKEND": "module://not_installed"}  # as notebooks leave it to their commands
    done = subprocess.run(
        [sys.executable, "-c", code, *statements], capture_output=True, text=True, check=True, env=odd
    )
    return [set(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_import_is_light() -> None:
    """In one interpreter: data need no readers, the graph no plotting, plotting no pyplot and no backend."""
    start, data, graph, cvxpy, names, commands, plotting = loaded(
        "import amtl_cvx.cli", "import amtl_cvx.data", "import amtl_cvx.graph", "import cvxpy",
        "from amtl_cvx import *", f"import {WORK}", "import amtl_cvx.plotting",
    )  # fmt: skip
    assert "amtl_cvx" in start and not start & {"numpy", "cvxpy", *LATE}
    assert not data & {"pandas", "scipy.io", "sklearn"}
    assert not graph & {"matplotlib", "networkx", "amtl_cvx.plotting", "amtl_cvx.report"}
    assert "matplotlib" in plotting and "matplotlib.pyplot" not in plotting
    assert not (names - cvxpy) & LATE
    assert not (commands - cvxpy) & {"matplotlib", "networkx", "pandas", "sklearn"}


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert amtl_cvx.__version__ == importlib.metadata.version("amtl-cvx")
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert not stop.value.code and capsys.readouterr().out == f"amtl-cvx {amtl_cvx.__version__}\n"


def test_the_floors_of_the_test_extra_are_those_of_the_others() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    others = {entry for name, entries in extras.items() if name != "test" for entry in entries}
    names = {re.split(r"[<>=]", entry)[0] for entry in others}
    assert others == {entry for entry in extras["test"] if re.split(r"[<>=]", entry)[0] in names}


def test_no_floor_is_older_than_the_first_version_for_numpy_2() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    entries = [*project["dependencies"], *project["optional-dependencies"]["parquet"]]
    floors = dict(re.match(r"([\w-]+)>=([\d.]+)", entry).groups() for entry in entries)  # type: ignore[union-attr]
    first = {"numpy": "2.0", "pandas": "2.2.2", "pyarrow": "16", "scipy": "1.13", "matplotlib": "3.9"}
    for name, version in first.items():
        assert Version(floors[name]) >= Version(version), f"{name} >= {floors[name]} cannot use NumPy 2"


def test_modules_import_only_what_stands_below_them_and_in_no_circle(tmp_path: Path) -> None:
    """The contracts of pyproject.toml, on a copy that holds; an import that runs up breaks them."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "amtl_cvx", tmp_path / "amtl_cvx", ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())",
    ]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def kept() -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.stdout if done.returncode == 0 else f"broken: {done.stdout}"

    assert "2 kept, 0 broken" in kept()
    with (tmp_path / "amtl_cvx" / "losses" / "base.py").open("a", encoding="utf-8") as file:
        file.write("\nimport amtl_cvx.certificate.words\n")
    with (tmp_path / "amtl_cvx" / "certificate" / "levels.py").open("a", encoding="utf-8") as file:
        file.write("\nimport amtl_cvx.certificate.words\n")
    assert "0 kept, 2 broken" in kept()


def test_a_long_file_says_why_in_its_first_line() -> None:
    """At most 300 lines, or "# More than 300 lines: why"."""
    files = [path for folder in ("amtl_cvx", "tests", "reports") for path in (ROOT / folder).rglob("*.*")]
    long, said = set(), set()
    for path in files:
        if path.suffix in (".py", ".jinja", ".css", ".js") and "problems" not in path.parts:
            lines = path.read_text(encoding="utf-8").splitlines()
            long |= {path} if len(lines) > 300 else set()
            said |= {path} if lines and re.match(r"# More than 300 lines: \w.{10,}\.$", lines[0]) else set()
    assert len(files) > 300 and long - said == set()
