"""Second derivatives of shared features: against differences in 60 digits of loops over the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from feature_oracle import MANY, Blocks, Oracle
from test_feature_point import drawn, tasks_for

from amtl_cvx.features import FeatureModel, FeaturePoint, FeatureProblem, GoMtlModel
from amtl_cvx.features.curvature import Entries, hessian, live_entries, reduced_hessian
from amtl_cvx.losses import make_loss
from amtl_cvx.tasks import TaskSet

WEIGHTS: dict[str, Any] = {"mu": 0.3, "alpha": 0.7, "gamma": 0.4, "decay": 0.2, "price_floor": 0.05}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("squared", {"gamma_per": "row"}),
    ("logistic", {"task_weights": (0.5, 1.0, 2.0)}),
    ("huber:0.7", {"feedback": "nonnegative"}),
    ("squared-hinge", {"alpha": 0.0}),
]


def point_of(loss: str, *, features: int = 2, **settings: Any) -> FeaturePoint:
    model = FeatureModel(loss=make_loss(loss), features=features, **{**WEIGHTS, **settings})
    return drawn(FeatureProblem(tasks_for(loss), model))


def second_differences(point: FeaturePoint, places: np.ndarray) -> np.ndarray:
    """Of J from the oracle's gradients, exact to 1e-30 where no kink is near: (len(places), n)."""
    oracle, step = Oracle.of(point.tasks, point.model), MANY.mpf(10) ** -20
    signs = np.sign(point.A)

    def slopes(place: int, move: Any) -> np.ndarray:
        x = oracle.exact(Entries(point.L, point.S, point.A).stacked)
        x[place] = x[place] + move
        blocks = Blocks(*Entries.parts(x, point))
        G = oracle.derivatives(*blocks)[1]
        prices = np.array(oracle.prices(blocks.L, blocks.S))[:, None]
        return np.concatenate([G.L.ravel(), G.S.ravel(), (G.A + prices * signs).ravel()])

    columns = [(slopes(place, step) - slopes(place, -step)) / (2 * step) for place in places.tolist()]
    return np.array(columns).astype(float)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("loss", "settings"), CASES)
def test_every_second_derivative_is_that_of_J(loss: str, settings: dict[str, Any]) -> None:
    point = point_of(loss, **settings)
    H = hessian(point, np.sign(point.A))
    assert np.array_equal(H, H.T) or np.abs(H - H.T).max() < 1e-13 * np.abs(H).max()
    some = np.random.default_rng(3).choice(len(H), size=9, replace=False)  # of each block, and all of its row
    assert np.abs(H[some] - second_differences(point, some)).max() <= 1e-13 * np.abs(H).max()


@pytest.mark.parametrize(("loss", "settings"), CASES)
def test_they_are_differences_of_the_gradients(loss: str, settings: dict[str, Any]) -> None:
    point = point_of(loss, features=3, **settings)
    signs, x = np.sign(point.A), Entries(point.L, point.S, point.A).stacked

    def slopes(x: np.ndarray) -> np.ndarray:
        at = point.at(**Entries.parts(x, point)._asdict())
        return Entries(at.gradient_L, at.gradient_S, at.gradient_A + signs * at.prices[:, None]).stacked

    H, step = hessian(point, signs), 1e-6
    found = [(slopes(x + move) - slopes(x - move)) / (2 * step) for move in step * np.eye(len(x))]
    assert np.abs(H - found).max() <= 1e-7 * max(1.0, np.abs(H).max())


def test_entries_that_move_are_those_of_live_features_that_are_not_0() -> None:
    point = point_of("squared")
    A, S = point.A.copy(), point.S.copy()
    A[:, 1], S[1], A[0, 0] = 0.0, 0.0, 0.0
    L = point.L * [1.0, 0.0]
    point = point.at(L=L, S=S, A=A)
    masks = Entries.parts(np.isin(np.arange(20), live_entries(point)), point)
    assert [part.sum() for part in masks] == [4, 3, 2]
    assert not masks.L[:, 1].any() and not masks.S[1].any() and not masks.A[0, 0]
    H = hessian(point, np.ones_like(A) * np.sign(point.A))
    places = live_entries(point)
    assert np.array_equal(reduced_hessian(point), H[np.ix_(places, places)])


def test_free_feedback_moves_and_that_of_go_mtl_does_not() -> None:
    free = point_of("squared", alpha=0.0)
    free = free.at(A=np.zeros_like(free.A))
    assert len(live_entries(free)) == 4 * 2 + 2 * 3 + 3 * 2
    bounded = point_of("squared", alpha=0.0, feedback="nonnegative")
    assert len(live_entries(bounded.at(A=np.zeros_like(bounded.A)))) == 4 * 2 + 2 * 3
    model = GoMtlModel(features=2, mu=0.3, decay=0.2)
    assert len(live_entries(drawn(FeatureProblem(tasks_for("squared"), model)))) == 4 * 2 + 2 * 3


def test_a_feature_of_one_number_by_hand() -> None:
    """(l s - 3)^2 + .5 l^2 + .1 |s|, and gamma l^2 (1 - s a)^2 + alpha a (l s - 3)^2 for a > 0."""
    tasks = TaskSet.from_arrays([np.ones((1, 1))], [[3.0]])
    model = FeatureModel(features=1, mu=0.1, alpha=0.5, gamma=2.0, decay=0.5)
    point = FeatureProblem(tasks, model).at(L=[[1.0]], S=[[2.0]], A=[[0.25]])
    e, r, m = 1.0 + 0.5 * 0.25, 2.0 - 3.0, 1.0 - 2.0 * 0.25
    LL = 2.0 * e * 4.0 + 2.0 * 2.0 * m**2 + 2.0 * 0.5
    LS = 2.0 * e * (2.0 + r) - 2.0 * 4.0 * m * 0.25
    LA = 0.5 * 2.0 * r * 2.0 - 2.0 * 4.0 * m * 2.0
    SS = 2.0 * e + 2.0 * 2.0 * 0.25**2
    SA = 0.5 * 2.0 * r + 2.0 * 2.0 * (2.0 * 0.25 - m)
    AA = 2.0 * 2.0 * 4.0
    assert reduced_hessian(point) == pytest.approx(
        np.array([[LL, LS, LA], [LS, SS, SA], [LA, SA, AA]]), rel=1e-14
    )
