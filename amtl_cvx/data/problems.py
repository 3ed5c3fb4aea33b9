"""Problems: the named data sets, one folder each with a problem.json and a make.py."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

from amtl_cvx.data.dataset import Dataset


def problems_folder() -> Path:
    """The folder of the problems: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]  # this file is amtl_cvx/data/problems.py
    inside = package / "problems"
    return inside if inside.is_dir() else package.parent / "problems"


def problem_names() -> tuple[str, ...]:
    """The names `read` knows."""
    found = problems_folder().glob("*/problem.json")
    return tuple(sorted(file.parent.name for file in found if (file.parent / "make.py").is_file()))


def read_problem(name: str) -> Dataset:
    """What make.py of the problem makes from its seed, with what problem.json says about it."""
    folder = problems_folder() / name
    about = json.loads((folder / "problem.json").read_text(encoding="utf-8"))
    module_name = f"amtl_cvx_problem_{name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(module_name, folder / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dataset: Dataset = module.make(seed=about["seed"])
    return replace(dataset, name=about["name"], settings=about["settings"], source=about["source"])
