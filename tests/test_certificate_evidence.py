"""What a certificate reports beside the verdict, with a reason for what it has not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases import (
    LOSS_CASES,
    SourceGroupL2,
    loss_id,
    tasks_for,
)
from certified_points import Point, amtl, certified_point, concluded

from amtl_cvx.certificate import (
    certify,
    w_step,
)
from amtl_cvx.errors import DataError
from amtl_cvx.losses import Hinge, Poisson
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


@pytest.fixture(params=LOSS_CASES, ids=loss_id)
def certified(request: pytest.FixtureRequest) -> Point:
    return certified_point(request.param)


FIGURES = ("gap_W", "gap_B", "gain_W", "error_W", "error_B", "zeros_proven", "condition_W", "condition_B")


def test_the_evidence_of_a_first_order_point(certified: Point) -> None:
    tasks, model, W, B = certified
    found = certify(Problem(tasks, model).at(W, B))
    assert found.zeros + found.edges == 12 and found.zeros_proven == found.zeros
    assert found.error_W is not None and found.error_W <= 1e-7 * np.linalg.norm(W)
    assert found.error_B is not None and found.error_B <= 1e-6 * np.linalg.norm(B)
    words = found.sentences()
    assert any(line.startswith("No move of W alone can gain more than") for line in words)
    assert any(line.startswith("No move of B alone can gain more than") for line in words)
    assert f"{found.zeros} of {found.zeros} absent edges are proved absent for this W." in words
    worse = certify(Problem(tasks, model).at(W, np.where(np.eye(4, dtype=bool), 0.0, B + 1.0)))
    assert worse.zeros == 0 and worse.zeros_proven == 0 and worse.edges == 12


def test_what_is_missing_has_its_reason(certified: Point, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, model, W, B = certified
    twins = np.column_stack([W[:, 0], W[:, 0], W[:, 1], W[:, 1]])
    group = replace(model, transfer=SourceGroupL2(mu=0.3))
    judged = [
        certify(Problem(tasks, model).at(W, B)),
        certify(Problem(tasks, model).at(W, -B)),
        certify(Problem(tasks, model).at(W, -9.0 * (1.0 - np.eye(4)) / model.mu)),
        certify(Problem(tasks, model).at(W, 0 * B)),
        certify(Problem(tasks, model).at(W, 0 * B), kind="single-task"),
        certify(Problem(tasks, group).at(W, B)),
        certify(Problem(tasks, model).at(twins, 1.0 - np.eye(4))),
        certify(Problem(tasks, model).at(W, np.roll(np.eye(4), 1, axis=1))),
        concluded(),
    ]
    monkeypatch.setattr(w_step, "DENSE_LIMIT", 0)
    judged.append(certify(Problem(tasks, model).at(W, B)))
    missing = set()
    for found in judged:
        data = found.to_dict()
        absent = {name for name in FIGURES if data[name] is None}
        assert absent <= set(data["reasons"])
        missing |= absent
    assert missing == set(FIGURES)


def test_sentences_name_a_reason_once(certified: Point) -> None:
    tasks, model, W, B = certified
    words = certify(Problem(tasks, model).at(W, 0 * B), kind="single-task").sentences()
    told = [line for line in words if "fixed at 0" in line]
    assert told == ["gap_B, error_B, zeros_proven, condition_B: B is fixed at 0 in this problem."]


@pytest.mark.parametrize("name", ["W", "B"])
def test_squares_that_overflow_are_bad_data(name: str) -> None:
    tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, -1.0], [1.0, -1.0]])
    model = Model(loss=Hinge(), transfer=LossWeightedL1(mu=1.0), coupling=1.0)
    large = {"W": np.full((2, 2), 1e160), "B": np.array([[0.0, 1e160], [0.0, 0.0]])}
    point = {"W": np.zeros((2, 2)), "B": np.zeros((2, 2)), name: large[name]}
    with pytest.raises(DataError, match=f"the squares of {name} overflow, its largest entry is 1e"):
        certify(Problem(tasks, model).at(**point))


def test_a_loss_that_overflows_is_bad_data(rng: np.random.Generator) -> None:
    tasks = tasks_for(Poisson(), rng)
    with pytest.raises(DataError, match="the poisson loss of 'task 0' overflows"):
        certify(Problem(tasks, amtl(Poisson())).at(np.full((6, 4), 1e4), np.zeros((4, 4))))
