"""What is known of a network at a point beside its blocks: for tables, pictures and the run folder.

    prices     p_t, what a unit of feedback of task t costs, (T,)
    sizes      ||Z_j||, (k,)        errors    ||E_j||, (k,), rows as often as they count
    pooled     N, how many different rows there are, (1,)
    on         on how many of them each unit is on, layer after layer
    kinks      the active kinks, (m, 5): layer from 0, row, unit, theta, w; nan where they were not sought
    near       the units off their kinks by the decade of |u| over the sum of its terms, (h, 16)
    labels     of each task its rows with a label, and those of its class, (T, 2)

They need the data, which a solution does not hold: `NetworkFamily.fit` takes them down in its facts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array, check_finite
from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.errors import DataError
from amtl_cvx.network.kinks import kinks
from amtl_cvx.network.multipliers import multipliers
from amtl_cvx.network.point import NetworkPoint

DECADES = 16
"""Those of `near`: below 1e-15, 1e-15 to 1e-14, ..., 1e-1 to 1."""
ARRAYS = ("prices", "sizes", "errors", "pooled", "on", "kinks", "near", "labels")
"""What solution.npz holds of them."""


def figures(point: NetworkPoint) -> dict[str, Any]:
    """The figures of a point by their names."""
    rows, T = point.problem.rows, point.tasks.T
    own = rows.y > 0.0 if point.model.loss.classification else np.ones(len(rows.y), dtype=bool)
    found: dict[str, Any] = {
        "pooled": np.array([len(rows.X)], dtype=float),
        "on": np.concatenate([on.sum(axis=0) for on in point.on]).astype(float),
        "kinks": _active(point),
        "near": np.array([_decades(point, layer) for layer in range(len(point.V))]),
        "labels": np.stack(
            [np.bincount(rows.task[kept], minlength=T) for kept in (slice(None), own)], axis=1
        ).astype(float),
    }
    if point.model.alpha > 0.0:
        found["prices"] = point.prices
    if point.problem.gamma > 0.0:
        found["sizes"] = np.sqrt(rows.times @ point.features**2)
        found["errors"] = np.sqrt(rows.times @ point.E**2)
    return found


def _active(point: NetworkPoint) -> Array:
    """The active kinks with theta and w, (m, 5)."""
    active = kinks(point)
    found = multipliers(point)
    known = len(point.V) == 1 or active.feasible
    parts = []
    for layer, (rows, units) in enumerate(active.places):
        theta, w = (of[layer][rows, units] if known else np.full(len(rows), np.nan)
                    for of in (found.theta, found.weights))  # fmt: skip
        parts.append(np.column_stack([np.full(len(rows), layer), rows, units, theta, w]))
    return np.vstack(parts).astype(float)


def _decades(point: NetworkPoint, layer: int) -> Array:
    """How many units off their kinks have |u| in each decade of the sum of its terms, (DECADES,)."""
    terms = np.abs(point.below[layer]) @ np.abs(point.V[layer])
    away = ~point.touching[layer]
    share = np.abs(point.U[layer][away]) / terms[away]
    place = np.clip(np.floor(np.log10(share)) + DECADES, 0, DECADES - 1).astype(int)
    return np.bincount(place, minlength=DECADES).astype(float)


def checked_figures(found: Mapping[str, Any], *, widths: Sequence[int], T: int) -> dict[str, Array]:
    """Those of a file: arrays of numbers in their shapes and ranges, or `DataError`."""
    k, h = widths[-1], len(widths)
    shapes: dict[str, tuple[int, ...]] = {"prices": (T,), "sizes": (k,), "errors": (k,), "pooled": (1,)}
    shapes |= {"on": (sum(widths),), "near": (h, DECADES), "labels": (T, 2)}
    kept = {}
    for name in ARRAYS:
        if found.get(name) is None:
            continue
        array = np.asarray(found[name])
        shape = (len(array), 5) if name == "kinks" and array.ndim else shapes.get(name)
        if array.shape != shape or array.dtype.kind not in "iuf":
            raise DataError(f"{name} must hold numbers in the shape {shape}, it has {array.shape}")
        kept[name] = array.astype(np.float64)
        if name == "kinks":
            _check_kinks(kept[name], widths, found.get("pooled"))
        else:
            check_finite(kept[name], name)
            if (kept[name] < 0.0).any():
                raise DataError(f"{name} must hold numbers >= 0, it has {kept[name].min():g}")
    return kept


def _check_kinks(kinks: Array, widths: Sequence[int], rows: Any) -> None:
    """`DataError` where kinks are in no layer, of no unit or on no row."""
    places = kinks[:, :3]
    N = float(np.asarray(rows).ravel()[0]) if rows is not None and np.size(rows) else np.inf
    whole = bool(np.isfinite(places).all()) and (places == np.floor(places)).all() and (places >= 0).all()
    fit = whole and (places[:, 0] < len(widths)).all() and (places[:, 1] < N).all()
    if not fit or (places[:, 2] >= np.asarray(widths)[places[:, 0].astype(int)]).any():
        raise DataError("kinks must name a layer, a row and a unit each, some are not there: write it again")


def graph_of(
    blocks: Mapping[str, Array],
    *,
    tasks: tuple[str, ...],
    losses: Array | None,
    known: Mapping[str, Any],
) -> FeatureGraph:
    """Tasks and the units of the last layer as the pictures take them; of `known` what is there."""
    h = depth(blocks)
    V = blocks[f"W{h}"]
    if f"bias{h}" in blocks:
        V = np.vstack([V, blocks[f"bias{h}"]])
    bias = " + bias" if "bias_feedback" in blocks else ""
    return FeatureGraph(
        L=V,
        S=blocks["S"],
        A=blocks["A"],
        tasks=tasks,
        losses=losses,
        missed=f"Z - max(Z S A{bias}, 0)",
        **{name: known[name] for name in ("prices", "sizes", "errors") if known.get(name) is not None},
    )


def depth(blocks: Mapping[str, Array]) -> int:
    """How many layers there are."""
    return sum(name.startswith("W") for name in blocks)
