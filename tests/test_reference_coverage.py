"""What the reference packs cover: losses, penalties, asks, families, grades, traits, digits, enclosures."""

from __future__ import annotations

import pytest
from reference_recipes import module

from amtl_cvx.losses import LOSSES
from amtl_cvx.reference import Pack, pack_names, read_pack
from amtl_cvx.transfer import TRANSFERS
from amtl_cvx.weights import OMEGAS

RECIPES = module("recipes").all_recipes()
TRAITS = module("recipes.recipe").TRAITS
TOLD = (  # what the packs must have, of traits
    "n < d",
    "collinear features",
    "collinear tasks",
    "near-singular I - B",
    "perfectly fitted task",
    "separable labels",
    "separable labels with ridge",
    "unbalanced n_t",
    "weights over ten orders of magnitude",
    "non-unique B with unique W B",
    "several known minima",
    "mu at the value where the graph empties",
    "mu just above the value where the graph empties",
    "mu just below the value where the graph empties",
    "row weights",
    "task weights",
    "real data",
)


@pytest.fixture(scope="module")
def packs() -> tuple[Pack, ...]:
    return tuple(read_pack(name, files=False) for name in pack_names())


def test_every_recipe_has_its_pack_and_no_pack_is_without_one():
    assert list(RECIPES) == list(pack_names())


def test_there_are_as_many_packs_as_promised(packs):
    assert len(packs) >= 100
    assert sum((pack.claims["digits"] or {}).get("proven", 0) >= 30 for pack in packs) >= 60
    enclosed = [pack for pack in packs if "proof.json" in pack.about["files"]]
    assert len(enclosed) >= 40 and all(pack.about["T"] <= 3 for pack in enclosed)
    assert all(pack.claims["bound"]["width"] <= 1e-6 for pack in enclosed)


def test_packs_have_all_losses_penalties_asks_and_families(packs):
    def values(key):
        return {pack.about[key] for pack in packs}

    assert values("loss") >= set(LOSSES)
    assert values("transfer") >= set(TRANSFERS) and values("omega") >= set(OMEGAS)
    assert values("reduction") == {"mean", "sum"} and values("grade") == {"easy", "average", "hard"}
    assert values("ask") == {"joint", "single-task", "curriculum", "w-step", "b-step", "one-task"}
    assert values("family") == {"amtl", "features", "go-mtl", "network"}
    networks = [pack.problem.model for pack in packs if pack.about["family"] == "network"]
    assert {len(model.layers) for model in networks} >= {1, 2}


def test_packs_have_all_traits_and_sizes(packs):
    found = {trait for pack in packs for trait in pack.about["traits"]}
    assert found >= set(TOLD) and found <= set(TRAITS)
    assert {1, 40} <= {pack.about["T"] for pack in packs} and {1, 100} <= {pack.about["d"] for pack in packs}
    assert all(pack.minima for pack in packs if "several known minima" in pack.about["traits"])
