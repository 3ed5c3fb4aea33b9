"""Regularizer variants as a user writes them: one class each, from the alternation to a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest
from cases import Array, SourceGroupL2, random_tasks
from penalty_cases import penalty_id

from amtl_cvx import Logistic, Model, Options, Squared, TaskSet, certify, fit
from amtl_cvx.experiment import mu_max
from amtl_cvx.graph import TransferGraph
from amtl_cvx.losses import Loss
from amtl_cvx.problem import Problem
from amtl_cvx.runfolder import StoredRun, read_run, save
from amtl_cvx.subproblems import compile_transfer_step
from amtl_cvx.transfer import FeasibleSet, TransferPenalty, project_transfer, transfers


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


@dataclass(frozen=True)
class AnySign(FeasibleSet):
    """``diag(B) = 0`` and nothing else."""

    signed = True
    words = "diag(B) = 0"

    def project(self, V: Array) -> Array:
        return np.where(np.eye(len(V), dtype=bool), 0.0, V)


@dataclass(frozen=True, kw_only=True)
class Signed(TransferPenalty):
    """``mu sum_s l_s sum_t |B[s, t]|`` over entries of any sign."""

    name = "any-sign"
    row_steps = True
    mu: float

    def feasible(self, T: int) -> AnySign:
        return AnySign()

    def expression(self, B: cp.Expression, losses: cp.Expression | Array) -> cp.Expression:
        return self.mu * (losses @ cp.sum(cp.abs(B), axis=1))

    def value(self, B: Array, losses: Array) -> float:
        return self.mu * float(losses @ np.abs(B).sum(axis=1))

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        less = np.maximum(np.abs(V) - step * self.mu * losses[:, None], 0.0)
        return self.feasible(len(V)).project(np.sign(V) * less)

    def conjugate(self, S: Array, losses: Array) -> float:
        over = np.abs(self.feasible(len(S)).project(S)) > self.mu * losses[:, None]
        return np.inf if over.any() else 0.0


VARIANTS: tuple[TransferPenalty, ...] = (
    SourceGroupL2(mu=0.1), Flat(mu=0.1), Elastic(mu=0.1), Elastic(mu=0.0), Symmetric(mu=0.1),
    Signed(mu=0.1),
)  # fmt: skip
every_variant = pytest.mark.parametrize("penalty", VARIANTS, ids=penalty_id)


@pytest.mark.sampled(2)
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
    found, _ = compile_transfer_step(tasks, model).solve(Problem(tasks, model).at(W, np.zeros((4, 4))))
    B = cp.Variable((4, 4))
    residual = model.coupling * cp.sum_squares(W - W @ B)
    rule = penalty.expression(B, model.weighted_losses(tasks, W))
    limits = [cp.diag(B) == 0, *penalty.constraints(B)]
    limits += [] if penalty.feasible(4).signed else [B >= 0]
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


def opposites(rng: np.random.Generator) -> tuple[TaskSet, Model]:
    """A task of many rows, and one of few that wants the opposite of it."""
    w, X, Y = rng.normal(size=4), rng.normal(size=(40, 4)), rng.normal(size=(6, 4))
    targets = [X @ w + 0.1 * rng.normal(size=40), Y @ -w + rng.normal(size=6)]
    return TaskSet.from_arrays([X, Y], targets), Model(transfer=Signed(mu=0.3), coupling=1.0)


@pytest.mark.parametrize("engine", ["cvxpy", "fast"])
def test_an_edge_may_be_negative(engine: str, rng: np.random.Generator) -> None:
    """For two tasks the best edge is sign(w_s'w_t) max(|w_s'w_t| - p_s / (2 coupling), 0) / ||w_s||^2."""
    tasks, model = opposites(rng)
    solution = fit(tasks, model, options=Options(engine=engine))  # type: ignore[arg-type]
    W, p = solution.W, 0.3 * solution.losses
    inner = float(W[:, 0] @ W[:, 1])
    best = np.sign(inner) * np.maximum(abs(inner) - p / 2.0, 0.0) / (W**2).sum(axis=0)
    assert best[0] < -0.5 and [solution.B[0, 1], solution.B[1, 0]] == pytest.approx(best, abs=1e-9)
    assert solution.certificate.passes and solution.certificate.edges == np.count_nonzero(best)
    assert solution.graph.edges[0].weight == solution.B.min() and "negative" in solution.graph.describe()
    flipped = certify(tasks, model, W, -solution.B)
    assert not flipped.passes and flipped.edges == solution.certificate.edges


def test_a_signed_gap_is_not_below_the_true_one(rng: np.random.Generator) -> None:
    """At T = 2 what B can gain has a closed form (see above)."""
    tasks, model = opposites(rng)
    for _ in range(10):
        W, B = rng.normal(size=(4, 2)), np.array([[0.0, rng.normal()], [rng.normal(), 0.0]])
        p, squares, inner = 0.3 * model.losses(tasks, W), (W**2).sum(axis=0), float(W[:, 0] @ W[:, 1])
        best = np.sign(inner) * np.maximum(abs(inner) - p / 2.0, 0.0) / squares

        def costs(b: Array, p: Array = p, squares: Array = squares, inner: float = inner) -> float:
            return float((squares * b**2 - 2.0 * inner * b + p * np.abs(b)).sum())

        true = costs(np.array([B[0, 1], B[1, 0]])) - costs(best)
        found = certify(tasks, model, W, B).gap_B
        assert found is not None and found >= true * (1.0 - 1e-12)
        exact = certify(tasks, model, W, np.array([[0.0, best[0]], [best[1], 0.0]])).gap_B
        assert exact is not None and exact <= 1e-12 * model.objective(tasks, W, B)


def graph_of(stored: StoredRun) -> TransferGraph:
    return stored.family.stored_graph(stored, threshold=0.0)


def test_a_signed_run_is_stored_drawn_and_judged_again(
    rng: np.random.Generator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tasks, model = opposites(rng)
    solution = fit(tasks, model, options=Options(engine="fast"))
    assert save(solution, tmp_path / "run", tasks=tasks) and not caplog.messages
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"graph.png", "report.html"}
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "of them negative" in page and f"{solution.B.min():#.4g}" in page
    stored = read_run(tmp_path / "run")
    assert graph_of(stored).signed and np.array_equal(
        stored.B, solution.B
    )  # the class is not known: B says it
    transfers.register(Signed)
    assert stored.model == model and graph_of(stored).signed
    found = certify(tasks, stored.model, stored.W, stored.B)
    assert found.passes and found.to_dict()["gap_B"] == solution.certificate.gap_B
    amtl = certify(tasks, Model(transfer=Flat(mu=0.1), coupling=1.0), stored.W, stored.B)
    assert amtl.level is None and "(B >= 0, diag(B) = 0)" in amtl.verdict()
    full = certify(tasks, model, stored.W, stored.B + np.eye(2))
    assert full.level is None and "set (diag(B) = 0)" in full.verdict()


def test_the_price_from_which_no_edge_pays_counts_negative_ones(rng: np.random.Generator) -> None:
    tasks, model = opposites(rng)
    alone = fit(tasks, model, method="stl").W
    largest = mu_max(tasks, model, alone)
    inner = abs(float(alone[:, 0] @ alone[:, 1]))
    assert largest == pytest.approx(float((2.0 * inner / model.losses(tasks, alone)).max()))
