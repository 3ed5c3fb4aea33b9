"""The gallery shows what the code gives: its figures are those of a new fit."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "reports" / "gallery.py"


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gallery", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_where_one_accuracy_of_digits_stands_the_other_stands_too(gallery: ModuleType) -> None:
    found = json.loads((gallery.HERE / "gallery.json").read_text())["digits"]
    parts = (found["test"], found["test, single-task at the same coupling"])
    figures = [f"{part[metric]:.4f}" for metric in ("class accuracy", "accuracy") for part in parts]
    readme = " ".join((SCRIPT.parents[1] / "README.md").read_text(encoding="utf-8").split())
    acceptance = (SCRIPT.parent / "acceptance" / "README.md").read_text(encoding="utf-8")
    places = [readme.find(figure) for figure in figures]
    assert max(places) - min(places) < 300 and min(places) > -1
    for line, other in (("class accuracy", figures[:2]), ("mean accuracy of the ten", figures[2:])):
        rows = [row for row in acceptance.splitlines() if f"solver auto: {line}" in row]
        assert len(rows) == 1 and all(figure in rows[0] for figure in other)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "paper-synthetic"])
def test_the_gallery_is_not_stale(gallery: ModuleType, name: str) -> None:
    assert name in gallery.PROBLEMS
    stored = json.loads((gallery.HERE / "gallery.json").read_text())[name]
    _, solution, facts = gallery.solve(name)
    advice = "run python reports/gallery.py and look at its pictures"
    assert solution.certificate.passes and stored["edges"] == facts["edges"], advice
    assert stored["objective"] == pytest.approx(facts["objective"], rel=1e-9), advice
    for part in ("test", "test, single-task at the same coupling"):
        assert stored[part] == pytest.approx(facts[part], rel=1e-6), advice
