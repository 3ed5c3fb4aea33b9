# More than 300 lines: one wrong solver after another.
"""Solvers with one mistake each, of kinds seen in published code; the certificate must reject their points.

Each mistake sits in one place of the literal alternation (`literal.alternation`) or in how it is called. Most
runs settle: the two wrong steps agree with each other, and only a certificate can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from cases import Array
from literal import (
    J,
    alternation,
    best_B,
    best_W,
    loss_weights,
    price_weights,
    prices,
    transfer_step,
    weight_step,
)

from amtl_cvx.losses import Logistic
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

Solver = Callable[[TaskSet, Model], tuple[Array, Array]]


# --- the W-step --------------------------------------------------------------------------------------------


def incoming_weights(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_W(tasks, model, B, a=price_weights(tasks, model) * (1 + model.mu * B.sum(axis=0)), start=W)


def weights_without_prices(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_W(tasks, model, B, a=price_weights(tasks, model), start=W)


def weights_without_c(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_W(tasks, model, B, a=1 + model.mu * B.sum(axis=1), start=W)


def transposed_B_in_W(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_W(tasks, model, B.T, a=loss_weights(tasks, model, B), start=W)


def no_coupling_in_W(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_W(tasks, replace(model, coupling=1e-12), B, start=W)


def half_coupling_in_W(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_W(tasks, replace(model, coupling=model.coupling / 2), B, start=W)


def only_its_own_residual(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    """One task after the other; w_t sits in the residuals of the tasks it gives to as well."""
    W, a = W.copy(), loss_weights(tasks, model, B)
    for _ in range(3):
        for t in range(tasks.T):
            target = W @ B[:, t]
            shifted = TaskSet.from_arrays([tasks[t].X], [tasks[t].y - tasks[t].X @ target])
            W[:, [t]] = target[:, None] + best_W(shifted, model, np.zeros((1, 1)), a=a[[t]])
    return W


def first_row_only(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_W(rows(tasks, slice(1)), model, B, a=loss_weights(tasks, model, B), start=W)


def last_row_forgotten(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_W(rows(tasks, slice(-1)), model, B, a=loss_weights(tasks, model, B), start=W)


def sum_for_mean(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_W(tasks, replace(model, loss=replace(model.loss, reduction="sum")), B, start=W)


def mean_over_all_rows(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    n = np.array([len(task.y) for task in tasks])
    return best_W(tasks, model, B, a=loss_weights(tasks, model, B) * n * len(n) / n.sum(), start=W)


def half_squared_loss(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_W(tasks, model, B, a=loss_weights(tasks, model, B) / 2, start=W)


def centred_features(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    moved = TaskSet.from_arrays([task.X - task.X.mean(axis=0) for task in tasks], [task.y for task in tasks])
    return best_W(moved, model, B, start=W)


def rows(tasks: TaskSet, kept: slice) -> TaskSet:
    return TaskSet.from_arrays([task.X[kept] for task in tasks], [task.y[kept] for task in tasks])


# --- the B-step --------------------------------------------------------------------------------------------


def stale_prices(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    start = best_W(tasks, model, np.zeros_like(B))
    return best_B(W, prices(tasks, model, start), model.coupling)


def prices_without_c(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_B(W, prices(tasks, model, W) / price_weights(tasks, model), model.coupling)


def mu_for_price(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_B(W, np.full(tasks.T, model.mu), model.coupling)


def price_of_the_target(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    p = prices(tasks, model, W)
    return np.column_stack([best_B(W, np.full(tasks.T, p[t]), model.coupling)[:, t] for t in range(tasks.T)])


def missing_two_in_B(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_B(W, 2 * prices(tasks, model, W), model.coupling)


def coupling_left_out_of_B(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return best_B(W, prices(tasks, model, W), 1.0)


def transposed_answer(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return transfer_step(tasks, model, W, B).T


def signs_clipped_afterwards(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return np.maximum(signs_forgotten(tasks, model, W, B), 0.0)


def signs_forgotten(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    p, found = prices(tasks, model, W), np.zeros_like(B)
    for t in range(tasks.T):
        others = [s for s in range(tasks.T) if s != t]
        A = W[:, others]
        found[others, t] = np.linalg.solve(A.T @ A, A.T @ W[:, t] - p[others] / (2 * model.coupling))
    return found


def diagonal_allowed(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    return transfer_step(tasks, model, W, B) + 1e-9 * np.eye(tasks.T)


def small_edges_dropped(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    found = transfer_step(tasks, model, W, B)
    return np.where(found > 0.5 * found.max(), found, 0.0)


def ridge_for_lasso(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    """sum_s p_s sum_t B[s, t]^2 for its first power: minimised by weighted ridge, clipped at 0."""
    p, found = prices(tasks, model, W), np.zeros_like(B)
    for t in range(tasks.T):
        others = [s for s in range(tasks.T) if s != t]
        A = W[:, others]
        found[others, t] = np.linalg.solve(A.T @ A + np.diag(p[others] / model.coupling), A.T @ W[:, t])
    return np.maximum(found, 0.0)


# --- the whole ---------------------------------------------------------------------------------------------


def swapped_settings(tasks: TaskSet, model: Model) -> tuple[Array, Array]:
    """Positional hyperparameters shifted by one."""
    swapped = replace(model, transfer=LossWeightedL1(mu=model.coupling), coupling=model.mu)
    return alternation(tasks, swapped)


def objective_stopped_moving(tasks: TaskSet, model: Model) -> tuple[Array, Array]:
    """The rule "the objective moved by less than 1e-6" of a published solver."""
    W, B = np.zeros((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T))
    value, before = J(tasks, model, W, B), np.inf
    while before - value > 1e-6 * value:
        before = value
        W = weight_step(tasks, model, W, B)
        B = transfer_step(tasks, model, W, B)
        value = J(tasks, model, W, B)
    return W, B


def three_rounds(tasks: TaskSet, model: Model) -> tuple[Array, Array]:
    return alternation(tasks, model, rounds=3)


def single_precision(tasks: TaskSet, model: Model) -> tuple[Array, Array]:
    W, B = alternation(tasks, model)
    return W.astype(np.float32).astype(float), B


def edges_of_three_digits(tasks: TaskSet, model: Model) -> tuple[Array, Array]:
    W, B = alternation(tasks, model)
    return W, np.round(B, 3)


def tasks_relabelled(tasks: TaskSet, model: Model) -> tuple[Array, Array]:
    """Columns of W in another order than rows and columns of B."""
    W, B = alternation(tasks, model)
    return W[:, ::-1], B


def features_relabelled(tasks: TaskSet, model: Model) -> tuple[Array, Array]:
    W, B = alternation(tasks, model)
    return W[::-1], B


def sign_flipped(tasks: TaskSet, model: Model) -> tuple[Array, Array]:
    """Every term of the coupling is even in W, only the losses tell."""
    W, B = alternation(tasks, model)
    return -W, B


def labels_not_mapped(tasks: TaskSet, model: Model) -> tuple[Array, Array]:
    """A logistic loss written for labels -1/+1, called with 0/1: rows of class 0 cost log 2 whatever w is."""
    labels = [np.where(task.y > np.median(task.y), 1.0, 0.0) for task in tasks]
    model = replace(model, loss=Logistic())
    right = TaskSet.from_arrays([task.X for task in tasks], labels)
    positive = TaskSet.from_arrays([task.X[z > 0] for task, z in zip(tasks, labels, strict=True)],
                                   [z[z > 0] for z in labels])  # fmt: skip
    share = np.array([z.mean() for z in labels])

    def step(_: TaskSet, model: Model, W: Array, B: Array) -> Array:
        return best_W(positive, model, B, a=loss_weights(right, model, B) * share, start=W)

    return alternation(right, model, weights=step)


def _weights(step: Callable[[TaskSet, Model, Array, Array], Array]) -> Solver:
    return lambda tasks, model: alternation(tasks, model, weights=step)


def _transfer(step: Callable[[TaskSet, Model, Array, Array], Array]) -> Solver:
    return lambda tasks, model: alternation(tasks, model, transfer=step)


def _last(step: Callable[[TaskSet, Model, Array, Array], Array]) -> Solver:
    """The step that is wrong is the last one: again and again it would diverge."""

    def solver(tasks: TaskSet, model: Model) -> tuple[Array, Array]:
        W, B = alternation(tasks, model)
        return W, step(tasks, model, W, B)

    return solver


WRONG_SOLVERS: Mapping[str, Solver] = {
    **{
        f"W-step: {step.__name__}".replace("_", " "): _weights(step)
        for step in (
            incoming_weights,
            weights_without_prices,
            weights_without_c,
            transposed_B_in_W,
            no_coupling_in_W,
            half_coupling_in_W,
            only_its_own_residual,
            first_row_only,
            last_row_forgotten,
            sum_for_mean,
            mean_over_all_rows,
            half_squared_loss,
            centred_features,
        )
    },
    **{
        f"B-step: {step.__name__}".replace("_", " "): _transfer(step)
        for step in (
            stale_prices,
            prices_without_c,
            mu_for_price,
            price_of_the_target,
            missing_two_in_B,
            coupling_left_out_of_B,
            transposed_answer,
            diagonal_allowed,
            small_edges_dropped,
            ridge_for_lasso,
        )
    },
    **{
        f"last B-step: {step.__name__}".replace("_", " "): _last(step)
        for step in (signs_clipped_afterwards, signs_forgotten)
    },
    **{
        solver.__name__.replace("_", " "): solver
        for solver in (
            swapped_settings,
            objective_stopped_moving,
            three_rounds,
            single_precision,
            edges_of_three_digits,
            tasks_relabelled,
            features_relabelled,
            sign_flipped,
        )
    },
}
"""Solvers of the squared loss by the mistake they make."""
