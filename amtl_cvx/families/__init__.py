"""Families of models: what the package asks of one, and which there are.

A family has named blocks (AMTL: W and B), each convex while the others stand still. Coordinator, record,
history, run folder, report, plots and command line speak of blocks and ask the family for the rest: how a
problem is written and read, its convex steps with their gaps, its residuals, its judge, scores, pictures and
words. A new family is one folder with a `Family`, and one line in `FAMILIES` (or `register`, for one that
lives elsewhere).

The commands `certify`, `predict`, `plot` and `export` take a run of any family, and refuse the options of
AMTL beside one of another; `fit` and `explore`, whose options are those of AMTL, fit AMTL. A stored problem
names its family where that is not AMTL.
"""

from __future__ import annotations

import importlib
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.families.base import Evidence, Family, Found, Memory, Method, Named

__all__ = [
    "DEFAULT",
    "Evidence",
    "Family",
    "Found",
    "Memory",
    "Method",
    "Named",
    "family_named",
    "family_of",
    "register",
]

FAMILIES = {
    "amtl": "amtl_cvx.amtl:AMTL",
    "features": "amtl_cvx.features:FEATURES",
    "go-mtl": "amtl_cvx.features:GO_MTL",
}
"""Where each family lives; it is imported when it is first asked for."""
DEFAULT = "amtl"
"""Of files that name no family."""
_KNOWN: dict[str, Family] = {}


def family_named(name: object) -> Family:
    """The family of that name; `ModelError` lists those there are."""
    if isinstance(name, str) and name in _KNOWN:
        return _KNOWN[name]
    if not isinstance(name, str) or name not in FAMILIES:
        known = ", ".join(dict.fromkeys((*FAMILIES, *_KNOWN)))
        raise ModelError(f"unknown family of models {str(name)[:40]!r}: choose one of {known}")
    module, _, member = FAMILIES[name].partition(":")
    return register(getattr(importlib.import_module(module), member))


def family_of(model: Any) -> Family:
    """The family that a model belongs to."""
    return family_named(getattr(type(model), "family", None))


def register(family: Family) -> Family:
    """Make a family known under its name; `ModelError` for what is none, or a name that is taken."""
    if not isinstance(family, Family):
        raise ModelError(f"expected a Family, got {type(family).__name__}")
    if type(_KNOWN.setdefault(family.name, family)) is not type(family):
        raise ModelError(f"another family is called {family.name!r}: choose another name")
    return family
