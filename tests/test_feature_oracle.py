"""The oracle of the feature family against differences of its own J; formulas of the theory against it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
from feature_oracle import MANY, Blocks, Oracle

LOSSES = ("squared", "logistic", "huber:0.8", "squared-hinge")


def problem(loss: str = "squared", *, seed: int = 3, rows: int = 8, **options: Any) -> Oracle:
    """Three tasks with three features, made of two."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(rows, 3)) for _ in range(3)]
    W = rng.normal(size=(3, 2)) @ rng.normal(size=(2, 3))
    y = [x @ W[:, t] + 0.1 * rng.normal(size=rows) for t, x in enumerate(X)]
    if loss in ("logistic", "squared-hinge"):
        y = [np.sign(v) for v in y]
    weights = {"k": 2, "alpha": 0.1, "mu": 0.05, "gamma": 0.02, "decay": 0.02, **options}
    return Oracle(X=X, y=y, loss=loss, **weights)


def counted(loss: str) -> Oracle:
    """Few rows with weights, tasks with weights, a price floor, gamma per row, rows without a label."""
    rng = np.random.default_rng(5)
    v, c = [rng.uniform(0.5, 2.0, size=3) for _ in range(3)], (0.7, 1.0, 1.9)
    pool = rng.normal(size=(4, 3))
    return problem(loss, rows=3, v=v, c=c, price_floor=0.3, per_row=True, pool=pool)


def somewhere(oracle: Oracle, seed: int = 0) -> Blocks:
    rng = np.random.default_rng(seed)
    d, k, T = oracle.X[0].shape[1], oracle.k, oracle.T
    return Blocks(rng.normal(size=(d, k)), rng.normal(size=(k, T)), rng.normal(size=(T, k)))


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_differences_of_the_objective(loss: str) -> None:
    oracle = counted(loss)
    point = Blocks(*(oracle.exact(block) for block in somewhere(oracle)))
    _, G = oracle.derivatives(*point)
    prices = np.array(oracle.prices(point.L, point.S))[:, None]
    whole = Blocks(G.L, G.S + oracle.mu * np.sign(point.S), G.A + prices * np.sign(point.A))
    h = MANY.mpf(10) ** -20
    for name, slopes in whole._asdict().items():
        for place in list(np.ndindex(slopes.shape))[::2]:
            values = []
            for way in (1, -1):
                block = getattr(point, name).copy()
                block[place] += way * h
                values.append(oracle.objective(*point._replace(**{name: block})))
            assert abs((values[0] - values[1]) / (2 * h) - slopes[place]) < 1e-35


def test_gradients_by_the_second_moments_are_the_same() -> None:
    """FEATURES section 0: M = I - S A, K = P'P L M."""
    oracle = replace(counted("logistic"), mp=mpmath.fp)
    L, S, A = somewhere(oracle)
    M, K = np.eye(2) - S @ A, oracle.rows.T @ (oracle.rows @ L - oracle.rows @ L @ S @ A)
    GW = np.zeros((3, 3))
    for t in range(3):
        weight = oracle.task_weight(t) * (1 + oracle.alpha * abs(A[t]).sum())
        GW[:, t] = weight * oracle.task_loss(t, L @ S[:, t])[1]
    gamma, G = oracle.gamma / 4, oracle.derivatives(L, S, A)[1]
    assert np.allclose(G.L, GW @ S.T + 2 * gamma * K @ M.T + 2 * oracle.decay * L, rtol=1e-12, atol=1e-14)
    assert np.allclose(G.S, L.T @ GW - 2 * gamma * L.T @ K @ A.T, rtol=1e-12, atol=1e-14)
    assert np.allclose(G.A, -2 * gamma * S.T @ L.T @ K, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("loss", "signed"), [("squared", True), ("logistic", False)])
def test_a_first_order_point_balances_every_feature(loss: str, signed: bool) -> None:
    oracle = problem(loss, signed=signed)
    L, S, A = oracle.first_order_point(1)
    assert oracle.residual(L, S, A) < 1e-50 and oracle.slack(L, S, A) > 1e-5
    assert (abs(A) > 0).any() and (abs(S) > 0).any() and (signed or (A >= 0).all())
    E, prices = oracle.rows @ L @ (np.eye(2, dtype=int) - S @ A), np.array(oracle.prices(L, S))
    left = 2 * oracle.mp.mpf(oracle.decay) * (L * L).sum(0) + 2 * oracle.strength * (E * E).sum(0)
    right = oracle.mp.mpf(oracle.mu) * abs(S).sum(1)
    assert (abs(left + prices @ abs(A) - right) < 1e-55).all() and (right > 0.01).any()
