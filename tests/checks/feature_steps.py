"""Joint steps over shared features, and their second derivatives, against differences and a known point."""

from __future__ import annotations

from functools import cache

import mpmath
import numpy as np
from feature_oracle import Blocks, Oracle
from test_feature_point import WEIGHTS, tasks_for

from amtl_cvx.features import FeatureModel, FeaturePoint, FeatureProblem
from amtl_cvx.features.curvature import Entries, hessian
from amtl_cvx.features.newton import refine


def second_derivatives_are_differences_of_slopes() -> None:
    """Of loops over the definition, in doubles, at a point none of whose entries is near 0."""
    point = drawn_point()
    slopes, x, step = known_slopes(), Entries(point.L, point.S, point.A).stacked, 1e-6
    H = hessian(point, np.sign(point.A))
    found = np.array([(up - down) / (2 * step) for up, down in slopes])
    assert np.abs(H - found).max() <= 1e-6 * np.abs(found).max() and len(H) == len(x)


@cache
def drawn_point() -> FeaturePoint:
    problem = FeatureProblem(tasks_for("logistic"), FeatureModel(loss="logistic", features=2, **WEIGHTS))
    rng = np.random.default_rng(4)
    blocks = {
        name: rng.choice([-1.0, 1.0], size=shape) * (0.2 + rng.random(shape))
        for name, shape in problem.shapes.items()
    }
    return problem.at(**blocks)


@cache
def known_slopes() -> list[tuple[np.ndarray, np.ndarray]]:
    """The oracle's gradients 1e-6 above and below in every entry."""
    point = drawn_point()
    oracle = Oracle(**{**vars(Oracle.of(point.tasks, point.model)), "mp": mpmath.fp})
    x, signs = Entries(point.L, point.S, point.A).stacked, np.sign(point.A)

    def slopes(x: np.ndarray) -> np.ndarray:
        blocks = Blocks(*Entries.parts(x, point))
        G = oracle.derivatives(*blocks)[1]
        prices = np.array(oracle.prices(blocks.L, blocks.S))[:, None]
        return np.concatenate([G.L.ravel(), G.S.ravel(), (G.A + prices * signs).ravel()])

    return [(slopes(x + move), slopes(x - move)) for move in 1e-6 * np.eye(len(x))]


def joint_steps_end_at_the_known_point() -> None:
    """From beside a point known to many digits, one entry of A at 0: it is found again, and that is said."""
    problem, exact = known_point()
    start = problem.at(**beside(exact))
    found = refine(start)
    assert found.ended == "converged"
    for block, expected in zip((found.point.L, found.point.S, found.point.A), exact, strict=True):
        assert np.abs(block - expected).max() < 1e-10
    assert refine(start, max_steps=2)[1:] == (2, "limit")


@cache
def known_point() -> tuple[FeatureProblem, Blocks]:
    weights = {**WEIGHTS, "mu": 0.1, "gamma": 0.1, "decay": 0.1, "alpha": 0.2}
    problem = FeatureProblem(tasks_for("squared"), FeatureModel(features=2, **weights))
    exact = Oracle.of(problem.tasks, problem.model).first_order_point(seed=1)
    return problem, Blocks(*(block.astype(float) for block in exact))


def beside(exact: Blocks) -> dict[str, np.ndarray]:
    """Moved by a hundredth, the smallest nonzero of A at 0."""
    rng = np.random.default_rng(2)
    moved = {n: block * (1.0 + 0.01 * rng.normal(size=block.shape)) for n, block in exact._asdict().items()}
    size = np.where(moved["A"] != 0.0, np.abs(moved["A"]), np.inf)
    assert np.isfinite(size).any()
    moved["A"].flat[size.argmin()] = 0.0
    return moved
