"""Checkpoints: a fit that goes on from one takes the same steps to the same point."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import random_tasks

from amtl_cvx import refine, run
from amtl_cvx.amtl import family, refining
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, make_model
from amtl_cvx.refine import Carried
from amtl_cvx.runfolder.state import STATE, read_state, state_arrays
from amtl_cvx.solution import Blocks, Record, Solution, State, Status
from amtl_cvx.subproblems import Problems
from amtl_cvx.tasks import TaskSet


class Killed(Exception):
    """What nothing in the package catches."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A problem, the way it is fitted, and the kinds of steps that this takes."""

    tasks: TaskSet
    model: Model
    options: Options
    steps: tuple[str, ...]
    method: str = "alternating"


PROBLEMS = Problems()
"""Compiled once for all fits of this module."""


def case(name: str) -> Case:
    rng = np.random.default_rng(5)
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    labels, logistic = random_tasks(rng, loss="logistic"), make_model(loss="logistic", mu=0.02, coupling=0.3)
    options = Options(problems=PROBLEMS, handover=1e-3)
    return {
        "newton": Case(tasks=tasks, model=model, options=options, steps=("W", "B", "refine")),
        "logistic": Case(
            tasks=labels, model=logistic, options=replace(options, engine="fast"), steps=("W", "B", "refine")
        ),
        "fast": Case(
            tasks=tasks, model=model, options=replace(options, engine="fast"), steps=("W", "B", "refine")
        ),
        "rounds": Case(tasks=tasks, model=model, options=replace(options, handover=1e-9), steps=("W", "B")),
        "plain": Case(
            tasks=tasks, model=model, options=replace(options, refine=False, max_rounds=6), steps=("W", "B")
        ),
        "dependent": Case(
            tasks=random_tasks(rng, d=3, counts=(20,) * 5), model=model, options=options,
            steps=("W", "refine"),
        ),
        "further": Case(
            tasks=tasks, model=model, options=replace(options, engine="fast", handover=0.3),
            steps=("W", "B", "refine"),
        ),
        "curriculum": Case(tasks=tasks, model=model, options=replace(options, ridge=0.3),
                           method="curriculum", steps=("stl", "task 0")),
        "chain": Case(tasks=tasks, model=model, options=replace(options, ridge=0.3, reading="fixed"),
                      method="curriculum-simple", steps=("stl", "task 0")),
        "stl": Case(tasks=tasks, model=model, options=options, method="stl", steps=("stl",)),
    }[name]  # fmt: skip


NAMES = (
    "newton",
    "logistic",
    "fast",
    "rounds",
    "plain",
    "dependent",
    "further",
    "curriculum",
    "chain",
    "stl",
)


def told(record: Record) -> Record:
    """A record without its seconds, which differ from run to run."""
    return replace(record, seconds=0.0, solver_seconds=0.0)


def assert_same(found: Solution, whole: Solution) -> None:
    """The same point by the same steps."""
    np.testing.assert_array_equal(found.W, whole.W)
    np.testing.assert_array_equal(found.B, whole.B)
    assert [told(record) for record in found.history] == [told(record) for record in whole.history]
    assert found.status is whole.status and found.order == whole.order and found.ridge == whole.ridge
    seconds = [record.seconds for record in found.history]
    assert seconds == sorted(seconds) and found.seconds["total"] >= seconds[-1]


def kept(problem: Case, monkeypatch: pytest.MonkeyPatch) -> tuple[Solution, list[Solution]]:
    """The fit, and a checkpoint after every step."""
    monkeypatch.setattr(run, "INTERVAL", 0.0)
    saved: list[Solution] = []
    whole = fit(
        problem.tasks,
        problem.model,
        method=problem.method,
        options=replace(problem.options, checkpoint=saved.append),
    )
    return whole, saved


def again(problem: Case, start: Any, **changes: Any) -> Solution:
    options = replace(problem.options, start=start, **changes)
    return fit(problem.tasks, problem.model, method=problem.method, options=options)


def two_steps(*problem: Any, carried: Carried, **rest: Any) -> Any:
    """Refinement that stops after two steps in every turn."""
    return refine.refine(*problem, **{**rest, "max_steps": 2 * (carried.turn + 1)}, carried=carried)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", NAMES)
def test_a_fit_goes_on_from_every_checkpoint(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    problem = case(name)
    if name == "further":  # refinement ends without a certificate, rounds go on
        monkeypatch.setattr(refining, "refine", two_steps)
        monkeypatch.setattr(refining, "_ROUNDS", 6)
    whole, saved = kept(problem, monkeypatch)
    assert ("alternation" in {record.solver for record in whole.history}) == (name == "further")
    assert {record.step for record in whole.history} >= set(problem.steps)
    lengths = [len(solution.history) for solution in saved]
    assert lengths == sorted(set(lengths)) and lengths[-1] == len(whole.history)
    assert len(lengths) >= len(whole.history) - 1  # the first W-step is no round
    for solution in saved[:: max(1, len(saved) // 2)] + saved[-1:]:
        assert solution.state is not None and solution.status is Status.INTERRUPTED
        assert not solution.certificate.passes
        np.savez(tmp_path / STATE, **state_arrays(solution.state))  # type: ignore[arg-type]
        assert_same(again(problem, read_state(tmp_path)), whole)


@pytest.mark.parametrize("name", ["newton", "curriculum"])
def test_an_interrupted_fit_goes_on_from_its_state(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = case(name)
    whole = again(problem, None)
    for count in (1, 2, 4, len(whole.history)):
        seen = itertools.count(1)

        def stop(record: Record, seen: Iterator[int] = seen, count: int = count) -> None:
            if next(seen) == count:
                raise KeyboardInterrupt

        found = again(problem, None, callback=stop)
        assert found.status is Status.INTERRUPTED and len(found.history) == count
        assert_same(again(problem, found.state), whole)


def test_an_interrupt_inside_a_step_goes_back_to_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = case("fast")
    whole = again(problem, None)
    solve = family.residuals
    for count in (1, 3, 4):
        seen = itertools.count()

        def stop(*args: Any, seen: Iterator[int] = seen, count: int = count, **settings: Any) -> Any:
            if next(seen) == count:
                raise KeyboardInterrupt
            return solve(*args, **settings)

        with monkeypatch.context() as patch:
            patch.setattr(family, "residuals", stop)
            found = again(problem, None)
        assert len(found.history) == count
        np.testing.assert_allclose(
            problem.model.objective(problem.tasks, found.W, found.B), found.history[-1].objective, rtol=1e-12
        )
        assert_same(again(problem, found.state), whole)


def test_a_killed_fit_goes_on_from_the_last_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, saved = case("newton"), []
    whole = again(problem, None)
    monkeypatch.setattr(run, "INTERVAL", 0.0)

    def kill(solution: Solution) -> None:
        saved.append(solution)
        if solution.history[-1].step == "refine":
            raise Killed

    with pytest.raises(Killed):
        again(problem, None, checkpoint=kill)
    assert_same(again(problem, saved[-1].state), whole)


def test_quasi_newton_steps_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine, "DENSE_LIMIT", 0)
    problem = case("fast")
    problem = replace(problem, options=replace(problem.options, handover=10.0))
    whole, saved = kept(problem, monkeypatch)
    bursts = [solution for solution in saved if solution.history[-1].step == "refine"]
    assert len(bursts) > 1 and {record.solver for record in whole.history} >= {"l-bfgs-b"}
    for solution in bursts:
        assert_same(again(problem, solution.state), whole)


def test_a_fit_in_few_coordinates_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six features spread over 120: the fit works in the six dimensions of its rows."""
    problem = case("fast")
    Q = np.random.default_rng(2).normal(size=(6, 120))
    tasks = TaskSet.from_arrays([t.X @ Q for t in problem.tasks], [t.y for t in problem.tasks])
    problem = replace(problem, tasks=tasks)
    whole, saved = kept(problem, monkeypatch)
    assert tasks.row_basis is not None and len(saved) > 4
    for solution in saved[::3]:
        assert solution.state is not None and np.array_equal(solution.W, solution.state.W)
        found = again(problem, solution.state)
        assert found.status is Status.CERTIFIED and len(found.history) == len(whole.history)
        np.testing.assert_allclose(found.objective, whole.objective, rtol=1e-10)
        np.testing.assert_allclose(found.W, whole.W, rtol=0.0, atol=1e-8 * np.abs(whole.W).max())
        np.testing.assert_allclose(found.B, whole.B, rtol=0.0, atol=1e-8 * np.abs(whole.B).max())


def test_a_step_is_saved_before_the_next_one_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock of our own: after the first round, and whenever half a minute would pass."""
    clock, saved = [0.0], []
    monkeypatch.setattr(run.time, "monotonic", lambda: clock[0])
    problem = case("plain")

    def passing(seconds: list[float]) -> list[int]:
        saved.clear()
        left = iter(seconds)

        def work(record: Record) -> None:
            clock[0] += next(left)

        again(problem, None, callback=work, checkpoint=lambda s: saved.append(len(s.history)))
        return list(saved)

    assert passing([0.1] * 12) == [2]
    assert passing([4.0] * 12) == [2, 8]
    assert passing([40.0] * 12) == list(range(1, 13))


def test_a_state_of_another_fit_is_refused(rng: np.random.Generator) -> None:
    problem = case("newton")
    state = again(problem, None, callback=_stop).state
    assert state is not None
    with pytest.raises(ModelError, match="another problem"):
        again(replace(problem, model=make_model(mu=0.06, coupling=0.8)), state)
    with pytest.raises(ModelError, match="not of 'stl'"):
        again(replace(problem, method="stl"), state)
    with pytest.raises(DataError, match="must have shape"):
        again(replace(problem, tasks=random_tasks(rng, d=9)), state)
    plain = again(problem, Blocks(state.W, state.B))
    assert plain.status is Status.CERTIFIED and plain.history[0].round == 1


def _stop(record: Record) -> None:
    raise KeyboardInterrupt


def state_columns() -> list[str]:
    return [field.name for field in fields(Record)]


@pytest.mark.parametrize(
    "damage",
    [
        {"facts": np.array("{")}, {"facts": np.array("[]")}, {"step": np.array(["W"] * 9)},
        {"W": np.zeros(3)}, {"B": np.full((4, 4), np.nan)}, {"previous": np.zeros((2, 2))},
        {"round": np.array(["x"])}, {"facts": np.array("[" * 100_000)}, ("factor", "far"),
        ("factor", float("nan")), ("phase", "none"), ("method", "other"), ("order", [7]), ("ridge", []),
        ("seconds", {}), ("refining", {"steps": "many"}), ("method", ["stl"]),
        {name: np.array([]) for name in state_columns()},
    ],
    ids=lambda damage: str(damage)[:40],
)  # fmt: skip
def test_a_damaged_state_is_bad_data(damage: dict[str, Any] | tuple[str, Any], tmp_path: Path) -> None:
    state = again(case("newton"), None, callback=_stop).state
    assert isinstance(state, State) and read_state(tmp_path) is None
    arrays = state_arrays(state)
    if isinstance(damage, tuple):
        name, value = damage
        damage = {"facts": np.array(json.dumps(json.loads(str(arrays["facts"])) | {name: value}))}
    np.savez(tmp_path / STATE, **{**arrays, **damage})
    with pytest.raises(DataError):
        read_state(tmp_path)
