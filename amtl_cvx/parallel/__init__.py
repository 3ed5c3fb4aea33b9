"""Parallel work: independent jobs over any `concurrent.futures.Executor`, with the results of a serial loop.

    ordered_map(work, items, shared=data, executor=executor)  ==  [work(data, item) for item in items]

`work` is a function of a module, `data` what every job needs, `item` what is its own. The executor is None
(this process), a `ProcessPoolExecutor`, a `WorkerPool` (one that survives the death of its workers), or
`Client.get_executor()` of Dask for several machines; `workers` opens one by number or by address.

    with workers(4) as executor:                      # or workers(scheduler="tcp://192.168.0.1:8786")
        solutions = fit_many(jobs, executor=executor)

* The same numbers: a job runs alone in its process with BLAS on one thread, and depends on nothing but `data`
  and `item`. Threads of one process take turns, so threads gain nothing.
* Nothing is lost: whatever ends a job other than the job itself (a killed worker, a lost connection) has it
  done again, `ATTEMPTS` times in all; a job that only waited for a worker that died has not been begun. Where
  the executor takes no more jobs, this process does the rest.
* Nothing waits for ever (`silence`): a scheduler that does not answer, one without workers, a worker that it
  does not hear of, or a process of a `WorkerPool` that has a job and takes no processor time (seen on Linux),
  is said after `NOTICE` seconds; after `SILENCE` their jobs are done here, or the process is ended and its
  job begun again. How long a job takes does not matter, only whether there is a sign of life.
* Nothing is believed: `accept` sees each result that comes from a worker, and what it refuses is done here. A
  worker with other versions of Python or packages is said once.
* An error of a job is raised as it is, that of the earliest job where there are several; what has not begun
  by then, or at Ctrl-C, is cancelled.
* `data` go to each worker once and stay there for the next call: through a file to a process pool, scattered
  by Dask, otherwise and if small (`INLINE`) with the job. What `data` keep, compiled problems for one, the
  worker keeps too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor

from amtl_cvx.errors import ModelError
from amtl_cvx.parallel.cluster import dask_client
from amtl_cvx.parallel.dispatch import ATTEMPTS, SharedMap, ordered_map
from amtl_cvx.parallel.parcel import INLINE
from amtl_cvx.parallel.pool import MOST_JOBS, WorkerPool

__all__ = ["ATTEMPTS", "INLINE", "MOST_JOBS", "SharedMap", "WorkerPool", "ordered_map", "workers"]


@contextlib.contextmanager
def workers(jobs: int = 1, *, scheduler: str | None = None) -> Iterator[Executor | None]:
    """An executor for a while: None for one job at a time, a `WorkerPool`, or a Dask cluster by its address.

    Raises
    ------
    ModelError
        For a number of jobs below 1, jobs and a scheduler at once, a scheduler that does not answer, or
        where `dask.distributed` is not installed.
    """
    if scheduler is not None:
        if jobs != 1:
            raise ModelError("a Dask scheduler has its own workers: give either jobs or a scheduler")
        with dask_client(scheduler) as client:
            yield client.get_executor()
    elif jobs == 1:
        yield None
    else:
        with WorkerPool(jobs) as pool:
            yield pool
