"""The starts of an exploration: what they are, and what becomes of those that fail."""

from __future__ import annotations

import dataclasses

import cases
import numpy as np
import pytest
from explored import MODEL, several

from amtl_cvx.amtl.starts import DENSITIES, SIZES, Start
from amtl_cvx.errors import DataError, ModelError, SolveError
from amtl_cvx.experiment import jobs
from amtl_cvx.explore import draw_starts, explore
from amtl_cvx.losses import Hinge, Squared
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


def test_random_starts_have_the_density_and_size_they_name(rng: np.random.Generator) -> None:
    tasks = cases.random_tasks(rng, d=2, counts=[4] * 30)
    starts = draw_starts(tasks, MODEL, 3 + 12, rng=rng)[3:]
    lengths = np.linalg.norm(cases.ridge(tasks, dataclasses.replace(MODEL, coupling=2e-3)), axis=0)
    combinations = set()
    for start in starts:
        assert start.B.min() >= 0.0 and not np.diag(start.B).any()
        density, size = (float(word) for word in start.name.rstrip(")").replace(",", "").split()[3::2])
        combinations.add((density, size))
        assert np.count_nonzero(start.B) / (30 * 29) == pytest.approx(density, abs=0.06)
        share = lengths[:, None] * start.B / lengths
        assert share.sum(axis=0).mean() == pytest.approx(size, rel=0.25)
    assert combinations == {(density, size) for density in DENSITIES for size in SIZES}


def test_named_starts_are_the_methods_they_name(rng: np.random.Generator) -> None:
    tasks = several(rng)
    starts = {start.name: start.B for start in draw_starts(tasks, MODEL, 3, rng=rng)}
    assert list(starts) == ["zero", "single-task", "curriculum"] and not starts["zero"].any()
    np.testing.assert_array_equal(starts["curriculum"], fit(tasks, MODEL, method="curriculum").B)
    W = cases.ridge(tasks, dataclasses.replace(MODEL, coupling=1e-3 * MODEL.coupling))
    B, gradient = starts["single-task"], MODEL.gradient_B(tasks, W, starts["single-task"])
    scale = 2.0 * MODEL.coupling * np.abs(W.T @ W).max()
    assert B.any() and np.abs(np.minimum(B, gradient / scale)).max() < 1e-6


def test_starts_are_seeded_and_counted(rng: np.random.Generator) -> None:
    tasks = several(rng)
    first, second = (draw_starts(tasks, MODEL, 8, rng=np.random.default_rng(7)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.name == other.name
        np.testing.assert_array_equal(one.B, other.B)
    assert [len(draw_starts(tasks, MODEL, count, rng=rng)) for count in (1, 2, 3, 4)] == [1, 2, 3, 4]
    with pytest.raises(ModelError, match="number of starts"):
        draw_starts(tasks, MODEL, 0, rng=rng)


def test_a_penalty_without_row_prices_has_no_curriculum_start(rng: np.random.Generator) -> None:
    tasks = several(rng, T=2)
    model = Model(loss=Squared(), transfer=cases.SourceGroupL2(mu=0.5), coupling=1.0)
    starts = draw_starts(tasks, model, 4, rng=rng)
    assert [start.name.split()[0] for start in starts] == ["zero", "single-task", "random", "random"]
    found = explore(tasks, model, starts, options=Options(max_rounds=400))
    assert found.points and all(point.second_order is None for point in found.points)
    assert {point.level for point in found.points} == {"C2"}


def test_a_loss_with_kinks_has_no_curriculum_start(rng: np.random.Generator) -> None:
    tasks = cases.random_tasks(rng, d=2, counts=(8, 9), loss="logistic")
    model = Model(loss=Hinge(), transfer=LossWeightedL1(mu=0.5), coupling=0.5)
    starts = draw_starts(tasks, model, 3, rng=rng)
    assert [start.name.split()[0] for start in starts] == ["zero", "single-task", "random"]
    found = explore(tasks, model, starts)
    assert found.finished == 3 and all(point.second_order is not None for point in found.points)


def test_starts_need_names_of_their_own(rng: np.random.Generator) -> None:
    tasks, zero = several(rng), Start("zero", np.zeros((4, 4)))
    for starts in ([], [zero, zero]):
        with pytest.raises(DataError, match="name"):
            explore(tasks, MODEL, starts)


def test_an_interrupt_keeps_what_is_finished(rng: np.random.Generator) -> None:
    tasks = several(rng)
    starts = draw_starts(tasks, MODEL, 5, rng=rng)
    seen = []

    def stop(done: int, solution: Solution) -> None:
        seen.append(done)
        if done == 2:
            raise KeyboardInterrupt

    found = explore(tasks, MODEL, starts, observe=stop)
    assert found.finished == 2 and seen == [1, 2]
    assert found.unfinished == tuple(start.name for start in starts[2:])
    assert "Interrupted: 3 starts not fitted" in found.describe()


def test_a_failing_solver_costs_its_start_only(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = several(rng)
    starts = draw_starts(tasks, MODEL, 6, rng=rng)
    whole, fitted = explore(tasks, MODEL, starts), jobs.fitted
    bad = [starts[1].B, starts[4].B]

    def fail(tasks: TaskSet, model: Model, method: str, options: Options) -> Solution:
        if options.start is not None and any(np.array_equal(options.start.B, B) for B in bad):
            raise SolveError("the W-step was not solved", step="W", solver="SCS", status="failed")
        return fitted(tasks, model, method, options)

    monkeypatch.setattr(jobs, "fitted", fail)
    found = explore(tasks, MODEL, starts)
    assert list(found.lost) == [starts[1].name, starts[4].name] and not found.unfinished
    assert found.finished == 4 and found.to_dict()["lost"] == found.lost
    assert "2 starts ended in a solver's failure" in found.describe()
    for start in (starts[place] for place in (0, 2, 3, 5)):
        ours, theirs = (each.number_of(start.name) for each in (found, whole))
        assert ours and theirs
        assert found.points[ours - 1].objective == pytest.approx(
            whole.points[theirs - 1].objective, rel=1e-12
        )
    bad += [start.B for start in starts]
    with pytest.raises(SolveError, match="was not solved"):
        explore(tasks, MODEL, starts)
