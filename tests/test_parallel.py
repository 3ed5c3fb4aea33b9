"""Parallel work: what a serial loop gives, whatever happens to the workers."""

from __future__ import annotations

import gc
import logging
import multiprocessing.connection
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
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
from side_by_side import Counter

from amtl_cvx import errors
from amtl_cvx.errors import AMTLError, ModelError, SolveError, WorkerError
from amtl_cvx.parallel import (
    ATTEMPTS,
    INLINE,
    SharedMap,
    WorkerPool,
    ordered_map,
    silence,
    worker,
    workers,
)
from amtl_cvx.tasks import TaskSet


def stays(future: Future[Any]) -> None:
    """Neither begun nor finished."""


def loses(future: Future[Any]) -> None:
    future.cancel()
    future.set_running_or_notify_cancel()


def test_results_come_in_the_order_of_the_jobs(executor: Executor | None) -> None:
    seen: dict[int, int] = {}
    assert ordered_map(times, NUMBERS, shared=3, executor=executor) == [3 * n for n in NUMBERS]
    found = ordered_map(
        late, NUMBERS, shared=0.005, executor=executor, observe=lambda n, result: seen.update({n: result})
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


@pytest.mark.slow
def test_this_process_does_the_rest_of_a_broken_executor(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        found = ordered_map(dies_once, NUMBERS, shared=tmp_path / "died", executor=executor)
        assert found == [n * n for n in NUMBERS]
        assert "the executor takes no more jobs (BrokenProcessPool" in caplog.text
        assert set(ordered_map(process, NUMBERS, shared=None, executor=executor)) == {os.getpid()}
        with pytest.raises(SolveError, match="^job 2$"):
            ordered_map(fails, NUMBERS, shared=2, executor=executor)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_dead_worker_does_not_count_against_jobs_that_waited(tmp_path: Path) -> None:
    with WorkerPool(1) as pool:
        found = ordered_map(dies_often, range(6), shared=tmp_path, executor=pool)
    assert found == list(range(6))  # jobs 0, 1 and 2 kill their worker twice each: job 5 saw six deaths


@pytest.mark.parametrize("number", [10**11, 2.0, "2"])
def test_a_number_of_jobs_that_no_machine_has_is_refused(number: Any) -> None:
    with pytest.raises(ModelError, match="the number of jobs at a time must be"):
        WorkerPool(number)
