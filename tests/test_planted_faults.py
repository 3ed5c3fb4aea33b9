"""The verifier under faults: what a wrong solver finds is rejected, and a wrong verifier is found out.

`wrong_solvers` has solvers with one mistake each, judged by the sound certificate. `faults` changes one place
of the package at a time, and a named check that does not share that place must notice. Each check passes, and
the sound solver is certified, without a fault.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache

import checks
import literal
import numpy as np
import pytest
from cases import Array, random_tasks
from faults import CHECKS, FAULTS, Fault, place, planted
from wrong_solvers import WRONG_SOLVERS, labels_not_mapped

from amtl_cvx.certificate import certify
from amtl_cvx.errors import AMTLError
from amtl_cvx.limits import limited
from amtl_cvx.losses import Logistic, Squared
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

TOL = 1e-8
CAUGHT = (AssertionError, AMTLError, np.linalg.LinAlgError)
"""How a check ends that notices a fault: a figure is wrong, or what can be had is refused."""
SECONDS = 5.0
"""After which a search that a fault keeps from its end counts as caught; sound checks take far less."""
FAST = [fault for i, fault in enumerate(FAULTS) if i % 6 == 0]
LONG = {
    checks.bounds_hold_for_all_prices_of_an_interval,
    checks.enclosure_holds,
    checks.error_B_is_never_below_the_distance,
    checks.exact_gaps_are_the_gain,
    checks.free_tasks_leave_a_sharp_gap,
    checks.gap_B_is_never_below_the_gain,
    checks.moved_points_do_not_pass,
    checks.other_weights_are_another_problem,
    checks.twice_cut_box_holds,
}
"""Checks that take .2 s and more: they are slow as the faults they catch, unless one of these is fast."""


@cache
def problem() -> tuple[TaskSet, Model]:
    """Four tasks of unequal rows and weights, on which the plain alternation settles in 30 rounds."""
    tasks = random_tasks(np.random.default_rng(3), d=5, counts=(14, 22, 18, 26))
    model = Model(
        loss=Squared(), transfer=LossWeightedL1(mu=0.06), coupling=0.05, task_weights=(0.5, 2.0, 1.0, 0.8)
    )
    return tasks, model


def accepted(tasks: TaskSet, model: Model, W: Array, B: Array) -> bool:
    return certify(Problem(tasks, model).at(W, B), tol=TOL).passes


def test_the_sound_solver_is_certified() -> None:
    tasks, model = problem()
    W, B = literal.alternation(tasks, model)
    assert accepted(tasks, model, W, B) and 0 < (B > 0).sum() < 12


@pytest.mark.parametrize("name", WRONG_SOLVERS)
def test_what_a_wrong_solver_finds_is_rejected(name: str) -> None:
    tasks, model = problem()
    W, B = WRONG_SOLVERS[name](tasks, model)
    assert np.isfinite(W).all() and np.isfinite(B).all()
    assert not accepted(tasks, model, W, B)


def test_labels_that_were_not_mapped_are_noticed() -> None:
    tasks, model = problem()
    model = Model(loss=Logistic(), transfer=LossWeightedL1(mu=0.2), coupling=0.5)
    labels = [np.where(task.y > np.median(task.y), 1.0, 0.0) for task in tasks]
    right = TaskSet.from_arrays([task.X for task in tasks], labels)
    assert not accepted(right, model, *labels_not_mapped(tasks, model))
    assert accepted(right, model, *literal.alternation(right, model))


def slow_if(true: object) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if true else []


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, marks=slow_if(check in LONG - {fault.caught_by for fault in FAST}))
        for check in CHECKS
    ],
    ids=lambda check: check.__name__,
)
@pytest.mark.sampled(4)
def test_every_check_passes_without_a_fault(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, marks=slow_if(fault not in FAST)) for fault in FAULTS],
    ids=lambda fault: fault.name,
)
def test_every_planted_fault_is_caught(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    for points in (
        checks.anywhere,
        checks.solved,
        checks.small,
        checks.forgeries,
        checks.least_on_a_grid,
        checks.best_transfers,
        checks.fitted_tangents,
        checks.solved_with_omega,
        checks.enclosed,
        checks.penalty_fits,
    ):
        points()  # fits of the sound code
    planted(fault, monkeypatch)
    with warnings.catch_warnings(), np.errstate(all="ignore"), pytest.raises(CAUGHT), limited(SECONDS):
        warnings.simplefilter("ignore")
        fault.caught_by()


def test_every_fault_has_its_place() -> None:
    """Without planting it: a change of the package that moves a place is seen by the fast tests."""
    for fault in FAULTS:
        place(fault)


def test_faults_have_names_of_their_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 40
