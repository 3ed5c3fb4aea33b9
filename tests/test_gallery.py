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
