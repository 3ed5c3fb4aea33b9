"""Second order: the Hessian against differences of J, verdicts at points whose curvature is known by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases import (
    LOSS_CASES,
    Array,
    loss_id,
    random_tasks,
    random_transfer,
    tasks_for,
)
from checks.atoms import second_difference, second_order_of
from penalty_cases import ATOMS
from penalty_cases import Case as Penalty
from symmetric_pair import MINIMUM, SADDLE, Symmetric, flat, solved

from amtl_cvx import Options, SignedL1, fit
from amtl_cvx.certificate import second_order
from amtl_cvx.certificate.curvature import reduced_hessian
from amtl_cvx.losses import Loss, Squared
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

SMOOTH = [loss for loss in LOSS_CASES if loss.smooth]


def scaled(tasks: TaskSet, factor: float) -> TaskSet:
    return replace(tasks, tasks=tuple(replace(task, y=factor * task.y) for task in tasks))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("weights", ["equal", (0.5, 2.0, 1.0)])
@pytest.mark.parametrize("loss", SMOOTH, ids=loss_id)
def test_the_hessian_is_that_of_J_by_differences(
    loss: Loss, weights: str | tuple[float, ...], rng: np.random.Generator
) -> None:
    tasks = tasks_for(loss, rng, d=2, counts=(7, 4, 9))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.3), coupling=0.7, task_weights=weights)
    W, B = 0.5 * rng.normal(size=(2, 3)), random_transfer(rng, 3) + 0.1
    np.fill_diagonal(B, 0.0)
    free = ~np.eye(3, dtype=bool)

    def J(x: Array) -> float:
        moved = np.zeros((3, 3))
        moved[free] = x[6:]
        return model.objective(tasks, x[:6].reshape(3, 2).T, moved)

    H = reduced_hessian(Problem(tasks, model).at(W, B), free)
    x = np.r_[W.T.ravel(), B[free]]
    differences = np.array([[second_difference(J, x, i, j, 2e-4) for j in range(12)] for i in range(12)])
    np.testing.assert_allclose(H, differences, atol=2e-6 * np.abs(H).max())
    given = tuple(loss.curvatures(task.X @ w, task.y) for task, w in zip(tasks, W.T, strict=True))
    np.testing.assert_allclose(reduced_hessian(Problem(tasks, model).at(W, B), free, given), H, rtol=1e-12)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", ATOMS, ids=lambda case: case.id)
def test_second_order_of_every_penalty_by_differences(case: Penalty) -> None:
    second_order_of(case.id)


def test_free_edges_of_any_sign_are_degenerate(rng: np.random.Generator) -> None:
    """At mu = 0 both parts of an entry are free, and only their difference is determined."""
    tasks = random_tasks(rng, d=4, counts=(9, 12, 10))
    solution = fit(tasks, Model(transfer=SignedL1(mu=0.0), coupling=0.3), options=Options(engine="fast"))
    found = second_order(Problem(tasks, solution.model).at(solution.W, solution.B))
    assert found.verdict == "degenerate" and "strict complementarity" in found.reason


@pytest.mark.parametrize(
    ("case", "verdict"), [(MINIMUM, "strict local minimum"), (SADDLE, "saddle")], ids=["minimum", "saddle"]
)
def test_eigenvalues_and_verdict_of_the_symmetric_pair(case: Symmetric, verdict: str) -> None:
    found = case.judged()
    values = np.concatenate([np.linalg.eigvalsh(part) for part in case.hessians])
    assert found.reduced_hessian_min == pytest.approx(values.min(), rel=1e-12)
    assert found.reduced_hessian_max == pytest.approx(values.max(), rel=1e-12)
    assert found.free == 4
    assert found.min_positive_B == case.B[0, 1] and found.min_multiplier == np.inf
    assert found.verdict == verdict


def test_J_falls_along_the_direction_of_a_saddle() -> None:
    found = SADDLE.judged()
    assert found.direction is not None and found.fall is not None
    J = SADDLE.model.objective(SADDLE.tasks, SADDLE.W, SADDLE.B)
    W, B = SADDLE.W + found.direction[0], SADDLE.B + found.direction[1]
    assert (B >= 0).all() and not np.diag(B).any()
    assert J - SADDLE.model.objective(SADDLE.tasks, W, B) == pytest.approx(found.fall, rel=1e-9)
    assert found.fall > 1e-3 * J
    for length in (1e-2, 1e-3):  # a curvature, not a slope: to both sides, and with the square of the way
        ends = [
            SADDLE.model.objective(
                SADDLE.tasks,
                SADDLE.W + sign * length * found.direction[0],
                SADDLE.B + sign * length * found.direction[1],
            )
            for sign in (1.0, -1.0)
        ]
        assert max(ends) < J
        assert ends[0] - J == pytest.approx(ends[1] - J, rel=0.2)


@pytest.mark.parametrize(
    ("change", "verdict"), [(-1e-6, "saddle"), (0.0, "degenerate"), (1e-6, "strict local minimum")]
)
def test_the_verdict_turns_where_the_hessian_is_singular(change: float, verdict: str) -> None:
    found = Symmetric.build(0.3, 0.5, flat(0.3, 0.5) * (1.0 + change)).judged()
    assert found.verdict == verdict
    assert abs(found.scaled_hessian_min) < (1e-5 if change else 1e-14)
    assert found.fall is None or verdict == "saddle"


@pytest.mark.sampled(2)
@pytest.mark.parametrize("loss", SMOOTH, ids=loss_id)
def test_a_strict_local_minimum_is_one_to_random_moves(loss: Loss, rng: np.random.Generator) -> None:
    """Moves that stay feasible, also into the edges at 0, raise J; single steps of 1e-3 of the size."""
    tasks, model, W, B = solved(3, loss, mu=0.02)
    found = second_order(Problem(tasks, model).at(W, B))
    assert found.verdict == "strict local minimum" and found.scaled_hessian_min > 0.0
    J = model.objective(tasks, W, B)
    for _ in range(200):
        size = 10.0 ** rng.uniform(-4, -3)
        move_B = rng.normal(size=B.shape) * (rng.random(B.shape) < 0.5)
        new_B = np.maximum(B + size * move_B, 0.0)
        np.fill_diagonal(new_B, 0.0)
        new_W = W + size * np.abs(W).max() * rng.normal(size=W.shape)
        assert model.objective(tasks, new_W, new_B) > J


@pytest.mark.parametrize("factor", [1e-5, 1e5])
@pytest.mark.parametrize(
    "case", [MINIMUM, SADDLE, Symmetric.build(0.3, 0.5, flat(0.3, 0.5))], ids=["minimum", "saddle", "flat"]
)
def test_the_verdict_does_not_depend_on_the_unit_of_y(case: Symmetric, factor: float) -> None:
    found = case.judged()
    other = second_order(Problem(scaled(case.tasks, factor), case.model).at(factor * case.W, case.B))
    assert other.verdict == found.verdict
    assert other.scaled_hessian_min == pytest.approx(found.scaled_hessian_min, rel=1e-9, abs=1e-14)
    if found.fall is not None and other.fall is not None:
        assert other.fall == pytest.approx(factor**2 * found.fall, rel=1e-6)


@pytest.mark.parametrize("factor", [1e-5, 1e5])
def test_figures_of_a_fit_scale_as_they_should(factor: float) -> None:
    tasks, model, W, B = solved(0, Squared())
    found = second_order(Problem(tasks, model).at(W, B))
    other = second_order(Problem(scaled(tasks, factor), model).at(factor * W, B))
    assert found.verdict == other.verdict == "strict local minimum" and (B > 0).any()
    assert other.relative_multiplier == pytest.approx(found.relative_multiplier, rel=1e-9)
    assert other.min_multiplier == pytest.approx(factor**2 * found.min_multiplier, rel=1e-9)
    assert other.min_positive_B == found.min_positive_B
    assert other.scaled_hessian_min == pytest.approx(found.scaled_hessian_min, rel=1e-9)


def test_relabelling_the_tasks_changes_nothing() -> None:
    tasks, model, W, B = solved(1, Squared(), T=4)
    order = np.array([2, 0, 3, 1])
    shuffled = TaskSet(tasks=tuple(tasks[int(t)] for t in order))
    found = second_order(Problem(tasks, model).at(W, B))
    other = second_order(Problem(shuffled, model).at(W[:, order], B[np.ix_(order, order)]))
    for name in ("reduced_hessian_min", "reduced_hessian_max", "scaled_hessian_min", "min_multiplier"):
        assert getattr(other, name) == pytest.approx(getattr(found, name), rel=1e-9)
    assert (other.verdict, other.free) == (found.verdict, found.free)
