"""A search over coupling and mu by scikit-learn: seconds on two processes, and what one process compiles.

    python reports/estimators/search.py

writes README.md beside itself: GridSearchCV over `GRID` with five folds on all 1,797 digits of scikit-learn,
ten one-vs-rest tasks, each fit to its certificate. The search runs in one process, in which the problems that
CVXPY compiles are counted, then on two, timed as a user has them.
"""

from __future__ import annotations

import os
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import cvxpy as cp  # noqa: E402
import numpy as np  # noqa: E402
from cvxpy.reductions.dcp2cone.cone_matrix_stuffing import ConeMatrixStuffing  # noqa: E402
from joblib.externals.loky import get_reusable_executor  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from machine import machine  # noqa: E402

from amtl_cvx.estimators import AMTLClassifier  # noqa: E402

GRID = {"mu": np.geomspace(0.1, 3.0, 5), "coupling": np.geomspace(1e-4, 1e-1, 5)}
FOLDS, LIMIT = 5, 240.0


class Searched(NamedTuple):
    """A search, its seconds by the clock and of all processors, and how many processes ran meanwhile."""

    search: GridSearchCV
    wall: float
    cpu: float
    load: float


def cpu_seconds() -> float:
    """Of this process and the ended ones that it started."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def searched(n_jobs: int | None) -> Searched:
    """The search on so many processes; a fit that is not certified is an error."""
    X, y = load_digits(return_X_y=True)
    begun, before = time.perf_counter(), cpu_seconds()
    search = GridSearchCV(AMTLClassifier(), GRID, cv=FOLDS, n_jobs=n_jobs, error_score="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        search.fit(X, y)
    wall = time.perf_counter() - begun
    if n_jobs is not None:
        get_reusable_executor().shutdown(wait=True)
    return Searched(search, wall, cpu_seconds() - before, os.getloadavg()[0])


def counted() -> tuple[Searched, int]:
    """The search in this process, and the problems that CVXPY compiled in it."""
    compiled, original = list[cp.Problem](), ConeMatrixStuffing.apply

    def apply(step: ConeMatrixStuffing, problem: cp.Problem) -> object:
        compiled.append(problem)
        return original(step, problem)

    ConeMatrixStuffing.apply = apply
    try:
        return searched(None), len(compiled)
    finally:
        ConeMatrixStuffing.apply = original


def page(two: Searched, one: Searched, compiled: int) -> str:
    """README.md."""
    best, found = two.search.best_params_, two.search.best_estimator_
    fits = FOLDS * len(GRID["mu"]) * len(GRID["coupling"]) + 1
    same = two.search.best_params_ == one.search.best_params_
    return "\n".join([
        "# A search by scikit-learn",
        "",
        "Written by `python reports/estimators/search.py`; do not edit. GridSearchCV over 5 values of mu from"
        f" 0.1 to 3 and 5 of coupling from 1e-4 to 0.1, {FOLDS} folds, `AMTLClassifier` with its defaults"
        f" (the CVXPY engine), on all digits of scikit-learn: {fits} fits of ten one-vs-rest tasks, 65"
        " features with the intercept. In the run in one process a fit whose certificate does not pass ends"
        " the run.",
        "",
        f"Machine: {machine()}",
        "",
        "| | seconds | CPU seconds | load of the machine at the end |",
        "|---|---|---|---|",
        f"| two processes | {two.wall:.0f} | {two.cpu:.0f} | {two.load:.1f} |",
        f"| one process | {one.wall:.0f} | {one.cpu:.0f} | {one.load:.1f} |",
        "",
        f"In one process CVXPY compiled {compiled} problems for the {fits} fits. On two processes within"
        f" {LIMIT:.0f} s by the clock: {'holds' if two.wall <= LIMIT else 'does not hold'}; the two were"
        f" at work for {two.cpu / 2:.0f} s each and waited for {two.wall - two.cpu / 2:.0f} s, for the"
        " machine (two cores, see its load) or for the other.",
        "",
        f"Best on the held-out folds: coupling {best['coupling']:.3g}, mu {best['mu']:.3g}, accuracy"
        f" {two.search.best_score_:.4f}; {'the same' if same else 'others'} in one process. The fit on all"
        f" rows there: {found.certificate_.edges} edges, {found.certificate_.verdict()}.",
    ]) + "\n"  # fmt: skip


if __name__ == "__main__":
    one, compiled = counted()
    text = page(searched(2), one, compiled)
    (HERE / "README.md").write_text(text, encoding="utf-8")
