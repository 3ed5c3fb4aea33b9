"""One certify evaluates losses, slopes, I - B and its singular values once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import LOSS_CASES, Array, loss_id, tasks_for

from amtl_cvx import LossWeightedL1, Model
from amtl_cvx.certificate import certify
from amtl_cvx.losses import Loss
from amtl_cvx.problem import Problem
from amtl_cvx.problem import point as point_
from amtl_cvx.subproblems.numpy_steps import minimal_weights


def counted(loss: Loss, monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, bytes]]:
    """How often each method of a loss was asked at which scores."""
    calls: Counter[tuple[str, bytes]] = Counter()

    def wrapped(name: str) -> Callable[..., Array]:
        original = getattr(type(loss), name)

        def method(self: Loss, z: Array, y: Array) -> Array:
            calls[name, z.tobytes()] += 1
            return original(self, z, y)

        return method

    for name in ("rows", "slopes", "curvatures"):
        monkeypatch.setattr(type(loss), name, wrapped(name))
    return calls


@pytest.mark.parametrize("near", [False, True], ids=["regular", "nearly singular"])
@pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
def test_one_certify_computes_losses_gradients_and_the_singular_values_once(
    loss: Loss, near: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = tasks_for(loss, rng, d=2, counts=(6, 6, 6))
    model, B = Model(loss=loss, transfer=LossWeightedL1(mu=0.05), coupling=0.7), np.zeros((3, 3))
    if near:
        B[0, 1] = B[1, 0] = 1.0 - 1e-5  # then growth and the valley are looked for as well
    W = minimal_weights(Problem(tasks, model).at(np.zeros((2, 3)), B))
    scores = (np.stack([task.X for task in tasks]) @ W.T[:, :, None])[:, :, 0]
    calls, matrices, differences = counted(loss, monkeypatch), list[Array](), list[Array]()
    svd, difference = np.linalg.svd, point_.difference

    def watched(matrix: Array, *rest: Any, **more: Any) -> Any:
        matrices.append(np.array(matrix))
        return svd(matrix, *rest, **more)

    def taken(graph: Array) -> Array:
        differences.append(graph)
        return difference(graph)

    monkeypatch.setattr(np.linalg, "svd", watched)
    monkeypatch.setattr(point_, "difference", taken)
    found = certify(Problem(tasks, model).at(W, B))
    assert found.gap_W is not None and found.gap_B is not None
    assert (calls["rows", scores.tobytes()], calls["slopes", scores.tobytes()]) == (1, 1)
    assert calls["curvatures", scores.tobytes()] <= 1 and len(differences) == 1
    assert sum(np.array_equal(each, np.eye(3) - B) for each in matrices) == 1
