"""Perturbed points: a block that is not 0 moved by 1e-6 to 1e-1 of its largest entry does not pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from feature_points import first_order

from amtl_cvx.features import FeaturePoint, certify

SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"feedback": "nonnegative"},
    {"go_mtl": True},
    {"price_floor": 0.1, "gamma_per": "row", "gamma": 1.0},
)


def perturbed(point: FeaturePoint, rng: np.random.Generator) -> tuple[FeaturePoint, str]:
    """One block moved: all of it, the entries that are not 0, any entry, or one that is not 0."""
    name = str(rng.choice([each for each, block in point.blocks.items() if block.any()]))
    block, kind = point.blocks[name], rng.integers(4)
    move = rng.normal(size=block.shape) * (block != 0.0 if kind % 2 else 1.0)
    if kind > 1:
        at = rng.choice(np.flatnonzero(move))
        move = np.where(np.arange(block.size).reshape(block.shape) == at, np.sign(move), 0.0)
    size = 10.0 ** rng.uniform(-6.0, -1.0) * np.abs(block).max()
    moved = block + size * move / np.abs(move).max()
    if name == "A" and not point.model.signed:
        moved = np.maximum(moved, 0.0)
    return point.at(**{name: moved}), f"{name} by {size:.1e}, kind {kind}"


def accepted(options: dict[str, Any], count: int, seed: int) -> list[str]:
    point, rng, found, tried = first_order(**options), np.random.default_rng(seed), [], 0
    assert certify(point).passes
    while tried < count:
        other, words = perturbed(point, rng)
        if any((other.blocks[name] != point.blocks[name]).any() for name in point.blocks):
            tried += 1
            found += [words] if certify(other).passes else []
    return found


@pytest.mark.parametrize("options", SETTINGS[:3], ids=str)
def test_perturbed_points_are_refused(options: dict[str, Any]) -> None:
    assert accepted(options, 15, 0) == []


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["squared", "logistic", "huber:0.8", "squared-hinge"])
@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_no_perturbed_point_is_accepted(loss: str, options: dict[str, Any]) -> None:
    assert accepted({"loss": loss, **options}, 50, 1) == []
