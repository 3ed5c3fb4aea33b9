"""Duality gaps of both blocks: weak duality, exact distances, bounds that hold, and why one is large."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from cases import (
    NONSMOOTH_CASES,
    Array,
    loss_id,
    random_tasks,
    random_transfer,
    tasks_for,
)
from certified_points import amtl, every_loss
from scipy.optimize import minimize, nnls

from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import (
    certify,
    transfer_evidence,
    transfer_gap,
    w_step,
    weight_gap,
)
from amtl_cvx.certificate.b_step import why_gap
from amtl_cvx.losses import Loss, Squared
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem, make_model
from amtl_cvx.subproblems import compile_transfer_step
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


def column_dual(model: Model, W: Array, B: Array, prices: Array, t: int) -> tuple[float, float, Array]:
    """Primal and dual value of one column as CERTIFICATES section 2 defines them, and the dual point."""
    lam, others = model.coupling, [s for s in range(len(B)) if s != t]
    A, w, b, p = W[:, others], W[:, t], B[others, t], prices[others]
    r = w - A @ b
    pull = A.T @ r
    s = min([max(0.0, r @ w / (r @ r))] + [p[j] / (2 * lam * pull[j]) for j in range(len(b)) if pull[j] > 0])
    theta = s * 2 * lam * r
    assert (A.T @ theta <= p * (1 + 1e-12)).all()
    return lam * (r @ r) + p @ b, float(theta @ w - theta @ theta / (4 * lam)), theta


@every_loss
def test_gap_B_is_primal_minus_dual_and_bounds_the_distance_to_the_optimum(
    loss: Loss, rng: np.random.Generator
) -> None:
    tasks, model = tasks_for(loss, rng), amtl(loss, mu=0.3)
    for _ in range(5):
        W, B = rng.normal(size=(6, 4)) + 1.0, random_transfer(rng, 4, 0.2)
        prices = model.mu * model.weighted_losses(tasks, W)
        total, least = 0.0, 0.0
        for t in range(4):
            primal, dual, _ = column_dual(model, W, B, prices, t)
            others = np.arange(4) != t
            A, w, p = W[:, others], W[:, t], prices[others]
            shift = A @ np.linalg.solve(A.T @ A, p) / (2.0 * model.coupling)  # the price, squared in
            b = nnls(A, w - shift)[0]
            optimum = model.coupling * float(((w - A @ b) ** 2).sum()) + float(p @ b)
            assert dual <= optimum * (1 + 1e-7)
            total, least = total + primal - dual, least + primal - optimum
        gap, reason = transfer_gap(Problem(tasks, model).at(W, B))
        assert gap is not None and reason == ""
        assert (
            least * (1 - 1e-6) <= gap <= total * (1 + 1e-9)
        )  # the better of two bounds, the first of which is this


def test_weak_duality_of_the_b_step_at_random_points(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), amtl(Squared(), mu=0.2)
    W = rng.normal(size=(6, 4)) + 1.0
    step = compile_transfer_step(tasks, model)
    best = model.objective(tasks, W, step.solve(Problem(tasks, model).at(W, np.zeros((4, 4)))).value)
    for _ in range(50):
        B = random_transfer(rng, 4, 10.0 ** rng.uniform(-3, 1))
        gap, _ = transfer_gap(Problem(tasks, model).at(W, B))
        assert gap is not None and model.objective(tasks, W, B) - gap <= best * (1 + 1e-10)


@pytest.mark.parametrize("free", [(0,), (0, 2), (0, 1, 2, 3)])
def test_free_edges_have_a_finite_bound_that_holds(free: tuple[int, ...], rng: np.random.Generator) -> None:
    """Tasks without loss make p_s = 0: the scaled dual point is 0 there, the box bound is not."""
    W = rng.normal(size=(6, 4)) + 1.0
    tasks = random_tasks(rng)
    fitted = [replace(task, y=task.X @ W[:, t]) if t in free else task for t, task in enumerate(tasks)]
    tasks, model = TaskSet(tasks=tuple(fitted)), amtl(Squared(), mu=0.2)
    prices = model.mu * model.weighted_losses(tasks, W)
    assert (prices[list(free)] <= 1e-25).all()
    best = compile_transfer_step(tasks, model).solve(Problem(tasks, model).at(W, np.zeros((4, 4)))).value
    gap, _ = transfer_gap(Problem(tasks, model).at(W, best))
    assert gap is not None and gap <= 1e-7 * model.objective(tasks, W, best)
    for _ in range(20):
        B = random_transfer(rng, 4, 10.0 ** rng.uniform(-2, 0.5))
        gap, _ = transfer_gap(Problem(tasks, model).at(W, B))
        rise = model.objective(tasks, W, B) - model.objective(tasks, W, best)
        assert gap is not None and gap >= rise * (1 - 1e-9)


def test_collinear_free_edges_have_the_best_bound(rng: np.random.Generator) -> None:
    """T - 1 > d and mu = 0: nothing bounds B, but the gain is known, by non-negative least squares."""
    tasks = random_tasks(rng, d=2, counts=(9, 9, 9, 9))
    for _ in range(10):
        model, W = make_model(mu=0.0, coupling=0.7), rng.normal(size=(2, 4)) + 1.0
        gap, _ = transfer_gap(Problem(tasks, model).at(W, np.zeros((4, 4))))
        others = [[s for s in range(4) if s != t] for t in range(4)]
        rests = [nnls(W[:, kept], W[:, t])[1] for t, kept in enumerate(others)]
        gain = 0.7 * ((W**2).sum() - sum(rest**2 for rest in rests))
        assert gap == pytest.approx(gain, rel=1e-9)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gap_W_of_the_squared_loss_is_the_exact_distance_to_the_optimum(
    reduction: str, rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, counts=(4, 14, 20, 8))
    model = make_model(mu=0.3, coupling=0.7, reduction=reduction)
    B = random_transfer(rng, 4)
    best = literal_minimum(tasks, model, B)
    for _ in range(5):
        W = best + 10.0 ** rng.uniform(-3, 0) * rng.normal(size=best.shape)
        gap, exact, _ = weight_gap(Problem(tasks, model).at(W, B))
        rise = model.objective(tasks, W, B) - model.objective(tasks, best, B)
        assert exact and gap == pytest.approx(rise, rel=1e-6)


def literal_minimum(tasks: TaskSet, model: Model, B: Array) -> Array:
    """argmin over W by least squares on the stacked rows of every term of J."""
    T, d = tasks.T, tasks.d
    rows, right = [], []
    for t, task in enumerate(tasks):
        weight = 1.0 + model.mu * B[t].sum()
        weight /= len(task.y) if model.loss.reduction == "mean" else 1
        block = np.zeros((len(task.y), T * d))
        block[:, t * d : (t + 1) * d] = task.X
        rows.append(math.sqrt(weight) * block)
        right.append(math.sqrt(weight) * task.y)
    rows.append(math.sqrt(model.coupling) * np.kron((np.eye(T) - B).T, np.eye(d)))
    right.append(np.zeros(T * d))
    return np.linalg.lstsq(np.vstack(rows), np.concatenate(right))[0].reshape(T, d).T


def test_gap_W_of_a_large_squared_problem_is_a_bound(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, model, B = random_tasks(rng), make_model(mu=0.3, coupling=0.7), random_transfer(rng, 4)
    best = literal_minimum(tasks, model, B)
    W = best + 0.1 * rng.normal(size=best.shape)
    exact, was_exact, _ = weight_gap(Problem(tasks, model).at(W, B))
    monkeypatch.setattr(w_step, "DENSE_LIMIT", 0)
    bound, is_exact, _ = weight_gap(Problem(tasks, model).at(W, B))
    assert was_exact and not is_exact and exact is not None and bound is not None and bound >= exact


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gap_W_of_the_logistic_loss_bounds_the_distance_to_the_optimum(
    reduction: str, rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, loss="logistic")
    model = make_model(loss="logistic", reduction=reduction, mu=0.3, coupling=0.7)
    B = random_transfer(rng, 4)

    def value(x: Array) -> float:
        return model.objective(tasks, x.reshape(6, 4), B)

    def slope(x: Array) -> Array:
        return model.gradient_W(tasks, x.reshape(6, 4), B).ravel()

    best = minimize(value, np.zeros(24), jac=slope, method="BFGS", options={"gtol": 1e-6}).fun
    for _ in range(10):
        W = 10.0 ** rng.uniform(-2, 1) * rng.normal(size=(6, 4))
        gap, exact, _ = weight_gap(Problem(tasks, model).at(W, B))
        assert not exact and gap is not None and gap >= (value(W.ravel()) - best) * (1 - 1e-9)
        M = np.eye(4) - B
        G = model.gradient_W(tasks, W, B)
        assert gap == pytest.approx(
            np.trace(G @ np.linalg.inv(M @ M.T) @ G.T) / (4 * model.coupling), rel=1e-9
        )


def test_a_singular_graph_has_no_bound_for_the_logistic_loss(rng: np.random.Generator) -> None:
    tasks, model = (
        random_tasks(rng, loss="logistic", counts=(9, 9)),
        make_model(loss="logistic", mu=0.3, coupling=0.7),
    )
    gap, _, reason = weight_gap(Problem(tasks, model).at(np.ones((6, 2)), np.array([[0.0, 1.0], [1.0, 0.0]])))
    assert gap is None and "singular" in reason


def test_why_the_gap_of_B_is_large_is_measured(rng: np.random.Generator) -> None:
    """What an exact B-step gains, and into which task; or rounding, where no B is better."""
    tasks, model = random_tasks(rng), amtl(Squared(), mu=0.02)
    solution = alternate(tasks, model, Options())
    W, B = solution.W, solution.B.copy()
    assert "gap_B" not in certify(Problem(tasks, model).at(W, B)).reasons
    t = int(np.flatnonzero(B.any(axis=0))[0])
    B[:, t] *= 0.5
    best = compile_transfer_step(tasks, model).solve(Problem(tasks, model).at(W, B)).value
    gain = model.objective(tasks, W, B) - model.objective(tasks, W, best)
    said = certify(Problem(tasks, model).at(W, B)).reasons["gap_B"]
    assert f"edges into 'task {t}'" in said and "lowers J by" in said
    assert float(said.split("lowers J by ")[1].split(",")[0]) == pytest.approx(gain, rel=0.06)


def test_a_gap_of_B_that_is_rounding_is_said_to_be() -> None:
    """w_1 = -w_2, both free: no theta is feasible with room for rounding, though B is the best."""
    W = np.array([[2.0, 1.0, -1.0], [3.0, 0.0, 0.0]])
    B = np.array([[0.0, 2 / 13, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    tasks, model = TaskSet.from_arrays([np.eye(2)] * 3, [np.ones(2)] * 3), make_model(mu=0.0, coupling=0.5)
    found = transfer_evidence(Problem(tasks, model).at(W, B))
    assert found.duals is not None and found.duals.gaps[0] >= 1.0
    said = why_gap(Problem(tasks, model).at(W, B), found.duals)
    assert "rounding" in said and "edges into 'task 0'" in said


@pytest.mark.parametrize("loss", NONSMOOTH_CASES, ids=loss_id)
def test_a_loss_with_kinks_cannot_pass_without_a_gap(loss: Loss, rng: np.random.Generator) -> None:
    """At W = 0 and I - B singular no bound exists; nothing else could judge W."""
    tasks = tasks_for(loss, rng, counts=(9, 9))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.0), coupling=0.7)
    found = certify(Problem(tasks, model).at(np.zeros((6, 2)), np.array([[0.0, 1.0], [1.0, 0.0]])), tol=0.999)
    assert found.gap_W is None and "singular" in found.reasons["gap_W"]
    assert found.gain_W == math.inf and not found.passes
