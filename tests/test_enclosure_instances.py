"""The stored instances: their proofs hold, and the alternation from B = 0 is above the minimum on each."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amtl_cvx import LossWeightedL1, Model, Squared, TaskSet, fit
from amtl_cvx.enclosure import checker
from amtl_cvx.enclosure.exact import ExactProblem, exact_matrix

FOLDER = Path(__file__).resolve().parents[1] / "reports" / "enclosure" / "instances"
FILES = sorted(FOLDER.glob("*.json"))


def problem_of(proof: dict[str, Any]) -> tuple[TaskSet, Model]:
    """The tasks and the model that a proof is about."""
    arrays = [
        [np.vectorize(float.fromhex, otypes=[float])(task[name]) for task in proof["tasks"]] for name in "Xy"
    ]
    model = Model(
        loss=Squared(reduction=proof["reduction"]),
        transfer=LossWeightedL1(mu=float.fromhex(proof["mu"])),
        coupling=float.fromhex(proof["coupling"]),
        task_weights=tuple(float.fromhex(c) for c in proof["task_weights"]),
    )
    return TaskSet.from_arrays(*arrays), model


def test_there_are_at_least_ten() -> None:
    assert len(FILES) >= 10


@pytest.mark.sampled(3)
@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_the_alternation_is_provably_not_global(path: Path) -> None:
    """J at its first-order point and J at another feasible point, both exact; the latter is the minimum."""
    proof = json.loads(path.read_text())
    lower, upper = checker.check(proof)
    assert upper - lower <= upper / 10**9
    tasks, model = problem_of(proof)
    found = fit(tasks, model)
    assert found.certificate.passes
    problem = ExactProblem.read(tasks, model)
    assert (
        problem.objective(*(tuple(tuple(map(Fraction, row)) for row in proof[name]) for name in "WB"))
        == upper
    )
    assert problem.objective(exact_matrix(found.W), exact_matrix(found.B)) > upper * Fraction(10001, 10000)
