"""Where the first-order points of 20 random problems and of paper-synthetic are, and which of them predict.

    python reports/explore/measure.py [--jobs N]

writes figures.json, random.png and paper-synthetic.png beside itself, and README.md (`page.py`). No times are
written, so that the figures depend on the machine in their last digits only.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx import LossWeightedL1, Model, Options, Squared, TaskSet, read
from amtl_cvx.explore import FirstOrderPoint, Landscape, draw_starts, explore
from amtl_cvx.parallel import workers
from amtl_cvx.plotting import landscape_figure, write_png
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import make_model
from amtl_cvx.scoring import score

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from machine import machine  # noqa: E402
from page import write_page  # noqa: E402

PROBLEMS, STARTS, T, D = 20, 60, 6, 10
SHOWN = 1
"""The random problem that is drawn."""


def random_problem(seed: int) -> tuple[TaskSet, TaskSet, TaskSet]:
    """Six tasks with ten features of rank two and a little of their own: 12 rows to fit, 100, 1000 others."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(D, 2)) @ rng.normal(size=(2, T)) + 0.3 * rng.normal(size=(D, T))
    noise = rng.uniform(0.1, 1.5, size=T)

    def rows(count: int) -> TaskSet:
        X = [rng.normal(size=(count, D)) for _ in range(T)]
        return TaskSet.from_arrays(
            X, [x @ w + s * rng.normal(size=count) for x, w, s in zip(X, W.T, noise, strict=True)]
        )

    return rows(12), rows(100), rows(1000)


def judged(landscape: Landscape, test: TaskSet) -> dict[str, Any]:
    """What one landscape says, and the test error of three ways to choose a point."""
    zero = landscape.number_of("zero")
    best, predictor = landscape.best, landscape.best_predictor
    assert best is not None and predictor is not None and zero is not None
    start = landscape.points[zero - 1]

    def rmse(point: FirstOrderPoint) -> float:
        return score(point.solution, test)["rmse"]

    return {
        "points": len(landscape.points),
        "uncertified": len(landscape.uncertified),
        "strict_local_minima": sum(p.second_order == "strict local minimum" for p in landscape.points),
        "hits_of_lowest": best.hits,
        "zero_start_above_lowest": landscape.above_lowest(start),
        "best_predictor": landscape.points.index(predictor) + 1,
        "best_predictor_above_lowest": landscape.above_lowest(predictor),
        "largest_spread": max(point.spread for point in landscape.points),
        "least_distance": float(
            (landscape.distances + np.diag(np.full(len(landscape.points), np.inf))).min()
        ),
        "test_rmse": {
            "lowest J": rmse(best),
            "least validation error": rmse(predictor),
            "B = 0": rmse(start),
        },
    }


def random_problems(executor: Executor | None) -> list[dict[str, Any]]:
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.05), coupling=1.0)
    found = []
    for seed in range(PROBLEMS):
        train, validation, test = random_problem(seed)
        starts = draw_starts(train, model, STARTS, rng=np.random.default_rng(seed), executor=executor)
        landscape = explore(train, model, starts, validation=validation, executor=executor)
        found.append({"seed": seed, **judged(landscape, test)})
        if seed == SHOWN:
            title = f"Random problem {seed}: {T} tasks, {D} features, 12 rows a task"
            write_png(landscape_figure(landscape, title=title), HERE / "random.png")
    return found


def paper_synthetic(executor: Executor | None) -> dict[str, Any]:
    dataset = read("paper-synthetic")
    settings = dict(dataset.settings)
    preparation = Preparation.learn(
        dataset.train, standardize=settings.pop("standardize"), intercept=settings.pop("intercept")
    )
    train = preparation.apply_tasks(dataset.train)
    assert dataset.validation is not None and dataset.test is not None
    validation, test = (preparation.apply_tasks(part) for part in (dataset.validation, dataset.test))
    model = make_model(**settings)
    options = Options(engine="fast")
    starts = draw_starts(
        train, model, STARTS, rng=np.random.default_rng(0), options=options, executor=executor
    )
    landscape = explore(train, model, starts, validation=validation, options=options, executor=executor)
    write_png(landscape_figure(landscape, title="paper-synthetic"), HERE / "paper-synthetic.png")
    return judged(landscape, test)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1)
    with workers(parser.parse_args().jobs) as executor:
        figures = {
            "machine": machine(),
            "starts": STARTS,
            "random": random_problems(executor),
            "paper_synthetic": paper_synthetic(executor),
        }
    (HERE / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    write_page(figures)
