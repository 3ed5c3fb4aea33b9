# More than 300 lines: a second implementation, read from top to bottom.
"""SPEC sections 2 to 5 a second time, in plain NumPy and apart from the package, which may be at fault.

J, its gradients and residuals, the dual of the W-step, the best W for a B and the best B for a W, and the
plain alternation of the two with an exact step each. Only the numbers of a problem (X_t, y_t, names of
settings) are read from the package's objects, none of its methods is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from cases import Array, literal_row
from scipy.optimize import nnls

from amtl_cvx.losses import Hinge, Huber, Logistic, Loss, Poisson, Quantile, Squared, SquaredHinge
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet


class Residual(NamedTuple):
    """SPEC section 4; names as there."""

    stationarity_W: float
    stationarity_B: float
    relative_W: float
    relative_B: float

    @property
    def relative(self) -> float:
        return max(self.relative_W, self.relative_B)

    def agrees(self, found: tuple[float, float, float, float], room: float = 1e-2) -> bool:
        """Whether residuals are these, the relative ones up to a `room` for rounding in their sizes."""
        least = np.array(self) * (1.0 - np.array([0.0, 0.0, room, room]))
        return bool((least * (1 - 1e-9) <= found).all() and (found <= np.array(self) * (1 + 1e-9)).all())


def price_weights(tasks: TaskSet, model: Model) -> Array:
    """c (T,)."""
    if isinstance(model.task_weights, tuple):
        return np.array(model.task_weights)
    return np.array([1.0 if model.task_weights == "equal" else len(task.y) ** -0.5 for task in tasks])


def row_scale(loss: Loss, rows: int) -> float:
    """1/n_t or 1."""
    return 1.0 / rows if loss.reduction == "mean" else 1.0


def losses(tasks: TaskSet, model: Model, W: Array) -> Array:
    """l (T,), row by row."""
    found = []
    for t, task in enumerate(tasks):
        rows = [
            literal_row(model.loss, sum(a * b for a, b in zip(x, W[:, t].tolist(), strict=True)), y)
            for x, y in zip(task.X.tolist(), task.y.tolist(), strict=True)
        ]
        found.append(row_scale(model.loss, len(rows)) * sum(rows))
    return np.array(found)


def J(tasks: TaskSet, model: Model, W: Array, B: Array) -> float:
    """The objective, entry by entry."""
    T, d = tasks.T, tasks.d
    c, l_ = price_weights(tasks, model), losses(tasks, model, W)
    total = 0.0
    for t in range(T):
        given = sum(float(B[t, u]) for u in range(T))
        total += (1.0 + model.transfer.mu * given) * c[t] * l_[t]
        for i in range(d):
            total += model.coupling * (W[i, t] - sum(W[i, s] * B[s, t] for s in range(T))) ** 2
    return float(total)


def row_values(loss: Loss, z: Array, y: Array) -> Array:
    """phi(z) of rows."""
    return np.array([literal_row(loss, *pair) for pair in zip(z.tolist(), y.tolist(), strict=True)])


def slopes(loss: Loss, z: Array, y: Array) -> Array:
    """phi'(z), of a smooth loss."""
    sign, r = np.where(y > 0, 1.0, -1.0), z - y
    match loss:
        case Squared():
            return 2 * r
        case Huber(threshold=K):
            return np.where(abs(r) <= K, 2 * r, 2 * K * np.sign(r))
        case Poisson():
            return np.exp(z) - y
        case Logistic():
            return -sign / (1 + np.exp(sign * z))
        case SquaredHinge():
            return np.where(sign * z < 1, -2 * sign * (1 - sign * z), 0.0)
    raise NotImplementedError(f"write phi' of {loss.name} here")


def curvatures(loss: Loss, z: Array, y: Array) -> Array:
    """phi''(z), of a smooth loss away from its jumps."""
    sign, r = np.where(y > 0, 1.0, -1.0), z - y
    match loss:
        case Squared():
            return np.full_like(z, 2.0)
        case Huber(threshold=K):
            return np.where(abs(r) <= K, 2.0, 0.0)
        case Poisson():
            return np.exp(z)
        case Logistic():
            return 1 / (2 + np.exp(z) + np.exp(-z))
        case SquaredHinge():
            return np.where(sign * z < 1, 2.0, 0.0)
    raise NotImplementedError(f"write phi'' of {loss.name} here")


def conjugates(loss: Loss, v: Array, y: Array) -> Array:
    """phi*(v) inside of its domain (the table of CERTIFICATES section 1)."""
    s = -np.where(y > 0, 1.0, -1.0) * v
    match loss:
        case Squared() | Huber():
            return v**2 / 4 + v * y
        case Quantile():
            return v * y
        case Poisson():
            return entropy(v + y) - (v + y) - (entropy(y) - y)
        case Logistic():
            return entropy(s) + entropy(1 - s)
        case SquaredHinge():
            return -s + s**2 / 4
        case Hinge():
            return -s
    raise NotImplementedError(f"write phi* of {loss.name} here")


def entropy(x: Array) -> Array:
    """x log x, 0 at 0."""
    return np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), 0.0)


def loss_gradients(tasks: TaskSet, model: Model, W: Array) -> Array:
    """Column t is grad L_t(w_t)."""
    return np.column_stack(
        [
            row_scale(model.loss, len(task.y)) * (slopes(model.loss, task.X @ w, task.y) @ task.X)
            for task, w in zip(tasks, W.T, strict=True)
        ]
    )


def loss_weights(tasks: TaskSet, model: Model, B: Array) -> Array:
    """a (T,): what a task gives raises its own loss."""
    given = np.array([sum(row) for row in B.tolist()])
    return price_weights(tasks, model) * (1.0 + model.transfer.mu * given)


def pulls(model: Model, W: Array, B: Array) -> Array:
    """2 coupling W P: w_t sits in its own residual and in those of every task it gives to."""
    R = W - W @ B
    return np.column_stack(
        [
            2 * model.coupling * (R[:, t] - sum(B[t, u] * R[:, u] for u in range(len(B))))
            for t in range(len(B))
        ]
    )


def gradients(tasks: TaskSet, model: Model, W: Array, B: Array) -> tuple[Array, Array]:
    """G_W and G_B, the diagonal of G_B 0."""
    G_W = loss_weights(tasks, model, B) * loss_gradients(tasks, model, W) + pulls(model, W, B)
    p, R = prices(tasks, model, W), W - W @ B
    G_B = np.array(
        [
            [0.0 if s == t else p[s] - 2 * model.coupling * (W[:, s] @ R[:, t]) for t in range(tasks.T)]
            for s in range(tasks.T)
        ]
    )
    return G_W, G_B


def prices(tasks: TaskSet, model: Model, W: Array) -> Array:
    """p_s = mu c_s l_s, of an edge out of s."""
    return model.transfer.mu * price_weights(tasks, model) * losses(tasks, model, W)


def residual(tasks: TaskSet, model: Model, W: Array, B: Array) -> Residual:
    """SPEC section 4 for a smooth loss and every w_s != 0, entry by entry, without room for rounding."""
    T, a, M = tasks.T, loss_weights(tasks, model, B), np.eye(tasks.T) - B
    (G_W, G_B), p, R = gradients(tasks, model, W, B), prices(tasks, model, W), W - W @ B
    relative_W = relative_B = stationarity_B = 0.0
    for t, task in enumerate(tasks):
        steep = np.linalg.norm(slopes(model.loss, task.X @ W[:, t], task.y))
        rate = a[t] * row_scale(model.loss, len(task.y))
        for i in range(tasks.d):
            drag = 2 * model.coupling * sum(abs(M[t, u] * R[i, u]) for u in range(T))
            size = rate * np.linalg.norm(task.X[:, i]) * steep + drag
            relative_W = max(relative_W, abs(G_W[i, t]) / size)
    for s in range(T):
        h = 2 * model.coupling * (W[:, s] @ W[:, s])
        for t in range(T):
            if t == s:
                continue
            given = sum(abs(W[:, s] @ W[:, u]) * B[u, t] for u in range(T))
            size = p[s] + 2 * model.coupling * (abs(W[:, s] @ W[:, t]) + given)
            miss = abs(min(h * B[s, t], G_B[s, t]))
            if h * B[s, t] < G_B[s, t]:  # beside the gain of removing what the column's natural edge costs
                reach = [float(np.linalg.norm(W[:, u])) for u in range(T)]
                r = reach[t] + sum(reach[u] * B[u, t] for u in range(T))
                own = model.coupling * r * r + p[s] * r / reach[s]
                size = min(size, 2 * h * own / G_B[s, t])
            stationarity_B, relative_B = max(stationarity_B, miss), max(relative_B, miss / size)
    return Residual(float(abs(G_W).max()), float(stationarity_B), float(relative_W), float(relative_B))


def hessian_W(tasks: TaskSet, model: Model, W: Array, B: Array, a: Array | None = None) -> Array:
    """Second derivatives in vec(W), tasks stacked."""
    d, M = tasks.d, np.eye(tasks.T) - B
    H = np.kron(2 * model.coupling * (M @ M.T), np.eye(d))
    weights = loss_weights(tasks, model, B) if a is None else a
    for t, (task, w) in enumerate(zip(tasks, W.T, strict=True)):
        curves = weights[t] * row_scale(model.loss, len(task.y)) * curvatures(model.loss, task.X @ w, task.y)
        H[t * d : (t + 1) * d, t * d : (t + 1) * d] += (task.X.T * curves) @ task.X
    return H


def best_W(
    tasks: TaskSet, model: Model, B: Array, *, a: Array | None = None, start: Array | None = None
) -> Array:
    """argmin over W of J(., B) by Newton's method; `a` in place of the right weights of the losses."""
    weights = loss_weights(tasks, model, B) if a is None else a
    W = np.zeros((tasks.d, tasks.T)) if start is None else start.copy()

    def value(V: Array) -> float:
        sums = [
            row_scale(model.loss, len(task.y)) * row_values(model.loss, task.X @ v, task.y).sum()
            for task, v in zip(tasks, V.T, strict=True)
        ]
        return float(weights @ sums + model.coupling * ((V - V @ B) ** 2).sum())

    for _ in range(60):
        gradient = weights * loss_gradients(tasks, model, W) + pulls(model, W, B)
        H = hessian_W(tasks, model, W, B, weights)
        step = np.linalg.lstsq(H, gradient.T.ravel(), rcond=None)[0].reshape(W.T.shape).T
        if isinstance(model.loss, Squared):
            return W - step
        length, before = 1.0, value(W)
        while length > 1e-8 and value(W - length * step) > before * (1 + 1e-14):
            length /= 2
        W = W - length * step
        if abs(step).max() <= 1e-13 * abs(W).max():
            break
    return W


def best_B(W: Array, p: Array, coupling: float) -> Array:
    """argmin over B >= 0, diag(B) = 0 of coupling ||W - W B||_F^2 + sum_s p_s sum_t B[s, t], T - 1 <= d."""
    T = W.shape[1]
    B = np.zeros((T, T))
    for t in range(T):
        others = [s for s in range(T) if s != t]
        A = W[:, others]
        L = np.linalg.cholesky(A.T @ A)
        B[others, t] = nnls(L.T, np.linalg.solve(L, A.T @ W[:, t] - p[others] / (2 * coupling)))[0]
    return B


def dual_W(tasks: TaskSet, model: Model, B: Array, u: list[Array]) -> float:
    """D(u) of the W-step, u in the domain of phi*."""
    a, M = loss_weights(tasks, model, B), np.eye(tasks.T) - B
    G, total = np.zeros((tasks.d, tasks.T)), 0.0
    for t, (task, v) in enumerate(zip(tasks, u, strict=True)):
        rate = a[t] * row_scale(model.loss, len(task.y))
        G[:, t] = rate * (task.X.T @ v)
        total -= float(rate * conjugates(model.loss, v, task.y).sum())
    S = model.coupling * (M @ M.T)
    return total - 0.25 * float(np.trace(G @ np.linalg.solve(S, G.T)))


WeightSolver = Callable[[TaskSet, Model, Array, Array], Array]
TransferSolver = Callable[[TaskSet, Model, Array, Array], Array]


def weight_step(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    """The right W-step."""
    return best_W(tasks, model, B, start=W)


def transfer_step(tasks: TaskSet, model: Model, W: Array, B: Array) -> Array:
    """The right B-step."""
    return best_B(W, prices(tasks, model, W), model.coupling)


def alternation(
    tasks: TaskSet,
    model: Model,
    *,
    weights: WeightSolver = weight_step,
    transfer: TransferSolver = transfer_step,
    rounds: int = 200,
    settled: float = 1e-12,
) -> tuple[Array, Array]:
    """Algorithm 1 from B = 0 with the steps given, until neither block moves by more than `settled`."""
    W, B = np.zeros((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T))
    for _ in range(rounds):
        V = weights(tasks, model, W, B)
        C = transfer(tasks, model, V, B)
        moved = max(abs(V - W).max() / abs(V).max(), abs(C - B).max())
        W, B = V, C
        if moved <= settled:
            break
    return W, B
