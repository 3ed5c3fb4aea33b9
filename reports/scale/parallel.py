"""What is worth distributing: columns, tasks, restarts and grids on one process, a pool of 2, 2 Dask workers.

    python reports/scale/parallel.py

writes parallel.json and parallel.md beside itself. All problems are generated. The ways take turns;
a figure is the least of some runs after one that is not counted (it compiles and ships the data). Beside the
seconds by the clock stand the processor's seconds in the busiest process: on a shared machine only these tell
how the work divides.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from amtl_cvx import Logistic, LossWeightedL1, Model, Options, Squared, TaskSet
from amtl_cvx.experiment import Job, fit_many
from amtl_cvx.parallel import ordered_map, workers
from amtl_cvx.problem import Problem
from amtl_cvx.runfolder import versions
from amtl_cvx.solution import Blocks
from amtl_cvx.subproblems import WeightStep, compile_transfer_step

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from machine import hardware  # noqa: E402

SEED, WORKERS, RUNS = 0, 2, 3
WAYS = ("serial", "pool", "dask")
Work = Callable[[Executor | None], list[np.ndarray]]


def generated(T: int, d: int, n: int, *, labels: bool = False) -> TaskSet:
    """Tasks whose weights have rank 3, with noise of different size."""
    rng = np.random.default_rng(SEED)
    W = rng.normal(size=(d, 3)) @ rng.normal(size=(3, T)) + 0.3 * rng.normal(size=(d, T))
    X = [rng.normal(size=(n, d)) for _ in range(T)]
    z = [x @ w + s * rng.normal(size=n) for x, w, s in zip(X, W.T, rng.uniform(0.2, 2.0, T), strict=True)]
    return TaskSet.from_arrays(X, [np.where(zt > 0, 1.0, -1.0) if labels else zt for zt in z])


def model(loss: Any, coupling: float) -> Model:
    return Model(loss=loss, transfer=LossWeightedL1(mu=0.05), coupling=coupling)


def columns() -> tuple[str, Work]:
    """One B-step, column by column."""
    tasks, settings = generated(139, 28, 60), model(Squared(), 10.0)
    W = WeightStep.compile(tasks, settings).solve(Problem(tasks, settings).at(*_zeros(tasks))).value
    steps: dict[int, Any] = {}

    def work(executor: Executor | None) -> list[np.ndarray]:
        if id(executor) not in steps:
            steps[id(executor)] = compile_transfer_step(tasks, settings, columns=True, executor=executor)
        return [steps[id(executor)].solve(Problem(tasks, settings).at(W, np.zeros((tasks.T, tasks.T)))).value]

    return "columns: one B-step, T = 139, d = 28", work


def hessians() -> tuple[str, Work]:
    """One W-step of the logistic loss from zero."""
    tasks, settings = generated(16, 50, 20_000, labels=True), model(Logistic(), 1.0)
    steps: dict[int, Any] = {}

    def work(executor: Executor | None) -> list[np.ndarray]:
        if id(executor) not in steps:
            steps[id(executor)] = WeightStep.compile(tasks, settings, executor=executor)
        return [steps[id(executor)].solve(Problem(tasks, settings).at(*_zeros(tasks))).value]

    return "tasks: one W-step of the logistic loss, T = 16, d = 50, 320,000 rows", work


def restarts() -> tuple[str, Work]:
    """One model from several starts."""
    tasks, settings, rng = generated(20, 20, 40), model(Squared(), 1.0), np.random.default_rng(SEED + 1)
    starts = [np.triu(rng.random((20, 20)), 1) * 0.1 for _ in range(8)]
    options = [Options(start=Blocks(np.zeros((20, 20)), B), max_rounds=60, refine=False) for B in starts]
    jobs = [Job(tasks=tasks, model=settings, options=one) for one in options]
    return "restarts: 8 fits of 60 rounds, T = 20, d = 20", lambda executor: _fits(jobs, executor)


def grid() -> tuple[str, Work]:
    """A path of couplings."""
    tasks, settings = generated(60, 20, 60), model(Squared(), 1.0)
    jobs = [
        Job(
            tasks=tasks,
            model=replace(settings, coupling=coupling),
            options=Options(max_rounds=5, refine=False),
        )
        for coupling in np.geomspace(1e-2, 10.0, 8)
    ]
    return "grid: 8 couplings, 5 rounds each, T = 60, d = 20", lambda executor: _fits(jobs, executor)


def empty() -> tuple[str, Work]:
    """Jobs that do nothing."""
    return "overhead: 100 empty jobs", lambda executor: ordered_map(
        nothing, range(100), shared=None, executor=executor
    )


def nothing(shared: None, item: int) -> np.ndarray:
    return np.zeros(0)


MEASURED = (columns, hessians, restarts, grid, empty)


def _zeros(tasks: TaskSet) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T))


def _fits(jobs: list[Job], executor: Executor | None) -> list[np.ndarray]:
    return [array for solution in fit_many(jobs, executor=executor) for array in (solution.W, solution.B)]


@contextlib.contextmanager
def opened(way: str) -> Iterator[Executor | None]:
    """The executor of a way; Dask's scheduler and its workers are started here."""
    if way != "dask":
        with workers(1 if way == "serial" else WORKERS) as executor:
            yield executor
        return
    from distributed import LocalCluster

    with (
        LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
        workers(scheduler=cluster.scheduler_address) as executor,
    ):
        yield executor


def clock(shared: None, item: int) -> tuple[int, float]:
    """The process and its processor's seconds; slow enough that every worker gets one such job."""
    time.sleep(0.3)
    return os.getpid(), time.process_time()


def processor_seconds(executor: Executor | None) -> dict[int, float]:
    """By process, those that work."""
    return dict(ordered_map(clock, range(1 if executor is None else WORKERS), shared=None, executor=executor))


def measure(work: Work, executors: dict[str, Executor | None]) -> dict[str, float]:
    """Least seconds of each way by clock and processor, and the largest difference to the serial result.

    The ways take turns, so that whatever else the machine does meets all of them.
    """
    reference = work(None)
    row = {"difference": 0.0, **dict.fromkeys((*WAYS, *(f"{way} cpu" for way in WAYS)), np.inf)}
    for run in range(RUNS + 1):
        for way, executor in executors.items():
            spent, before = processor_seconds(executor), time.perf_counter()
            result = work(executor)
            seconds, after = time.perf_counter() - before, processor_seconds(executor)
            if run > 0:
                busiest = max(after[process] - spent.get(process, 0.0) for process in after)
                row[way], row[f"{way} cpu"] = min(row[way], seconds), min(row[f"{way} cpu"], busiest)
            pairs = zip(result, reference, strict=True)
            row["difference"] = max(
                row["difference"], *(float(np.abs(one - other).max(initial=0.0)) for one, other in pairs)
            )
    return row


def table(stored: dict[str, Any]) -> str:
    """The page."""
    rows, packages = stored["rows"], ", ".join(f"{k} {v}" for k, v in stored["versions"].items())
    lines = [
        "# What is worth distributing",
        "",
        "Written by `python reports/scale/parallel.py`; do not edit. Seconds by the clock, and in brackets"
        f" the processor's in the busiest process; the least of {RUNS} runs, the ways by turns; BLAS on one"
        " thread."
        f" The load of the machine was {stored['load']:.1f}: above {WORKERS} only the brackets tell how the"
        " work divides.",
        "",
        f"Machine: {stored['machine']}. Seed {SEED}. {packages}.",
        "",
        f"| work | serial | pool of {WORKERS} | Dask, {WORKERS} workers | largest difference in W, B |",
        "|---|---|---|---|---|",
    ]
    for name in (measured.__name__ for measured in MEASURED):
        row = rows[name]
        figures = " | ".join(_figure(row, way) for way in WAYS)
        lines.append(f"| {row['what']} | {figures} | {row['difference']:.1g} |")
    start = rows["start"]
    lines.append(f"| starting the workers | | {start['pool']:.1f} s | {start['dask']:.1f} s | |")
    pool, dask = (10.0 * rows["empty"][way] for way in WAYS[1:])  # ms of one of 100 jobs
    lines += [
        "",
        f"A job costs {pool:.1f} ms of overhead in a pool and {dask:.1f} ms with Dask, a new worker the"
        " seconds of importing CVXPY, and then of compiling its problems once.",
    ]
    return "\n".join(lines) + "\n"


def _figure(row: dict[str, Any], way: str) -> str:
    return f"{row[way]:.2f} s ({row[f'{way} cpu']:.2f} s)"


def main() -> None:
    """Measure and write."""
    rows: dict[str, dict[str, Any]] = {"start": {}}
    executors: dict[str, Executor | None] = {}
    with contextlib.ExitStack() as stack, threadpool_limits(1, user_api="blas"):
        for way in WAYS:
            before = time.perf_counter()
            executors[way] = stack.enter_context(opened(way))
            ordered_map(nothing, range(WORKERS), shared=None, executor=executors[way])
            rows["start"][way] = time.perf_counter() - before
        for measured in MEASURED:
            what, work = measured()
            rows[measured.__name__] = {"what": what, **measure(work, executors)}
            print(what, *(f"{way} {rows[measured.__name__][way]:.3f} s" for way in WAYS), flush=True)
        import distributed

        stored = {
            "machine": hardware(),
            "load": os.getloadavg()[1],
            "versions": {**versions(), "distributed": distributed.__version__},
            "rows": rows,
        }
    (HERE / "parallel.json").write_text(json.dumps(stored, indent=1) + "\n")
    (HERE / "parallel.md").write_text(table(stored))
    worst = max(row.get("difference", 0.0) for row in rows.values())
    sys.exit(f"results differ by {worst:.1e}" if worst > 1e-12 else 0)


if __name__ == "__main__":
    main()
