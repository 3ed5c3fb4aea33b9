"""When transfer helps: tasks with few rows beside tasks with many, more and less alike.

    python reports/guide/when.py

writes when.md and when.json beside itself, in some minutes. Six tasks with ten features and noise of
deviation 1, three with 100 rows, three with fewer. The true predictor of a task is (shared + spread own) /
sqrt(1 + spread^2), entries of deviation 0.5: all alike at spread 0, nothing in common at infinity.
Single-task learning and AMTL choose coupling, and coupling and mu, by 30 validation rows a task;
an error is that of a predictor on infinitely many new rows, sqrt(1 + |w - truth|^2).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path

import numpy as np

from amtl_cvx import LossWeightedL1, Model, Options, Solution, TaskSet, fit

HERE = Path(__file__).resolve().parent
FEW, RICH = 3, 100
ROWS = (6, 12, 25, 50, 100)
SPREADS: tuple[float, ...] = (0.0, 0.3, 1.0, np.inf)
COUPLINGS, PRICES = (0.01, 0.1, 1.0, 10.0), (0.05, 0.3, 1.0, 10.0)
SEEDS, D, VALIDATION = 20, 10, 30
FAST = Options(engine="fast")


def problem(rng: np.random.Generator, rows: int, spread: float) -> tuple[TaskSet, TaskSet, np.ndarray]:
    """Tasks, their validation rows, and the truth (D, 6); the tasks with few rows come last."""
    shared, own = 0.5 * rng.normal(size=(D, 1)), 0.5 * rng.normal(size=(D, 2 * FEW))
    truth = own if np.isinf(spread) else (shared + spread * own) / np.sqrt(1.0 + spread**2)

    def drawn(counts: Iterable[int]) -> TaskSet:
        X = [rng.normal(size=(n, D)) for n in counts]
        return TaskSet.from_arrays(
            X, [x @ w + rng.normal(size=len(x)) for x, w in zip(X, truth.T, strict=True)]
        )

    return drawn([RICH] * FEW + [rows] * FEW), drawn([VALIDATION] * 2 * FEW), truth


def best(tasks: TaskSet, method: str, prices: Iterable[float], chosen_by: TaskSet) -> Solution:
    """The fit of least validation error."""
    models = [Model(transfer=LossWeightedL1(mu=mu), coupling=c) for c, mu in product(COUPLINGS, prices)]
    found = [fit(tasks, model, method=method, options=FAST) for model in models]
    return min(found, key=lambda each: each.score(chosen_by)["rmse"])


def errors(W: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """The mean error of the tasks with many rows, and of those with few."""
    each = np.sqrt(1.0 + ((W - truth) ** 2).sum(axis=0))
    return float(each[:FEW].mean()), float(each[FEW:].mean())


def cell(rows: int, spread: float) -> dict[str, float]:
    """The change of both errors by transfer, in per cent, and the share of seeds in which few rows gain."""
    few, rich, from_few = [], [], []
    for seed in range(SEEDS):
        tasks, validation, truth = problem(np.random.default_rng([seed, rows]), rows, spread)
        alone = best(tasks, "stl", (0.0,), validation)
        amtl = best(tasks, "alternating", PRICES, validation)
        before, after = errors(alone.W, truth), errors(amtl.W, truth)
        rich.append(100.0 * (after[0] / before[0] - 1.0))
        few.append(100.0 * (after[1] / before[1] - 1.0))
        from_few.append(float(amtl.B[FEW:, :FEW].sum()))
    return {
        "few": float(np.mean(few)),
        "gain": float(np.mean(np.array(few) < -0.1)),
        "lose": float(np.mean(np.array(few) > 0.1)),
        "rich": float(np.mean(rich)),
        "from few to many": float(np.mean(from_few)),
    }


INTRODUCTION = """\
# When transfer helps

Written by `python reports/guide/when.py`; do not edit.

Six tasks, {D} features, noise 1: three with {RICH} rows and three with few. Spread says how much the true
predictors differ. Both sides choose on {VALIDATION} validation rows a task (coupling of {couplings};
mu of {prices}). Change of the error on new rows against single-task learning, in per cent, mean of {SEEDS}
draws; in brackets how many draws gain and how many lose, by more than 0.1 %. Below 0 is better."""
TEACHING = """\
The sum of B over these edges. With fewer rows than features a task is fitted almost without loss, looks
reliable, and teaches for next to nothing, also where it has nothing to teach."""


def page(found: dict[str, dict[str, float]]) -> str:
    """when.md."""

    def few(cell: dict[str, float]) -> str:
        return f"{cell['few']:+.1f} ({cell['gain'] * SEEDS:.0f}/{cell['lose'] * SEEDS:.0f})"

    couplings, prices = (", ".join(f"{value:g}" for value in values) for values in (COUPLINGS, PRICES))
    parts = [
        INTRODUCTION.format(**globals(), couplings=couplings, prices=prices),
        "## Tasks with few rows",
        _table(few, found),
        "## Tasks with many rows, beside them",
        _table(lambda cell: f"{cell['rich']:+.1f}", found),
        "## What tasks with few rows teach those with many",
        TEACHING,
        _table(lambda cell: f"{cell['from few to many']:.2f}", found),
    ]
    return "\n\n".join(parts) + "\n"


def _table(shown: Callable[[dict[str, float]], str], found: dict[str, dict[str, float]]) -> str:
    names = {0.0: "0 (all alike)", np.inf: "nothing in common"}
    columns = [names.get(spread, f"{spread:g}") for spread in SPREADS]
    lines = ["| rows | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for rows in ROWS:
        cells = [shown(found[f"{rows} {spread}"]) for spread in SPREADS]
        lines.append(f"| {rows} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    found = {f"{rows} {spread}": cell(rows, spread) for rows, spread in product(ROWS, SPREADS)}
    (HERE / "when.json").write_text(json.dumps(found, indent=1) + "\n")
    (HERE / "when.md").write_text(page(found), encoding="utf-8")
