"""Networks explored: units in another order are the same point, and the distance is the least over orders."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from amtl_cvx import NetworkModel, TaskSet
from amtl_cvx.network import NetworkProblem
from amtl_cvx.network.exploring import distance

WEIGHTS = {"mu": 0.1, "alpha": 0.5, "gamma": 0.2, "decay": 0.05}
MODELS = [
    NetworkModel(features=4, **WEIGHTS),
    NetworkModel(layers=(4, 5, 3), **WEIGHTS, fit_bias=True, feedback_bias=True),
]
Blocks = dict[str, Any]


def drawn(model: NetworkModel, seed: int) -> tuple[NetworkProblem, Blocks]:
    rng = np.random.default_rng(seed)
    problem = NetworkProblem(TaskSet.from_matrix(rng.normal(size=(9, 6)), rng.normal(size=(9, 2))), model)
    return problem, {name: rng.normal(size=shape) for name, shape in problem.shapes.items()}


def reordered(blocks: Blocks, number: int, order: Any, *, last: bool) -> Blocks:
    """The units of a layer in another order, with what enters and what leaves them."""
    found = {**blocks, f"W{number}": blocks[f"W{number}"][:, order]}
    if f"bias{number}" in blocks:
        found[f"bias{number}"] = blocks[f"bias{number}"][order]
    if not last:
        return {**found, f"W{number + 1}": blocks[f"W{number + 1}"][order]}
    found |= {"S": blocks["S"][order], "A": blocks["A"][:, order]}
    return found | {name: blocks[name][order] for name in ("bias_feedback",) if name in blocks}


@pytest.mark.parametrize("model", MODELS, ids=["one layer", "three"])
def test_units_in_another_order_are_the_same_point(model: NetworkModel) -> None:
    rng = np.random.default_rng(4)
    problem, blocks = drawn(model, 0)
    other, h = blocks, len(model.layers)
    for number, width in enumerate(model.layers, start=1):
        other = reordered(other, number, rng.permutation(width), last=number == h)
    assert problem.at(**other).objective == pytest.approx(problem.at(**blocks).objective, rel=1e-12)
    assert distance(blocks, other, feedback=True) == 0.0
    moved = {**other, "W1": other["W1"] + 1e-6}
    assert 0.0 < distance(blocks, moved, feedback=True) < 1e-5


def test_each_block_counts_and_A_does_not_where_it_is_free() -> None:
    _, blocks = drawn(MODELS[1], 0)
    for name, block in blocks.items():
        moved = {**blocks, name: block + 0.1}
        assert distance(blocks, moved, feedback=True) > 0.01, name
    moved = {**blocks, "A": blocks["A"] + 1.0}
    assert distance(blocks, moved, feedback=False) == 0.0


def test_the_distance_is_that_of_the_best_order_by_brute_force() -> None:
    (_, one), (_, other) = drawn(MODELS[0], 1), drawn(MODELS[0], 2)

    def parts(blocks: Blocks) -> list[np.ndarray]:
        return [blocks["W1"].T, blocks["S"], blocks["A"].T]

    pairs = zip(parts(one), parts(other), strict=True)
    units = [max(np.linalg.norm(each, axis=1).max() for each in pair) for pair in pairs]
    a, b = (np.hstack([p / u for p, u in zip(parts(each), units, strict=True)]) for each in (one, other))
    orders = [np.linalg.norm(a - b[list(order)], axis=1) for order in itertools.permutations(range(4))]
    expected = min(orders, key=np.sum).max()
    assert distance(one, other, feedback=True) == pytest.approx(expected, rel=1e-12)
