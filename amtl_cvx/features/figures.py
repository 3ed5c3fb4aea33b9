"""What is known of tasks and features at a point beside its blocks: for tables, pictures and the run folder.

    prices     p_t, what a unit of feedback of task t costs, (T,)
    sizes      ||Z_j||, (k,)        errors     ||E_j||, E = Z - Z S A, (k,)
    balance    the relative miss of the balance of feature j, (k,) (`balance`)

They need the data, which a solution does not hold: `FeatureFamily.fit` takes them down in its facts. Where
nothing is reconstructed (gamma = 0) there are no sizes and errors, and no prices where feedback is free.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array, check_finite
from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.errors import DataError
from amtl_cvx.features.balance import balance
from amtl_cvx.features.point import FeaturePoint

ARRAYS = ("prices", "sizes", "errors", "balance")
"""What solution.npz holds of them."""


def figures(point: FeaturePoint) -> dict[str, Any]:
    """The figures of a point by their names."""
    found: dict[str, Any] = {"balance": balance(point).relative}
    if point.model.alpha > 0.0:
        found["prices"] = point.prices
    if point.problem.gamma > 0.0:
        found["sizes"] = np.linalg.norm(point.Z, axis=0)
        found["errors"] = np.linalg.norm(point.E, axis=0)
    return found


def checked_figures(found: Mapping[str, Any], *, k: int, T: int) -> dict[str, Array]:
    """Those of a file: arrays of numbers >= 0 in their shapes, or `DataError`."""
    kept = {}
    for name in ARRAYS:
        if found.get(name) is not None:
            array = np.asarray(found[name])
            shape = (T,) if name == "prices" else (k,)
            if array.shape != shape or array.dtype.kind not in "iuf" or not (array >= 0.0).all():
                raise DataError(f"{name} must hold numbers >= 0 in the shape {shape}, it has {array.shape}")
            check_finite(array, name)
            kept[name] = array.astype(np.float64)
    return kept


def graph_of(
    blocks: Mapping[str, Array],
    *,
    tasks: tuple[str, ...],
    losses: Array | None,
    known: Mapping[str, Any],
    inputs: tuple[str, ...] | None,
) -> FeatureGraph:
    """The learned features as the pictures take them; of `known` what is there."""
    return FeatureGraph(
        L=blocks["L"],
        S=blocks["S"],
        A=blocks.get("A"),
        tasks=tasks,
        losses=losses,
        inputs=inputs,
        **{name: known[name] for name in ARRAYS if known.get(name) is not None},
    )
