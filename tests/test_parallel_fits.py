"""Fits side by side: what one after another gives, and no wrong result of a worker is believed."""

from __future__ import annotations

import os
import signal
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest
from command_line import GIVEN, Run, arrays
from side_by_side import Counter, assert_same, grid, make_model

from amtl_cvx.certificate import certify
from amtl_cvx.errors import SolveError
from amtl_cvx.experiment import Job, choose, fit_many
from amtl_cvx.experiment import jobs as many
from amtl_cvx.losses import Logistic
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.parallel import (
    WorkerPool,
    worker,
)
from amtl_cvx.problem import Problem
from amtl_cvx.solution import Solution, Status
from amtl_cvx.subproblems import ColumnProblem, HalfStep, WeightProblem, transfer, weights
from amtl_cvx.transfer import LossWeightedL1


@pytest.mark.parametrize("executor", ["none", "threads", "pool"], indirect=True)
@pytest.mark.slow
def test_many_fits_are_the_single_fits(executor: Executor | None, rng: np.random.Generator) -> None:
    jobs = grid(rng)
    expected = [fit(job.tasks, job.model, method=job.method, options=job.options) for job in jobs]
    seen: dict[int, Status] = {}
    found = fit_many(jobs, executor=executor, observe=lambda n, solution: seen.update({n: solution.status}))
    assert_same(found, expected)
    assert seen == dict.fromkeys(range(len(jobs)), Status.CERTIFIED)


def kill_one(executor: Any) -> Callable[[int, Any], None]:
    """Kills a worker of a `WorkerPool` after the first job."""
    left = [None]

    def kill(number: int, result: Any) -> None:
        if left:
            left.pop()
            os.kill(next(iter(executor._pool._processes)), signal.SIGKILL)

    return kill


@pytest.mark.slow
def test_many_fits_with_a_worker_killed_in_the_middle(
    pool: WorkerPool, rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = grid(rng)
    found = fit_many(jobs, executor=pool, observe=kill_one(pool))
    assert_same(found, fit_many(jobs))
    assert "jobs were lost" in caplog.text


def test_many_fits_share_their_problems_and_call_nobody_back(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[int, int]] = []
    begin = WeightProblem.__init__

    def count(self: WeightProblem, *, T: int, d: int) -> None:
        made.append((T, d))
        begin(self, T=T, d=d)

    monkeypatch.setattr(WeightProblem, "__init__", count)
    tasks = cases.random_tasks(rng)
    options = Options(callback=lambda record: pytest.fail("called back"))
    jobs = [
        Job(tasks=tasks, model=make_model(coupling=coupling), options=options) for coupling in (0.1, 1.0, 9.0)
    ]
    fit_many(jobs)
    assert made == [(tasks.T, tasks.d)]


def test_the_steps_of_a_fit_are_the_same_on_an_executor(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[int] = []
    begin = ColumnProblem.__init__

    def count(self: ColumnProblem, **shape: Any) -> None:
        compiled.append(shape["T"])
        begin(self, **shape)

    monkeypatch.setattr(ColumnProblem, "__init__", count)
    monkeypatch.setattr(worker, "_opened", OrderedDict())
    monkeypatch.setattr(transfer, "COLUMN_SIZE", 2)
    monkeypatch.setattr(transfer, "JOB_COLUMNS", 2)
    monkeypatch.setattr(weights, "SPREAD_SIZE", 1)
    tasks = cases.random_tasks(rng, loss="logistic", counts=(20, 15, 25, 18, 22))
    model = make_model(loss=Logistic(), transfer=LossWeightedL1(mu=0.01))
    options = Options(max_rounds=3, refine=False)
    expected = fit(tasks, model, options=options)
    assert compiled == [5]
    executor = Counter()
    found = fit(tasks, model, options=replace(options, executor=executor))
    assert compiled == [5, 5]  # the worker's own, kept from round to round
    assert_same([found], [expected])
    assert found.B.any()
    assert executor.work.count("solve_chunk") == 3 * 3  # rounds times chunks
    newton_steps, rest = divmod(executor.work.count("_second_order"), tasks.T)
    assert newton_steps >= 3 and rest == 0


def test_an_interrupted_fit_ends_them_all(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    (job, *_), fitted = grid(rng), many.fit

    def interrupted(*arguments: Any, **options: Any) -> Solution:
        return replace(fitted(*arguments, **options), status=Status.INTERRUPTED)

    monkeypatch.setattr(many, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_many([job, job])


@pytest.mark.slow
def test_the_path_is_the_same_side_by_side(pool: WorkerPool, rng: np.random.Generator) -> None:
    tasks = cases.random_tasks(rng, counts=(12, 14, 11))
    seen: list[Any] = []
    serial, spread = (
        choose(
            tasks,
            make_model(),
            coupling=True,
            mu=True,
            rng=np.random.default_rng(4),
            observe=seen.append,
            executor=executor,
        )
        for executor in (None, pool)
    )
    assert serial == spread
    assert len(seen) == 2 * len(serial.trials) and set(seen[len(serial.trials) :]) == set(serial.trials)


@pytest.mark.slow
def test_the_command_line_works_side_by_side(run: Run) -> None:
    np.savez("a.npz", **arrays())
    for jobs in ("1", "2"):
        answer = run(
            "fit", "a.npz", "--out", f"run{jobs}", "--coupling", "auto", "--mu", "auto", "--jobs", jobs
        )
        assert answer.code == 0
    serial, spread = (np.load(f"run{jobs}/solution.npz") for jobs in "12")
    for name in serial:
        np.testing.assert_array_equal(serial[name], spread[name])


@pytest.mark.parametrize(
    "words, message",
    [
        (("--jobs", "0"), ">= 1, got 0"),
        (("--jobs", "2", "--scheduler", "tcp://127.0.0.1:1"), "either jobs or a scheduler"),
    ],
)
def test_the_command_line_refuses_what_makes_no_sense(run: Run, words: tuple[str, ...], message: str) -> None:
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, *words)
    assert answer.code == 2 and answer.out == "" and message in answer.err
    assert len(answer.err.splitlines()) == 1 and not Path("run").exists()


class Liar(Executor):
    """A worker that changes what it found."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self.change = change

    def submit(self, work: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        outcome = work(*args, **options)
        future.set_result(outcome._replace(result=self.change(outcome.result)))
        return future


def moved(solution: Solution, **blocks: cases.Array) -> Solution:
    """The solution with other blocks."""
    return replace(solution, blocks={**solution.blocks, **blocks})


LIES: dict[str, Callable[[Solution], Any]] = {
    "W scaled": lambda solution: moved(solution, W=1.5 * solution.W),
    "B transposed": lambda solution: moved(solution, B=solution.B.T.copy()),
    "W of another shape": lambda solution: moved(solution, W=solution.W[:, :-1]),
    "W of nan": lambda solution: moved(solution, W=np.nan * solution.W),
    "another method": lambda solution: replace(solution, method="stl"),
    "None": lambda solution: None,
    "a text": lambda solution: "certified",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_wrong_result_of_a_worker_is_not_believed(
    lie: str, rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    job = Job(tasks=cases.random_tasks(rng), model=make_model())
    found = fit_many([job], executor=Liar(LIES[lie]))
    assert_same(found, [fit(job.tasks, job.model)])
    assert "a worker's result is not that of its job: doing the job here" in caplog.text


def test_what_a_worker_says_of_its_result_is_found_again_here(rng: np.random.Generator) -> None:
    job = Job(tasks=cases.random_tasks(rng), model=make_model())
    wrong = replace(job.model, coupling=9.0)
    (found,) = fit_many(
        [job], executor=Liar(lambda s: replace(s, objective=0.0, losses=0 * s.losses, model=wrong))
    )
    expected = fit(job.tasks, job.model)
    assert_same([found], [expected])
    assert found.objective == expected.objective and found.losses == pytest.approx(expected.losses)


def test_a_wrong_loss_on_held_out_rows_does_not_choose(rng: np.random.Generator) -> None:
    tasks = cases.random_tasks(rng, counts=(12, 14, 11))
    here, there = (
        choose(tasks, make_model(), coupling=True, mu=True, rng=np.random.default_rng(4), executor=executor)
        for executor in (
            None,
            Liar(lambda pair: (replace(pair[0], held_out_loss=-pair[0].coupling), pair[1])),
        )
    )
    assert here == there


@pytest.mark.parametrize("kind", ["columns", "Hessians"])
@pytest.mark.parametrize("change", ["nan", "cut", "scaled"])
def test_wrong_columns_and_hessians_are_not_certified(
    kind: str, change: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = {"nan": lambda a: a * np.nan, "cut": lambda a: a[:-1], "scaled": lambda a: 1.5 * a}[change]

    def changed(result: Any) -> Any:
        if isinstance(result, HalfStep):
            return result._replace(value=spoilt(result.value)) if kind == "columns" else result
        return (spoilt(result[0]), result[1]) if kind == "Hessians" else result

    monkeypatch.setattr(transfer, "COLUMN_SIZE", 2)
    monkeypatch.setattr(transfer, "JOB_COLUMNS", 2)
    monkeypatch.setattr(weights, "SPREAD_SIZE", 1)
    tasks = cases.random_tasks(rng, loss="logistic", counts=(20, 15, 25))
    model = make_model(loss=Logistic(), transfer=LossWeightedL1(mu=0.01))
    try:
        found = fit(tasks, model, options=Options(max_rounds=3, refine=False, executor=Liar(changed)))
    except SolveError as error:
        assert "raised the objective" in str(error) and change == "scaled"
        return
    own = fit(tasks, model, options=Options(max_rounds=3, refine=False))
    assert found.certificate.passes == certify(Problem(tasks, model).at(found.W, found.B)).passes
    assert change == "scaled" or found.objective == pytest.approx(own.objective, rel=1e-9)
