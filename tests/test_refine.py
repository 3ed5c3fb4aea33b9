"""Refinement: its second derivatives, its inner solves, its descent, and the same point by both methods."""

from __future__ import annotations

import numpy as np
import pytest
from cases import LOSS_CASES, Array, SourceGroupL2, loss_id, random_tasks, random_transfer, ridge, tasks_for
from scipy.linalg import LinAlgError
from scipy.optimize import nnls

from amtl_cvx import refine as module
from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import certify, residuals
from amtl_cvx.losses import Loss
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Point, Problem, make_model
from amtl_cvx.refine import boxqp, can_refine, derivatives, refine
from amtl_cvx.refine import local as local_module
from amtl_cvx.refine.boxqp import box_minimum
from amtl_cvx.refine.local import eliminated, working_set
from amtl_cvx.subproblems.numpy_steps import minimal_weights
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

every_loss = pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)


@every_loss
def test_hessian_and_gradient_are_central_differences(loss: Loss, rng: np.random.Generator) -> None:
    tasks = tasks_for(loss, rng, d=3, counts=(4, 9, 14, 3))
    model = Model(
        loss=loss, transfer=LossWeightedL1(mu=0.7), coupling=1.3, task_weights=(0.5, 2.0, 1.0, 0.25)
    )
    W, B = rng.normal(size=(3, 4)), random_transfer(rng, 4)
    free = B > 0
    found = derivatives(Problem(tasks, model).at(W, B), free)
    size = W.size

    def unpack(x: Array) -> tuple[Array, Array]:
        C = B.copy()
        C[found.sources, found.targets] = x[size:]
        return x[:size].reshape(4, 3).T, C

    def slope(x: Array) -> Array:
        V, C = unpack(x)
        return np.concatenate(
            [
                model.gradient_W(tasks, V, C).T.ravel(),
                model.gradient_B(tasks, V, C)[found.sources, found.targets],
            ]
        )

    x, step = np.concatenate([W.T.ravel(), B[found.sources, found.targets]]), 1e-3
    assert found.gradient_B == pytest.approx(slope(x)[size:], rel=1e-13)
    columns = []
    for i in range(len(x)):
        e = step * np.eye(len(x))[i]
        columns.append(
            (8 * (slope(x + e) - slope(x - e)) - (slope(x + 2 * e) - slope(x - 2 * e))) / (12 * step)
        )
    hessian = np.block([[found.WW, found.BW.T], [found.BW, found.BB]])
    assert np.abs(hessian - np.column_stack(columns)).max() <= 1e-7 * np.abs(hessian).max()


@pytest.mark.sampled(3)
@every_loss
@pytest.mark.parametrize("limit", [6000, 0], ids=["newton", "quasi-newton"])
def test_the_objective_never_rises_from_any_start(
    loss: Loss, limit: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DENSE_LIMIT", limit)
    tasks = tasks_for(loss, rng)
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.05), coupling=0.7)
    for scale in (0.0, 0.1, 1.0):
        start = scale * rng.normal(size=(6, 4)), random_transfer(rng, 4, 0.3)
        seen = [model.objective(tasks, *start)]

        def observe(point: Point, method: str, seen: list[float] = seen) -> None:
            assert point.B.min() >= 0.0 and not np.diag(point.B).any()
            assert method == ("newton" if limit else "l-bfgs-b")
            seen.append(model.objective(tasks, *point))

        W, B = refine(Problem(tasks, model).at(*start), tol=1e-8, max_steps=40, observe=observe)
        assert len(seen) > 1 and model.objective(tasks, W, B) == seen[-1]
        assert all(new <= old * (1 + 1e-12) for old, new in zip(seen, seen[1:], strict=False))
        assert seen[-1] < 0.99 * seen[0]


@every_loss
def test_the_eliminated_hessian_is_the_derivative_of_the_reduced_gradient(
    loss: Loss, rng: np.random.Generator
) -> None:
    """f(B) = min_W J(W, B) has gradient G_B at W*(B); its Hessian against central differences of that."""
    tasks = tasks_for(loss, rng, d=3, counts=(6, 9, 14, 7))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.3), coupling=1.3)
    B = random_transfer(rng, 4)
    free = B > 0
    s, t = np.nonzero(free)

    def slope(b: Array) -> Array:
        C = B.copy()
        C[s, t] = b
        return model.gradient_B(tasks, minimal_weights(Problem(tasks, model).at(np.zeros((3, 4)), C)), C)[
            s, t
        ]

    start = Problem(tasks, model).at(np.zeros((3, 4)), B)
    found = eliminated(derivatives(start.at(W=minimal_weights(start)), free))
    step, b = 1e-3, B[s, t]
    columns = [
        (8 * (slope(b + e) - slope(b - e)) - (slope(b + 2 * e) - slope(b - 2 * e))) / (12 * step)
        for e in step * np.eye(len(b))
    ]
    assert np.abs(found - np.column_stack(columns)).max() <= 1e-6 * np.abs(found).max()


@pytest.mark.parametrize(
    ("guesses", "few"),
    [(20, 0.2), (20, 1.0), (20, -1.0), (0, 0.2)],
    ids=["active-sets", "one-factor", "a-factor-a-guess", "projected-newton"],
)
@pytest.mark.parametrize("seed", range(20))
def test_the_box_minimum_is_that_of_nonnegative_least_squares(
    seed: int, guesses: int, few: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxqp, "_GUESSES", guesses)
    monkeypatch.setattr(boxqp, "_FEW", few)
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    A, b = rng.normal(size=(n + 5, n)), rng.normal(size=n + 5)
    lower = -rng.uniform(size=n) * (rng.uniform(size=n) < 0.6)
    x = box_minimum(A.T @ A, -A.T @ b, lower)
    truth = lower + nnls(A, b - A @ lower)[0]
    assert (x >= lower).all() and np.abs(x - truth).max() <= 1e-9 * max(1.0, np.abs(truth).max())


def test_the_box_minimum_asks_for_a_positive_definite_matrix() -> None:
    with pytest.raises(LinAlgError):
        box_minimum(-np.eye(2), np.full(2, -2.0), np.full(2, -1.0))


def test_the_working_set_keeps_every_edge_and_the_steepest_zeros(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, model = random_tasks(rng, d=6, counts=(12,) * 16), make_model(mu=1e-3, coupling=0.7)
    W, B = rng.normal(size=(6, 16)), np.zeros((16, 16))
    B[3, 4] = 0.1
    wants = (model.gradient_B(tasks, W, B) < 0) & ~np.eye(16, dtype=bool)
    assert np.array_equal(working_set(Problem(tasks, model).at(W, B)), wants | (B > 0))
    monkeypatch.setattr(local_module, "WORKING_LIMIT", 50)
    few = working_set(Problem(tasks, model).at(W, B))
    assert few[3, 4] and 100 <= few.sum() <= 101 < wants.sum() and not few[~wants & (B <= 0)].any()
    steepness = model.gradient_B(tasks, W, B) / np.linalg.norm(W, axis=0)[:, None]
    assert steepness[few & (B <= 0)].max() <= steepness[wants & ~few].min()
    assert few.sum() == 1 + 100
    monkeypatch.setattr(local_module, "WORKING_LIMIT", 103)
    B[5, :4] = 0.1
    assert (model.gradient_B(tasks, W, B) < 0).sum() > 103
    assert working_set(Problem(tasks, model).at(W, B)).sum() == 5 + 100
    monkeypatch.setattr(local_module, "WORKING_LIMIT", 107)
    assert working_set(Problem(tasks, model).at(W, B)).sum() == 107


def test_newton_ends_at_a_first_order_point(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    W, B = refine(Problem(tasks, model).at(ridge(tasks, model), np.zeros((4, 4))), tol=1e-8)
    assert certify(Problem(tasks, model).at(W, B)).passes
    assert residuals(Problem(tasks, model).at(W, B)).relative <= 1e-10


def test_both_methods_reach_the_same_point(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    near = alternate(tasks, model, Options(max_rounds=30, refine=False))
    newton = refine(Problem(tasks, model).at(near.W, near.B), tol=1e-6)
    monkeypatch.setattr(module, "DENSE_LIMIT", 0)
    slow = refine(Problem(tasks, model).at(near.W, near.B), tol=1e-6)
    J = model.objective(tasks, *newton)
    assert model.objective(tasks, *slow) == pytest.approx(J, rel=1e-6)
    assert np.abs(newton.B - slow.B).max() <= 1e-2


def test_a_first_order_point_stays_where_it_is(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    W, B = refine(Problem(tasks, model).at(ridge(tasks, model), np.zeros((4, 4))), tol=1e-8)
    V, C = refine(Problem(tasks, model).at(W, B), tol=1e-8)
    assert np.abs(V - W).max() <= 1e-8 and np.array_equal(C > 0, B > 0)


def test_a_step_of_nothing_is_not_measured_against_its_prediction() -> None:
    """Two copies of a noiseless task, mu = 0: J is 0 up to rounding, which was divided by a predicted 0."""
    for seed in (3,):
        rng = np.random.default_rng(seed)
        w, X = rng.normal(size=7), rng.normal(size=(14, 7)) + 3 * rng.normal(size=7)
        X[:, 0] = 0.0
        tasks = TaskSet.from_arrays([X, X.copy()], [X @ w * 1e-3] * 2)
        model = make_model(mu=0.0, coupling=23.0, reduction="sum", task_weights="inverse-sqrt")
        found = alternate(tasks, model, Options())
        assert found.certificate.objective <= 1e-20 * model.objective(tasks, 0 * found.W, 0 * found.B)


def test_refinement_ends_where_only_growing_predictors_lower_J() -> None:
    """Labels that a cycle of two tasks separates: no block gains, J falls as W goes to infinity."""
    rng = np.random.default_rng(2)
    X = [rng.normal(size=(n, 6)) for n in (4, 5, 20)]
    w = rng.normal(size=6)
    y = [np.sign(x @ w) for x in X]
    y[2] = np.where(rng.random(20) < 0.3, -y[2], y[2])
    for labels in y:
        labels[:2] = 1.0, -1.0
    tasks, model = TaskSet.from_arrays(X, y), make_model(loss="logistic", mu=0.02, coupling=0.3)
    steps: list[str] = []
    solution = alternate(tasks, model, Options(callback=lambda record: steps.append(record.step)))
    assert not solution.certificate.passes and solution.certificate.runs_off
    assert steps.count("refine") <= 60 and "minimum" in solution.certificate.reasons


def test_the_step_limit_holds(rng: np.random.Generator) -> None:
    tasks, model, steps = random_tasks(rng), make_model(mu=0.05, coupling=0.7), []
    refine(
        Problem(tasks, model).at(np.zeros((6, 4)), np.zeros((4, 4))), tol=1e-8, max_steps=3,
        observe=lambda point, name: steps.append(name),
    )  # fmt: skip
    assert len(steps) == 3


def test_a_penalty_without_prices_is_left_alone(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), Model(transfer=SourceGroupL2(mu=0.1), coupling=0.7)
    start = Problem(tasks, model).at(rng.normal(size=(6, 4)), random_transfer(rng, 4))
    assert not can_refine(model, tasks.T)
    assert refine(start, tol=1e-8) is start


def test_an_interruption_passes_through(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)

    def stop(point: Point, name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refine(Problem(tasks, model).at(ridge(tasks, model), np.zeros((4, 4))), tol=1e-8, observe=stop)
