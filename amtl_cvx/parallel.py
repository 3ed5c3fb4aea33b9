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
* Nothing waits for ever: a scheduler that does not answer, one without workers, a worker that it does not hear
  of, or a process of a `WorkerPool` that has a job and takes no processor time (seen on Linux), is said after
  `NOTICE` seconds; after `SILENCE` their jobs are done here, or the process is killed and its job done again.
  How long a job takes does not matter, only whether there is a sign of life.
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
import hashlib
import importlib.metadata
import logging
import multiprocessing
import os
import pickle
import platform
import signal
import sys
import tempfile
import threading
import time
import traceback
import uuid
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from threadpoolctl import ThreadpoolController

from amtl_cvx.errors import AMTLError, ModelError, WorkerError

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

ATTEMPTS = 3
"""How often a job is begun before its losses are an error."""
INLINE = 1 << 16
"""Bytes of shared data up to which they travel with each job."""
NOTICE = 5.0
"""Seconds without a sign of life after which a line says so."""
SILENCE = 30.0
"""Seconds without a sign of life after which jobs are done here."""
MOST_JOBS = 1024
"""Processes of a `WorkerPool` at most."""
_PATIENCE = 10.0
"""Seconds in which a scheduler must answer and have a worker."""
_BEAT = 0.5
"""Seconds between two questions for a sign of life."""
_PACKAGES = ("amtl-cvx", "numpy", "scipy", "cvxpy")
_OURS = "amtl_cvx-"
_KEPT = 2
"""How many shared data a worker holds on to."""

log = logging.getLogger(__name__)


def ordered_map(
    work: Callable[[Shared, Item], Result],
    items: Sequence[Item],
    *,
    shared: Shared,
    executor: Executor | None = None,
    observe: Callable[[int, Result], None] | None = None,
    accept: Callable[[int, Result], Result | None] | None = None,
) -> list[Result]:
    """``[work(shared, item) for item in items]``, the jobs spread over the executor's workers.

    Parameters
    ----------
    work : callable(shared, item)
        A function of a module that workers can import.
    items : sequence
        One entry a job; small, it travels with the job.
    shared : object
        What all jobs need.
    executor : concurrent.futures.Executor, optional
        None does the jobs one after another in this process.
    observe : callable(number, result), optional
        Called here after every job, in the order in which they finish.
    accept : callable(number, result), optional
        Called here with what a worker found: the result to believe, or None (or any exception) where it is
        not that of the job, which is then done here.

    Raises
    ------
    WorkerError
        If a job is lost `ATTEMPTS` times.
    Exception
        What `work` raises.
    """
    return SharedMap(shared, executor)(work, items, observe=observe, accept=accept)


class SharedMap(Generic[Shared]):
    """`ordered_map` for several calls with the same shared data, which are packed and sent once.

    Parameters
    ----------
    shared, executor
        As in `ordered_map`.
    """

    def __init__(self, shared: Shared, executor: Executor | None = None) -> None:
        self.shared, self.executor = shared, executor
        self._parcel: _Parcel | None = None

    def __call__(
        self,
        work: Callable[[Shared, Item], Result],
        items: Sequence[Item],
        *,
        observe: Callable[[int, Result], None] | None = None,
        accept: Callable[[int, Result], Result | None] | None = None,
    ) -> list[Result]:
        results: dict[int, Result] = {}
        jobs: Iterator[tuple[int, Result]]
        if self.executor is None:
            jobs = ((number, work(self.shared, item)) for number, item in enumerate(items))
        else:
            jobs = _Dispatch(self.executor, work, items, self, accept).finished()
        with contextlib.closing(jobs):  # type: ignore[type-var]
            for number, result in jobs:
                results[number] = result
                if observe is not None:
                    observe(number, result)
        return [results[number] for number in range(len(items))]

    def parcel(self) -> _Parcel:
        """The shared data on their way to every worker; made at the first call."""
        assert self.executor is not None
        if self._parcel is None:
            self._parcel = _Parcel(self.shared, self.executor)
        return self._parcel


class WorkerPool(Executor):
    """A process pool that starts anew when one of its workers dies; leaving it ends jobs that still run.

    Parameters
    ----------
    processes : int
        Number of workers, >= 1.

    Raises
    ------
    ModelError
    """

    def __init__(self, processes: int) -> None:
        whole: object = processes
        if not isinstance(whole, int) or processes < 1:
            raise ModelError(f"the number of jobs at a time must be a whole number >= 1, got {processes}")
        if processes > MOST_JOBS:
            raise ModelError(f"the number of jobs at a time must be at most {MOST_JOBS}, got {processes}")
        self._processes = processes
        self._dead: set[int] = set()
        self._worked: dict[int, tuple[tuple[int, float], float]] = {}
        self._pool = self._start()
        self._given: weakref.WeakSet[Future[Any]] = weakref.WeakSet()

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        try:
            future = self._pool.submit(fn, *args, **kwargs)
        except BrokenProcessPool:
            self._dead.update(self._running)
            self._pool = self._start()
            future = self._pool.submit(fn, *args, **kwargs)
        self._given.add(future)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        running = any(not future.done() for future in self._given)
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=wait and not running, cancel_futures=running or cancel_futures)
        if running:
            for process in processes:
                process.terminate()

    def died(self, ticket: int) -> bool:
        """Whether a lost job had been begun when its worker died."""
        return ticket in self._dead or ticket in self._running

    def silences(self) -> list[_Silence]:
        """The workers that have a job and have taken no processor time for `NOTICE` or longer."""
        now, found, before = time.monotonic(), [], self._worked
        self._worked = {}
        for ticket, pid in zip(self._running, self._pids, strict=True):
            used = _processor_time(pid) if ticket else None
            if used is None:
                continue
            last, since = before.get(pid, ((0, 0.0), now))
            since = since if last == (ticket, used) else now
            self._worked[pid] = (ticket, used), since
            if now - since >= NOTICE:
                who = f"the worker process {pid} takes no processor time"
                found.append(_Silence(who, now - since, frozenset([ticket]), pid))
        return found

    def _start(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        self._running = context.Array("q", self._processes, lock=False)  # the ticket that each worker is at
        self._pids = context.Array("q", self._processes, lock=False)
        return ProcessPoolExecutor(
            self._processes,
            mp_context=context,
            initializer=_enter_worker,
            initargs=(self._running, self._pids, context.Value("i", 0)),
        )


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
        with _dask(scheduler) as client:
            yield client.get_executor()
    elif jobs == 1:
        yield None
    else:
        with WorkerPool(jobs) as pool:
            yield pool


@contextlib.contextmanager
def _dask(address: str) -> Iterator[Any]:
    """A client of the scheduler there, which has a worker."""
    import asyncio  # takes 20 ms, and only a scheduler needs it

    try:
        from distributed import Client, Security
        from distributed.comm import connect
    except ImportError as error:
        raise ModelError("a scheduler needs dask.distributed: pip install 'amtl-cvx[distributed]'") from error

    async def call() -> None:
        arguments = Security().get_connection_args("client")
        await (await connect(address, timeout=_PATIENCE, **arguments)).close()

    try:
        _within(_PATIENCE + 1.0, lambda: asyncio.run(call()))
        client = _within(_PATIENCE + 1.0, lambda: Client(address, set_as_default=False, timeout=_PATIENCE))
    except Exception as error:  # an address can be wrong in many ways
        raise ModelError(
            f"no Dask scheduler answers at {address!r}: start one with `dask scheduler` and give the address"
            " that it prints"
        ) from error
    try:
        try:
            _within(_PATIENCE + 1.0, lambda: client.wait_for_workers(1, timeout=_PATIENCE))
        except OSError as error:
            raise ModelError(
                f"the Dask scheduler at {address!r} has no workers: start some with `dask worker {address}`"
            ) from error
        yield client
    finally:
        with contextlib.suppress(Exception):  # a scheduler that is gone has nothing to be told
            _within(_PATIENCE / 2, client.close)


def _within(seconds: float, call: Callable[[], Result]) -> Result:
    """The result of a call that may never return, or `TimeoutError`."""
    future: Future[Result] = Future()

    def perform() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=perform, daemon=True).start()
    return future.result(timeout=seconds)


class _Outcome(NamedTuple):
    """How a job ended, and where; whatever else a future raises is the executor's doing."""

    result: Any = None
    error: Exception | None = None
    versions: tuple[str, ...] = ()


class _Parcel:
    """Shared data under way.

    Attributes
    ----------
    key : str
        sha256 of their pickle, under which workers keep them.
    sent : bytes, Path or Dask future
        What stands for them in a job.
    """

    def __init__(self, shared: object, executor: Executor) -> None:
        self._shared, self._client = shared, _client_of(executor)
        pickled = self.pickled()
        self.key = hashlib.sha256(pickled).hexdigest()
        self.sent: Any = pickled
        if len(pickled) <= INLINE:
            return
        if self._client is not None:
            client = self._client
            self.sent = _within(SILENCE, lambda: client.scatter(pickled, broadcast=True, hash=False))
        elif isinstance(executor, ProcessPoolExecutor | WorkerPool):
            number, name = tempfile.mkstemp(prefix="amtl_cvx-")
            self.sent = Path(name)
            weakref.finalize(self, self.sent.unlink, missing_ok=True)
            with open(number, "wb") as file:
                file.write(pickled)

    def pickled(self) -> bytes:
        """The data themselves."""
        if self._client is None:
            return pickle.dumps(self._shared, protocol=pickle.HIGHEST_PROTOCOL)
        import cloudpickle  # comes with Dask; takes classes of notebooks and scripts along

        packed: bytes = cloudpickle.dumps(self._shared)
        return packed


def _client_of(executor: Executor) -> Any:
    """The Dask client behind an executor, None for another kind."""
    cfexecutor = sys.modules.get("distributed.cfexecutor")
    is_dask = cfexecutor is not None and isinstance(executor, cfexecutor.ClientExecutor)
    return executor._client if is_dask else None  # type: ignore[attr-defined]


class _Dispatch(Generic[Shared, Item, Result]):
    """One `ordered_map` over an executor."""

    def __init__(
        self,
        executor: Executor,
        work: Callable[[Shared, Item], Result],
        items: Sequence[Item],
        shared: SharedMap[Shared],
        accept: Callable[[int, Result], Result | None] | None,
    ) -> None:
        self.executor: Executor | None = executor
        self.work, self.items, self.shared, self.accept = work, items, shared, accept
        self.todo = deque(range(len(items)))
        self.here: set[int] = set()
        self.begun, self.lost = [0] * len(items), [0] * len(items)
        self.waiting: dict[Future[_Outcome], int] = {}
        self.tickets: dict[int, int] = {}
        self.failed: dict[int, Exception] = {}
        client = _client_of(executor)
        self.pulse = None if client is None else _Pulse(client)
        self.said: set[str] = set()

    def finished(self) -> Iterator[tuple[int, Result]]:
        """Number and result of every job, as they finish."""
        try:
            while self.todo or self.waiting:
                while self.todo:
                    yield from self._begin(self.todo.popleft())
                yield from self._collect()
        finally:
            self._cancel(list(self.waiting))
            if self.pulse is not None:
                self.pulse.left.set()
        if self.failed:
            raise self.failed[min(self.failed)]

    def _begin(self, number: int) -> Iterator[tuple[int, Result]]:
        """Hand a job to the executor, or do it here where that takes no more."""
        self.begun[number] += 1
        if self.executor is not None and number not in self.here:
            ticket = self.tickets[number] = uuid.uuid4().int >> 65
            options: dict[str, Any] = {} if self.pulse is None else {"key": _key(ticket)}
            try:
                parcel = self.shared.parcel()
                sent = parcel.sent if self.begun[number] == 1 else parcel.pickled()
                future = self.executor.submit(
                    _perform, self.work, self.items[number], parcel.key, sent, ticket, **options
                )
                self.waiting[future] = number
                return
            except Exception as error:
                log.warning("the executor takes no more jobs (%s): doing the rest here", _said(error))
                self.executor = None
        try:
            yield number, self.work(self.shared.shared, self.items[number])
        except Exception as error:
            self._fail(number, error)

    def _collect(self) -> Iterator[tuple[int, Result]]:
        """Wait for the next jobs to end."""
        done: set[Future[_Outcome]] = set()
        while self.waiting and not done:
            done = wait(self.waiting, timeout=_BEAT, return_when=FIRST_COMPLETED).done
            if not done:
                self._listen()
        lost: dict[int, Exception] = {}
        for future in sorted(done, key=self.waiting.__getitem__):
            if future not in self.waiting:  # an earlier job failed meanwhile: this one does not matter
                continue
            number = self.waiting.pop(future)
            try:
                outcome = future.result()
            except Exception as error:
                lost[number] = error
                continue
            if outcome.error is not None:
                self._fail(number, outcome.error)
            elif (result := self._accepted(number, outcome)) is not None:
                yield number, result
        if lost:
            self._again(lost)

    def _accepted(self, number: int, outcome: _Outcome) -> Result | None:
        """What is believed of a worker's result; a job whose result is not believed is put back."""
        self._compare(outcome.versions)
        result: Result | None = outcome.result
        if self.accept is not None:
            try:
                result = self.accept(number, outcome.result)
            except Exception as error:  # what is no result at all
                log.debug("job %d: %s", number + 1, _said(error))
                result = None
            if result is None:
                log.warning("a worker's result is not that of its job: doing the job here")
                self.here.add(number)
                self.todo.append(number)
        return result

    def _compare(self, versions: tuple[str, ...]) -> None:
        """Say where a worker has other versions than this process."""
        pairs = zip(versions, _versions(), strict=False)
        text = ", ".join(f"{there} (here {here.split()[-1]})" for there, here in pairs if there != here)
        if text and text not in self.said:
            self.said.add(text)
            log.warning("a worker has %s: install the same versions everywhere", text)

    def _listen(self) -> None:
        """Take back the jobs of those who give no sign of life."""
        source = self.executor if isinstance(self.executor, WorkerPool) else self.pulse
        for silence in [] if source is None else source.silences():
            numbers = {
                future: number
                for future, number in self.waiting.items()
                if silence.tickets is None or self.tickets[number] in silence.tickets
            }
            if not numbers:
                continue
            if silence.who not in self.said:
                self.said.add(silence.who)
                log.warning(
                    "%s for %.0f s, with %d jobs: the limit is %.0f s",
                    silence.who, silence.seconds, len(numbers), SILENCE,
                )  # fmt: skip
            if silence.seconds < SILENCE:
                continue
            if silence.pid is not None:
                log.warning("%s for %.0f s: it is ended, its job begins again", silence.who, silence.seconds)
                os.kill(silence.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
                continue
            log.warning("%s for %.0f s: doing %d jobs here", silence.who, silence.seconds, len(numbers))
            for future, number in numbers.items():
                del self.waiting[future]
                self.here.add(number)
                self.todo.append(number)
            if silence.tickets is None:
                self.executor = None
            else:
                self._cancel(list(numbers))

    def _cancel(self, futures: Sequence[Future[_Outcome]]) -> None:
        """Leave jobs alone; Dask asks its scheduler, which may not answer."""
        if self.pulse is None:
            for future in futures:
                future.cancel()
        elif futures and self.executor is not None:
            with contextlib.suppress(TimeoutError):
                _within(_PATIENCE / 2, lambda: [future.cancel() for future in futures])

    def _fail(self, number: int, error: Exception) -> None:
        """Note a job's own error; only jobs before it still matter."""
        self.failed[number] = error
        first = min(self.failed)
        self.todo = deque(other for other in self.todo if other < first)
        later = [future for future, other in self.waiting.items() if other > first]
        self._cancel(later)
        for future in later:
            del self.waiting[future]

    def _again(self, lost: dict[int, Exception]) -> None:
        """Put lost jobs back."""
        died = self.executor.died if isinstance(self.executor, WorkerPool) else lambda ticket: True
        begun = [number for number in lost if died(self.tickets[number])]
        number, error = next(iter(lost.items()))
        for number in begun or lost:
            self.lost[number] += 1
            if self.lost[number] >= ATTEMPTS:
                error = lost[number]
                raise WorkerError(
                    f"job {number + 1} of {len(self.items)} was lost {ATTEMPTS} times ({_said(error)}): see"
                    " whether its worker had memory enough and the same packages, or run without workers"
                ) from error
        log.warning(
            "%d of %d jobs were lost (%s): doing them again", len(lost), len(self.items), _said(error)
        )
        self.todo.extend(lost)


class _Silence(NamedTuple):
    """Who gives no sign of life, for how long, the jobs that are with them (None: all), a process to end."""

    who: str
    seconds: float
    tickets: frozenset[int] | None
    pid: int | None = None


class _Pulse(threading.Thread):
    """Asks a Dask scheduler again and again which workers it hears of, and what each of them has to do."""

    def __init__(self, client: Any) -> None:
        super().__init__(name="amtl_cvx pulse", daemon=True)
        self.client, self.left = client, threading.Event()
        self.answered = self.peopled = time.monotonic()
        self.heard: dict[str, tuple[float, float]] = {}  # the scheduler's clock, and ours when it moved
        self.tickets: dict[str, frozenset[int]] = {}
        self.start()

    def run(self) -> None:
        while not self.left.wait(_BEAT):
            try:
                workers, keys = self.client.scheduler_info()["workers"], self.client.processing()
            except Exception as error:  # whatever a lost connection raises
                log.debug("no answer of the scheduler (%s)", _said(error))
                continue
            now, before = time.monotonic(), self.heard
            self.heard = {
                name: before[name] if name in before and before[name][0] == each["last_seen"]
                else (each["last_seen"], now)
                for name, each in workers.items()
            }  # fmt: skip
            self.tickets = {name: _tickets(those) for name, those in keys.items()}
            self.answered = now
            if workers:
                self.peopled = now

    def silences(self) -> list[_Silence]:
        """Everyone who has been silent for `NOTICE` or longer."""
        now, heard, tickets = time.monotonic(), self.heard, self.tickets
        if now - self.answered >= NOTICE:
            return [_Silence("the Dask scheduler does not answer", now - self.answered, None)]
        if now - self.peopled >= NOTICE:
            return [_Silence("the Dask scheduler has no workers", now - self.peopled, None)]
        return [
            _Silence(
                f"the Dask worker {name} gives no sign of life", now - ours, tickets.get(name, frozenset())
            )
            for name, (_, ours) in heard.items()
            if now - ours >= NOTICE
        ]


def _key(ticket: int) -> str:
    """Dask's name of a job; it takes equal names for one job."""
    return f"{_OURS}{ticket}"


def _tickets(keys: Iterable[Any]) -> frozenset[int]:
    """Those of our jobs among Dask's."""
    ours = (str(key).removeprefix(_OURS) for key in keys if str(key).startswith(_OURS))
    return frozenset(int(ticket) for ticket in ours)


def _processor_time(pid: int) -> float | None:
    """What a process has taken so far, in ticks of the clock; None where it cannot be seen."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return float(words[11]) + float(words[12])
    except (OSError, IndexError, ValueError):
        return None


_TURN = threading.Lock()
_place: list[tuple[Any, int]] = []  # of a worker of a `WorkerPool`: the array of tickets, and its entry
_opened: OrderedDict[str, Any] = OrderedDict()  # a worker's shared data, the latest last


def _perform(
    work: Callable[[Any, Any], Any], item: Any, key: str, sent: bytes | Path, ticket: int
) -> _Outcome:
    """Do one job, in a worker."""
    with _TURN, _marked(ticket), _blas().limit(limits=1, user_api="blas"):
        shared = _open(key, sent)
        try:
            return _Outcome(result=work(shared, item), versions=_versions())
        except Exception as error:
            if not isinstance(error, AMTLError):
                error.add_note(f"in a worker:\n{traceback.format_exc()}")
            return _Outcome(error=error, versions=_versions())


@contextlib.contextmanager
def _marked(ticket: int) -> Iterator[None]:
    """Note for the parent of a `WorkerPool` what its worker is at."""
    for running, place in _place:
        running[place] = ticket
    yield
    for running, place in _place:
        running[place] = 0


@cache
def _versions() -> tuple[str, ...]:
    """Python and packages of this process, "name version"."""
    found = [f"python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{package} ?")
    return tuple(found)


def _open(key: str, sent: bytes | Path) -> Any:
    """The shared data of that key, unpacked at the first job that needs them."""
    if key not in _opened:
        pickled = sent.read_bytes() if isinstance(sent, Path) else sent
        _opened[key] = pickle.loads(pickled)
        while len(_opened) > _KEPT:
            _opened.popitem(last=False)
    _opened.move_to_end(key)
    return _opened[key]


@cache
def _blas() -> ThreadpoolController:
    """The BLAS of this process; looking for it takes milliseconds."""
    return ThreadpoolController()


def _enter_worker(running: Any, pids: Any, taken: Any) -> None:
    """Leave Ctrl-C and a closed terminal to the parent, end with it, and take a place among its workers."""
    with taken.get_lock():
        _place.append((running, taken.value))
        pids[taken.value] = os.getpid()
        taken.value += 1
    for name in ("SIGINT", "SIGHUP"):
        if name in signal.Signals.__members__:
            signal.signal(signal.Signals[name], signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _said(error: BaseException) -> str:
    """Class and text of an error, as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200].rstrip(": ")
