"""The certificate of a network: against linear programs over all cells, and what it says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from network_designs import design
from network_points import planted
from network_slopes import least, slope

from amtl_cvx import Options, TaskSet
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.losses import Squared
from amtl_cvx.network import NetworkModel, NetworkProblem, certify
from amtl_cvx.network.certificate import strict_local
from amtl_cvx.network.kinks import kinks
from amtl_cvx.network.methods import DeepAmtfl
from amtl_cvx.network.multipliers import multipliers
from amtl_cvx.network.vertex import vertex

BARE = ("one layer", "biases")  # nothing is rebuilt, and so nothing pulls at A
ALL = [
    *((name, wrong) for name in BARE for wrong in ("", "mask", "weight", "S")),
    *(("feedback", wrong) for wrong in ("", "mask", "weight", "S", "A")),
    *((name, wrong) for name in ("one unit", "positive") for wrong in ("", "mask", "weight", "A")),
    *(("both", wrong) for wrong in ("", "taken")),
    *(("two layers", wrong) for wrong in ("", "mask", "weight", "S")),
    ("dependent", ""),
]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("name", "wrong"), ALL)
def test_the_verdict_is_that_of_linear_programs_over_all_cells(name, wrong):
    """Nested kinks, dependent ones, kinks of the reconstruction and of a feature on one row: all of them."""
    point = design(name, wrong=wrong).point
    found, falls = certify(point), least(point)
    assert found.passes == (not wrong) == (falls > -1e-12)
    assert found.passes or (falls < -1e-5 and found.relative > 1e-5)
    assert found.concave_kinks == (wrong == "weight")


@pytest.mark.slow
def test_kinks_that_are_one_are_judged_as_one():
    """Rows on which one unit is on: a weight of 0 out of it holds them all, with weights of both signs."""
    seen = 0
    for layers, seed in (((2, 2), 13), ((3, 2), 7), ((3, 2), 21)):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(20, 3))
        y = rng.normal(size=(20, 2)) + np.abs(X[:, :2])
        model = NetworkModel(layers=layers, alpha=0.1, mu=0.01, gamma=0.0, decay=0.01)
        problem = NetworkProblem(TaskSet.from_arrays([X] * 2, list(y.T)), model)
        found = DeepAmtfl(init="random", seed=seed).run(problem.tasks, model, Options())
        point = problem.at(**found.blocks)
        active, w = kinks(point), point.gradient().kinks[1]
        if active.copies and len(active) <= 7 and (w[active.active[1]] < 0.0).any():
            seen += 1
            assert certify(point).passes and least(point) > -1e-12
            layer = point.blocks["W2"].copy()
            layer[np.nonzero(layer == 0.0)] = 1e-3
            moved = point.at(W2=layer)
            assert not certify(moved).passes and moved.objective > point.objective
    assert seen


HOLLOW = {"layers": (2, 2), "N": 20, "d": 3, "T": 3, "held": 1, "weights": (0.05, 0.3, 0.0, 0.02)}


@pytest.mark.parametrize(
    ("seed", "wrong"), [(269, ""), (13, ""), (376, "weight"), (122, "weight"), (42, "weight")]
)
def test_so_it_is_with_hollow_kinks(seed, wrong):
    """A row on which all of layer 1 is on its kink: a unit above with weights of both signs is hollow."""
    rng = np.random.default_rng(seed)
    point = planted(rng, **HOLLOW, feedback=0, same=True, wrong=wrong, tries=1).point
    active = kinks(point)
    assert active.counts == (2, 1) and [int(mask.sum()) for mask in active.hollow] == [0, 1]
    assert (multipliers(point).weights[1][active.hollow[1]] < 0.0).all() == (wrong == "weight")
    assert certify(point).passes == (seed in (269, 376)) == (least(point) > -1e-12)


def test_those_points_have_the_kinks_that_they_are_for():
    """On the row of "both" a kink of the reconstruction takes from the weight of a feature on its kink."""
    assert kinks(design("two layers").point).counts == (3, 2)
    assert certify(design("two layers").point).likq is True
    found = certify(design("dependent").point)
    assert (found.likq, found.rank_deficiency, found.active_kinks) == (True, 0, 3)
    assert kinks(design("dependent").point).copies == 2  # rows whose only input is the same
    assert (vertex(design("both").point).kinks > 0.0).sum() == 1
    assert vertex(design("feedback").point).protected > 0


def test_the_formula_of_the_slope_is_that_of_j(rng):
    point = design("deep").point
    for _ in range(100):
        d = rng.standard_normal(point.problem.size)
        d /= np.linalg.norm(d)
        rise = point.problem.from_vector(point.vector + 1e-7 * d).objective - point.objective
        assert rise / 1e-7 == pytest.approx(slope(point, d), rel=1e-4, abs=1e-5)
        assert slope(point, d) > 0.0


def test_an_unprotected_kink_of_the_reconstruction_is_concave():
    """R = 0 with features and feedback on: moves of W cross it."""
    tasks = TaskSet.from_arrays([np.array([[1.0, 0.0]])] * 2, [[1.0], [1.0]])
    model = NetworkModel(features=1, mu=0.1, alpha=0.1, gamma=1.0, decay=0.1)
    point = NetworkProblem(tasks, model).at(W1=[[1.0], [1.0]], S=[[1.0, 1.0]], A=[[1.0], [-1.0]])
    assert (point.R == 0.0).all() and vertex(point).protected == 1  # q = S A = 0, but F moves with each entry
    uneven = point.at(S=[[1.0, 0.5]], A=[[1.0], [-2.0]])
    assert vertex(uneven).unprotected == 0 and not certify(uneven).passes
    biased = NetworkModel(features=1, mu=0.1, alpha=0.1, gamma=1.0, decay=0.1, feedback_bias=True)
    blocks = {**point.blocks, "A": [[-1.0], [0.0]], "bias_feedback": [1.0]}
    crossed = NetworkProblem(tasks, biased).at(**blocks)
    found = certify(crossed)
    assert (crossed.R == 0.0).all() and vertex(crossed).unprotected == 1 and not found.passes
    assert found.concave_kinks == 1 and found.relative_kinks > 0.1 and "concave" in found.verdict()


def test_says_that_there_is_no_c1_and_why():
    found = certify(design("wide").point)
    assert found.level == "C2" and not found.has("C1") and found.has("C0")
    rungs = found.to_dict()["rungs"]
    assert rungs["C1"]["state"] is None and "couple L, S and A" in rungs["C1"]["reason"]
    states = [rungs[code]["state"] for code in ("C0", "C2", "C4", "C5")]
    assert states == ["reached", "reached", "cannot be had", "cannot be had"]
    assert found.gap_W is found.gap_S is found.gap_A is None
    assert "couple" in found.reasons["gap_S"] and json.dumps(found.to_dict())
    assert "directionally stationary" in " ".join(found.sentences()) and "passes" in found.verdict()


def test_climbs_to_c3():
    point = design("wide, biases").point
    found = strict_local(certify(point), point)
    assert found.level == "C3" and found.reduced_hessian_min > 0.0 and found.min_multiplier > 0.0
    wrong = design("wide, biases", wrong="S").point
    assert strict_local(certify(wrong), wrong).reasons["C3"] == "C2 is not reached"


def test_says_that_a_is_aside_where_j_does_not_depend_on_it():
    tasks = TaskSet.from_arrays([np.ones((1, 1))], [[1.25]])
    settings = {"features": 1, "mu": 0.5, "decay": 0.25}
    for alpha, A, told in ((0.0, 0.0, ", A aside,"), (0.0, 3.0, ", A aside,"), (1.0, 0.0, "")):
        problem = NetworkProblem(tasks, NetworkModel(alpha=alpha, gamma=0.0, **settings))
        point = problem.at(W1=[[1.0]], S=[[1.0]], A=[[A]])  # (s w - 1.25)^2 + .5 |s| + .25 w^2
        found = strict_local(certify(point), point)
        assert found.level == "C3" and f"all weights{told} raises J" in found.rungs()[3].words
        assert (
            ("A" in found.reasons) == bool(told) == any("depend on A" in each for each in found.sentences())
        )


def test_the_zero_point_meets_all_conditions_and_does_not_pass():
    found = certify(design("deep").point.problem.zero)
    assert found.relative == 0.0 and not found.passes and found.level == "C0" and found.live_features == 0
    assert found.active_kinks == found.concave_kinks == 0 and found.objective == found.zero_objective
    assert "nothing is learned" in found.verdict() and "zero" in found.reasons


def test_dead_features_are_fine_and_counted():
    found = certify(design("dead").point)
    assert found.passes and (found.live_features, found.features) == (3, 4)
    assert found.active_kinks == 6  # of the three that are live


def test_a_negative_entry_of_a_is_not_feasible():
    point = design("positive").point
    found = certify(point.at(A=np.where(point.A > 0.0, point.A, -1e-3)))
    assert found.level is None and found.feasibility == 1e-3 and "not feasible" in found.verdict()


def test_ratios_are_the_same_in_other_units_of_j():
    point = design("deep", wrong="mask").point
    model = point.model
    found = certify(point)
    for factor in (1e-3, 1e3):
        other = replace(
            model,
            features=None,
            task_weights=(factor,) * 3,
            mu=factor * model.mu,
            gamma=factor * model.gamma,
            decay=factor * model.decay,
        )
        again = certify(NetworkProblem(point.tasks, other).at(**point.blocks))
        for name in ("relative_weights", "relative_S", "relative_A"):
            assert getattr(again, name) == pytest.approx(getattr(found, name), rel=1e-6, abs=1e-12)


def test_multipliers_are_those_that_were_planted():
    for name in ("wide", "wide, biases", "deep", "deep, biases"):
        point, masks = design(name)
        found = multipliers(point)
        for mask, other, at in zip(masks, found.masks, kinks(point).active, strict=True):
            assert mask[at] == pytest.approx(other[at], abs=1e-9)


def test_refuses_what_it_cannot_judge():
    point = design("wide").point
    with pytest.raises(ModelError, match="tol"):
        certify(point, tol=0.0)
    with pytest.raises(DataError, match="finite J"):
        certify(point.at(W1=point.blocks["W1"] * 1e160))


@pytest.mark.parametrize("beside", [1e-9, 1e-13])
@pytest.mark.parametrize("snapped", [True, False])
def test_a_point_just_beside_a_concave_kink_does_not_pass(beside, snapped):
    """Its slope is 0 on its own side of the kink; a step that crosses it lowers J by |w| a unit of length."""
    a, s, decay = 1.0, 1.2, 0.1
    y = a * s + decay * a / s
    tasks = TaskSet.from_arrays([np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])], [[y, y, 2.0]])
    model = NetworkModel(
        features=1, mu=4.0 * a * (y - a * s), alpha=1.0, gamma=0.0, decay=decay, loss=Squared(reduction="sum")
    )
    problem = NetworkProblem(tasks, model)
    point = problem.at(W1=[[a - beside], [a + beside]], S=[[s]], A=[[0.0]])
    across = problem.at(W1=[[a - beside + 1e-5], [a + beside - 1e-5]], S=[[s]], A=[[0.0]])
    assert across.objective < point.objective - 1e-5
    found = certify(point, snapped=snapped)
    assert not found.passes and "concave kink" in found.reasons["C2"]
    assert "not shown to be a directionally stationary point" in found.sentences()[0]
