"""Regularizer variants as a user writes them: one class each, from the alternation to a certificate."""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import pytest
from cases import Array, SourceGroupL2, penalty_id, random_tasks

from amtl_cvx import Logistic, Model, Options, Squared, certify, fit
from amtl_cvx.losses import Loss
from amtl_cvx.subproblems import compile_transfer_step
from amtl_cvx.transfer import TransferPenalty, project_transfer


@dataclass(frozen=True, kw_only=True)
class Flat(TransferPenalty):
    """``mu * sum B``: AMTL without the loss in the price; linear, so it gets gap and refinement."""

    name = "flat-l1"
    mu: float

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * cp.sum(B)

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(B.sum())

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        return project_transfer(V - step * self.mu)

    def prices(self, losses: Array) -> Array:
        return np.full(len(losses), self.mu)


@dataclass(frozen=True, kw_only=True)
class Elastic(TransferPenalty):
    """``mu * sum_s l_s sum_t B[s, t] + rho ||B||^2``: not proportional to mu."""

    name = "elastic"
    mu: float
    rho: float = 1.0

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (losses @ cp.sum(B, axis=1)) + self.rho * cp.sum_squares(B)

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(losses @ B.sum(axis=1)) + self.rho * float((B**2).sum())

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        return project_transfer((V - step * self.mu * losses[:, None]) / (1.0 + 2.0 * step * self.rho))

    def conjugate(self, S: Array, losses: Array) -> float:
        return float((project_transfer(S - self.mu * losses[:, None]) ** 2).sum()) / (4.0 * self.rho)


@dataclass(frozen=True, kw_only=True)
class Symmetric(TransferPenalty):
    """AMTL's penalty on symmetric B: another feasible set."""

    name = "symmetric"
    mu: float

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (losses @ cp.sum(B, axis=1))

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(losses @ B.sum(axis=1))

    def constraints(self, B: cp.Expression) -> list[cp.Constraint]:
        return [B == B.T]

    def project(self, V: Array) -> Array:
        return project_transfer(0.5 * (V + V.T))

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        return self.project(V - step * self.mu * losses[:, None])

    def conjugate(self, S: Array, losses: Array) -> float:
        D = S - self.mu * losses[:, None]
        return 0.0 if (np.triu(D + D.T, 1) <= 0.0).all() else np.inf


VARIANTS: tuple[TransferPenalty, ...] = (
    SourceGroupL2(mu=0.1), Flat(mu=0.1), Elastic(mu=0.1), Elastic(mu=0.0), Symmetric(mu=0.1)
)  # fmt: skip
every_variant = pytest.mark.parametrize("penalty", VARIANTS, ids=penalty_id)


@every_variant
@pytest.mark.parametrize("loss", [Squared(), Logistic()], ids=lambda loss: loss.name)
def test_a_variant_is_certified(penalty: TransferPenalty, loss: Loss, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, loss=loss.name, d=5, counts=(30, 25, 40, 28))
    model = Model(loss=loss, transfer=penalty, coupling=0.5)
    solution = fit(tasks, model, options=Options(max_rounds=400))
    assert solution.certificate.passes, solution.certificate.verdict()
    assert np.array_equal(penalty.project(solution.B), solution.B)
    J = [record.objective for record in solution.history]
    assert max(np.diff(J), default=0.0) <= 1e-12 * J[0]


@every_variant
def test_the_step_minimises_the_penalty_as_it_is(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    tasks, W = random_tasks(rng, d=5), rng.normal(size=(5, 4))
    model = Model(transfer=penalty, coupling=0.5)
    found, _ = compile_transfer_step(tasks, model).solve(tasks, model, W, np.zeros((4, 4)))
    B = cp.Variable((4, 4))
    residual = model.coupling * cp.sum_squares(W - W @ B)
    rule = penalty.expression(B, model.weighted_losses(tasks, W))
    limits = [B >= 0, cp.diag(B) == 0, *penalty.constraints(B)]
    least = cp.Problem(cp.Minimize(residual + rule), limits).solve(solver="SCS", eps=1e-9)
    value = model.coupling * ((W - W @ found) ** 2).sum() + penalty.value(
        found, model.weighted_losses(tasks, W)
    )
    assert value == pytest.approx(least, rel=1e-6)


def test_a_point_outside_a_declared_set_is_not_feasible(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=5)
    B = np.zeros((4, 4))
    B[0, 1] = 0.5
    found = certify(tasks, Model(transfer=Symmetric(mu=0.1), coupling=0.5), rng.normal(size=(5, 4)), B)
    assert found.level is None and found.feasibility == pytest.approx(0.25)
