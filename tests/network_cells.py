"""Points of small networks, and what a cell is by plain loops: J, every unit, the minimum over a block."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize

from amtl_cvx import TaskSet
from amtl_cvx.losses import make_loss
from amtl_cvx.network import NetworkModel, NetworkPoint, NetworkProblem
from amtl_cvx.network.steps import Cell

SETTINGS: dict[str, Any] = {"mu": 0.05, "alpha": 0.3, "gamma": 0.02, "decay": 0.03}
ONE: dict[str, Any] = {"layers": (3,)}
DEEP: dict[str, Any] = {"layers": (4, 3), "fit_bias": True, "feedback_bias": True}
POSITIVE: dict[str, Any] = {
    "layers": (2,),
    "feedback": "nonnegative",
    "feedback_bias": True,
    "gamma_per": "row",
}


def drawn(loss: str = "squared", seed: int = 0, *, n: int = 9, d: int = 3, **how: Any) -> NetworkPoint:
    """Three tasks, two of which share their rows, and a point with entries of S and A that are 0."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(n, d))] * 2 + [rng.normal(size=(n + 2, d))]
    y = [np.maximum(x @ rng.normal(size=(d, 3)), 0.0) @ rng.normal(size=3) for x in X]
    y = [each + 0.3 * rng.normal(size=len(each)) for each in y]
    if make_loss(loss).classification:
        y = [np.where(each > np.median(each), 1.0, -1.0) for each in y]
    model = NetworkModel(loss=make_loss(loss), **{**SETTINGS, **(how or ONE)})
    problem = NetworkProblem(TaskSet.from_arrays(X, y), model)
    blocks = {name: rng.normal(size=shape) for name, shape in problem.shapes.items()}
    for name in ("S", "A"):
        blocks[name] *= rng.random(blocks[name].shape) < 0.7
    blocks["A"] = 0.3 * (blocks["A"] if model.signed else np.abs(blocks["A"]))
    return problem.at(**blocks)


def forward(point: NetworkPoint, cell: Cell) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, float]:
    """Every u^l, R and F with the masks of a cell, and J, row by row and unit by unit."""
    problem, model, V, A = point.problem, point.model, point.V, point.A_plus
    u = [np.zeros((len(point.F), each.shape[1])) for each in V]
    R, F, T = np.zeros_like(point.R), np.zeros_like(point.F), point.tasks.T
    J = model.decay * sum((each**2).sum() for each in (*V, A[T:])) + model.mu * np.abs(point.S).sum()
    for i, row in enumerate(problem.rows.X):
        z = row
        for number, each in enumerate(V):
            below = [*z, 1.0] if model.fit_bias else z
            for j in range(each.shape[1]):
                u[number][i, j] = sum(b * v for b, v in zip(below, each[:, j], strict=True))
            z = [max(a, 0.0) if m else 0.0 for a, m in zip(u[number][i], cell.on[number][i], strict=True)]
        for t in range(T):
            F[i, t] = sum(a * s for a, s in zip(z, point.S[:, t], strict=True))
        for j in range(A.shape[1]):
            R[i, j] = sum(f * a for f, a in zip(F[i], A[:T, j], strict=True)) + A[T:, j].sum()
            J += problem.gamma * problem.rows.times[i] * (z[j] - max(R[i, j], 0.0) * cell.met[i, j]) ** 2
    first = 0
    for t, task in enumerate(point.tasks):
        at = slice(first, first := first + len(task.y))
        rows = model.loss.rows(F[problem.rows.row[at], t], task.y)
        loss = problem.task_weight[t] * rows.mean()
        J += loss + model.alpha * (loss + problem.floor[t]) * np.abs(A[t]).sum()
    return u, R, F, float(J)


def slacks(point: NetworkPoint, cell: Cell) -> np.ndarray:
    """How far inside its side each unit is that counts."""
    u, R, _, _ = forward(point, cell)
    sides = [*cell.on, cell.met]
    rebuilt = R[point.problem.rows.times > 0.0] if point.model.gamma > 0.0 else R[:0]
    met = cell.met[point.problem.rows.times > 0.0][: len(rebuilt)]
    parts = [
        np.where(on, each, -each).ravel() for on, each in zip([*sides[:-1], met], [*u, rebuilt], strict=True)
    ]
    return np.concatenate(parts)


def sliding_minimum(point: NetworkPoint, block: str) -> float:
    """min J over a block and its bias in the cell, by sequential quadratic programming on plain loops."""
    cell = Cell.of(point, block)
    names = [block, *({"A": ["bias_feedback"]}.get(block, [f"bias{block[1:]}"]))]
    names = [name for name in names if name in point.blocks]
    sizes = np.cumsum([0, *(point.blocks[name].size for name in names)])
    n, priced = sizes[-1], point.blocks[block].size if block in ("S", "A") else 0

    def at(x: np.ndarray) -> NetworkPoint:  # entries with prices are differences of two parts
        value = x[:n].copy()
        value[:priced] -= x[n:]
        parts = zip(names, sizes, sizes[1:], strict=False)
        return point.at(**{name: value[a:b].reshape(point.blocks[name].shape) for name, a, b in parts})

    x0 = np.concatenate([point.blocks[name].ravel() for name in names])
    x0 = np.concatenate([np.r_[np.maximum(x0[:priced], 0.0), x0[priced:]], np.maximum(-x0[:priced], 0.0)])
    low = np.r_[np.zeros(priced), np.full(n - priced, -np.inf), np.zeros(priced)]
    high = np.full(n + priced, np.inf)
    high[n:] = np.inf if block == "S" or point.model.signed else 0.0
    price = np.full(priced, point.model.mu)
    if block == "A":
        price = np.repeat(point.prices, point.A.shape[1])

    def J(x: np.ndarray) -> float:
        both = 2.0 * price @ np.minimum(x[:priced], x[n:])
        return forward(at(x), cell)[3] + both

    found = minimize(
        J,
        x0,
        method="SLSQP",
        bounds=list(zip(low, high, strict=True)),
        constraints={"type": "ineq", "fun": lambda x: slacks(at(x), cell)},
        options={"maxiter": 300, "ftol": 1e-12},
    )
    return float(found.fun)
