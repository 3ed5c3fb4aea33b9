"""Exact steps beside saved runs of the authors' code (reports/reference/matlab.md judges those runs).

exact/released   the draw of Synthetic that they released: their error after each alternation, and ours
exact/usps       the split of USPS: wrong rows of the saved W on the rows that choose and on the test rows
                 after each alternation, and those of exact steps at the saved run's coupling and mu

Both look at test rows after everything was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.io as sio
from paper.cells import Figures, measured
from paper.choice import ROUNDS, at_point
from paper.data import Part, Sealed, folder, part
from paper.errors import errors, mcnemar
from paper.protocols import contenders
from paper.tables import key

from amtl_cvx import TaskSet, read
from amtl_cvx.tasks import Array


def released() -> Figures:
    """The authors' draw: their saved run by alternation, and exact steps, with their column of ones."""
    place = folder() / "amtl_reference"
    data, saved = read(place / "synthetic_dataset.mat"), sio.loadmat(place / "result_synthetic_dataset.mat")
    assert data.validation is not None and data.test is not None

    def ones(tasks: TaskSet) -> TaskSet:
        X = [np.hstack([task.X, np.ones((len(task.X), 1))]) for task in tasks]
        return TaskSet.from_arrays(X, [task.y for task in tasks])

    train, judge, test = ones(data.train), ones(data.validation), ones(data.test)
    found: Figures = {"saved": [float(np.mean(each)) for each in saved["err_cell"].ravel()]}
    for method in ("stl", "amtl", "amtl, converged"):
        of = Part("synthetic", "released", train, judge, train, Sealed(lambda: test))
        figures = measured(contenders("synthetic")[method], of)
        found[method] = {name: figures[name] for name in ("test", "validation", "parameters", "certificate")}
        if "test_by_round" in figures:
            found[method]["test_by_round"] = figures["test_by_round"]
    return found


COUPLING, ROUNDS_TRIED = 0.05, 10
"""The coupling of the saved run of USPS, on mean losses and mu 1; how far exact steps are followed."""


def saved_digits(cells: Mapping[str, Any]) -> Figures | None:
    """The saved run of USPS on the rows that choose and on the test rows, and exact steps at its setting.

    None until AMTL is measured: the rows that only it or only the saved run gets wrong are counted.
    """
    own = cells.get(key("usps", "amtl", 0))
    if own is None:
        return None
    of, run = part("usps", 0), sio.loadmat(folder() / "amtl_reference" / "result_usps1.mat")
    test, blocks = of.test.open(), {}

    def seen(number: int, step: str, values: Mapping[str, Array]) -> None:
        blocks[number] = np.array(values["W"])

    def wrong(W: Array) -> dict[str, Any]:
        judge, scored = (
            errors([task.X @ w for task, w in zip(rows, W.T, strict=True)], rows, "class error")
            for rows in (of.judge, test)
        )
        return {"validation": judge.error, "test": scored.error, "wrong": scored.wrong}

    at_point(
        contenders("usps")["amtl"],
        {"coupling": COUPLING, "mu": 1.0, ROUNDS: ROUNDS_TRIED},
        of.train,
        iterate=seen,
        judged=False,
    )
    saved = [wrong(W) for W in run["W_cell"].ravel()]
    compared = mcnemar(saved[-1]["wrong"], own["wrong"])
    found = {"saved": saved, "exact": [wrong(blocks[n]) for n in sorted(blocks) if n]}
    for each in (*found["saved"], *found["exact"]):
        del each["wrong"]
    return found | {"stl": wrong(run["W_old"]), "mcnemar": compared}
