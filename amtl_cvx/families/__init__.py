"""Families of models: what the package asks of one, and which there are.

A family has named blocks (AMTL: W and B), each convex while the others stand still. Coordinator, record,
history, run folder, report, plots and command line speak of blocks and ask the family for the rest: how a
problem is written and read, its convex steps with their gaps, its residuals, its judge, scores, pictures and
words. A new family is one folder with a `Family`, and one line in `FAMILIES` (or `register`, for one that
lives elsewhere).

On the command line the method names the family (``fit --method go-mtl``), and the table of the family says
which options it has (`settings`); those of another family are refused. A family without a table is fitted in
Python; its runs are judged, applied and drawn. A stored problem names its family where that is not AMTL.
"""

from __future__ import annotations

import importlib
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.families.base import Family
from amtl_cvx.families.found import Evidence, Found, Named
from amtl_cvx.families.method import Memory, Method
from amtl_cvx.families.settings import Settings
from amtl_cvx.families.settings.named import NAMED

__all__ = [
    "DEFAULT",
    "Evidence",
    "Family",
    "Found",
    "Memory",
    "Method",
    "Named",
    "Settings",
    "all_settings",
    "family_named",
    "family_of",
    "family_with",
    "register",
    "settings_of",
    "settings_with",
]

FAMILIES = {
    "amtl": "amtl_cvx.amtl:AMTL",
    "features": "amtl_cvx.features:FEATURES",
    "go-mtl": "amtl_cvx.features:GO_MTL",
    "sc-mtl": "amtl_cvx.dictionary:SC_MTL",
    "network": "amtl_cvx.network.family:NETWORK",
}
"""Where each family lives; it is imported when it is first asked for."""
SETTINGS = {
    "amtl": "amtl_cvx.families.settings.amtl:AMTL",
    "features": "amtl_cvx.families.settings.features:AMTFL",
    "go-mtl": "amtl_cvx.families.settings.features:GO_MTL",
    "sc-mtl": "amtl_cvx.families.settings.dictionary:SC_MTL",
    "network": "amtl_cvx.families.settings.network:NETWORK",
}
"""Where the table of each family is that the command line fits; no family is imported for it."""
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
    return register(_member(FAMILIES[name]))


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


def settings_of(family: str) -> Settings | None:
    """What a family can be told on the command line, by its name; None where that does not fit it."""
    found: Settings | None = _member(SETTINGS[family]) if family in SETTINGS else None
    return found


def all_settings() -> tuple[Settings, ...]:
    """The tables of all families that the command line fits."""
    return tuple(_member(place) for place in SETTINGS.values())


def family_with(method: object) -> str:
    """The name of the family that has a method by its table; `DEFAULT` where no table has it."""
    return next((table.family for table in all_settings() if method in table.methods), DEFAULT)


def settings_with(method: object) -> Settings:
    """The table of the family that has a method, by the method's name; `ModelError` lists the names."""
    tables = all_settings()
    for table in tables:
        if method in table.methods:
            return table
    known = [name for table in tables for name in table.methods]
    names = [name for name in NAMED if name not in known]
    raise ModelError(f"unknown method {method!r}: choose one of {', '.join([*names, *known])}")


def _member(place: str) -> Any:
    """What stands at ``module:name``."""
    module, _, member = place.partition(":")
    return getattr(importlib.import_module(module), member)
