"""The recipes of the reference packs and make.py, which stand beside the package, as modules of the tests."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

PLACE = Path(__file__).resolve().parents[1] / "problems" / "reference"
if str(PLACE) not in sys.path:
    sys.path.insert(0, str(PLACE))


def module(name: str) -> ModuleType:
    """One of `problems/reference`: "make", "recipes.integers", ..."""
    found = importlib.import_module(name)
    assert Path(found.__file__ or "").is_relative_to(PLACE)
    return found
