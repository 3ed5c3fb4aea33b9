"""Measure the penalties on W that have kinks: their gap of W against a conic solver, and what a fit costs.

    python reports/omegas/measure.py

writes figures.json and README.md beside itself. The gap is held against what Clarabel (tolerances from
1e-12 up to 1e-8) finds for the same B: its W is a point like any other, so that F there is at least the
minimum of F over W and F(W) less it is at most the true gap; no tolerance of the solver enters. F is written
here a second time, by the formulas of the losses and of Omega. Half of the points are drawn at random, half
lie near the best W. Fits are measured in a warm process, CPU seconds, median of three; data that are absent
(`AMTL_CVX_DATA`, else ../shared/data beside the repository) are told.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "reports")]

from cases import random_transfer, tasks_for  # noqa: E402
from machine import machine  # noqa: E402
from omega_cases import KINKED, literal  # noqa: E402

from amtl_cvx import (  # noqa: E402
    Logistic,
    LossWeightedL1,
    Model,
    Options,
    Preparation,
    Problem,
    Squared,
    TaskSet,
    certify,
    fit,
    read,
)
from amtl_cvx.certificate import weight_evidence  # noqa: E402
from amtl_cvx.losses import Loss  # noqa: E402
from amtl_cvx.problem import Point  # noqa: E402
from amtl_cvx.subproblems.numpy_steps import minimised  # noqa: E402
from amtl_cvx.weights import (  # noqa: E402
    L1,
    L21,
    Fused,
    TraceNorm,
    TraceNormSquared,
    WeightPenalty,
)

POINTS, REPEATS, SEED = 100, 3, 0
TOLERANCES = (1e-12, 1e-10, 1e-8)  # of Clarabel, tried in turn
ROUNDING = 1e-13  # of F: what a difference of two F in doubles can lose
RHOS = {"l1": 0.3, "l21": 1.0, "trace": 1.0, "trace-squared": 0.1, "fused": 0.3}
"""On pilot15 with the squared loss; a tenth of it with the logistic loss, and on digits RHOS / 300."""
ASKED = {"fused": 1e-8}
LIMIT = 2.0


def value(point: Point) -> float:
    """F(W) by its formulas."""
    a, R = 1.0 + point.model.mu * point.B.sum(axis=1), point.W @ (np.eye(point.tasks.T) - point.B)
    total = point.model.coupling * float((R**2).sum())
    for c, task, w in zip(a, point.tasks, point.W.T, strict=True):
        z = task.X @ w
        quadratic = point.model.loss.quadratic
        rows = (z - task.y) ** 2 if quadratic else np.logaddexp(0.0, -task.y * z)
        total += c * float(rows.mean())
    assert point.model.omega is not None
    return total + literal(point.model.omega, point.W)


def best_weights(point: Point) -> np.ndarray:
    """A W that Clarabel takes for the minimum at this B, from the atoms."""
    tasks, model = point.tasks, point.model
    W, a = cp.Variable(point.W.shape), 1.0 + model.mu * point.B.sum(axis=1)
    losses = [a[t] * model.loss.expression(task, W[:, t]) for t, task in enumerate(tasks)]
    away = cp.sum_squares(W @ (np.eye(tasks.T) - point.B))
    assert model.omega is not None
    problem = cp.Problem(cp.Minimize(cp.sum(losses) + model.coupling * away + model.omega.expression(W)))
    found = np.zeros(point.W.shape)
    for tol in TOLERANCES:
        with contextlib.suppress(cp.error.SolverError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an inaccurate answer is a point too
            problem.solve(solver="CLARABEL", tol_gap_abs=tol, tol_gap_rel=tol, tol_feas=tol)
            found = found if W.value is None else np.asarray(W.value)
            if problem.status == cp.OPTIMAL:
                break
    return found


def gaps(omega: WeightPenalty, loss: Loss) -> dict[str, Any]:
    """The gap of W at random points against the true one, and at the minimum of the product, over F."""
    rng, short, ratios, largest = np.random.default_rng(SEED), [], [], 0.0
    for number in range(POINTS):
        T, d = 3, int(rng.integers(2, 7))
        tasks = tasks_for(loss, rng, d=d, counts=tuple(rng.integers(6, 20, T).tolist()))
        term = replace(omega, rho=10 ** rng.uniform(-3.0, 0.0))
        model = Model(
            loss=loss, transfer=LossWeightedL1(mu=0.1), coupling=10 ** rng.uniform(-1.0, 1.0), omega=term
        )
        B = random_transfer(rng, T)
        start = Problem(tasks, model).at(np.zeros((d, T)), B)
        best = start.at(W=best_weights(start))
        size = 1.0 if number % 2 else 10 ** rng.uniform(-8.0, -1.0)
        point = best.at(W=best.W + size * rng.normal(size=(d, T)))
        F, found = value(point), weight_evidence(point)
        true = F - value(best)
        gap = np.inf if found.gap is None else found.gap
        short.append((true - min(gap, found.judged)) / F)
        if true > 1e-12 * F:
            ratios.append(gap / true)
        if number % 10 == 0:
            least = minimised(start)
            bound = weight_evidence(least).gap
            largest = max(largest, np.inf if bound is None else bound / value(least))
    return {"short": max(short), "ratio": statistics.median(ratios), "at_minimum": largest}


def data_folder() -> Path:
    """Where the real data are, if anywhere."""
    named = os.environ.get("AMTL_CVX_DATA")
    return Path(named) if named else ROOT.parent / "shared" / "data"


def omegas(share: float) -> Iterator[WeightPenalty]:
    for cls in (L1, L21, TraceNorm, TraceNormSquared, Fused):
        yield cls(rho=share * RHOS[cls.name])


def problems() -> Iterator[tuple[str, TaskSet | None, Model, float, float | None]]:
    """Name, tasks, model, the residual asked for, and the CPU seconds allowed."""
    path, squared, signs = data_folder() / "bench" / "pilot15.npz", None, None
    if path.is_file():
        with np.load(path, allow_pickle=False) as data:
            squared = TaskSet.from_stacked(data["X"], data["y"], data["task"])
        labels = [np.where(task.y > np.median(task.y), 1.0, -1.0) for task in squared]
        signs = TaskSet.from_arrays([task.X for task in squared], labels)
    transfer = LossWeightedL1(mu=0.1)
    for omega in omegas(1.0):
        model = Model(transfer=transfer, coupling=1.0, omega=omega)
        yield "pilot15, squared", squared, model, ASKED.get(omega.name, 1e-10), LIMIT
    for omega in omegas(0.1):
        model = Model(loss=Logistic(), transfer=transfer, coupling=0.1, omega=omega)
        yield "pilot15, logistic", signs, model, ASKED.get(omega.name, 1e-10), LIMIT
    train = read("digits").train
    digits = Preparation.learn(train, standardize=True, intercept=True).apply_tasks(train)
    for omega in omegas(1.0 / 300.0):
        model = Model(loss=Logistic(), transfer=LossWeightedL1(mu=0.3), coupling=0.001, omega=omega)
        yield "digits", digits, model, 1e-8, None


def fits() -> Iterator[dict[str, Any]]:
    """Fits by the fast engine, and the seconds of one by the other engine on pilot15."""
    for name, tasks, model, asked, limit in problems():
        assert model.omega is not None
        row: dict[str, Any] = {"problem": name, "omega": model.omega.label, "asked": asked, "limit": limit}
        if tasks is None:
            yield {**row, "skipped": f"{data_folder() / 'bench'} is not there"}
            continue
        seconds, slow = [], None
        for _ in range(REPEATS + 1):
            started = time.process_time()
            solution = fit(tasks, model, options=Options(engine="fast", tol=asked))
            seconds.append(time.process_time() - started)
        if limit is not None:
            started = time.process_time()
            fit(tasks, model, options=Options(tol=asked))
            slow = round(time.process_time() - started, 2)
        found, median = solution.certificate, statistics.median(seconds[1:])
        reached = certify(tasks, model, solution.W, solution.B, level="C3").level
        yield {
            **row,
            "residual": found.relative,
            "gap": None if found.gap_W is None else found.gap_W / found.objective,
            "edges": found.edges,
            "level": reached,
            "made": model.omega.told(solution.W),
            "seconds": round(median, 2),
            "compiled": slow,
            "holds": found.relative <= asked and (limit is None or median <= limit),
        }


def page(found: dict[str, Any]) -> str:
    """README.md."""
    lines = [
        "# Penalties on W with kinks",
        "",
        "Written by `python reports/omegas/measure.py`; do not edit. " + found["machine"],
        f"Seed {SEED}.",
        "",
        "## The gap of W",
        "",
        f"Three tasks, {POINTS} points each, half of them near the best W, rho from .001 to 1. Falls short:"
        " the most by which the lesser of gap_W and gain_W is below F(W) - F(W of Clarabel), over F, negative"
        f" where it never is. Limit {ROUNDING:.0e}, the rounding of that difference. Ratio: median of gap_W"
        " over the true one. At the minimum: the largest gap_W over F at W-steps of the fast engine.",
        "",
        "| penalty | loss | falls short | ratio | at the minimum | holds |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["gaps"]:
        holds = row["short"] <= ROUNDING and row["at_minimum"] <= 1e-12
        lines.append(
            f"| {row['omega']} | {row['loss']} | {row['short']:.1e} | {row['ratio']:.3g} |"
            f" {row['at_minimum']:.1e} | {'yes' if holds else 'NO'} |"
        )
    lines += [
        "",
        "## A fit in a warm process",
        "",
        f"CPU seconds of the fast engine, median of {REPEATS}, from B = 0 with W-steps, refinement and"
        " certificate; compiled: one fit of the CVXPY engine. The level is the highest of C0 to C3.",
        "",
        "| problem | omega | residual asked | residual | gap_W / J | edges | level | what it has made |"
        " seconds | limit | compiled | holds |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found["fits"]:
        limit = "-" if row["limit"] is None else f"{row['limit']:g}"
        head = f"| {row['problem']} | {row['omega']} | {row['asked']:.0e} |"
        if "skipped" in row:
            lines.append(f"{head} not measured: {row['skipped']} | | | | | | {limit} | | |")
            continue
        compiled = "-" if row["compiled"] is None else f"{row['compiled']:.2f}"
        lines.append(
            f"{head} {row['residual']:.1e} | {row['gap']:.1e} | {row['edges']} | {row['level']} |"
            f" {row['made']} | {row['seconds']:.2f} | {limit} | {compiled} |"
            f" {'yes' if row['holds'] else 'NO'} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    found: dict[str, Any] = {"machine": machine(), "seed": SEED, "gaps": [], "fits": []}
    for omega in KINKED[:5]:
        for loss in (Squared(), Logistic()):
            found["gaps"].append({"omega": omega.name, "loss": loss.name, **gaps(omega, loss)})
            print(found["gaps"][-1], flush=True)
    for row in fits():
        found["fits"].append(row)
        print(row, flush=True)
    (HERE / "figures.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (HERE / "README.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
