"""Measure the transfer penalties: the battery, their gap of B against a conic solver, what a fit costs.

    python reports/penalties/measure.py [fits] [NAME ...]

writes figures.json and README.md beside itself, of all penalties or of those that are named (`fits`: only
what a fit of them costs), the other figures as they stand. The battery is that of the tests, with 100 points
a check. The gap is held against what Clarabel (tolerances 1e-13) finds for the same W: its B, projected on
the feasible set, is a point like any other, so that J there is at least the minimum and J(B) less it is at
most the true gap; no tolerance of the solver enters. Half of the points are drawn at random, half lie near
the best B. Fits are measured in a warm process, CPU seconds, median of three, once where no limit is set;
data that are absent (`AMTL_CVX_DATA`, else ../shared/data beside the repository) are told.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "reports")]

from battery import BATTERY  # noqa: E402
from cases import random_tasks  # noqa: E402
from machine import machine  # noqa: E402
from page import page  # noqa: E402
from penalty_cases import CASES  # noqa: E402

from amtl_cvx import (  # noqa: E402
    L1,
    DegreeCap,
    ElasticNet,
    Forbidden,
    Logistic,
    LossWeightedL1,
    Model,
    Options,
    Ordered,
    Preparation,
    Required,
    RowBudget,
    SignedL1,
    SizePricedL1,
    Solution,
    SourceGroupL2,
    Squared,
    SquaredTransfer,
    Symmetric,
    TargetGroupL2,
    TaskSet,
    TotalBudget,
    certify,
    fit,
    read,
)
from amtl_cvx.transfer import TransferPenalty  # noqa: E402

POINTS, SOLUTIONS, REPEATS, SEED = 100, 10, 3, 0
TOLERANCES = (1e-13, 1e-11, 1e-9)  # of Clarabel, tried in turn
ROUNDING = 1e-13  # of J: what a difference of two J in doubles can lose
Make = Callable[[int, float], TransferPenalty]


def barred(T: int) -> tuple[tuple[int, int], ...]:
    """A fifth of the edges, drawn once for every T."""
    places = [(s, t) for s in range(T) for t in range(T) if s != t]
    chosen = np.random.default_rng(SEED).choice(len(places), max(len(places) // 5, 1), replace=False)
    return tuple(places[place] for place in sorted(chosen))


def needed(T: int) -> tuple[tuple[int, int, float], ...]:
    """Every third task helps the next one, by a tenth at least."""
    return tuple((s, (s + 1) % T, 0.1) for s in range(0, T, 3) if T > 1)


PENALTIES: dict[str, Make] = {
    "loss-weighted-l1": lambda T, mu: LossWeightedL1(mu=mu),
    "l1": lambda T, mu: L1(mu=mu),
    "size-priced-l1": lambda T, mu: SizePricedL1(mu=mu),
    "signed-l1": lambda T, mu: SignedL1(mu=mu),
    "squared": lambda T, mu: SquaredTransfer(mu=mu),
    "elastic-net": lambda T, mu: ElasticNet(mu=mu, rho=0.1),
    "forbidden": lambda T, mu: Forbidden(mu=mu, edges=barred(T)),
    "required": lambda T, mu: Required(mu=mu, edges=needed(T)),
    "ordered": lambda T, mu: Ordered(mu=mu),
    "symmetric": lambda T, mu: Symmetric(mu=mu),
    "source-group-l2": lambda T, mu: SourceGroupL2(mu=mu),
    "source-group-l2, not weighted": lambda T, mu: SourceGroupL2(mu=mu, weighted=False),
    "target-group-l2": lambda T, mu: TargetGroupL2(mu=mu),
    "row-budget": lambda T, mu: RowBudget(mu=mu, budget=0.5),
    "degree-cap": lambda T, mu: DegreeCap(mu=mu, degree=3, cap=0.5),
    "total-budget": lambda T, mu: TotalBudget(mu=mu),
}
ENTRIES = tuple(PENALTIES)[:10]
"""Sums of prices and squares of edges above bounds; the others are groups and budgets."""
PRICES: dict[str, dict[str, float]] = {
    "pilot15": {},
    "digits": {"l1": 0.01, "source-group-l2, not weighted": 0.01, "target-group-l2": 0.01},
    "hard20": {},
}
"""mu where it is not that of AMTL: prices without a loss are in other units, and groups pay less."""
GOALS: dict[str, tuple[float, float, float]] = {
    "pilot15": (0.1, 1e-10, 2.0),
    "digits": (0.3, 1e-8, 5.0),
    "hard20": (0.001, 1e-10, 3.0),
}
"""mu of AMTL, the residual asked for, and the CPU seconds allowed."""


def goal(problem: str, name: str) -> tuple[float, float, float | None]:
    """mu, residual and CPU seconds of a penalty."""
    mu, tol, seconds = GOALS[problem]
    mu = PRICES[problem].get(name, mu)
    if problem == "digits" and name == "signed-l1":
        return mu, tol, None
    if problem == "hard20" and name not in ENTRIES:
        return mu, 1e-8, 60.0
    return mu, tol, 8.0 if (problem, name) == ("hard20", "signed-l1") else seconds


def best_transfer(tasks: TaskSet, model: Model, W: np.ndarray) -> np.ndarray:
    """A feasible B that Clarabel takes for the minimum at this W, from the penalty as it is written."""
    T, penalty = tasks.T, model.transfer
    B = cp.Variable((T, T))
    rule = penalty.expression(B, model.weighted_losses(tasks, W))
    cost = model.coupling * cp.sum_squares(W - W @ B) + rule
    limits = [cp.diag(B) == 0, *penalty.constraints(B)]
    limits += [] if penalty.feasible(T).signed else [B >= 0]
    problem = cp.Problem(cp.Minimize(cost), limits)
    found = np.zeros((T, T))
    for tol in TOLERANCES:
        with contextlib.suppress(cp.error.SolverError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an inaccurate answer is a point too
            problem.solve(solver="CLARABEL", tol_gap_abs=tol, tol_gap_rel=tol, tol_feas=tol)
            found = found if B.value is None else np.asarray(B.value)
            if problem.status == cp.OPTIMAL:
                break
    return penalty.project(found)


def gaps(make: Make) -> dict[str, Any]:
    """The gap of B at random points against the true one, both over J."""
    rng, short, ratios = np.random.default_rng(SEED), [], []
    for number in range(POINTS):
        T = int(rng.integers(2, 7))
        tasks = random_tasks(rng, d=int(rng.integers(max(T - 1, 2), 9)), counts=rng.integers(6, 20, T))
        model = Model(transfer=make(T, 10 ** rng.uniform(-2.5, 0.0)), coupling=10 ** rng.uniform(-1.0, 1.0))
        model = model.bind(tasks)
        W = rng.normal(size=(tasks.d, T))
        best = best_transfer(tasks, model, W)
        noise = rng.normal(size=(T, T)) * (1.0 if number % 2 else 10 ** rng.uniform(-8.0, -1.0))
        B = model.transfer.project(best + noise)
        J = model.objective(tasks, W, B)
        true, found = J - model.objective(tasks, W, best), certify(tasks, model, W, B).gap_B
        assert found is not None
        short.append((true - found) / J)
        if true > 1e-12 * J:
            ratios.append(found / true)
    return {"points": POINTS, "short": max(short), "ratio": statistics.median(ratios)}


def gaps_at_solutions(make: Make) -> dict[str, Any]:
    """The largest gap of B over J where the residual is at most 1e-13."""
    rng, found = np.random.default_rng(SEED + 1), []
    for _ in range(SOLUTIONS):
        T = int(rng.integers(3, 7))
        tasks = random_tasks(rng, d=T + 2, counts=rng.integers(10, 30, T))
        model = Model(transfer=make(T, 0.1), coupling=0.5)
        certificate = fit(tasks, model, options=Options(tol=1e-12)).certificate
        if certificate.relative <= 1e-13:
            found.append(float(certificate.gap_B or 0.0) / certificate.objective)
    return {"solutions": len(found), "of": SOLUTIONS, "largest": max(found, default=None)}


def data_folder() -> Path:
    """Where the real data are, if anywhere."""
    named = os.environ.get("AMTL_CVX_DATA")
    return Path(named) if named else ROOT.parent / "shared" / "data"


def problems() -> Iterator[tuple[str, TaskSet | None, dict[str, Any]]]:
    """Name, tasks and what the model has beside the penalty."""
    found: dict[str, TaskSet] = {}
    for name in ("pilot15", "hard20"):
        path = data_folder() / "bench" / f"{name}.npz"
        if path.is_file():
            with np.load(path, allow_pickle=False) as data:
                found[name] = TaskSet.from_stacked(data["X"], data["y"], data["task"])
    train = read("digits").train
    digits = Preparation.learn(train, standardize=True, intercept=True).apply_tasks(train)
    yield "pilot15", found.get("pilot15"), {"loss": Squared(), "coupling": 1.0}
    yield "digits", digits, {"loss": Logistic(), "coupling": 0.001}
    yield "hard20", found.get("hard20"), {"loss": Squared(reduction="sum"), "coupling": 10.0}


def timed(tasks: TaskSet, model: Model, tol: float, repeats: int) -> tuple[float, Solution]:
    """Median CPU seconds of fits after one that warmed the process, and the last solution."""
    options, seconds = Options(tol=max(tol, 1e-12)), []
    for _ in range(repeats + 1):
        started = time.process_time()
        solution = fit(tasks, model, options=options)
        seconds.append(time.process_time() - started)
    return statistics.median(seconds[1:]), solution


def fits(names: Sequence[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for problem, tasks, settings in problems():
        for name in names:
            mu, tol, limit = goal(problem, name)
            row = {"problem": problem, "penalty": name, "mu": mu, "asked": tol, "limit": limit}
            if tasks is None:
                rows.append({**row, "skipped": f"{data_folder() / 'bench'} is not there"})
                continue
            model, repeats = Model(transfer=PENALTIES[name](tasks.T, mu), **settings), REPEATS if limit else 1
            seconds, solution = timed(tasks, model, tol, repeats)
            certificate = solution.certificate
            rows.append(
                {
                    **row,
                    "seconds": round(seconds, 2),
                    "residual": certificate.relative,
                    "steps": len(solution.history),
                    "edges": certificate.edges,
                    "level": certificate.level,
                    "counts": certificate.edges >= tasks.T,
                    "holds": certificate.relative <= tol and (limit is None or seconds <= limit),
                }
            )
            print(rows[-1], flush=True)
    return rows


def battery(name: str) -> dict[str, Any]:
    """How many checks of the battery hold, and which do not."""
    kinds = [case for case in CASES if isinstance(case.penalty, type(PENALTIES[name](3, 1.0)))]
    weighted = not name.endswith("not weighted")
    cases = [case for case in kinds if getattr(case.penalty, "weighted", weighted) == weighted]
    missed = []
    for case in cases:
        for check in BATTERY:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    check(case, np.random.default_rng(SEED), POINTS)
                except AssertionError:
                    missed.append(check.__name__)
    return {"checks": len(cases) * len(BATTERY), "missed": missed}


def main() -> None:
    names = [name for name in PENALTIES if name in sys.argv[1:]] or list(PENALTIES)
    file = HERE / "figures.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    found: dict[str, Any] = {"machine": machine(), "seed": SEED, "battery": {}, "gaps": {}}
    for name in () if "fits" in sys.argv[1:] else names:
        found["battery"][name] = battery(name)
        found["gaps"][name] = {**gaps(PENALTIES[name]), **gaps_at_solutions(PENALTIES[name])}
        print(name, found["battery"][name], found["gaps"][name], flush=True)
    new = {(row["problem"], row["penalty"]): row for row in fits(names)}
    old = {(row["problem"], row["penalty"]): row for row in known.get("fits", []) if "steps" in row}
    for key in ("battery", "gaps"):
        both = {**known.get(key, {}), **found[key]}
        found[key] = {name: both[name] for name in PENALTIES if name in both}
    every = {**old, **new}
    found["fits"] = [
        every[problem, name] for problem in GOALS for name in PENALTIES if (problem, name) in every
    ]
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (HERE / "README.md").write_text(
        page(found, points=POINTS, seed=SEED, repeats=REPEATS, rounding=ROUNDING), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
