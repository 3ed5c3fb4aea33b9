r"""Plain training of a network's objective: what a user has before anything is certified.

`trained` is L-BFGS-B (SciPy) on the exact J in dense NumPy, S = P - Q and A = P - Q with P, Q >= 0, so that
the l1 terms are linear. Between its runs `escape` fills columns of A that are 0 where that lowers J: from
A_.j = 0 the slope towards +-A_tj is p_t - 2 gamma sum_i z_ij max(+-F_it, 0), which no gradient shows. It ends
at a number of iterations, not at a stationary point: near a kink no gradient is small. For tasks that have
the same rows, each once, as one-vs-rest tasks have.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from amtl_cvx.network import NetworkProblem  # noqa: E402


@dataclass(frozen=True, kw_only=True)
class Trained:
    """All entries in the order of the problem's layout, J there, and what it took."""

    x: np.ndarray
    objective: float
    iterations: int
    seconds: float
    slope: float
    """The largest entry of the projected gradient in the split variables, over J."""


class Objective:
    """J and its gradient for V, S and A in one vector, S and A split into P and Q."""

    def __init__(self, problem: NetworkProblem) -> None:
        rows, model = problem.rows, problem.model
        if model.fit_bias or model.feedback_bias:
            raise ValueError("expected a network without biases: give the inputs a column of ones")
        N, T = len(rows.X), problem.tasks.T
        if len(rows.y) != N * T:
            raise ValueError("expected tasks that have the same rows, once each")
        self.problem, self.layout, self.X, self.times = problem, problem.layout, rows.X, rows.times[:, None]
        self.Y = np.zeros((N, T))
        self.Y[rows.row, rows.task] = rows.y
        scale = problem.task_weight * problem.loss_scales
        given = np.ones(N * T) if rows.weight is None else rows.weight
        self.c = np.zeros((N, T))
        self.c[rows.row, rows.task] = given * scale[rows.task]
        self.cut = self.layout.S.start
        self.logistic = model.loss.name == "logistic"

    def loss(self, F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The weighted losses of the tasks, and their slopes in F."""
        if not self.logistic:
            miss = F - self.Y
            return (self.c * miss**2).sum(axis=0), 2.0 * self.c * miss
        raised = np.exp(-np.abs(F))
        margin = self.Y * F
        rows = np.log1p(raised) + np.maximum(-margin, 0.0)
        off = np.where(margin > 0.0, raised, 1.0) / (1.0 + raised)
        return (self.c * rows).sum(axis=0), -self.c * self.Y * off

    def parts(self, y: np.ndarray) -> tuple[np.ndarray, ...]:
        """V_1, ..., S, A of a split vector."""
        return self.layout.split(self.joined(y))

    def joined(self, y: np.ndarray) -> np.ndarray:
        """The vector of all entries of a split one."""
        signed = np.split(y[self.cut :], 2)
        return np.concatenate([y[: self.cut], signed[0] - signed[1]])

    def split(self, x: np.ndarray) -> np.ndarray:
        """The split vector of all entries."""
        signed = x[self.cut :]
        return np.concatenate([x[: self.cut], np.maximum(signed, 0.0), np.maximum(-signed, 0.0)])

    def __call__(self, y: np.ndarray) -> tuple[float, np.ndarray]:
        """J with ||S||_1 and ||a_t||_1 as sums of P + Q, and its gradient."""
        model, gamma = self.problem.model, self.problem.gamma
        *V, S, A = self.parts(y)
        size = np.abs(y[self.cut :])
        both = size[: len(size) // 2] + size[len(size) // 2 :]
        s_size, given = both[: S.size].sum(), both[S.size :].reshape(A.shape).sum(axis=1)
        Z = [self.X]
        for each in V:
            Z.append(np.maximum(Z[-1] @ each, 0.0))
        F = Z[-1] @ S
        R = F @ A
        E = Z[-1] - np.maximum(R, 0.0)
        losses, slopes = self.loss(F)
        prices = model.alpha * (losses + self.problem.floor)
        counted = self.times * E
        J = losses.sum() + prices @ given + model.mu * s_size + gamma * float(np.vdot(E, counted))
        J += model.decay * sum(float(np.vdot(each, each)) for each in V)
        counted *= 2.0 * gamma
        GR = -counted * (R > 0.0)
        GF = (1.0 + model.alpha * given) * slopes + GR @ A.T
        w = GF @ S.T + counted
        layers = []
        for number in reversed(range(len(V))):
            u = w * (Z[number + 1] > 0.0)
            layers.append((Z[number].T @ u + 2.0 * model.decay * V[number]).ravel())
            if number:
                w = u @ V[number].T
        smooth = np.concatenate([(Z[-1].T @ GF).ravel(), (F.T @ GR).ravel()])
        price = np.concatenate([np.full(S.size, model.mu), np.repeat(prices, A.shape[1])])
        return float(J), np.concatenate([*layers[::-1], price + smooth, price - smooth])

    def escape(self, x: np.ndarray) -> np.ndarray:
        """x with the best entry in each column of A that is 0 and should not be."""
        model, gamma = self.problem.model, self.problem.gamma
        *V, S, A = (part.copy() for part in self.layout.split(x))
        Z = self.X
        for each in V:
            Z = np.maximum(Z @ each, 0.0)
        F = Z @ S
        prices = model.alpha * (self.loss(F)[0] + self.problem.floor)
        reach = np.stack([np.maximum(F, 0.0), np.maximum(-F, 0.0)])
        gain = 2.0 * gamma * np.einsum("sit,ij->stj", reach, self.times * Z) - prices[None, :, None]
        curve = np.maximum(2.0 * gamma * (self.times * reach**2).sum(axis=1), 1e-300)[:, :, None]
        for j in np.flatnonzero(~A.any(axis=0)):
            s, t = np.unravel_index(
                np.argmax(gain[:, :, j] ** 2 / curve[:, :, 0] * (gain[:, :, j] > 0)), (2, len(A))
            )
            if gain[s, t, j] > 0.0:
                A[t, j] = (1.0 - 2.0 * s) * gain[s, t, j] / curve[s, t, 0]
        return self.layout.joined(*V, S, A)


def random_start(problem: NetworkProblem, rng: np.random.Generator) -> np.ndarray:
    """He's scale for the layers, and S and A that are small."""
    *V, S, A = problem.layout.shapes
    layers = [rng.standard_normal(shape) * np.sqrt(2.0 / shape[0]) for shape in V]
    return problem.layout.joined(
        *layers, rng.standard_normal(S) / np.sqrt(S[0]), 0.1 * rng.standard_normal(A)
    )


def trained(problem: NetworkProblem, start: np.ndarray, *, iterations: int, feedback: bool = True) -> Trained:
    """L-BFGS-B from a start; with feedback in runs of a half, a quarter and a quarter of the iterations."""
    begun, objective = time.process_time(), Objective(problem)
    cut, free = objective.cut, problem.size - objective.cut
    x = start.copy()
    top: list[float | None] = [None] * free
    if not feedback:
        x[problem.layout.A] = 0.0
        at = problem.layout.A.start - cut
        top[at:] = [0.0] * (free - at)
    bounds = [(None, None)] * cut + [(0.0, each) for each in top] * 2
    spent, found = 0, None
    for part in (0.5, 0.25, 0.25) if feedback else (1.0,):
        if found is not None:
            x = objective.escape(objective.joined(found.x))
        found = minimize(
            objective, objective.split(x), jac=True, method="L-BFGS-B", bounds=bounds,
            options={"maxiter": round(part * iterations), "maxfun": 10**6, "maxcor": 20,
                     "ftol": 1e-15, "gtol": 1e-12},
        )  # fmt: skip
        spent += int(found.nit)
    low = np.array([-np.inf if pair[0] is None else pair[0] for pair in bounds])
    high = np.array([np.inf if pair[1] is None else pair[1] for pair in bounds])
    slope = float(np.abs(np.clip(found.x - found.jac, low, high) - found.x).max()) / max(found.fun, 1e-300)
    x = objective.joined(found.x)
    J = objective(objective.split(x))[0]  # where P and Q are both above 0 that of the split is higher
    spent_seconds = time.process_time() - begun
    return Trained(x=x, objective=J, iterations=spent, seconds=spent_seconds, slope=slope)
