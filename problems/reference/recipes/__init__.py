"""The recipes of all packs: every module here that has `RECIPES` adds its own.

    python problems/reference/make.py --list        what there is
    all_recipes()["tiny-two-tasks"]                 one of them, by its name

A recipe says what the data of a pack are, by whole numbers alone, and which way its answer is found. How a
pack is made of it is told in `make`.
"""

from __future__ import annotations

import importlib
import pkgutil

from recipes.recipe import Recipe


def all_recipes() -> dict[str, Recipe]:
    """Every recipe by the name of its pack, in the order of the names."""
    found: dict[str, Recipe] = {}
    for module in sorted(each.name for each in pkgutil.iter_modules(__path__)):
        for each in getattr(importlib.import_module(f"recipes.{module}"), "RECIPES", ()):
            if each.name in found:
                raise ValueError(f"two recipes are called {each.name!r}: a name means one problem")
            found[each.name] = each
    return dict(sorted(found.items()))
