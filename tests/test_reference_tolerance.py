"""The limits of the judge: what rounding can be, and not much more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases import random_tasks
from judged_pair import Pair, pair_pack

from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
from amtl_cvx.arrays import Array
from amtl_cvx.reference import read_pack, write_pack
from amtl_cvx.reference.judge import Asked, judge
from amtl_cvx.reference.judge.tolerance import Limits


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", ["squared", "logistic", "huber:0.5", "squared-hinge", "poisson", "hinge"])
def test_limits_hold_in_any_order_of_summation_and_are_not_loose(
    rng: np.random.Generator, loss: str, dtype: str
) -> None:
    """Rows in another order, summed one after the other in the dtype, of sizes over five orders of ten."""
    tasks = random_tasks(rng, loss=loss.partition(":")[0], counts=(7, 40), d=3)
    X = [task.X * 10.0 ** rng.integers(-3, 3, len(task.y))[:, None] for task in tasks]
    if loss == "poisson":
        X = [np.clip(x, -2.0, 2.0) for x in X]
    tasks = TaskSet.from_arrays([x.astype(np.float32) for x in X], [np.float32(task.y) for task in tasks])
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.5), coupling=0.25)  # type: ignore[arg-type]
    W = rng.normal(size=(3, 2)).astype(np.float32).astype(np.float64)
    B = np.array([[0.0, 0.5], [0.25, 0.0]])
    point = Problem(tasks, model).at(W, B)
    limits = Limits(point, dtype)
    number = np.dtype(dtype).type
    for t, task in enumerate(tasks):
        order = rng.permutation(len(task.y))
        total, pull = number(0), np.zeros(3, dtype=dtype)
        for x, y in zip(task.X[order].astype(dtype), task.y[order].astype(dtype), strict=True):
            z = number(0)
            for j in range(3):
                z = number(z + x[j] * number(W[j, t]))
            one = np.array([z], dtype=dtype), np.array([y], dtype=dtype)
            total = number(total + number(model.loss.rows(*one)[0]))
            pull = (pull + number(model.loss.slopes(*one)[0]) * x).astype(dtype)
        scale = number(1.0) / number(len(order))
        assert abs(float(scale * total) - point.losses[t]) <= limits.losses[t]
        a = number(point.loss_weight[t])
        own = a * scale * pull + np.asarray(point.square_gradient_W[:, t], dtype=dtype)
        assert (
            np.abs(own - point.smooth_gradient_W[:, t]) <= limits.gradient_W[:, t]
        ).all() or loss == "hinge"
    eps = float(np.finfo(dtype).eps)
    assert limits.objective <= 2e4 * eps * limits.terms
    assert (limits.gradient_W <= 1e3 * eps * np.abs(limits.size_W) * 10.0).all()


def test_a_choice_of_best_graphs_is_judged_by_what_is_unique(tmp_path: Path) -> None:
    """Three tasks of one feature: w_t = sum_s B[s, t] w_s has many solutions of one price, and one W B."""
    tasks = TaskSet.from_arrays([np.ones((2, 1))] * 3, [[1.0, 3.0]] * 3)
    problem = Problem(tasks, Model(transfer=LossWeightedL1(mu=0.25), coupling=1.0))
    W, total = np.full((1, 3), 1.5), 1.0 - 0.25 * 1.25 / (2.0 * 1.5**2) * 1.5 / 1.5
    # column: min (w - sum w)^2 + p sum b at w = 1.5, l = 1.25: sum b = 1 - p / (2 w^2)
    right = total / 2.0 * (1.0 - np.eye(3))
    about = {"name": "many", "title": "Many", "grade": "easy", "traits": [], "origin": {}, "made": {}}
    claims = {"unique": {"B": False, "W B": True}, "condition": {"kappa": 10.0}}
    pack = write_pack(
        tmp_path / "many",
        problem=problem,
        ask="b-step",
        given={"W": W},
        solution={"B": right},
        claims=claims,
        about=about,
    )

    class Chooses:
        off = 0.0

        def b_step(self, asked: Asked) -> Array:
            B = np.zeros((3, 3))
            for t in range(3):
                B[(t + 1) % 3, t] = total + self.off
            return B

    backend = Chooses()
    verdict = judge(backend, packs=[pack])
    assert verdict.passes and verdict.counts()["passed"] == 4
    backend.off = 1e-9
    assert {r.check.name for r in judge(backend, packs=[pack]).failed} == {
        "b-step-residual-answer",
        "b-step-answer",
    }


def test_J_below_what_is_proved_is_named(tmp_path: Path) -> None:
    pack = pair_pack(tmp_path)
    lower = 2.0 * pack.problem.at(pack.solution["W"], pack.solution["B"]).objective
    about = {**pack.about, "claims": {**pack.claims, "bound": {"lower": lower.hex()}}}
    verdict = judge(Pair, packs=[replace(pack, about=about)], levels=["L3"])
    bad = {result.check.name: result.words for result in verdict.failed}
    assert set(bad) == {"fit-objective-zero", "fit-objective-near"}
    assert "which is proved to be below all points" in bad["fit-objective-zero"]


def test_a_higher_first_order_point_is_one_of_another_basin(tmp_path: Path) -> None:
    """Single-task ridge is first-order where no edge pays; of a pack with edges it is above the answer."""
    pack = pair_pack(tmp_path)

    class Empty(Pair):
        def best_B(self, asked: Asked, W: Array) -> Array:
            return np.zeros((2, 2))

    bad = {result.check.name: result.words for result in judge(Empty, packs=[pack], levels=["L3"]).failed}
    assert "above the reference" in bad["fit-objective-zero"] and "fit-gap-zero" in bad


def test_from_the_empty_graph_another_basin_is_no_fault_and_from_near_the_answer_it_is() -> None:
    pack = read_pack("tiny-t2-minima-a")
    other = max([pack.solution, *pack.minima], key=lambda at: pack.problem.at(at["W"], at["B"]).objective)
    files = {name: digest for name, digest in pack.about["files"].items() if not name.startswith("minima/")}
    alone = replace(pack, about={**pack.about, "files": files})

    class Elsewhere(Pair):
        def fit(self, asked: Asked) -> tuple[Array, Array]:
            return other["W"], other["B"]

    assert other is not pack.solution and judge(Elsewhere, packs=[pack], levels=["L3"]).passes
    found = {r.check.name: r for r in judge(Elsewhere, packs=[alone], levels=["L3"]).results}
    for name in ("fit-objective", "fit-answer"):
        assert found[f"{name}-zero"].status == "skipped" and found[f"{name}-near"].status == "failed"
        assert "another basin" in found[f"{name}-zero"].words
