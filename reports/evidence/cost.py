"""What the first-order evidence costs next to the fit whose end it is, and what it says.

    python reports/evidence/cost.py

writes README.md beside itself. The certificate (`amtl_cvx.certify`, level C2) is computed once, at the end of
a fit, on the original rows. Both are measured in CPU seconds of one thread, the certificate as the median of
`REPEATS` calls, so that other work on the machine counts as little as possible. Instances: those of
reports/benchmark (some need the data folder), the packaged digits, and generated ones for the losses with
kinks.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "benchmark")]
from instances import PROBLEMS, Absent  # noqa: E402
from machine import machine  # noqa: E402

from amtl_cvx import Certificate, Model, Options, Preparation, TaskSet, certify, fit, read  # noqa: E402
from amtl_cvx.problem import make_model  # noqa: E402

REPEATS, SEED, LIMIT = 7, 0, 0.10
BENCHMARK = ("easy10", "pilot15", "hard20", "grow15", "grow60")
KINKED = ("hinge", "quantile:0.5")


class Cost(NamedTuple):
    """One instance with one engine; CPU seconds."""

    name: str
    engine: str
    shape: str
    fit: float
    certify: float
    found: Certificate

    @property
    def share(self) -> float:
        """Of the fit, its certificate included."""
        return self.certify / self.fit


def instances() -> Iterator[tuple[str, TaskSet, Model, tuple[str, ...]]]:
    """Name, tasks, model and the engines that solve it."""
    for name in BENCHMARK:
        try:
            problem = PROBLEMS[name]()
        except Absent as absent:
            print(f"{name}: {absent}", file=sys.stderr)
            continue
        yield name, problem.tasks, problem.model, ("cvxpy", "fast")
    dataset = read("digits")
    settings = dict(dataset.settings)
    flags = {flag: settings.pop(flag) for flag in ("standardize", "intercept")}
    tasks = Preparation.learn(dataset.train, **flags).apply_tasks(dataset.train)
    yield "digits", tasks, make_model(**settings), ("cvxpy",)
    for loss in KINKED:
        yield loss, generated(loss), make_model(loss=loss, mu=0.05, coupling=0.1), ("cvxpy",)


def generated(loss: str, *, T: int = 8, d: int = 10, n: int = 60) -> TaskSet:
    """Tasks of rank two and a little of their own."""
    rng = np.random.default_rng(SEED)
    W = rng.normal(size=(d, 2)) @ rng.normal(size=(2, T)) + 0.3 * rng.normal(size=(d, T))
    X = [rng.normal(size=(n, d)) for _ in range(T)]
    y = [rows @ w + rng.normal(size=n) for rows, w in zip(X, W.T, strict=True)]
    return TaskSet.from_arrays(X, [np.sign(target) for target in y] if loss == "hinge" else y)


def cost(name: str, tasks: TaskSet, model: Model, engine: str) -> Cost:
    """Fit and certify once for warmth where that is quick, then measure."""
    options = Options(engine=engine)  # type: ignore[arg-type]
    started = time.process_time()
    solution = fit(tasks, model, options=options)
    spent = time.process_time() - started
    if spent < 5.0:
        started = time.process_time()
        solution = fit(tasks, model, options=options)
        spent = time.process_time() - started
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        found = certify(tasks, model, solution.W, solution.B)
        times.append(time.process_time() - started)
    shape = f"{tasks.T} x {tasks.d}, {sum(len(task.y) for task in tasks)}"
    return Cost(name, engine, shape, spent, statistics.median(times), found)


def page(costs: list[Cost]) -> str:
    """README.md."""
    worst = max(costs, key=lambda cost: cost.share)
    lines = [
        "# What the first-order evidence costs, and what it says",
        "",
        "Written by `python reports/evidence/cost.py`; do not edit. CPU time of one thread; the certificate"
        f" is the median of {REPEATS} calls, the fit the second of two where it takes less than five"
        " seconds.",
        "",
        f"Machine: {machine()} Seed {SEED}.",
        "",
        f"The dearest certificate takes {100 * worst.share:.1f} % of its fit ({worst.name}, {worst.engine});"
        f" the limit is {100 * LIMIT:.0f} %: {'holds' if worst.share <= LIMIT else 'does not hold'}.",
        "",
        "| problem | engine | T x d, rows | fit, s | certificate, ms | share, % |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {cost.name} | {cost.engine} | {cost.shape} | {cost.fit:.3f} | {1e3 * cost.certify:.1f} |"
        f" {100 * cost.share:.1f} |"
        for cost in costs
    ]
    lines += [
        "",
        "The points, each judged at 1e-8: `gap_W`, `gap_B` bound what a move of one block can gain,"
        " `error_W`, `error_B` how far that block is from its best given the other (Frobenius norm, room for"
        " rounding included), zeros are absent edges that are proved absent for this W.",
        "",
        "| problem | engine | J | gap_W | gap_B | error_W | error_B | zeros proved | sigma_min(I - B)"
        " | condition_W | condition_B |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {cost.name} | {cost.engine} | {found.objective:.8g} | {shown(found.gap_W)} | {shown(found.gap_B)}"
        f" | {shown(found.error_W)} | {shown(found.error_B)} | {found.zeros_proven} of {found.zeros} |"
        f" {shown(found.sigma_min)} | {shown(found.condition_W)} | {shown(found.condition_B)} |"
        for cost in costs
        for found in (cost.found,)
    ]
    missing = {
        f"`{name}` ({cost.name}): {reason}"
        for cost in costs
        for name, reason in cost.found.reasons.items()
        if name in ("error_W", "error_B", "condition_W", "condition_B", "gap_W")
    }
    lines += ["", *(f"- {line}" for line in sorted(missing))] if missing else []
    return "\n".join(lines) + "\n"


def shown(figure: float | None) -> str:
    """A figure in two digits, "-" where there is none."""
    return "-" if figure is None else f"{figure:.1e}"


if __name__ == "__main__":
    results = []
    for name, tasks, model, engines in instances():
        for engine in engines:
            results.append(cost(name, tasks, model, engine))
            print(name, engine, f"{results[-1].fit:.3f} s, {100 * results[-1].share:.1f} %", file=sys.stderr)
    (HERE / "README.md").write_text(page(results))
