"""The saved runs of the AMTL authors' MATLAB code, judged: what is wrong with them, in numbers.

    python reports/reference/matlab.py

writes matlab.md, matlab.json and matlab.png beside itself. It needs the data folder (../shared/data, or
AMTL_CVX_DATA): amtl_reference/result_synthetic_dataset.mat and result_usps1.mat. The judge is `certify` on
the problem that the code says it solves; `replay.py` repeats the code's own steps and shows that nothing
else happened. Test errors are on the rows that the run itself was tested on.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import scipy.io as sio  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import named  # noqa: E402
from machine import machine  # noqa: E402
from matlab_page import page, picture  # noqa: E402
from replay import CLASSIFICATION, REGRESSION, Array, Saved, transfer, weights  # noqa: E402

from amtl_cvx import (  # noqa: E402
    Logistic,
    LossWeightedL1,
    Model,
    Options,
    Solution,
    Squared,
    TaskSet,
    certify,
    fit,
)
from amtl_cvx.plotting import write_png  # noqa: E402
from amtl_cvx.problem import Problem  # noqa: E402
from amtl_cvx.subproblems import TransferStep, WeightStep  # noqa: E402


def folder() -> Path:
    """Where the saved runs are."""
    data = os.environ.get("AMTL_CVX_DATA") or HERE.parents[1].parent / "shared" / "data"
    return Path(data) / "amtl_reference"


def test_error(path: Path, W: Array) -> float:
    """The run's own measure of a regression: mean over the tasks of the root mean squared error."""
    found = sio.loadmat(path)
    ends = [*(found["teindex"].ravel().astype(int) - 1), len(found["test_y"])]
    X, y = found["test_x"].astype(float), found["test_y"].ravel()
    parts = [slice(a, b) for a, b in zip(ends, ends[1:], strict=False)]
    return float(np.mean([np.sqrt(np.mean((y[p] - X[p] @ w) ** 2)) for p, w in zip(parts, W.T, strict=True)]))


def rounds(saved: Saved, tasks: TaskSet, model: Model) -> list[dict[str, float]]:
    """Every round beside the exact steps from the same point."""
    problem, found = Problem(tasks, model), []
    steps = TransferStep.compile(tasks, model), WeightStep.compile(tasks, model)
    for before, W, B in zip(saved.W, saved.W[1:], saved.B, strict=False):
        here = problem.at(before, B)
        best_B, _ = steps[0].solve(here)
        best_W, _ = steps[1].solve(here)
        found.append({
            "sum_B": float(B.sum()),
            "edges": int((B > 0).sum()),
            "J_B": model.objective(tasks, before, B),
            "J_best_B": model.objective(tasks, before, best_B),
            "sum_best_B": float(best_B.sum()),
            "J_W": model.objective(tasks, W, B),
            "J_best_W": model.objective(tasks, best_W, B),
            "moved": float(np.linalg.norm(W - before)),
            "away": float(np.linalg.norm(best_W - before)),
            "relative": certify(tasks, model, W, B).relative,
        })  # fmt: skip
    return found


def exact(saved: Saved, tasks: TaskSet, model: Model) -> list[float]:
    """J after every half-step of as many exact rounds from the run's own start, B first as it does."""
    steps = TransferStep.compile(tasks, model), WeightStep.compile(tasks, model)
    W, values = saved.W[0], [model.objective(tasks, saved.W[0], np.zeros_like(saved.B[0]))]
    problem, B = Problem(tasks, model), np.zeros_like(saved.B[0])
    for _ in saved.B:
        B, _ = steps[0].solve(problem.at(W, B))
        values.append(model.objective(tasks, W, B))
        W, _ = steps[1].solve(problem.at(W, B))
        values.append(model.objective(tasks, W, B))
    return values


def verdict(tasks: TaskSet, model: Model, W: Array, B: Array) -> dict[str, Any]:
    """What the certificate says of a point, and how far it is from passing."""
    found = certify(tasks, model, W, B)
    return {
        "words": found.verdict(),
        "J": found.objective,
        "relative_W": found.relative_W,
        "relative_B": found.relative_B,
        "gap_B": found.gap_B,
        "gain_W": found.gain_W,
        "limit": found.limit,
    }


def fits(tasks: TaskSet, model: Model, W: Array, B: Array) -> dict[str, Solution]:
    """Certified fits of the same problem: from B = 0, as is our default, and from the saved point."""
    begin = Options(start={"W": W, "B": B})
    return {"from B = 0": fit(tasks, model), "from the saved point": fit(tasks, model, options=begin)}


def reached(fitted: dict[str, Solution]) -> dict[str, dict[str, Any]]:
    """What the page says of these fits."""
    return {
        name: {
            "J": found.objective,
            "level": found.certificate.level,
            "relative": found.certificate.relative,
            "edges": found.certificate.edges,
        }
        for name, found in fitted.items()
    }


def replayed(saved: Saved, *, classes: bool) -> dict[str, Any]:
    """Differences to the replayed steps, and the lengths of the B-steps."""
    loss, how = (saved.logistic, CLASSIFICATION) if classes else (saved.halves, REGRESSION)
    starts = [None, *saved.B]
    ends = [transfer(saved, W, loss(W), B, how) for W, B in zip(saved.W, starts, strict=True)][: len(saved.B)]
    differences = [float(np.abs(B - kept).max()) for (B, _), kept in zip(ends, saved.B, strict=True)]
    found: dict[str, Any] = {
        "B": max(differences),
        "lengths": [max(lengths) for _, lengths in ends],
        "steps": [len(lengths) for _, lengths in ends],
        "B_moved": [float(np.abs(b - a).max()) for a, b in zip(saved.B, saved.B[1:], strict=False)],
    }
    if not classes:
        pairs = zip(saved.W, saved.B, saved.W[1:], strict=False)
        found["W"] = max(float(np.abs(weights(saved, W, B) - kept).max()) for W, B, kept in pairs)
    return found


def regression(path: Path) -> dict[str, Any]:
    """The run on the synthetic data."""
    saved = Saved.regression(path)
    tasks = TaskSet.from_arrays(saved.X, saved.y)
    model = Model(transfer=LossWeightedL1(mu=1.0), coupling=saved.coupling)
    ridge = Model(loss=Squared(reduction="sum"), transfer=LossWeightedL1(mu=1.0), coupling=saved.coupling)
    W, B = saved.W[-1], saved.B[-1]
    best, _ = WeightStep.compile(tasks, model).solve(Problem(tasks, model).at(W, B))
    fitted = fits(tasks, model, W, B)
    before, after = (
        np.mean([np.abs(y - X @ w) for X, y, w in zip(saved.X, saved.y, each.T, strict=True)], axis=0)
        for each in (saved.W[0], W)
    )
    return {
        "single_task": float(np.abs(fit(tasks, ridge, method="stl").W - saved.W[0]).max()),
        "start": model.objective(tasks, saved.W[0], np.zeros_like(B)),
        "rounds": rounds(saved, tasks, model),
        "exact": exact(saved, tasks, model),
        "verdict": verdict(tasks, model, W, B),
        "fitted": reached(fitted),
        "replayed": replayed(saved, classes=False),
        "named": named.regression(saved, Problem(tasks, model)),
        "first_row": [float(before[0]), float(after[0])],
        "other_rows": [float(before[1:].mean()), float(after[1:].mean())],
        "test": {
            "single-task W": test_error(path, saved.W[0]),
            "saved W": test_error(path, W),
            "exact W-step at the saved B": test_error(path, best),
            **{f"certified fit {name}": test_error(path, found.W) for name, found in fitted.items()},
        },
    }


def classification(path: Path) -> dict[str, Any]:
    """The run on USPS."""
    saved = Saved.classification(path)
    tasks = TaskSet.from_arrays(saved.X, saved.y)
    model = Model(loss=Logistic(), transfer=LossWeightedL1(mu=1.0), coupling=saved.coupling)
    return {
        "printed": [float(value) for value in sio.loadmat(path)["J_arr"].ravel()[1::2]],
        "rounds": rounds(saved, tasks, model),
        "verdict": verdict(tasks, model, saved.W[-1], saved.B[-1]),
        "fitted": reached(fits(tasks, model, saved.W[-1], saved.B[-1])),
        "replayed": replayed(saved, classes=True),
        "named": named.classification(saved, Problem(tasks, model)),
    }


def measured() -> dict[str, Any]:
    """Everything on the page."""
    home = folder()
    return {
        "machine": machine(),
        "regression": regression(home / "result_synthetic_dataset.mat"),
        "classification": classification(home / "result_usps1.mat"),
    }


if __name__ == "__main__":
    figures = measured()
    (HERE / "matlab.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (HERE / "matlab.md").write_text(page(figures), encoding="utf-8")
    write_png(picture(figures["regression"]), HERE / "matlab.png")
