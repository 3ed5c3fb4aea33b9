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


def loaded(statement: str) -> set[str]:
    """The top-level packages that a fresh interpreter has after a statement."""
    code = (
        f"import json, sys; {statement}; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_import_is_light() -> None:
    assert not (loaded("import amtl_cvx") - loaded("import cvxpy")) & LATE


def test_version() -> None:
    assert amtl_cvx.__version__ == importlib.metadata.version("amtl-cvx")
    done = subprocess.run(
        [sys.executable, "-m", "amtl_cvx", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"amtl-cvx {amtl_cvx.__version__}\n"
