"""Weights of rows: v >= 0, a row of weight 2 being one that stands there twice, one of weight 0 none."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array, Mask, as_array, check_aligned, frozen, snapshot
from amtl_cvx.errors import DataError

_LARGEST = 1e100
"""Weights lie within this factor of 1: their products with squares, and quotients, are to be numbers."""


def checked_weights(weights: object, rows: int, name: str) -> tuple[Array, Mask | None]:
    """The weights of the rows of a task that have some, (n,), and which these are where not all have.

    Raises
    ------
    DataError
        For a wrong number of them, one that is negative or no number, and where all are 0.
    """
    found = snapshot(weights, f"sample_weight of {name!r}")
    if found.shape != (rows,):
        raise DataError(f"sample_weight of {name!r} has shape {found.shape}: give {rows} weights, one a row")
    if (found < 0.0).any():
        raise DataError(
            f"sample_weight of {name!r} must be >= 0, row {int(np.argmin(found))} has {found.min():g}"
        )
    some = found > 0.0
    if not some.any():
        raise DataError(f"all rows of {name!r} have weight 0: give one of them more, or leave the task out")
    kept = found[some]
    check_range(kept, f"sample_weight of {name!r}")
    return (found, None) if some.all() else (frozen(kept), some)


def check_range(weights: Array, what: str) -> None:
    """Raise `DataError` for weights so large or small that products with squares are no numbers."""
    if len(weights) and not 1.0 / _LARGEST <= weights.min() <= weights.max() <= _LARGEST:
        raise DataError(f"{what} must be 0 or from 1e-100 to 1e100: divide by their mean")


def check_labelled(there: Mask, rows: int, name: str) -> int:
    """How many of a task's rows have no label; `DataError` where that is all of them."""
    if len(there) != rows:
        raise DataError(f"{name!r} has {rows} rows in X, {len(there)} in y: give one target per row")
    if not there.any():
        raise DataError(f"no row of {name!r} has a label: leave the task out")
    return int(len(there) - there.sum())


def whole_weights(weights: Any, rows: int, name: str) -> Array:
    """The weights of all rows of a task, those without a label too."""
    found = snapshot(weights, f"sample_weight of {name!r}")
    if found.shape != (rows,):
        raise DataError(f"sample_weight of {name!r} has shape {found.shape}: give {rows}, one a row")
    return found


def total(weights: Array) -> float:
    """The sum of weights, rounded once."""
    return math.fsum(weights.tolist())


def balanced_weights(y: Array, weights: Array, name: str) -> Array:
    """Weights under which both classes of a task have the same sum, and all of them the sum they had."""
    if not (np.isin(y, (-1.0, 1.0)).all() or np.isin(y, (0.0, 1.0)).all()):
        raise DataError(f"balanced weights need two classes, the targets of {name!r} are no labels")
    positive = y > 0.0
    if positive.all() or not positive.any():
        raise DataError(f"balanced weights need both classes in every task, {name!r} has one")
    sums = np.where(positive, weights[positive].sum(), weights[~positive].sum())
    return frozen(weights * (weights.sum() / (2.0 * sums)))


def weights_of_tasks(weights: Any, sources: Iterable[Any], names: Iterable[str]) -> list[Any]:
    """The weights of each task, or None for each: given as one array (or None) per task."""
    sources, names = list(sources), list(names)
    if weights is None:
        return [None] * len(sources)
    if not isinstance(weights, list | tuple) and not (isinstance(weights, np.ndarray) and weights.ndim == 2):
        raise DataError("sample_weight must be a list of one array per task, as X and y are, or None")
    parts = list(weights)
    if len(parts) != len(sources):
        raise DataError(f"expected sample_weight of {len(sources)} tasks, as of X, got {len(parts)}")
    for part, source, name in zip(parts, sources, names, strict=True):
        if part is not None:
            check_aligned(source, part, f"X and sample_weight of {name!r}")
    return parts


def stacked_weights(weights: Any, X: Any, rows: int) -> Array | None:
    """The weights of stacked rows, (N,), or None."""
    if weights is None:
        return None
    check_aligned(X, weights, "X and sample_weight")
    found = as_array(weights, "sample_weight")
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.shape != (rows,):
        raise DataError(f"sample_weight must have shape ({rows},), one weight a row, it has {found.shape}")
    return snapshot(found, "sample_weight")
