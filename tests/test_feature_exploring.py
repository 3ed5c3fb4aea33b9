"""Shared features from many starts: what is one point, and what is found on a problem that is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import Run
from scipy.optimize import minimize_scalar

from amtl_cvx.explore import distance, draw_starts, explore
from amtl_cvx.features import FeatureModel, GoMtlModel
from amtl_cvx.methods import fit
from amtl_cvx.problem import stored
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet

WEIGHTS = {"mu": 0.2, "alpha": 0.3, "gamma": 0.02, "decay": 0.1}


def tasks(seed: int = 0) -> TaskSet:
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(5, 2)) @ rng.normal(size=(2, 4))
    X = [rng.normal(size=(12, 5)) for _ in range(4)]
    return TaskSet.from_arrays(X, [x @ w + 0.3 * rng.normal(size=12) for x, w in zip(X, W.T, strict=True)])


@pytest.fixture(scope="module")
def fitted() -> dict[str, Solution]:
    models = {
        "signed": FeatureModel(features=2, **WEIGHTS),
        "nonnegative": FeatureModel(features=2, feedback="nonnegative", **WEIGHTS),
        "go-mtl": GoMtlModel(features=2, mu=0.2, decay=0.1),
    }
    return {name: fit(tasks(), model) for name, model in models.items()}


def changed(solution: Solution, order: list[int], sign: list[float]) -> Solution:
    """Its features in another order, some negated in all their blocks."""
    turn = np.diag(sign)[:, order]
    blocks = {name: turn.T @ each if name == "S" else each @ turn for name, each in solution.blocks.items()}
    return replace(solution, blocks=blocks)


def test_the_order_of_features_and_where_J_has_none_their_sign_are_no_difference(
    fitted: dict[str, Solution],
) -> None:
    for solution in fitted.values():
        assert distance(solution, changed(solution, [1, 0], [1.0, 1.0])) < 1e-15
    for name in ("signed", "go-mtl"):
        assert distance(fitted[name], changed(fitted[name], [1, 0], [1.0, -1.0])) < 1e-15
    found = fitted["nonnegative"]
    given = np.flatnonzero(found.A.any(axis=0))[0]
    flipped = [-1.0 if j == given else 1.0 for j in range(2)]
    assert distance(found, changed(found, [0, 1], flipped)) > 0.1  # its A would be negative
    for name, block in found.blocks.items():
        moved = np.array(block)
        moved[np.unravel_index(np.abs(moved).argmax(), moved.shape)] *= 1.01
        assert distance(found, replace(found, blocks={**found.blocks, name: moved})) > 1e-3


def test_feedback_that_is_free_is_no_difference() -> None:
    free = fit(tasks(), FeatureModel(features=2, **{**WEIGHTS, "alpha": 0.0}))
    other = replace(free, blocks={**free.blocks, "A": np.zeros_like(free.A)})
    assert distance(free, other) == 0.0


def test_every_start_of_a_problem_of_one_entry_finds_its_minimum() -> None:
    """min over l s = w of mu |s| + decay l^2 has l^3 = mu |w| / (2 decay) and costs 3 decay l^2."""
    mu, decay = 1.0, 0.5
    one = TaskSet.from_arrays([np.ones((1, 1))], [[4.0]])
    model = GoMtlModel(features=1, mu=mu, decay=decay)

    def J(w: float) -> float:
        return (w - 4.0) ** 2 + 3.0 * decay * (mu * abs(w) / (2.0 * decay)) ** (2.0 / 3.0)

    least = minimize_scalar(J, bounds=(1.0, 4.0), method="bounded", options={"xatol": 1e-12}).fun
    starts = draw_starts(one, model, 4, rng=np.random.default_rng(3))
    assert [start.name for start in starts] == ["svd", "random 1", "random 2", "random 3"]
    landscape = explore(one, model, starts)
    (point,) = landscape.points
    assert point.hits == 4 and point.level == "C3" and point.objective == pytest.approx(least, rel=1e-12)
    assert landscape.columns[7:10] == ("gap_L", "gap_S", "live_features")


@pytest.mark.slow
def test_starts_are_drawn_by_the_seed_and_a_landscape_is_written(run: Run, tmp_path: Path) -> None:
    model = FeatureModel(features=2, **WEIGHTS)
    one, same, other = (draw_starts(tasks(), model, 3, rng=np.random.default_rng(s)) for s in (1, 1, 2))
    for a, b, c in zip(one, same, other, strict=True):
        np.testing.assert_array_equal(a.L, b.L)
        assert (a.name == "svd") is np.array_equal(a.L, c.L)
    stored.write(tasks(), model, tmp_path / "rows", source="here")
    words = ("--method", "amtfl-linear", "--features", "2", "--mu", "0.2", "--alpha", "0.3")
    weights = ("--gamma", "0.02", "--decay", "0.1", "--starts", "3")
    answer = run("explore", str(tmp_path / "rows"), *words, *weights, "--out", str(tmp_path / "out"))
    assert answer.code == 0 and "live_features" in answer.out and "single-task predictors" in answer.out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"landscape.csv", "landscape.json", "landscape.png", "solution.npz", "report.html"} <= names


def test_starts_that_end_at_the_zero_point_are_told() -> None:
    model = GoMtlModel(features=2, mu=1e3, decay=0.1)
    found = explore(tasks(), model, draw_starts(tasks(), model, 2, rng=np.random.default_rng(0)))
    assert not found.points and "2 of these at the zero point, where nothing is learned." in found.describe()
