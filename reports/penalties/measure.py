"""Measure the transfer penalties: their gap of B against a conic solver, and what a fit costs.

    python reports/penalties/measure.py

writes figures.json and README.md beside itself. The gap is held against what Clarabel (tolerances 1e-13)
finds for the same W: its B, projected on the feasible set, is a point like any other, so that J there is at
least the minimum and J(B) less it is at most the true gap; no tolerance of the solver enters. Half of
the points are drawn at random, half lie near the best B. Fits are measured in a warm process, CPU seconds,
median of three; data that are absent (`AMTL_CVX_DATA`, else ../shared/data beside the repository) are told.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "reports")]

from cases import random_tasks  # noqa: E402
from machine import machine  # noqa: E402

from amtl_cvx import (  # noqa: E402
    ElasticNet,
    Forbidden,
    Logistic,
    LossWeightedL1,
    Model,
    Options,
    Preparation,
    RowBudget,
    Solution,
    SourceGroupL2,
    Squared,
    Symmetric,
    TaskSet,
    certify,
    fit,
    read,
)
from amtl_cvx.experiment import mu_max  # noqa: E402
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


PENALTIES: dict[str, Make] = {
    "loss-weighted-l1": lambda T, mu: LossWeightedL1(mu=mu),
    "elastic-net": lambda T, mu: ElasticNet(mu=mu, rho=0.1),
    "source-group-l2": lambda T, mu: SourceGroupL2(mu=mu),
    "source-group-l2, not weighted": lambda T, mu: SourceGroupL2(mu=mu, weighted=False),
    "forbidden": lambda T, mu: Forbidden(mu=mu, edges=barred(T)),
    "symmetric": lambda T, mu: Symmetric(mu=mu),
    "row-budget": lambda T, mu: RowBudget(mu=mu, budget=0.5),
}


def best_transfer(tasks: TaskSet, model: Model, W: np.ndarray) -> np.ndarray:
    """A feasible B that Clarabel takes for the minimum at this W, from the penalty as it is written."""
    T, penalty = tasks.T, model.transfer
    B = cp.Variable((T, T))
    rule = penalty.expression(B, model.weighted_losses(tasks, W))
    cost = model.coupling * cp.sum_squares(W - W @ B) + rule
    limits = [B >= 0, cp.diag(B) == 0, *penalty.constraints(B)]
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


def problems() -> Iterator[tuple[str, TaskSet | None, dict[str, Any], Make, float, float, float | None]]:
    """Name, tasks, model, penalty, mu, the residual asked for, and the CPU seconds allowed."""
    found: dict[str, TaskSet] = {}
    for name in ("pilot15", "hard20"):
        path = data_folder() / "bench" / f"{name}.npz"
        if path.is_file():
            with np.load(path, allow_pickle=False) as data:
                found[name] = TaskSet.from_stacked(data["X"], data["y"], data["task"])
    group, mean, total = PENALTIES["source-group-l2"], Squared(), Squared(reduction="sum")
    yield "pilot15", found.get("pilot15"), {"loss": mean, "coupling": 1.0}, group, 0.1, 1e-12, 2.0
    train = read("digits").train
    digits = Preparation.learn(train, standardize=True, intercept=True).apply_tasks(train)
    model = {"loss": Logistic(), "coupling": 0.001}
    alone = fit(digits, Model(transfer=group(10, 1.0), **model), method="stl").W
    mu = 0.1 * mu_max(digits, Model(transfer=group(10, 1.0), **model), alone)
    yield "digits", digits, model, group, mu, 1e-10, 4.0
    hard = {"loss": total, "coupling": 10.0}
    yield "hard20", found.get("hard20"), hard, group, 0.01, 1e-8, None
    for name in ("forbidden", "symmetric", "elastic-net"):
        yield "hard20", found.get("hard20"), hard, PENALTIES[name], 0.001, 1e-10, 3.0


def timed(tasks: TaskSet, model: Model, tol: float) -> tuple[float, Solution]:
    """Median CPU seconds of a fit after one that warmed the process, and the last solution."""
    options, seconds = Options(tol=max(tol, 1e-12)), []
    for _ in range(REPEATS + 1):
        started = time.process_time()
        solution = fit(tasks, model, options=options)
        seconds.append(time.process_time() - started)
    return statistics.median(seconds[1:]), solution


def fits() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, tasks, settings, make, mu, tol, limit in problems():
        penalty = make(20 if tasks is None else tasks.T, mu)
        row = {"problem": name, "penalty": penalty.name, "mu": mu, "asked": tol, "limit": limit}
        if tasks is None:
            rows.append({**row, "skipped": f"{data_folder() / 'bench'} is not there"})
            continue
        seconds, solution = timed(tasks, Model(transfer=penalty, **settings), tol)
        certificate = solution.certificate
        rows.append(
            {
                **row,
                "seconds": round(seconds, 2),
                "residual": certificate.relative,
                "edges": certificate.edges,
                "level": certificate.level,
                "holds": certificate.relative <= tol and (limit is None or seconds <= limit),
            }
        )
        print(rows[-1], flush=True)
    return rows


def page(found: dict[str, Any]) -> str:
    """README.md."""
    lines = [
        "# Transfer penalties",
        "",
        "Written by `python reports/penalties/measure.py`; do not edit. " + found["machine"],
        f"Seeds {SEED} and {SEED + 1}.",
        "",
        "## The gap of B",
        "",
        f"T - 1 <= d, T <= 6, {POINTS} points each, half of them near the best B. Falls short: the most by"
        " which the gap is below J(B) - J(B of Clarabel, made feasible), over J, negative where it never is."
        f" Limit {ROUNDING:.0e}, the rounding of that difference. Ratio: median of the gap over the true one."
        " At solutions: the largest gap over J where a fit ends with a residual of at most 1e-13, limit"
        " 1e-12.",
        "",
        "| penalty | falls short | ratio | at solutions | how many | holds |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in found["gaps"].items():
        largest = "-" if row["largest"] is None else f"{row['largest']:.1e}"
        holds = row["short"] <= ROUNDING and row["largest"] is not None and row["largest"] <= 1e-12
        lines.append(
            f"| {name} | {row['short']:.1e} | {row['ratio']:.3g} | {largest} | {row['solutions']} of"
            f" {row['of']} | {'yes' if holds else 'NO'} |"
        )
    lines += [
        "",
        "## A fit in a warm process",
        "",
        f"CPU seconds, median of {REPEATS}, from B = 0, the default engine.",
        "",
        "| problem | penalty | mu | residual asked | residual | edges | level | seconds | limit | holds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found["fits"]:
        limit = "-" if row["limit"] is None else f"{row['limit']:g}"
        head = f"| {row['problem']} | {row['penalty']} | {row['mu']:.3g} | {row['asked']:.0e} |"
        if "skipped" in row:
            lines.append(f"{head} not measured: {row['skipped']} | | | | {limit} | |")
            continue
        lines.append(
            f"{head} {row['residual']:.1e} | {row['edges']} | {row['level']} | {row['seconds']:.2f} |"
            f" {limit} | {'yes' if row['holds'] else 'NO'} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    found: dict[str, Any] = {"machine": machine(), "seed": SEED, "gaps": {}}
    for name, make in PENALTIES.items():
        found["gaps"][name] = {**gaps(make), **gaps_at_solutions(make)}
        print(name, found["gaps"][name], flush=True)
    found["fits"] = fits()
    (HERE / "figures.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (HERE / "README.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
