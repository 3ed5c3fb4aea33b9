"""Planted features: the designs, their data, and every method that is held against them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from amtl_cvx import LossWeightedL1, Model, Options, Ridge, TaskSet, fit  # noqa: E402
from amtl_cvx.features import FeatureModel, GoMtlModel  # noqa: E402

T, D, K, EASY = 12, 20, 6, 6


@dataclass(frozen=True, kw_only=True)
class Design:
    """What is planted: rows a task, noise of easy and hard tasks, whether targets are standardised."""

    words: str
    rows: int
    noise: tuple[float, float]
    standardised: bool


DESIGNS = {
    "standardised": Design(
        words="60 rows a task, noise 1 and 10, y standardised", rows=60, noise=(1.0, 10.0), standardised=True
    ),
    "raw": Design(words="the same, y as it is", rows=60, noise=(1.0, 10.0), standardised=False),
    "few rows": Design(
        words="15 rows a task, noise 1 and 10, y standardised", rows=15, noise=(1.0, 10.0), standardised=True
    ),
}


@dataclass(frozen=True, kw_only=True)
class Planted:
    """Tasks with what is known of them."""

    train: TaskSet
    validation: TaskSet
    W: np.ndarray
    basis: np.ndarray


def planted(design: Design, seed: int) -> Planted:
    """Rows of standard normals; predictors of unit features that two or three a task use."""
    rng = np.random.default_rng(seed)
    L = np.linalg.qr(rng.normal(size=(D, K)))[0]
    S = np.zeros((K, T))
    for t in range(T):
        used = rng.choice(K, size=rng.integers(2, 4), replace=False)
        S[used, t] = rng.choice([-1.0, 1.0], size=len(used)) * rng.uniform(1.0, 3.0, size=len(used))
    W, noise = L @ S, np.repeat(design.noise, [EASY, T - EASY])
    parts: dict[str, list[list[np.ndarray]]] = {"train": [[], []], "validation": [[], []]}
    for t in range(T):
        for n, (rows, targets) in zip((design.rows, 60), parts.values(), strict=True):
            X = rng.normal(size=(n, D))
            rows.append(X)
            targets.append(X @ W[:, t] + noise[t] * rng.normal(size=n))
        if design.standardised:
            middle, size = parts["train"][1][t].mean(), parts["train"][1][t].std()
            W[:, t] /= size
            for _, targets in parts.values():
                targets[t] = (targets[t] - middle) / size
    made = {name: TaskSet.from_arrays(*part) for name, part in parts.items()}
    return Planted(train=made["train"], validation=made["validation"], W=W, basis=L)


# ---- the methods: W, the basis that spans the features, and what else is told


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A fit: predictors, features, feedback where there is one, and how good it is as a minimum."""

    W: np.ndarray
    basis: np.ndarray
    A: np.ndarray | None = None
    certified: bool = True
    nothing: bool = False
    """Whether it ended at the point 0."""
    residual: float = 0.0


def span(W: np.ndarray) -> np.ndarray:
    """The K directions in which predictors vary most."""
    return np.linalg.svd(W, full_matrices=False)[0][:, :K]


def stl(tasks: TaskSet, rho: float) -> Fitted:
    found = fit(tasks, Model(coupling=0.0, omega=Ridge(rho=rho)), method="stl")
    return Fitted(W=found.W, basis=span(found.W), certified=found.certificate.passes)


def amtl(tasks: TaskSet, mu: float, coupling: float, rho: float) -> Fitted:
    model = Model(transfer=LossWeightedL1(mu=mu), coupling=coupling, omega=Ridge(rho=rho))
    found = fit(tasks, model, options=Options(engine="fast"))
    certificate = found.certificate
    return Fitted(W=found.W, basis=span(found.W), certified=certificate.passes, residual=certificate.relative)


def features(tasks: TaskSet, model: FeatureModel) -> Fitted:
    found = fit(tasks, model, options=Options(engine="fast"))
    live = np.linalg.norm(found.L, axis=0) > 0.0
    return Fitted(
        W=found.predictors,
        basis=found.L[:, live],
        A=found.blocks.get("A"),
        certified=found.certificate.passes,
        nothing=found.certificate.live_features == 0,
        residual=found.certificate.relative,
    )


def go_mtl(tasks: TaskSet, mu: float, decay: float) -> Fitted:
    return features(tasks, GoMtlModel(features=K, mu=mu, decay=decay))


def amtfl(tasks: TaskSet, mu: float, gamma: float, decay: float, alpha: float) -> Fitted:
    settings = {"features": K, "mu": mu, "gamma": gamma, "decay": decay, "alpha": alpha}
    return features(tasks, FeatureModel(**settings, gamma_per="row"))


def naive(tasks: TaskSet, mu: float, gamma: float, decay: float, alpha: float) -> Fitted:
    """Eq. 5 by L-BFGS-B over L, S = P - Q and B, all but L >= 0, from the SVD of ridge predictors."""
    grams = [task.X.T @ task.X / task.n for task in tasks]
    pulls = [task.X.T @ task.y / task.n for task in tasks]
    norms = [float(task.y @ task.y) / task.n for task in tasks]
    ridge = [np.linalg.solve(G + 0.1 * np.eye(D), p) for G, p in zip(grams, pulls, strict=True)]
    U, values, V = np.linalg.svd(np.column_stack(ridge), full_matrices=False)
    L, S = U[:, :K] * np.sqrt(values[:K]), np.sqrt(values[:K])[:, None] * V[:K]
    start = np.concatenate([L.ravel(), np.maximum(S, 0).ravel(), np.maximum(-S, 0).ravel(), np.zeros(T * T)])
    cuts = np.cumsum([D * K, K * T, K * T])

    def blocks(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        L, P, Q, B = np.split(x, cuts)
        return L.reshape(D, K), P.reshape(K, T), Q.reshape(K, T), B.reshape(T, T)

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        L, P, Q, B = blocks(x)
        S = P - Q
        W = L @ S
        R = W - W @ B
        heavy = 1.0 + alpha * B.sum(axis=1)
        loss = np.array(
            [w @ G @ w - 2 * p @ w + c for w, G, p, c in zip(W.T, grams, pulls, norms, strict=True)]
        )
        slope = np.column_stack([2 * (G @ w - p) for w, G, p in zip(W.T, grams, pulls, strict=True)])
        GW = heavy * slope + 2 * gamma * R @ (np.eye(T) - B).T
        GB = alpha * loss[:, None] - 2 * gamma * W.T @ R
        J = heavy @ loss + mu * (P + Q).sum() + gamma * (R**2).sum() + decay * (L**2).sum()
        GS = L.T @ GW
        parts = (GW @ S.T + 2 * decay * L, mu + GS, mu - GS, GB)
        return float(J), np.concatenate([part.ravel() for part in parts])

    free = [(None, None)] * (D * K) + [(0.0, None)] * (2 * K * T)
    free += [(0.0, 0.0 if s == t else None) for s in range(T) for t in range(T)]
    found = minimize(
        value, start, jac=True, method="L-BFGS-B", bounds=free, options={"maxiter": 3000, "ftol": 1e-13}
    )
    L, P, Q, _ = blocks(found.x)
    low = np.array([-np.inf if bound[0] is None else bound[0] for bound in free])
    high = np.array([np.inf if bound[1] is None else bound[1] for bound in free])
    left = np.clip(found.x - found.jac, low, high) - found.x
    return Fitted(W=L @ (P - Q), basis=L, residual=float(np.abs(left).max()) / max(found.fun, 1e-300))


FITS: Mapping[str, Callable[..., Fitted]] = {
    "stl": stl,
    "amtl": amtl,
    "go-mtl": go_mtl,
    "naive": naive,
    "amtfl": amtfl,
}
