"""Parallel work: what a serial loop gives, whatever happens to the workers."""

from __future__ import annotations

import contextlib
import gc
import logging
import multiprocessing.connection
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest
from command_line import GIVEN, Run, arrays
from jobs import (
    NUMBERS,
    Luggage,
    dies,
    dies_often,
    dies_once,
    divides,
    fails,
    late,
    length,
    process,
    stops_once,
    threads,
    times,
    weigh,
)

from amtl_cvx import errors
from amtl_cvx.certificate import certify
from amtl_cvx.errors import AMTLError, ModelError, SolveError, WorkerError
from amtl_cvx.experiment import Job, choose, fit_many
from amtl_cvx.experiment import jobs as many
from amtl_cvx.losses import Logistic, Squared
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.parallel import (
    ATTEMPTS,
    INLINE,
    SharedMap,
    WorkerPool,
    cluster,
    dispatch,
    ordered_map,
    silence,
    worker,
    workers,
)
from amtl_cvx.problem import Model, Problem
from amtl_cvx.solution import Record, Solution, Status
from amtl_cvx.subproblems import ColumnProblem, HalfStep, WeightProblem, transfer, weights
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2) as executor:
        yield executor


@pytest.fixture(params=["none", "threads", "processes", "pool"])
def executor(request: pytest.FixtureRequest, pool: WorkerPool) -> Iterator[Executor | None]:
    """Every way of working on one machine."""
    if request.param == "threads":
        with ThreadPoolExecutor(3) as threads:
            yield threads
    elif request.param == "processes":
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
            yield processes
    else:
        yield pool if request.param == "pool" else None


class Counter(Executor):
    """An executor whose futures are set by the test."""

    def __init__(self, *ends: Callable[[Future[Any]], Any]) -> None:
        self.ends, self.futures = list(ends), []
        self.work: list[str] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.futures.append(future)
        self.work.append(args[0].__name__)
        if self.ends:
            self.ends.pop(0)(future)
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def stays(future: Future[Any]) -> None:
    """Neither begun nor finished."""


def loses(future: Future[Any]) -> None:
    future.cancel()
    future.set_running_or_notify_cancel()


def test_results_come_in_the_order_of_the_jobs(executor: Executor | None) -> None:
    seen: dict[int, int] = {}
    assert ordered_map(times, NUMBERS, shared=3, executor=executor) == [3 * n for n in NUMBERS]
    found = ordered_map(
        late, NUMBERS, shared=0.02, executor=executor, observe=lambda n, result: seen.update({n: result})
    )
    assert ordered_map(times, [], shared=3, executor=executor) == []
    assert found == list(NUMBERS)
    assert seen == {n: n for n in NUMBERS}


def test_the_earliest_error_is_raised_as_it_is(executor: Executor | None) -> None:
    with pytest.raises(SolveError, match="^job 2$") as caught:
        ordered_map(fails, NUMBERS, shared=2, executor=executor)
    error = caught.value
    assert (error.step, error.solver, error.status, error.round) == ("W", "SCS", "unbounded", 2)


def test_a_bug_says_where_it_happened(pool: WorkerPool) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        ordered_map(divides, [1], shared=0, executor=pool)
    assert "in divides" in caught.value.__notes__[0]


@pytest.mark.parametrize("size", [10, INLINE + 1])
@pytest.mark.parametrize("executor", ["threads", "processes", "pool"], indirect=True)
def test_shared_data_reach_each_worker_once(size: int, executor: Executor, tmp_path: Path) -> None:
    luggage = Luggage(tmp_path / "log", size)
    for _ in range(2):
        found = ordered_map(weigh, NUMBERS, shared=luggage, executor=executor)
        assert found == [size + n for n in NUMBERS]
    places = luggage.log.read_text().split()
    assert 1 <= len(places) == len(set(places)) <= 2


def test_the_file_of_shared_data_goes_with_them(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spread = SharedMap(bytes(INLINE + 1), pool)
    assert spread(length, range(2)) == spread(length, range(2)) == [INLINE + 1] * 2
    assert len(list(tmp_path.iterdir())) == 1
    del spread
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_workers_do_the_work_with_one_thread_each(pool: WorkerPool) -> None:
    assert os.getpid() not in ordered_map(process, NUMBERS, shared=None, executor=pool)
    for counts in ordered_map(threads, NUMBERS, shared=np.zeros(1), executor=pool):
        assert counts and set(counts) == {1}


def test_a_pool_outlives_a_killed_worker(
    pool: WorkerPool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = ordered_map(dies_once, NUMBERS, shared=tmp_path / "died", executor=pool)
    assert os.getpid() not in ordered_map(process, NUMBERS, shared=None, executor=pool)
    assert found == [n * n for n in NUMBERS]
    assert "jobs were lost (BrokenProcessPool" in caplog.text


@pytest.mark.parametrize("executor", ["processes"], indirect=True)
def test_this_process_does_the_rest_of_a_broken_executor(
    executor: Executor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = ordered_map(dies_once, NUMBERS, shared=tmp_path / "died", executor=executor)
    assert found == [n * n for n in NUMBERS]
    assert "the executor takes no more jobs (BrokenProcessPool" in caplog.text
    assert set(ordered_map(process, NUMBERS, shared=None, executor=executor)) == {os.getpid()}
    with pytest.raises(SolveError, match="^job 2$"):
        ordered_map(fails, NUMBERS, shared=2, executor=executor)


def test_a_job_that_always_kills_its_worker_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with WorkerPool(1) as pool, pytest.raises(WorkerError, match="^job 1 of 1 was lost 3 times .Broken"):
        ordered_map(dies, [0], shared=os.getpid(), executor=pool)
    assert len(caplog.records) == ATTEMPTS - 1


def test_cancelled_jobs_are_done_again(caplog: pytest.LogCaptureFixture) -> None:
    executor = Counter(loses, loses, loses)
    assert ordered_map(times, range(2), shared=5, executor=executor) == [0, 5]
    assert len(executor.futures) == 5
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    with pytest.raises(WorkerError) as caught:
        ordered_map(times, range(2), shared=5, executor=Counter(*[loses] * 2 * ATTEMPTS))
    assert isinstance(caught.value.__cause__, CancelledError)


def test_an_interrupt_cancels_what_has_not_begun() -> None:
    executor = Counter(lambda future: future.set_exception(KeyboardInterrupt()), stays, stays)
    with pytest.raises(KeyboardInterrupt):
        ordered_map(times, range(3), shared=5, executor=executor)
    assert [future.cancelled() for future in executor.futures] == [False, True, True]


def test_an_observer_that_raises_cancels_what_has_not_begun() -> None:
    def stop(number: int, result: int) -> None:
        raise KeyboardInterrupt

    executor = Counter(lambda future: future.set_result(worker.Outcome(result=4)), stays)
    with pytest.raises(KeyboardInterrupt):
        ordered_map(times, range(2), shared=5, executor=executor, observe=stop)
    assert [future.cancelled() for future in executor.futures] == [False, True]


def test_leaving_a_pool_ends_what_still_runs() -> None:
    with WorkerPool(1) as pool:
        pool.submit(time.sleep, 600)
        (worker,) = pool._pool._processes.values()
    assert multiprocessing.connection.wait([worker.sentinel], timeout=60) == [worker.sentinel]


def test_workers_end_with_their_parent() -> None:
    code = """if True:
        import os, time
        from amtl_cvx.parallel import WorkerPool
        if __name__ == "__main__":
            with WorkerPool(1) as pool:
                print(pool.submit(os.getpid).result(), flush=True)
                time.sleep(600)
        """
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert int(parent.stdout.readline()) != parent.pid
    parent.kill()
    assert parent.communicate(timeout=60) == ("", None)  # the end of the file: the worker held it too


def test_workers_opens_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with workers() as executor:
        assert executor is None
    with workers(2) as executor:
        assert isinstance(executor, WorkerPool)
    with pytest.raises(ModelError, match="either jobs or a scheduler"), workers(2, scheduler="tcp://a:1"):
        pass
    with pytest.raises(ModelError, match=">= 1, got 0"), workers(0):
        pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModelError, match="pip install"), workers(scheduler="tcp://a:1"):
        pass


@pytest.mark.parametrize("kind", [*AMTLError.__subclasses__(), AMTLError], ids=lambda kind: kind.__name__)
def test_errors_travel(kind: type[AMTLError]) -> None:
    assert kind.__module__ == errors.__name__
    details = {"step": "B", "solver": "OSQP", "status": "infeasible", "round": 4}
    error = SolveError("why", **details) if kind is SolveError else kind("why")  # type: ignore[arg-type]
    error.add_note("in a worker")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind and str(back) == "why"
    assert vars(back) == {**(details if kind is SolveError else {}), "__notes__": ["in a worker"]}


def test_rows_that_tasks_share_travel_once(rng: np.random.Generator) -> None:
    X = rng.normal(size=(300, 40))
    tasks = TaskSet.one_vs_rest(X, np.arange(300) % 10)
    pickled = pickle.dumps(tasks)
    assert X.nbytes < len(pickled) < 2 * X.nbytes
    assert pickle.loads(pickled).fingerprint() == tasks.fingerprint()


def make_model(**changes: Any) -> Model:
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.2), coupling=0.7)
    return replace(model, **changes)


def grid(rng: np.random.Generator) -> list[Job]:
    """Fits of several models, methods and data sets."""
    tasks, labels = cases.random_tasks(rng), cases.random_tasks(rng, loss="logistic")
    jobs = [Job(tasks=tasks, model=make_model(coupling=coupling)) for coupling in (0.1, 0.7, 5.0)]
    jobs += [Job(tasks=tasks, model=make_model(), method=method) for method in ("curriculum", "stl")]
    return [*jobs, Job(tasks=labels, model=make_model(loss=Logistic()))]


def assert_same(found: list[Solution], expected: list[Solution]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.W, other.W)
        np.testing.assert_array_equal(one.B, other.B)
        assert (one.method, one.model, one.status) == (other.method, other.model, other.status)
        assert one.certificate == other.certificate


@pytest.mark.parametrize("executor", ["none", "threads", "pool"], indirect=True)
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


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A scheduler and two worker processes on this machine."""
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, INLINE + 1])
def test_shared_data_reach_each_dask_worker_once(address: str, size: int, tmp_path: Path) -> None:
    luggage = Luggage(tmp_path / "log", size)
    with workers(scheduler=address) as executor:
        found = ordered_map(weigh, NUMBERS, shared=luggage, executor=executor)
    assert found == [size + n for n in NUMBERS]
    places = luggage.log.read_text().split()
    assert 1 <= len(places) == len(set(places)) <= 2


class Ready(Executor):
    """Does every job at once, so that all have ended when the first is looked at."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*args, **options))
        return future


def test_later_jobs_that_ended_with_the_failed_one_do_not_matter() -> None:
    with pytest.raises(SolveError, match="^job 2$"):
        ordered_map(fails, NUMBERS, shared=2, executor=Ready())


@pytest.mark.slow
def test_dask_raises_the_earliest_error_as_it_is(address: str) -> None:
    with workers(scheduler=address) as executor, pytest.raises(SolveError, match="^job 2$") as caught:
        ordered_map(fails, NUMBERS, shared=2, executor=executor)
    assert (caught.value.solver, caught.value.round) == ("SCS", 2)


@pytest.mark.slow
def test_many_fits_with_a_dask_worker_killed_in_the_middle(address: str, rng: np.random.Generator) -> None:
    jobs, killed = grid(rng), []
    with workers(scheduler=address) as executor:
        client = executor._client  # type: ignore[union-attr]

        def kill(number: int, solution: Solution) -> None:
            if not killed:
                killed.extend(client.run(os.getpid).values())
                os.kill(killed[0], signal.SIGKILL)

        found = fit_many(jobs, executor=executor, observe=kill)
        client.wait_for_workers(2, timeout=60)
        assert killed[0] not in client.run(os.getpid).values()
    assert_same(found, fit_many(jobs))


@pytest.mark.slow
def test_the_steps_of_a_fit_with_a_dask_worker_killed_between_rounds(
    address: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "COLUMN_SIZE", 2)
    monkeypatch.setattr(transfer, "JOB_COLUMNS", 1)
    monkeypatch.setattr(weights, "SPREAD_SIZE", 1)
    tasks = cases.random_tasks(rng, loss="logistic", counts=(20, 15, 25, 18, 22))
    model = make_model(loss=Logistic(), transfer=LossWeightedL1(mu=0.01))
    options = Options(max_rounds=6, refine=False)
    with workers(scheduler=address) as executor:
        client = executor._client  # type: ignore[union-attr]

        def kill(record: Record) -> None:
            if (record.round, record.step) == (2, "W"):
                os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

        found = fit(tasks, model, options=replace(options, executor=executor, callback=kill))
    assert found.history[-1].round == 6
    assert_same([found], [fit(tasks, model, options=options)])


@pytest.mark.slow
def test_the_command_line_works_on_the_cluster(address: str, run: Run) -> None:
    np.savez("a.npz", **arrays())
    for name, words in (("here", ()), ("there", ("--scheduler", address))):
        answer = run("fit", "a.npz", "--out", name, "--coupling", "auto", "--mu", "auto", *words)
        assert answer.code == 0
    here, there = (np.load(f"{name}/solution.npz") for name in ("here", "there"))
    for name in here:
        np.testing.assert_array_equal(here[name], there[name])


@pytest.mark.slow
def test_an_address_without_a_scheduler_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", *GIVEN, "--scheduler", "tcp://127.0.0.1:1")
    assert answer.code == 2 and len(answer.err.splitlines()) == 1
    assert answer.err.startswith("error: no Dask scheduler answers at 'tcp://127.0.0.1:1': start one")


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


def test_other_versions_of_a_worker_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    other = ("python 3.0.1", *worker.versions_here()[1:])

    class Older(Executor):
        def submit(self, work: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_result(work(*args, **options)._replace(versions=other))
            return future

    assert ordered_map(times, range(3), shared=5, executor=Older()) == [0, 5, 10]
    (record,) = caplog.records
    assert record.message.startswith("a worker has python 3.0.1 (here 3.") and "numpy" not in record.message


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="what a process takes is read in /proc")
def test_a_frozen_worker_process_is_replaced(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, seconds in (("NOTICE", 0.2), ("SILENCE", 0.5), ("BEAT", 0.05)):
        monkeypatch.setattr(silence, name, seconds)
    found = ordered_map(stops_once, NUMBERS, shared=tmp_path / "stopped", executor=pool)
    assert found == [n * n for n in NUMBERS]
    assert "takes no processor time for 0 s, with 1 jobs" in caplog.text
    assert "it is ended, its job begins again" in caplog.text


def test_a_dead_worker_does_not_count_against_jobs_that_waited(tmp_path: Path) -> None:
    with WorkerPool(1) as pool:
        found = ordered_map(dies_often, range(6), shared=tmp_path, executor=pool)
    assert found == list(range(6))  # jobs 0, 1 and 2 kill their worker twice each: job 5 saw six deaths


@pytest.mark.parametrize("number", [10**11, 2.0, "2"])
def test_a_number_of_jobs_that_no_machine_has_is_refused(number: Any) -> None:
    with pytest.raises(ModelError, match="the number of jobs at a time must be"):
        WorkerPool(number)


class Scheduler:
    """What `_Pulse` asks of a Dask client, as far as a test says."""

    def __init__(self, *, workers: int = 1, frozen: bool = False, silent: bool = False) -> None:
        self.number, self.frozen, self.silent, self.keys = workers, frozen, silent, list[str]()
        self.over = threading.Event()

    def scheduler_info(self) -> dict[str, Any]:
        if self.frozen:
            self.over.wait()
        seen = 1.0 if self.silent else time.time()
        return {"workers": {f"tcp://{n}": {"last_seen": seen} for n in range(self.number)}}

    def processing(self) -> dict[str, list[str]]:
        return {"tcp://0": self.keys}


class Cluster(Executor):
    """Takes jobs and does none of them."""

    def __init__(self, client: Scheduler) -> None:
        self.client = client

    def submit(self, work: Callable[..., Any], /, *args: Any, key: str, **options: Any) -> Future[Any]:
        self.client.keys.append(key)
        return Future()


@pytest.mark.parametrize(
    "state, line",
    [
        ({"frozen": True}, "the Dask scheduler does not answer"),
        ({"workers": 0}, "the Dask scheduler has no workers"),
        ({"silent": True}, "the Dask worker tcp://0 gives no sign of life"),
    ],
    ids=["frozen scheduler", "no workers", "silent worker"],
)
def test_jobs_of_the_silent_are_done_here(
    state: dict[str, Any], line: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = Scheduler(**state)
    monkeypatch.setattr(dispatch, "client_of", lambda executor: client)
    for name, seconds in (("NOTICE", 0.1), ("SILENCE", 0.3), ("BEAT", 0.02)):
        monkeypatch.setattr(silence, name, seconds)
    started = time.perf_counter()
    assert ordered_map(times, range(3), shared=5, executor=Cluster(client)) == [0, 5, 10]
    client.over.set()
    assert time.perf_counter() - started < 5.0
    notice, end = (record.message for record in caplog.records)
    assert notice.startswith(f"{line} for 0 s, with 3 jobs: the limit is 0 s")
    assert end.startswith(f"{line} for ") and end.endswith(": doing 3 jobs here")


def test_a_long_job_of_a_worker_that_lives_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Scheduler()
    monkeypatch.setattr(dispatch, "client_of", lambda executor: client)
    for name, seconds in (("NOTICE", 0.1), ("SILENCE", 0.2), ("BEAT", 0.02)):
        monkeypatch.setattr(silence, name, seconds)

    class Slow(Cluster):
        def submit(self, work: Callable[..., Any], /, *args: Any, key: str, **options: Any) -> Future[Any]:
            future: Future[Any] = super().submit(work, key=key)
            threading.Timer(0.6, lambda: future.set_result(worker.Outcome(result=7))).start()
            return future

    assert ordered_map(times, range(1), shared=5, executor=Slow(client)) == [7]


@pytest.mark.slow
@pytest.mark.parametrize(
    "address", ["silent", "", "x", "tcp://", "http://a:1", "tcp://127.0.0.1:99999999", "tcp://\0"]
)
def test_an_address_that_is_silent_or_odd_is_one_line(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        port.listen()  # accepts, and never says a word
        silent = f"tcp://127.0.0.1:{port.getsockname()[1]}"
        address = silent if address == "silent" else address
        with pytest.raises(ModelError, match="no Dask scheduler answers at"), workers(scheduler=address):
            pass


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["scheduler", "workers", "worker"])
def test_a_frozen_cluster_ends_in_a_line(
    victim: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    for name, seconds in (("NOTICE", 1.0), ("SILENCE", 3.0), ("BEAT", 0.2)):
        monkeypatch.setattr(silence, name, seconds)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{port.getsockname()[1]}"
    dask = [sys.executable, "-m", "dask"]
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])  # where the jobs' functions are
    quiet = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": os.environ | {"PYTHONPATH": paths},
    }
    host, number = address.removeprefix("tcp://").split(":")
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", host, "--port", number, "--no-dashboard"], **quiet
    )  # type: ignore[call-overload]
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    crew = [subprocess.Popen(worker, **quiet) for _ in range(2)]  # type: ignore[call-overload]
    try:
        for _ in range(60):
            with contextlib.suppress(OSError), socket.create_connection((host, int(number)), timeout=1.0):
                break
            time.sleep(0.5)
        with workers(scheduler=address) as executor:
            executor._client.wait_for_workers(2, timeout=30)  # type: ignore[union-attr]
            {"scheduler": scheduler, "workers": crew[0], "worker": crew[0]}[victim].send_signal(
                signal.SIGSTOP
            )
            if victim == "workers":
                crew[1].send_signal(signal.SIGSTOP)
            assert ordered_map(times, range(4), shared=5, executor=executor) == [0, 5, 10, 15]
    finally:
        for process in (*crew, scheduler):
            process.kill()
            process.wait()
    assert "doing" in caplog.text and "jobs here" in caplog.text
