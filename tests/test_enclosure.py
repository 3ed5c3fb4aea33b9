"""Global enclosures: against grids, closed forms and sampled points; faults of every kind must be caught."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import random_tasks, random_transfer
from enclosed import amtl, zeros

from amtl_cvx import LossWeightedL1, Model, Options, Squared, TaskSet, fit
from amtl_cvx.enclosure import cells, checker, derive_box, enclose, polynomial
from amtl_cvx.enclosure import enclose as package_enclose
from amtl_cvx.enclosure.exact import ExactProblem
from amtl_cvx.enclosure.point import best_point
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.subproblems.numpy_steps import DirectWeightStep

ENCLOSE = sys.modules["amtl_cvx.enclosure.enclose"]


# --- the enclosure ----------------------------------------------------------------------------------------


def test_one_task_is_ridge_in_closed_form(rng: np.random.Generator) -> None:
    """min (1/n)||y - x w||^2 + coupling w^2 = y'y/n - (x'y/n)^2 / (x'x/n + coupling), in rationals."""
    tasks = random_tasks(rng, d=1, counts=(6,))
    model = amtl(coupling=0.75)
    x, y = ([Fraction(value) for value in part.ravel().tolist()] for part in (tasks[0].X, tasks[0].y))
    xx, xy, yy = (sum(a * b for a, b in zip(u, v, strict=True)) / 6 for u, v in ((x, x), (x, y), (y, y)))
    minimum = yy - xy**2 / (xx + Fraction(3, 4))
    found = enclose(tasks, model, *zeros(tasks), starts=1)
    assert found.lower <= minimum <= found.upper
    assert found.width < 1e-15


@pytest.mark.slow
def test_enclosure_lies_below_a_dense_grid_and_at_the_best_of_many_starts(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl(mu=0.05)
    found = enclose(tasks, model, *zeros(tasks), starts=10)
    lower, upper = float(found.lower), float(found.upper)
    assert found.tight and found.width < 1e-12
    box = derive_box(tasks, model, found.upper * Fraction(1001, 1000))
    w0, w1 = (np.linspace(float(a), float(b), 41) for a, b in zip(box.W_low[0], box.W_high[0], strict=True))
    b01, b10 = (np.linspace(0, float(b), 41) for b in box.row_sum)
    G = [(task.X[:, 0] @ task.X[:, 0], task.X[:, 0] @ task.y, task.y @ task.y, len(task.y)) for task in tasks]
    W0, W1, P, Q = np.meshgrid(w0, w1, b01, b10, indexing="ij", sparse=True)
    l0, l1 = ((g * w**2 - 2 * h * w + k) / n for (g, h, k, n), w in zip(G, (W0, W1), strict=True))
    J = l0 * (1 + model.mu * P) + l1 * (1 + model.mu * Q) + (W0 - Q * W1) ** 2 + (W1 - P * W0) ** 2
    assert J.min() >= lower
    for seed in range(3):
        values = [
            fit(tasks, model, options=Options(engine="fast", start=start)).objective
            for start in _starts(tasks, np.random.default_rng(seed))
        ]
        assert min(values) >= lower - 1e-12
        assert upper <= min(values) + 1e-12


def _starts(tasks: TaskSet, rng: np.random.Generator) -> list[Any]:
    from amtl_cvx.solution import Blocks

    T, d = tasks.T, tasks.d
    return [Blocks(rng.normal(size=(d, T)), random_transfer(rng, T, size=3.0)) for _ in range(10)]


@pytest.mark.parametrize("settings", [{"reduction": "sum"}, {"task_weights": "inverse-sqrt"}])
def test_variants_are_proved_as_well(rng: np.random.Generator, settings: Any, tmp_path: Path) -> None:
    tasks = random_tasks(rng, d=2, counts=(6, 8))
    model = replace(amtl(), loss=Squared(reduction=settings.get("reduction", "mean")))
    model = replace(model, task_weights=settings.get("task_weights", "equal"))
    found = enclose(tasks, model, *zeros(tasks), starts=8)
    assert found.width < 1e-9
    found.save(tmp_path / "proof.json")
    assert checker.main([str(tmp_path / "proof.json")]) == 0


def _beaten() -> tuple[TaskSet, Model]:
    rng = np.random.default_rng(0)
    base = rng.normal(size=1)
    X = [rng.normal(size=(8, 1)) for _ in range(3)]
    y = [Xt @ (base * rng.choice([-1, 1]) + 0.3 * rng.normal(size=1)) + 0.5 * rng.normal(size=8) for Xt in X]
    return TaskSet.from_arrays(X, y), amtl()


@pytest.mark.slow
def test_an_alternation_that_is_provably_not_global() -> None:
    """From B = 0 the alternation ends 4 % above the minimum; both are first-order points."""
    tasks, model = _beaten()
    found = fit(tasks, model)
    assert found.certificate.passes
    proved = enclose(tasks, model, found.W, found.B, starts=30)
    assert proved.beaten > 0.03
    assert proved.excess > 0.03
    assert proved.width < 1e-12


def test_without_a_reduced_relaxation_the_bound_is_still_rigorous(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """max gamma, clipped and rounded: as wide as the solver is inaccurate, and checkable."""
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl()
    tight = enclose(tasks, model, *zeros(tasks), starts=5)
    monkeypatch.setattr(cells.Prover, "_proof", lambda *_: None)
    loose = enclose(tasks, model, *zeros(tasks), starts=5)
    assert not loose.tight
    assert loose.lower <= tight.upper == loose.upper
    assert loose.width < 1e-4
    assert checker.check(json.loads(json.dumps(loose.proof))) == (loose.lower, loose.upper)


def test_multiple_precision_agrees(rng: np.random.Generator) -> None:
    pytest.importorskip("sdpap", reason="the extra [global] is not installed")
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl()
    found = enclose(tasks, model, *zeros(tasks), starts=5, solver="SDPA")
    other = enclose(tasks, model, *zeros(tasks), starts=5)
    assert found.width < 1e-9
    assert max(found.lower, other.lower) <= min(found.upper, other.upper)
    assert checker.check(json.loads(json.dumps(found.proof))) == (found.lower, found.upper)


def test_too_high_an_upper_bound_gives_no_proof_of_it(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started at a point that is not global and told to look nowhere else, the lower bound stays below."""
    tasks, model = random_tasks(rng, d=1, counts=(5, 7)), amtl()
    best = enclose(tasks, model, *zeros(tasks), starts=10)
    monkeypatch.setattr(cells.Prover, "_look_lower", lambda *_: None)
    naive = enclose(tasks, model, *zeros(tasks), starts=0, cells=2)
    assert naive.lower <= best.upper <= naive.upper


@pytest.mark.slow
def test_a_lower_point_turns_up_on_the_way() -> None:
    """Asked about the alternation's end and given no other start, the relaxation's moments lead lower."""
    tasks, model = _beaten()
    found = fit(tasks, model)
    many = enclose(tasks, model, found.W, found.B, starts=30)
    alone = enclose(tasks, model, found.W, found.B, starts=0)
    assert alone.beaten > 0.03 and alone.tight
    assert float(alone.upper) == pytest.approx(float(many.upper), rel=1e-14)
    assert checker.check(json.loads(json.dumps(alone.proof))) == (alone.lower, alone.upper)


@pytest.mark.parametrize("seed", range(6))
def test_one_task_that_its_rows_hardly_determine(seed: int) -> None:
    """Two nearly collinear features: whatever the solver answers, the enclosure holds the ridge minimum."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(6, 1))
    X = np.hstack([x, x + 10.0 ** rng.uniform(-4.7, -4) * rng.normal(size=(6, 1))])
    tasks, model = TaskSet.from_arrays([X], [rng.normal(size=6)]), amtl()
    y, gram = tasks[0].y, X.T @ X / 6 + np.eye(2)
    minimum = y @ y / 6 - (X.T @ y / 6) @ np.linalg.solve(gram, X.T @ y / 6)
    found = enclose(tasks, model, *zeros(tasks), starts=1)
    assert float(found.lower) <= minimum * (1 + 1e-12) and float(found.upper) >= minimum * (1 - 1e-12)


def test_an_interrupt_of_a_fit_ends_the_search_too(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, model = random_tasks(rng, d=2, counts=(8, 8)), Model(transfer=LossWeightedL1(mu=0.1), coupling=1.0)
    steps = DirectWeightStep.solve

    def stop(*args: Any) -> Any:
        monkeypatch.setattr(DirectWeightStep, "solve", steps)
        raise KeyboardInterrupt

    monkeypatch.setattr(DirectWeightStep, "solve", stop)
    with pytest.raises(KeyboardInterrupt):
        best_point(tasks, model, starts=2, rng=rng)


def test_best_point_is_reproducible(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, d=2, counts=(6, 8)), amtl()
    first, second = (best_point(tasks, model, starts=4, rng=np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first.B, second.B)


# --- faults planted in the producer -----------------------------------------------------------------------


def _incoming_prices(scaled: Any, problem: ExactProblem, W: Any, B: Any) -> Any:
    """mu on the wrong axis: loss t is raised by what t takes (T = 2)."""
    z = [
        {(): c, (k,): r}
        for k, (c, r) in enumerate(zip([W[0][0], W[0][1], B[0][1], B[1][0]], scaled.radius, strict=True))
    ]
    swap = polynomial.add(z[3], polynomial.scaled(z[2], Fraction(-1)))
    change = [
        polynomial.scaled(
            polynomial.times(polynomial._weighted_loss(problem, t, [z[t]]), swap), sign * problem.mu
        )
        for t, sign in ((0, Fraction(1)), (1, Fraction(-1)))
    ]
    return replace(scaled, objective=polynomial.add(scaled.objective, *change))


def _half_coupling(scaled: Any, problem: ExactProblem, W: Any, B: Any) -> Any:
    """A term of the objective lost."""
    kept = {m: v for m, v in scaled.objective.items() if len(m) < 4}
    return replace(scaled, objective=kept)


def _small_box(scaled: Any, problem: ExactProblem, W: Any, B: Any) -> Any:
    return replace(scaled, radius=tuple(r / 2 for r in scaled.radius))


def _flipped_budget(scaled: Any, problem: ExactProblem, W: Any, B: Any) -> Any:
    last = max(scaled.linear)
    return replace(
        scaled, linear={**scaled.linear, last: polynomial.scaled(scaled.linear[last], Fraction(2))}
    )


@pytest.mark.parametrize("fault", [_incoming_prices, _half_coupling, _small_box, _flipped_budget])
def test_checker_catches_a_fault_in_the_producer(fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = ENCLOSE.scale_problem
    monkeypatch.setattr(
        ENCLOSE, "scale_problem", lambda problem, box, W, B: fault(right(problem, box, W, B), problem, W, B)
    )
    tasks = random_tasks(np.random.default_rng(4), d=1, counts=(5, 7))
    with pytest.raises(NotCertifiable, match="checker rejects.*(bound claimed|cuts off part of the box)"):
        enclose(tasks, amtl(), *zeros(tasks), starts=5)


# --- sizes of the acceptance ------------------------------------------------------------------------------


def alike(rng: np.random.Generator, T: int, d: int) -> TaskSet:
    """Tasks with parameters alike up to sign and equal noise: a box of moderate size."""
    w = rng.normal(size=d)
    X = [rng.normal(size=(4 * d + 4, d)) for _ in range(T)]
    signs, own = rng.choice([-1.0, 1.0], size=T), 0.3 * rng.normal(size=(T, d))
    truth = [sign * w + v for sign, v in zip(signs, own, strict=True)]
    y = [Xt @ true + 0.5 * rng.normal(size=len(Xt)) for Xt, true in zip(X, truth, strict=True)]
    return TaskSet.from_arrays(X, y)


@pytest.mark.slow
@pytest.mark.parametrize(("T", "d"), [(2, 3), (3, 2)])
def test_width_at_larger_sizes(T: int, d: int) -> None:
    tasks = alike(np.random.default_rng(1), T, d)
    found = enclose(tasks, amtl(), *zeros(tasks))
    assert found.tight and found.width < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("seed", [102, None])
def test_a_box_a_thousand_wide_is_closed(rng: np.random.Generator, seed: int | None, tmp_path: Path) -> None:
    """One task with a minimal loss near 0: its edges are nearly free. The second needs two cells."""
    counts = (20, 20, 20)
    if seed is not None:
        rng, counts = np.random.default_rng(seed), (12, 14, 10)
    tasks, model = random_tasks(rng, d=2, counts=counts), amtl(mu=0.2)
    words: list[str] = []
    found = enclose(tasks, model, *zeros(tasks), observe=words.append)
    assert found.tight and found.width < 1e-12
    assert float(max(map(max, derive_box(tasks, model, found.upper).B_high))) > 1000
    assert (found.cells > 1) == (seed is None) == bool(words)
    found.save(tmp_path / "proof.json")
    assert checker.main([str(tmp_path / "proof.json")]) == 0
    uncut = enclose(tasks, model, *zeros(tasks), cells=1)
    assert uncut.lower <= found.upper == uncut.upper
    assert uncut.tight == (seed is not None)
    starts = _starts(tasks, np.random.default_rng(0))
    values = [fit(tasks, model, options=Options(engine="fast", start=start)).objective for start in starts]
    assert min(values) >= float(found.upper) * (1 - 1e-12)


def test_names() -> None:
    assert package_enclose is enclose
