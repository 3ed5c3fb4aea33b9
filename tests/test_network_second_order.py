"""C3 of networks: closed forms, saddles and degenerate points that are built."""

from __future__ import annotations

import numpy as np
import pytest
from network_directions import DEEP, STRICT, directions, drawn, least_rise
from network_slopes import least

from amtl_cvx import TaskSet
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.network import NetworkModel, NetworkPoint, NetworkProblem, certify
from amtl_cvx.network import second_order as module
from amtl_cvx.network.followers import followers
from amtl_cvx.network.local import Local
from amtl_cvx.network.second_order import second_order
from amtl_cvx.network.tangent import Tangent


def at(X, y, V, S, *, A=None, **settings) -> NetworkPoint:
    """A point with one hidden layer V (d, k); column t of y is a task."""
    S = np.array(S, dtype=float)
    given = {"mu": 0.5, "alpha": 0.0, "gamma": 0.0, "decay": 0.125, "features": len(S)} | settings
    y = np.array(y, dtype=float).reshape(len(X), -1)
    problem = NetworkProblem(TaskSet.from_matrix(np.array(X, dtype=float), y), NetworkModel(**given))
    return problem.at(W1=V, S=S, A=np.zeros(S.T.shape) if A is None else A)


def smooth(**settings) -> NetworkPoint:
    """(s w - 1.25)^2 + .5 |s| + .25 w^2 at w = s = 1, where its Hessian is [[2.5, 1.5], [1.5, 2]]."""
    return at([[1.0]], [1.25], [[1.0]], [[1.0]], **({"decay": 0.25} | settings))


def kinked(weight: float = 1.0, *, mu: float = 0.5, decay: float = 0.125, X=((1, 0), (1, 1))) -> NetworkPoint:
    """Row (1, 1) is on the kink of the unit (1, -1), theta = 2 decay, w = s `weight`; s = 4 decay / mu."""
    s = 4.0 * decay / mu
    return at(X, [s + mu, -weight], [[1.0], [-1.0]], [[s]], mu=mu, decay=decay)


def test_without_kinks() -> None:
    found = second_order(smooth())
    assert (found.verdict, found.entries, found.kinks, found.free) == (STRICT, 2, 0, 2)
    assert found.scaled_hessian_min == pytest.approx(1.0 - 1.5 / np.sqrt(5.0), rel=1e-12)
    assert 0.0 < found.reduced_hessian_min <= (4.5 - np.sqrt(0.25 + 9.0)) / 2.0
    assert found.min_entry == 1.0


def test_with_a_kink(rng) -> None:
    point = kinked()
    found = second_order(point)
    assert (found.verdict, found.entries, found.kinks, found.free) == (STRICT, 3, 1, 2)
    # (1, -1) curves by s^2 + 4 decay = 1.5, s by 1, both together by s - mu = .5
    assert found.scaled_hessian_min == pytest.approx(1.0 - 0.5 / np.sqrt(1.5), rel=1e-12)
    assert 0.25 - 1e-12 < found.min_multiplier <= 0.25
    assert second_order(kinked(0.375)).min_multiplier == pytest.approx(0.125)  # w - theta
    assert least_rise(point, directions(point, rng, 300), 1e-5) > 0.0


def test_a_multiplier_at_its_bound() -> None:
    """theta = w, and theta = 0 where nothing pulls at the weight that would lift the unit."""
    for point in (kinked(0.25), at([[1, 0], [0, 1]], [1.0, -1.0], [[1.0], [0.0]], [[0.5]])):
        found = second_order(point)
        assert found.verdict == "degenerate" and "a multiplier of a kink has no room" in found.reason


def test_a_zero_without_room() -> None:
    """A second task that would use the feature: its slope is mu, or a quarter less."""
    for y, verdict, room in ((0.25, "degenerate", 0.0), (0.1875, STRICT, 0.125)):
        found = second_order(at([[1.0]], [[1.25, y]], [[1.0]], [[1.0, 0.0]], decay=0.25))
        assert found.verdict == verdict and ("no room in its box" in found.reason) == (room == 0.0)
        assert found.min_multiplier == pytest.approx(room, abs=1e-14)


@pytest.mark.parametrize(("alpha", "verdict"), [(4.0, "degenerate"), (8.0, STRICT)])
def test_an_empty_column_of_A(alpha: float, verdict: str) -> None:
    """Its kinks take 2 gamma z s from the price alpha / 16."""
    found = second_order(smooth(decay=0.125, gamma=0.125, alpha=alpha))
    assert found.verdict == verdict
    assert found.min_multiplier == pytest.approx(alpha / 16.0 - 0.25, abs=1e-14)


@pytest.mark.parametrize("kink", [False, True])
def test_saddle(kink: bool) -> None:
    """s w is right, but s and w could both grow: 12 decay < mu^2."""
    y = 0.02 + 0.5
    point = kinked(mu=1.0, decay=0.01) if kink else at([[1.0]], [y], [[1.0]], [[0.02]], mu=1.0, decay=0.01)
    found = second_order(point)
    assert found.verdict == "saddle" and found.kinks == kink
    assert found.fall is not None and 1e-6 < found.fall < point.objective
    assert found.reduced_hessian_min < 0.0 and f"falls by {found.fall:.2g}" in found.reason


def test_saddle_along_curved_kinks() -> None:
    """The straight line along the eigenvector leaves the kinks, and J is judged where they are."""
    point = drawn("saddle", 2, **DEEP)
    found, local = second_order(point), Local(point)
    assert found.verdict == "saddle" and found.kinks == 5
    assert found.fall is not None and found.fall > 1e-6
    step = 1e-2 * local.tangent.Q @ np.linalg.eigh(local.S)[1][:, 0]
    assert np.abs(local.at_kinks(local.moved(step).U)).max() > 1e-6
    assert np.abs(local.at_kinks(local.along(step).U)).max() < 1e-13


def test_jump_of_the_curvature_is_taken_from_below() -> None:
    """At the threshold of Huber's loss phi'' is 2 on one side and 0 on the other, on which J falls."""
    point = smooth(loss="huber:0.25")
    assert point.loss_curvatures.max() == 2.0 or second_order(smooth(loss="huber:0.3")).verdict == STRICT
    assert point.at(W1=[[1.0 - 1e-3]], S=[[1.0 - 1e-3]]).objective < point.objective
    assert second_order(point).verdict != STRICT


def test_dead_features_are_no_obstacle() -> None:
    one, two = (smooth(decay=0.125, gamma=0.125, alpha=8.0), None)
    two = at([[1.0]], [1.25], [[1.0, 0.0]], [[1.0], [0.0]], decay=0.125, gamma=0.125, alpha=8.0)
    few, more = second_order(one), second_order(two)
    assert (more.verdict, more.kinks, more.entries, more.free) == (STRICT, 0, few.entries, few.free)
    assert more.scaled_hessian_min == pytest.approx(few.scaled_hessian_min, rel=1e-12)
    assert second_order(two.problem.zero).verdict == STRICT


def deep(V, W, S, **settings) -> NetworkPoint:
    """One row, 1, of one task with two layers; s w v - y = -.5 at the balance."""
    model = NetworkModel(layers=(len(W), 1), mu=0.5, alpha=0.0, gamma=0.0, decay=0.125, **settings)
    problem = NetworkProblem(TaskSet.from_arrays([np.ones((1, 1))], [[0.75]]), model)
    return problem.at(W1=V, W2=W, S=S, A=[[0.0]])


def test_a_dead_unit_below_a_live_feature_is_one() -> None:
    """Half of what the live unit does may go to it at no cost: J is constant along a circle."""
    # mu s = 2 decay w^2, 2 (s v w - y) s v = -2 decay w, 2 (s v w - y) v w = -mu with v = w = 1
    live = deep([[1.0]], [[1.0]], [[0.5]])
    assert second_order(live).verdict == STRICT
    with_dead = deep([[1.0, 0.0]], [[1.0], [0.0]], [[0.5]])
    half = deep([[0.8, 0.6]], [[0.8], [0.6]], [[0.5]])
    assert half.objective == pytest.approx(with_dead.objective, rel=1e-14)
    found = second_order(with_dead)
    assert found.verdict == "degenerate" and "a unit is dead in layer 1" in found.reason
    assert second_order(half).verdict == "degenerate"
    assert second_order(with_dead.problem.zero).verdict == STRICT


@pytest.mark.parametrize("way", [1.0, -1.0])
def test_units_that_follow_a_kink_below_have_none(rng, way: float) -> None:
    """Rows (1, 0), (1, 1): unit (1, -1) is on its kink in the second, one with the weight sqrt 2 above it.

    (s q v - y)^2 / 2 + decay (2 v^2 + q^2) + mu s with v = 1: q^2 = 2, s = 4 decay / mu, s q v - y = -mu / q.
    """
    q = np.sqrt(2.0)
    tasks = TaskSet.from_arrays([np.array([[1.0, 0.0], [1.0, 1.0]])], [[way * (q + 0.5 / q), -way]])
    model = NetworkModel(layers=(1, 2), mu=0.5, alpha=0.0, gamma=0.0, decay=0.125)
    point = NetworkProblem(tasks, model).at(
        W1=[[1.0], [-1.0]], W2=[[q, 0.0]], S=[[way], [0.0]], A=[[0.0, 0.0]]
    )
    assert followers(point)[0][1].tolist() == [[False, False], [True, False]]
    found = second_order(point)
    assert (found.verdict, found.kinks, found.free) == (STRICT, 1, 3)
    assert found.min_multiplier == pytest.approx(0.25, rel=1e-12)
    assert least_rise(point, directions(point, rng, 300), 1e-5) > 0.0
    assert certify(point).passes and least(point) > -1e-12  # over all cells
    lower = TaskSet.from_arrays([tasks[0].X], [[way * (q + 0.5 / q), -0.1 * way]])
    moved = NetworkProblem(lower, model).at(**point.blocks)  # w = .1 sqrt 2 is less than theta
    assert not certify(moved).passes and least(moved) < -1e-2
    down = point.at(W2=[[-q, 1.0]])
    assert followers(down)[0][1].tolist() == [[False, False], [False, True]]
    assert not followers(down)[1][1].any()
    with_both = deep([[0.0, 0.0]], [[1.0], [-1.0]], [[0.5]])
    assert followers(with_both)[1][1].all() and not followers(with_both)[0][1].any()


def test_a_kink_without_weight_does_not_count() -> None:
    """The row (2, 2) is on its kink, but only for a task that does not use the feature."""
    X, V = ([[1.0, 0.0], [1.0, 1.0]], [[2.0, 2.0]]), [[1.0], [-1.0]]
    tasks = TaskSet.from_arrays([np.array(x) for x in X], [[1.5, -1.0], [3.0]])
    model = NetworkModel(features=1, mu=0.5, alpha=0.0, gamma=0.0, decay=0.125)
    found = second_order(NetworkProblem(tasks, model).at(W1=V, S=[[1.0, 0.0]], A=[[0.0], [0.0]]))
    assert (found.verdict, found.kinks) == (STRICT, 1)


def test_dependent_normals_of_one_layer(rng) -> None:
    """Rows (1, 1) and (2, 2) share a kink; their multipliers only have a sum."""
    point = at(
        [[1, 0], [1, 1], [2, 2]], [2.0, -1.0, -1.0], [[1.0], [-1.0]], [[1.0]], mu=2.0 / 3.0, decay=1.0 / 6.0
    )
    found = second_order(point)
    assert (found.verdict, found.kinks, found.free) == (STRICT, 2, 2)
    assert least_rise(point, directions(point, rng, 300), 1e-5) > 0.0
    centred = Tangent.of(np.array([[1.0, 2.0]])).centred(np.array([0.0, 0.5]), np.ones(2))
    assert centred == pytest.approx([1.0 / 3.0, 1.0 / 3.0])


def test_dependent_normals_of_a_deep_network() -> None:
    point = drawn(STRICT, 3, **DEEP)
    row = kinked_row(point)
    X = np.vstack([point.problem.rows.X, point.problem.rows.X[row] * 2.0])
    y = np.vstack([np.stack([task.y for task in point.tasks], axis=1), 2.0 * point.F[row]])
    found = second_order(NetworkProblem(TaskSet.from_matrix(X, y), point.model).at(**point.blocks))
    assert found.verdict == "degenerate" and "dependent (rank 1 less)" in found.reason


def kinked_row(point: NetworkPoint) -> int:
    return int(np.flatnonzero(Local(point).active.active[0].any(axis=1))[0])


def test_concave_kinks_that_nothing_holds() -> None:
    """Of the bias of the feedback: R = 0, and J falls as the bias grows."""
    tasks = TaskSet.from_arrays([np.ones((1, 1))], [[1.25]])
    model = NetworkModel(features=1, mu=0.5, alpha=8.0, gamma=0.125, decay=0.125, feedback_bias=True)
    point = NetworkProblem(tasks, model).at(W1=[[1.0]], S=[[1.0]], A=[[0.0]], bias_feedback=[0.0])
    found = second_order(point)
    assert found.verdict == "degenerate" and "no price" in found.reason
    assert point.at(bias_feedback=[1e-3]).objective < point.objective


def test_the_step_and_what_it_changes() -> None:
    """Of `smooth`: curvatures 2 s^2 + 1/2, 4 s w - 5/2, 2 w^2; the slope in w is summed from 1/2 and 1/2."""
    local = Local(smooth())
    step = np.array([0.0, 0.01]) * local.root
    moved = np.array([[2.0 * (1.01**2 - 1.0), 0.04], [0.04, 0.0]]) / np.outer(local.root, local.root)
    assert local.change(step) == pytest.approx(np.linalg.norm(moved), rel=1e-12)
    assert local.farthest(np.array([1e-3, 0.0]) * local.root) == pytest.approx(2.5e-3, rel=1e-3)
    assert local.farthest(np.array([0.0, 1e-3]) * local.root) == pytest.approx(4e-3, rel=1e-3)
    near = Local(smooth().at(W1=[[1.0 + 1e-6]]))
    assert near.step / near.root == pytest.approx([-1e-6, 0.0], abs=1e-11)


def test_the_step_goes_onto_the_kinks() -> None:
    local = Local(kinked().at(W1=[[1.0 + 2.0**-50], [-1.0]]))
    assert len(local.active) == 1
    moved = local.active.normals[:, local.free] @ (local.step / local.root)
    assert moved == pytest.approx(-(2.0**-50), rel=1e-6, abs=0.0)


def test_deep_with_biases() -> None:
    found = second_order(drawn(STRICT, 1, layers=(3, 2), held=1, T=2, fit_bias=True))
    assert found.kinks >= 5 and found.free < found.entries


def test_room_that_is_less_than_what_is_known() -> None:
    """A zero of S with room 1e-9, at the minimum and 1e-8 off."""
    point = at([[1.0]], [[1.25, 0.25 - 5e-10]], [[1.0]], [[1.0, 0.0]], decay=0.25)
    assert second_order(point).verdict == STRICT
    found = second_order(point.at(W1=[[1.0 - 1e-8]]))
    assert found.verdict == "degenerate" and "no more than the point is known to" in found.reason
    kink = kinked(0.25 + 1e-9)
    assert second_order(kink).verdict == STRICT
    found = second_order(kink.at(S=[[1.0 + 1e-8]]))
    assert found.verdict == "degenerate" and "no more than the point is known to" in found.reason


def test_refused(monkeypatch) -> None:
    with pytest.raises(NotCertifiable, match="no price"):
        second_order(smooth(gamma=0.125, decay=0.125))
    monkeypatch.setattr(module, "ENTRIES_LIMIT", 2)
    with pytest.raises(NotCertifiable, match="fewer units"):
        second_order(smooth())


def test_far_from_a_stationary_point(rng) -> None:
    """Moves along the kinks: near to the minimum it is recognised, further off it is not."""
    point = drawn(STRICT, 0)
    local = Local(point)
    move = np.zeros(point.problem.size)
    move[local.free] = local.tangent.Q @ rng.standard_normal(len(local.S)) / local.root
    for size, strict in ((0.0, True), (1e-8, True), (1e-2, False)):
        found = second_order(point.problem.from_vector(point.vector + size * move))
        assert (found.verdict == STRICT) == strict and found.scaled_hessian_min > 0.0
    assert found.verdict == "degenerate"
