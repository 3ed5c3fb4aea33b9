"""Every transfer penalty from the class to the certificate: conjugate, gap of B, fit, store, command line."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import cvxpy as cp
import numpy as np
import pytest
from battery import least
from cases import Array, random_tasks
from cases import SourceGroupL2 as Own
from penalty_cases import PENALTY_CASES, Blind, Case, orthant, penalty_id, priced

from amtl_cvx import Model, Options, certify, fit
from amtl_cvx import transfer as terms
from amtl_cvx.errors import ModelError
from amtl_cvx.runfolder import model_from_dict
from amtl_cvx.transfer import Forbidden, TransferPenalty

every_penalty = pytest.mark.parametrize("penalty", PENALTY_CASES, ids=penalty_id)


def test_without_a_gap_nothing_passes(rng: np.random.Generator) -> None:
    """C1 is not reached where a gap is unknown, nor is C2, and the fit ends."""
    tasks = random_tasks(rng)
    solution = fit(tasks, Model(transfer=Blind(mu=0.5), coupling=0.1), options=Options(tol=1e-6))
    found = solution.certificate
    assert found.relative <= 1e-6 and found.gap_B is None and found.level == "C0" and not found.passes
    assert "conjugate" in found.reasons["gap_B"] and solution.status.value == "stalled"


@pytest.mark.parametrize("engine", ["cvxpy", "fast"])
def test_forbidden_edges_stay_away(engine: str, rng: np.random.Generator) -> None:
    """With both engines; the same minimum as the definition from its own W and B."""
    tasks = random_tasks(rng, d=5)
    free = fit(tasks, Model(transfer=terms.LossWeightedL1(mu=0.05), coupling=0.5))
    edges = [(int(s), int(t)) for s, t in np.argwhere(free.B > 0)[::2]]
    model = Model(transfer=Forbidden(mu=0.05, edges=edges), coupling=0.5)
    solution = fit(tasks, model, options=Options(engine=engine, max_rounds=2000))  # type: ignore[arg-type]
    assert solution.certificate.passes, solution.certificate.verdict()
    assert not solution.B[tuple(np.array(edges).T)].any() and solution.certificate.edges > 0
    assert solution.objective > free.objective
    losses = model.weighted_losses(tasks, solution.W)
    value = solution.objective - losses.sum()
    case = Case(model.transfer, priced, lambda B: [*orthant(B), *(B[s, t] == 0 for s, t in edges)])
    assert value == pytest.approx(least(case, model, losses, solution.W), rel=1e-9)


def test_forbidden_edges_by_name_by_number_and_by_mask(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng)
    named = replace(tasks, tasks=tuple(replace(t, name=n) for t, n in zip(tasks, "abcd", strict=True)))
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, 1] = mask[3, 2] = True
    forms = [Forbidden(mu=1.0, edges=e) for e in (mask, [(0, 1), (3, 2)], [("a", "b"), ("d", "c")])]  # type: ignore[arg-type]
    bound = [form.bind(named) for form in forms]
    assert {b.description() for b in bound} == {bound[0].description()}
    for b in bound:
        assert np.array_equal(~b.feasible(4).allowed(4), mask | np.eye(4, dtype=bool))
    turned = replace(named, tasks=named.tasks[::-1])
    assert not bound[0].bind(turned).feasible(4).allowed(4)[3, 2]  # a -> b in the other order
    assert not bound[0].bind(turned).feasible(4).allowed(4)[0, 1]
    for wrong in ([("a", "e")], [(0, 7)]):
        with pytest.raises(ModelError, match="no task"):
            Forbidden(mu=1.0, edges=wrong).bind(named)  # type: ignore[arg-type]
    for wrong in ([(0, 0)], [(0, 1), (0, 1)], 3, [(0.5, 1)], np.ones((2, 3), dtype=bool)):
        with pytest.raises(ModelError):
            Forbidden(mu=1.0, edges=wrong)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="bind"):
        forms[2].feasible(4)


@dataclass(frozen=True, kw_only=True)
class TotalBudget(TransferPenalty):
    """sum B = total: B = 0 is not feasible."""

    name = "my-total"
    mu: float
    total: float = 1.0
    weights_of_edges: Array = None  # type: ignore[assignment]

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (losses @ cp.sum(B, axis=1))

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(losses @ B.sum(axis=1))

    def constraints(self, B: cp.Expression) -> list[cp.Constraint]:
        return [cp.sum(B) == self.total]

    def project(self, V: Array) -> Array:
        if V.min() >= 0.0 and not np.diag(V).any() and abs(V.sum() - self.total) <= 1e-12:
            return V.copy()
        off = ~np.eye(len(V), dtype=bool)
        x = np.sort(V[off])[::-1]
        excess = np.cumsum(x) - self.total
        k = np.count_nonzero(x * np.arange(1, len(x) + 1) > excess)
        return np.where(off, np.maximum(V - excess[k - 1] / k, 0.0), 0.0)

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        return self.project(V - step * self.mu * losses[:, None])

    def conjugate(self, S: Array, losses: Array) -> float:
        D = (S - self.mu * losses[:, None])[~np.eye(len(S), dtype=bool)]
        return self.total * float(D.max())


def test_a_budget_starts_feasible_and_arrays_are_parameters(rng: np.random.Generator) -> None:
    """A start that is not B = 0, an array among the parameters: fit, store, read back."""
    tasks = random_tasks(rng, d=5)
    penalty = TotalBudget(mu=0.1, weights_of_edges=np.arange(6.0).reshape(2, 3))
    model = Model(transfer=penalty, coupling=0.5)
    solution = fit(tasks, model, options=Options(max_rounds=400, tol=1e-7))
    assert solution.certificate.passes, solution.certificate.verdict()
    assert solution.B.sum() == pytest.approx(1.0, abs=1e-11)
    terms.register(TotalBudget)
    try:
        again = model_from_dict(json.loads(json.dumps(model.to_dict())))
        assert again.transfer.description() == penalty.description()
        assert model.to_dict()["transfer"] == "my-total"
    finally:
        del terms.TRANSFERS["my-total"]


@every_penalty
def test_parameters_survive_the_file(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    model = Model(transfer=penalty, coupling=0.5)
    stored = json.loads(json.dumps(model.to_dict()))
    if type(penalty) is Own:
        with pytest.raises(ModelError, match="cases:SourceGroupL2.*--transfer"):
            model_from_dict(stored)
        return
    assert model_from_dict(stored).transfer.description() == penalty.description()
    bare = {"loss-weighted-l1", "l1", "signed-l1", "symmetric", "target-group-l2", "ordered"}
    assert ("transfer_parameters" in stored) == (penalty.name not in bare)


def test_long_predictors_on_a_cycle_are_the_reason_of_a_large_gap(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=4, counts=(9, 12, 10))
    W, B = 1e5 * np.outer(rng.normal(size=4), np.ones(3)), np.zeros((3, 3))
    B[0, 1] = B[1, 0] = 1.0 - 1e-8
    model = Model(transfer=Forbidden(mu=0.3, edges=((0, 2),)), coupling=0.5)
    found = certify(tasks, model, W, B)
    assert not found.passes and found.gap_B > 1e-8 * found.objective  # type: ignore[operator]
    assert (
        "nearly singular (1.0e-08)" in found.reasons["gap_B"]
        and f"{np.linalg.norm(W[:, 0]):.1e}" in (found.reasons["gap_B"])
    )
    assert "gap_B" not in certify(tasks, model, W, np.zeros((3, 3))).reasons


@pytest.mark.parametrize("tasks", [2, 3, 7, 20])
def test_a_total_budget_never_starts_at_a_singular_graph(tasks: int) -> None:
    """Nor near one, for any total: an even spread has row sums of 1 at total = T."""
    for total in tasks * np.r_[np.linspace(0.1, 2.5, 49), 10.0]:
        B = terms.TotalBudget(mu=0.0, total=float(total)).start(tasks)
        assert B.min() >= 0.0 and not np.diag(B).any() and B.sum() == pytest.approx(total, rel=1e-14)
        assert np.linalg.svd(np.eye(tasks) - B, compute_uv=False)[-1] >= 1e-2
    start = terms.TotalBudget(mu=0.0).start(tasks)
    assert (
        start.sum() == pytest.approx(tasks, rel=1e-14) and np.roll(start, -1, axis=1).diagonal().min() >= 0.5
    )


@pytest.mark.parametrize("penalty", PENALTY_CASES, ids=penalty_id)
def test_mu_max_is_where_an_edge_first_pays(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    """B = 0 stays where it is under the prox with the slope of B = 0, and just below mu_max no longer."""
    W, losses = rng.normal(size=(3, 4)), rng.random(4) + 0.1
    slope = W.T @ W
    np.fill_diagonal(slope, 0.0)
    gain = np.abs(slope) if penalty.feasible(4).signed else np.maximum(slope, 0.0)
    if penalty.start(4).any():
        with pytest.raises(ModelError, match="does not allow B = 0"):
            penalty.mu_max(gain, losses)
    elif penalty.name not in ("size-priced-l1", "squared", "my-group"):  # counts, no price, none of its own
        limit = penalty.mu_max(gain, losses)
        above, below = (replace(penalty, mu=k * limit) for k in (1.0 + 1e-9, 1.0 - 1e-6))  # type: ignore[type-var]
        assert not above.prox(slope, 1.0, losses).any() and below.prox(slope, 1.0, losses).any()
