"""C3 of shared features: what rounding does to the Hessian is within what is allowed for."""

from __future__ import annotations

import numpy as np
import pytest
from feature_oracle import MANY, Array, Oracle
from feature_points import WEIGHTS

from amtl_cvx.features import FeatureModel, FeaturePoint, FeatureProblem
from amtl_cvx.features.local import Local
from amtl_cvx.tasks import TaskSet


def off_centre(offset: float) -> FeaturePoint:
    """Rows far from 0, L, S and A such that Z S A is nearly Z: sums that cancel wherever there are any."""
    rng = np.random.default_rng(2)
    X = [rng.normal(size=(4, 2)) + offset for _ in range(2)]
    tasks = TaskSet.from_arrays(X, [x @ [1.0, -1.0] + 0.1 * rng.normal(size=4) for x in X])
    S = rng.normal(size=(2, 2))
    L, A = np.array([[1.0, 2.0], [-1.01, -1.98]]), np.linalg.inv(S) + 1e-3 * rng.normal(size=(2, 2))
    return FeatureProblem(tasks, FeatureModel(**WEIGHTS)).at(L=L, S=S, A=A)


def exact_hessian(point: FeaturePoint) -> Array:
    """By differences in 60 digits."""
    oracle = Oracle.of(point.tasks, point.model)
    blocks = [oracle.exact(block) for block in (point.L, point.S, point.A)]
    h, columns = MANY.mpf(10) ** -20, []
    for at, block in enumerate(blocks):
        for place in np.ndindex(block.shape):
            found = []
            for way in (h, -h):
                moved = [each.copy() for each in blocks]
                moved[at][place] += way
                G = oracle.derivatives(*moved)[1]
                price = np.array(oracle.prices(moved[0], moved[1]))[:, None] * np.sign(point.A)
                found.append(np.concatenate([G.L.ravel(), G.S.ravel(), (G.A + price).ravel()]))
            columns.append((found[0] - found[1]) / (2 * h))
    H: Array = np.array(columns).T
    return H


@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_rounding_of_the_hessian_is_within_the_noise(offset: float) -> None:
    point = off_centre(offset)
    local, H = Local(point), exact_hessian(point)
    assert len(local.free) == 12
    error = ((H - local.H) / np.outer(local.root, local.root)).astype(float)
    assert 1e-17 < np.linalg.norm(error, 2) < local.noise
    raw = np.linalg.eigvalsh(H.astype(float))[0]
    assert local.least_curvature(float(np.linalg.eigvalsh(local.S)[0])) <= raw
