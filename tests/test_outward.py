"""J falls for ever as predictors grow outside their own rows: measured against a closed form, and refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import Array

from amtl_cvx import fit
from amtl_cvx.certificate import certify
from amtl_cvx.certificate.outward import outward_fall
from amtl_cvx.certificate.rules import rule_that_changed
from amtl_cvx.coordinator import Options
from amtl_cvx.losses import Quantile
from amtl_cvx.problem import Blocks, Problem, make_model
from amtl_cvx.solution import Status
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import RowBudget
from amtl_cvx.weights import Ridge

ENDLESS, FAR = (0.5, 0.0), (0.5, 0.02)


def lending(sd: tuple[float, float], **more: Any) -> Problem:
    """Task t sees feature t alone and has L_t = sd_t^2 + (w_tt - 1)^2."""
    X = [np.array([row] * 2, dtype=float) for row in ([1, 0], [0, 1])]
    tasks = TaskSet.from_arrays(X, [[1.0 + s, 1.0 - s] for s in sd])
    return Problem(tasks, make_model(**{"mu": 0.1, "coupling": 1.0, **more}))


def lent(m: float) -> tuple[Array, Array]:
    """W = W B, each task with loss sd_t^2: J = sd_0^2 (1 + mu m) + sd_1^2 (1 + mu / m)."""
    return np.array([[1.0, m], [1.0 / m, 1.0]]), np.array([[0.0, m], [1.0 / m, 0.0]])


@pytest.mark.parametrize("m", [1e-4, 1e-6])
@pytest.mark.parametrize("mu", [0.1, 2.0])
def test_the_fall_is_that_of_the_closed_form(m: float, mu: float) -> None:
    """J = 1/4 (1 + mu m): a tenth of m saves 0.9 mu m / 4."""
    point = lending(ENDLESS, mu=mu).at(*lent(m))
    assert point.objective == pytest.approx(0.25 * (1.0 + mu * m), rel=1e-14)
    assert outward_fall(point) == pytest.approx(0.25 * 0.9 * mu * m, rel=2e-3)


@pytest.mark.parametrize("m", [1.0 / 25.0, 1e-3, 1e-6])
def test_J_does_not_fall_past_a_minimum(m: float) -> None:
    """With both tasks noisy J is least at m = sd_1 / sd_0 = 1/25 on this path, and rises with 1/m beyond."""
    assert outward_fall(lending(FAR).at(*lent(m))) == 0.0


def test_what_is_not_measured_is_no_fall() -> None:
    problem = lending(ENDLESS)
    for part in (
        {"omega": Ridge(rho=1e-9)},
        {"loss": Quantile(tau=0.3)},
        {"transfer": RowBudget(mu=0.1, budget=1e7)},
    ):
        other = Problem(problem.tasks, replace(problem.model, **part))
        assert outward_fall(other.at(*lent(1e-6))) == 0.0
    assert outward_fall(lending(ENDLESS).at(np.eye(2) / 2.0, np.zeros((2, 2)))) == 0.0


def test_a_point_from_which_J_falls_for_ever_does_not_pass() -> None:
    """1e-7 of J above what it falls to; residuals and gaps are small."""
    point = lending(ENDLESS).at(*lent(1e-6))
    found = certify(point)
    assert found.relative <= found.tol and found.level == "C1" and not found.passes and found.runs_off
    why = found.reasons["growth"]
    assert "falls by 9.0e-08 of itself" in why and why in found.sentences()[-2]
    assert rule_that_changed({"passes": True}, found).startswith("a point from which J goes on falling")
    assert certify(point, tol=1e-6).passes  # that is more than what is left


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("mu", "coupling"), [(0.1, 1.0), (2.0, 1.0)])
def test_a_fit_is_certified_where_there_is_a_minimum_and_grows_where_there_is_none(
    mu: float, coupling: float
) -> None:
    start = Options(engine="fast", start=Blocks(*lent(1.0)))
    problem = lending(FAR, mu=mu, coupling=coupling)
    found = fit(problem.tasks, problem.model, options=start)
    assert found.status is Status.CERTIFIED and np.abs(found.W).max() == pytest.approx(25.0, rel=1e-2)
    problem = lending(ENDLESS, mu=mu, coupling=coupling)
    found = fit(problem.tasks, problem.model, options=start)
    assert found.status is Status.GROWING and "grows tenfold" in repr(found)
    assert 0.25 < found.objective < 0.25 * (1.0 + 1e-3)
