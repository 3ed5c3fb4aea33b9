"""The package as a whole: public names, imports, the version."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import pkgutil
import subprocess
import sys

import pytest

import amtl_cvx
from amtl_cvx.cli import main

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(amtl_cvx.__path__, "amtl_cvx.")
    if module.name != "amtl_cvx.__main__" and not module.name.startswith("amtl_cvx.problems")
)
LATE = {"matplotlib", "networkx", "pandas", "sklearn", "jinja2", "rich"}


@pytest.mark.parametrize("name", amtl_cvx.__all__)
def test_public_names_have_docstrings(name: str) -> None:
    found = getattr(amtl_cvx, name)
    assert inspect.getdoc(found) and found.__doc__.strip()


def test_all_is_sorted_and_complete() -> None:
    assert list(amtl_cvx.__all__) == sorted(amtl_cvx.__all__)
    public = {
        name
        for name, value in vars(amtl_cvx).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == set(amtl_cvx.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__ and module.__doc__.strip()
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public)


def loaded(*names: str) -> list[set[str]]:
    """The top-level packages that a fresh interpreter has after each of some imports."""
    code = (
        "import importlib, json, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    print(json.dumps(sorted({module.split('.')[0] for module in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    return [set(json.loads(line)) for line in done.stdout.splitlines()]


def test_import_is_light() -> None:
    cvxpy, package, command_line = loaded("cvxpy", "amtl_cvx", "amtl_cvx.cli")
    assert "amtl_cvx" in package - cvxpy
    assert not (package - cvxpy) & LATE
    assert not (command_line - cvxpy) & {"matplotlib", "networkx", "pandas", "sklearn"}


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert amtl_cvx.__version__ == importlib.metadata.version("amtl-cvx")
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert not stop.value.code and capsys.readouterr().out == f"amtl-cvx {amtl_cvx.__version__}\n"
