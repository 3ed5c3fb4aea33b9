"""Proven digits of every penalty that is a sum of prices and squares of edges, against J in mpmath."""

from __future__ import annotations

import numpy as np
import pytest
from cases import random_tasks
from checks.atoms import digits_of
from penalty_cases import ATOMS, COUNTS, Case

from amtl_cvx import (
    Model,
    Options,
    RowBudget,
    SignedL1,
    certify,
    fit,
)
from amtl_cvx.digits import prove
from amtl_cvx.errors import NotCertifiable

pytestmark = pytest.mark.usefixtures("two_hundred_decimals")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", ATOMS, ids=lambda case: case.id)
def test_mpmath_finds_the_point_of_every_penalty_stationary(case: Case) -> None:
    digits_of(case.id)


def test_edges_of_any_sign_have_their_signs() -> None:
    tasks = random_tasks(np.random.default_rng(7), d=3, counts=COUNTS[:3])
    solution = fit(tasks, Model(transfer=SignedL1(mu=0.05), coupling=0.3), options=Options(engine="fast"))
    found = prove(tasks, solution.model, solution.W, solution.B)
    signs = np.sign([[float(b) for b in row] for row in found.B])
    assert np.array_equal(signs, np.sign(solution.B)) and (signs < 0).any()
    assert set(found.support) == {(int(s), int(t)) for s, t in np.argwhere(solution.B)}
    turned = np.where(np.abs(solution.B) == np.abs(solution.B[solution.B != 0]).min(), -1, 1) * solution.B
    with pytest.raises(NotCertifiable):
        prove(tasks, solution.model, solution.W, turned)


def test_what_is_no_sum_of_edges_has_no_digits(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=3, counts=(12, 9, 14))
    solution = fit(tasks, Model(transfer=RowBudget(mu=0.01, budget=0.2), coupling=0.3))
    found = certify(tasks, solution.model, solution.W, solution.B, level="C4")
    assert found.level == "C3" and "C4" in found.refused and "RowBudget" in found.reasons["C4"]
    with pytest.raises(NotCertifiable, match="RowBudget"):
        prove(tasks, solution.model, solution.W, solution.B)
