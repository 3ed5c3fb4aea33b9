"""Fits of shared features: certified, J never rises, honest statuses, an independent solver comes back."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from feature_draws import LOSSES, drawn_point, drawn_problem, without_feedback

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.features import FeatureProblem
from amtl_cvx.features.balance import balance, balanced
from amtl_cvx.features.methods import AmtflLinear, GoMtl, _growth
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.solution import Record, Solution, Status
from amtl_cvx.solvers import compiled
from amtl_cvx.subproblems import Problems

SHARED = Problems()  # each size is compiled once


def fitted(problem: FeatureProblem, how: dict[str, Any] | None = None, **options: Any) -> Solution:
    kind = AmtflLinear if problem.model.has_feedback else GoMtl
    options = {"problems": SHARED, **options}
    return fit(problem.tasks, problem.model, method=kind(**(how or {})), options=Options(**options))


def never_rises(found: Solution) -> bool:
    J = [record.objective for record in found.history]
    return all(after <= before + 1e-12 * before for before, after in itertools.pairwise(J))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_fit_is_certified_and_J_never_rises(loss: str) -> None:
    other = drawn_problem(loss, feedback="nonnegative") if loss in LOSSES[:2] else None
    for each in (drawn_problem(loss), other or without_feedback(drawn_problem(loss))):
        found = fitted(each, tol=1e-10)
        assert found.status is Status.CERTIFIED and found.certificate.passes and never_rises(found)
        assert found.certificate.relative <= 1e-10
        assert found.objective == pytest.approx(each.at(**found.blocks).objective, rel=1e-14)
        blocks = list(each.model.blocks)
        assert [record.step for record in found.history[: len(blocks)]] == blocks
        assert found.history[-1].step == "refine" and found.history[0].round == 1
        point = each.at(**found.blocks)
        assert balance(point).relative.max() < 1e-10
        assert balanced(point).objective == pytest.approx(point.objective, rel=1e-15)


@pytest.mark.parametrize(
    "odd", [{"k": 7, "d": 3}, {"k": 6, "T": 3}, {"alpha": 0.0}, {"gamma": 0.0}, {"k": 1}]
)
def test_odd_models_end_honestly(odd: dict[str, Any]) -> None:
    problem = drawn_problem(seed=5, **odd)
    found = fitted(problem)
    assert found.status is Status.CERTIFIED and never_rises(found)
    assert found.certificate.live_features >= 1 and found.objective < problem.zero.objective
    assert problem.model.gamma > 0.0 or not found.A.any()


def test_another_order_of_tasks_is_the_same_fit() -> None:
    problem, order = drawn_problem(seed=6), np.array([2, 0, 3, 1])
    tasks = replace(problem.tasks, tasks=tuple(problem.tasks.tasks[t] for t in order))
    here, there = fitted(problem), fitted(FeatureProblem(tasks, problem.model))
    assert there.objective == pytest.approx(here.objective, rel=1e-12)
    sign = np.sign((here.L * there.L).sum(axis=0))  # that of singular vectors is free
    np.testing.assert_allclose(there.L, here.L * sign, atol=1e-7)
    np.testing.assert_allclose(there.A, here.A[order] * sign, atol=1e-7)


def test_a_column_of_zeros_is_not_used_and_a_task_of_one_class_has_a_minimum_where_L_decays() -> None:
    problem = drawn_problem("logistic", seed=7, mu=0.03)
    kept = np.r_[0.0, np.ones(problem.tasks.d - 1)]
    plain = [replace(task, X=task.X * kept) for task in problem.tasks]
    found = fitted(FeatureProblem(replace(problem.tasks, tasks=tuple(plain)), problem.model))
    assert (
        found.status is Status.CERTIFIED
        and found.certificate.live_features >= 1
        and np.abs(found.L[0]).max() < 1e-15
    )
    plain[1] = replace(plain[1], y=-np.ones(len(plain[1].y)))
    tasks = replace(problem.tasks, tasks=tuple(plain))
    alone = fitted(FeatureProblem(tasks, problem.model))
    assert alone.status is Status.CERTIFIED and alone.losses[1] <= np.log(2.0)
    assert alone.objective == pytest.approx(FeatureProblem(tasks, problem.model).at(**alone.blocks).objective)
    with pytest.raises(DataError, match="both classes in every task, all rows of 'task 1'"):
        fitted(FeatureProblem(tasks, replace(problem.model, decay=0.0)))


def test_nothing_is_learned_where_that_is_too_dear() -> None:
    problem = drawn_problem(mu=1e3)
    found = fitted(problem)
    assert found.status is Status.STALLED and not found.certificate.passes
    assert not found.S.any() and found.objective == pytest.approx(problem.zero.objective, rel=1e-12)


def test_a_model_without_a_minimum_is_said_to_grow() -> None:
    """Scales c of L and A and 1/c of S leave losses and S A: mu ||S||_1 falls to 0 where A is free, or 0."""
    for odd in ({"alpha": 0.0}, {"gamma": 0.0}):
        found = fitted(drawn_problem(k=1, T=2, d=2, decay=0.0, **odd))
        assert found.status is Status.GROWING and not found.certificate.passes and never_rises(found)
        assert "J has no minimum" in found.certificate.reasons["growth"]
    for name, alpha, cure in (("A", 0.0, "give an alpha > 0"), ("L", 0.1, "give a larger decay")):
        point = drawn_point(drawn_problem(alpha=alpha))
        far = point.at(**{name: 1e6 * point.blocks[name]})
        assert _growth(far).endswith(cure) and f"entries of {name} have grown" in _growth(far)
    held = fitted(drawn_problem(decay=0.0))
    assert held.status is Status.CERTIFIED


def test_rounds_alone_reach_the_tolerance_or_say_that_they_did_not() -> None:
    problem = drawn_problem(k=1, T=3)
    found = fitted(problem, {"refine": False}, tol=1e-6)
    assert found.status is Status.CERTIFIED and {record.step for record in found.history} == {"L", "S", "A"}
    J = fitted(problem).objective
    assert found.objective == pytest.approx(J, rel=1e-6)
    short = fitted(problem, {"refine": False}, max_rounds=2)
    assert short.status is Status.ROUND_LIMIT and not short.certificate.passes
    assert [record.step for record in short.history] == ["L", "S", "A"] * 2
    handed = fitted(problem, {"handover": 1e9})
    assert [record.step for record in handed.history[:4]] == ["L", "S", "A", "refine"]
    by_atoms = fitted(problem, {"definition": True})
    assert by_atoms.objective == pytest.approx(J, rel=1e-9)


def test_starts_are_taken_up() -> None:
    problem = drawn_problem(seed=2)
    found = fitted(problem)
    again = fitted(problem, start=found)
    assert again.objective == pytest.approx(found.objective, rel=1e-13)
    np.testing.assert_allclose(again.L, found.L, atol=1e-9)
    ends = [fitted(problem, {"init": "random", "seed": seed}) for seed in (0, 0, 1)]
    assert all(end.status is Status.CERTIFIED for end in ends)
    np.testing.assert_array_equal(ends[0].S, ends[1].S)
    assert not np.array_equal(ends[0].history[0].objective, ends[2].history[0].objective)


def test_steps_are_compiled_once_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = [], compiled.problem_data
    monkeypatch.setattr(compiled, "problem_data", lambda *a, **k: made.append(a[0]) or real(*a, **k))
    for problem in (drawn_problem("huber:0.5"), without_feedback(drawn_problem("huber:0.5"))):
        made.clear()
        fitted(problem, {"refine": False}, max_rounds=4, problems=None)
        assert len(made) == len(problem.model.blocks)


@cache
def whole() -> Solution:
    """A fit that is not interrupted: 15 steps of rounds, then Newton steps."""
    return fitted(drawn_problem(seed=3))


@pytest.mark.parametrize("stop", [1, 8, 15, 18])
def test_an_interrupted_fit_goes_on_as_if_it_had_not_been(stop: int) -> None:
    problem, count = drawn_problem(seed=3), itertools.count(1)

    def ctrl_c(record: Record) -> None:
        if next(count) == stop:
            raise KeyboardInterrupt

    cut = fitted(problem, callback=ctrl_c)
    assert cut.status is Status.INTERRUPTED and cut.state is not None and len(cut.history) == stop
    assert [record.step for record in whole().history[14:19]] == ["A", *["refine"] * 4]
    rest = fitted(problem, start=cut.state)
    assert rest.status is Status.CERTIFIED
    for name in ("L", "S", "A"):
        np.testing.assert_array_equal(rest.blocks[name], whole().blocks[name])
    assert [record.objective for record in rest.history] == [record.objective for record in whole().history]
    with pytest.raises(ModelError, match="another problem"):
        fitted(drawn_problem(seed=4), start=cut.state)


def test_an_interrupt_before_the_first_step_leaves_the_zero_point(monkeypatch: pytest.MonkeyPatch) -> None:
    def ctrl_c(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("amtl_cvx.features.methods.start_of", ctrl_c)
    found = fitted(drawn_problem())
    assert found.status is Status.INTERRUPTED and found.state is None and not found.L.any()


class Alternation:
    """GO-MTL by CVXPY as it is written, on its own: sum_t mean (X_t L s_t - y_t)^2 + mu |S| + decay |L|^2."""

    def __init__(self, problem: FeatureProblem) -> None:
        tasks, model, (d, k) = problem.tasks, problem.model, problem.shapes["L"]
        self.L, self.S = cp.Variable((d, k)), cp.Variable((k, tasks.T))
        self.fixed_L, self.fixed_S = cp.Parameter((d, k)), cp.Parameter((k, tasks.T))

        def J(L: Any, S: Any) -> cp.Problem:
            fits = [cp.sum_squares(task.X @ L @ S[:, t] - task.y) / task.n for t, task in enumerate(tasks)]
            return cp.Problem(
                cp.Minimize(sum(fits) + model.mu * cp.norm1(S) + model.decay * cp.sum_squares(L))
            )

        self.by_L, self.by_S = J(self.L, self.fixed_S), J(self.fixed_L, self.S)

    def solve(self, problem: cp.Problem) -> float:
        exact = {name: 1e-13 for name in ("tol_gap_abs", "tol_gap_rel", "tol_feas")}
        return float(problem.solve(solver="CLARABEL", **exact))

    def round(self, S: np.ndarray) -> tuple[float, np.ndarray]:
        self.fixed_S.value = S
        self.solve(self.by_L)
        self.fixed_L.value = self.L.value
        J = self.solve(self.by_S)
        return J, self.S.value


def check_that_it_comes_back(problem: FeatureProblem, *, seed: int) -> None:
    found, own, rng = fitted(problem, tol=1e-11), Alternation(problem), np.random.default_rng(seed)
    assert found.status is Status.CERTIFIED and found.certificate.live_features >= problem.model.features / 2
    J = found.objective
    own.fixed_L.value, own.fixed_S.value = found.L, found.S
    for block in (own.by_L, own.by_S):  # from the point itself no block gains anything
        assert own.solve(block) >= J * (1.0 - 1e-9)
    L = found.L + 1e-3 * rng.normal(size=found.L.shape)
    S = np.where(found.S != 0.0, found.S + 1e-3 * rng.normal(size=found.S.shape), 0.0)
    moved = problem.at(L=L, S=S).objective
    assert moved > J * (1.0 + 1e-9)
    own.fixed_L.value, reached, count = L, own.solve(own.by_S), 0
    S = own.S.value
    while reached > J * (1.0 + 1e-9) and count < 500:
        (reached, S), count = own.round(S), count + 1
    assert reached == pytest.approx(J, rel=1e-9), (seed, count)


def test_an_independent_alternation_comes_back_to_go_mtl() -> None:
    check_that_it_comes_back(without_feedback(drawn_problem(k=2, T=3, d=3, n=6)), seed=0)


@pytest.mark.slow
def test_independent_alternations_come_back_to_go_mtl() -> None:
    for seed in range(5):
        problem = drawn_problem(k=3, T=6, d=6, n=12, rank=3, seed=seed, mu=0.3, decay=0.1)
        check_that_it_comes_back(without_feedback(problem), seed=seed)


SIZES = ((2, 3, 2), (3, 2, 4), (4, 5, 3))  # T, d, k: more features than columns, than tasks, than neither


def drawn_of(seed: int) -> FeatureProblem:
    """A problem of any loss, sign of feedback, size and weights."""
    rng = np.random.default_rng(seed)
    weights = dict(zip(("mu", "alpha", "gamma", "decay"), 10.0 ** rng.uniform(-3, 0.5, size=4), strict=True))
    if seed % 5 == 0:
        weights[("alpha", "gamma")[seed // 5 % 2]] = 0.0
    (T, d, k), n = SIZES[seed % 3], int(rng.integers(2, 9))
    per, floor = ("total", "row")[seed // 8 % 2], 0.1 * (seed % 3)
    feedback = ("signed", "nonnegative")[seed // 4 % 2]
    settings = {**weights, "feedback": feedback, "gamma_per": per, "price_floor": floor}
    return drawn_problem(LOSSES[seed % 4], seed, T=T, d=d, k=k, n=n, **settings)


def check_descent(seed: int, *, most: int) -> None:
    problem = drawn_of(seed)
    each = problem if seed % 7 else without_feedback(problem)
    if most > 2 or seed % 2:
        start = drawn_point(each, seed)
        assert never_rises(fitted(each, {"refine": False}, start=start, max_rounds=most)), seed
    if most > 2 or not seed % 2:
        found = fitted(each, {"init": "random", "seed": seed}, max_rounds=most)
        assert never_rises(found) and found.objective <= each.zero.objective * (1.0 + 1e-12), seed


def test_J_never_rises() -> None:
    for seed in range(8):
        check_descent(seed, most=2)


@pytest.mark.slow
def test_J_never_rises_on_a_hundred_problems() -> None:
    for seed in range(100):
        check_descent(seed, most=20)
