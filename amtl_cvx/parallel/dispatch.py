"""Jobs over an executor: handed out, watched, taken back, begun again."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any, Generic, TypeVar

from amtl_cvx.errors import WorkerError
from amtl_cvx.parallel import silence
from amtl_cvx.parallel.cluster import PATIENCE, Pulse, client_of, key_of
from amtl_cvx.parallel.parcel import Parcel
from amtl_cvx.parallel.pool import WorkerPool
from amtl_cvx.parallel.silence import within
from amtl_cvx.parallel.worker import Outcome, perform, said_of, versions_here

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

ATTEMPTS = 3
"""How often a job is begun before its losses are an error."""

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
        self._parcel: Parcel | None = None

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

    def parcel(self) -> Parcel:
        """The shared data on their way to every worker; made at the first call."""
        assert self.executor is not None
        if self._parcel is None:
            self._parcel = Parcel(self.shared, self.executor)
        return self._parcel


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
        self.waiting: dict[Future[Outcome], int] = {}
        self.tickets: dict[int, int] = {}
        self.failed: dict[int, Exception] = {}
        client = client_of(executor)
        self.pulse = None if client is None else Pulse(client)
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
            options: dict[str, Any] = {} if self.pulse is None else {"key": key_of(ticket)}
            try:
                parcel = self.shared.parcel()
                sent = parcel.sent if self.begun[number] == 1 else parcel.pickled()
                future = self.executor.submit(
                    perform, self.work, self.items[number], parcel.key, sent, ticket, **options
                )
                self.waiting[future] = number
                return
            except Exception as error:
                log.warning("the executor takes no more jobs (%s): doing the rest here", said_of(error))
                self.executor = None
        try:
            yield number, self.work(self.shared.shared, self.items[number])
        except Exception as error:
            self._fail(number, error)

    def _collect(self) -> Iterator[tuple[int, Result]]:
        """Wait for the next jobs to end."""
        done: set[Future[Outcome]] = set()
        while self.waiting and not done:
            done = wait(self.waiting, timeout=silence.BEAT, return_when=FIRST_COMPLETED).done
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

    def _accepted(self, number: int, outcome: Outcome) -> Result | None:
        """What is believed of a worker's result; a job whose result is not believed is put back."""
        self._compare(outcome.versions)
        result: Result | None = outcome.result
        if self.accept is not None:
            try:
                result = self.accept(number, outcome.result)
            except Exception as error:  # what is no result at all
                log.debug("job %d: %s", number + 1, said_of(error))
                result = None
            if result is None:
                log.warning("a worker's result is not that of its job: doing the job here")
                self.here.add(number)
                self.todo.append(number)
        return result

    def _compare(self, versions: tuple[str, ...]) -> None:
        """Say where a worker has other versions than this process."""
        pairs = zip(versions, versions_here(), strict=False)
        text = ", ".join(f"{there} (here {here.split()[-1]})" for there, here in pairs if there != here)
        if text and text not in self.said:
            self.said.add(text)
            log.warning("a worker has %s: install the same versions everywhere", text)

    def _listen(self) -> None:
        """Take back the jobs of those who give no sign of life."""
        source = self.executor if isinstance(self.executor, WorkerPool) else self.pulse
        for found in [] if source is None else source.silences():
            numbers = {
                future: number
                for future, number in self.waiting.items()
                if found.tickets is None or self.tickets[number] in found.tickets
            }
            if not numbers:
                continue
            if found.who not in self.said:
                self.said.add(found.who)
                log.warning(
                    "%s for %.0f s, with %d jobs: the limit is %.0f s",
                    found.who, found.seconds, len(numbers), silence.SILENCE,
                )  # fmt: skip
            if found.seconds < silence.SILENCE:
                continue
            if found.pid is not None:
                log.warning("%s for %.0f s: it is ended, its job begins again", found.who, found.seconds)
                os.kill(found.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
                continue
            log.warning("%s for %.0f s: doing %d jobs here", found.who, found.seconds, len(numbers))
            for future, number in numbers.items():
                del self.waiting[future]
                self.here.add(number)
                self.todo.append(number)
            if found.tickets is None:
                self.executor = None
            else:
                self._cancel(list(numbers))

    def _cancel(self, futures: Sequence[Future[Outcome]]) -> None:
        """Leave jobs alone; Dask asks its scheduler, which may not answer."""
        if self.pulse is None:
            for future in futures:
                future.cancel()
        elif futures and self.executor is not None:
            with contextlib.suppress(TimeoutError):
                within(PATIENCE / 2, lambda: [future.cancel() for future in futures])

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
                    f"job {number + 1} of {len(self.items)} was lost {ATTEMPTS} times ({said_of(error)}): see"
                    " whether its worker had memory enough and the same packages, or run without workers"
                ) from error
        log.warning(
            "%d of %d jobs were lost (%s): doing them again", len(lost), len(self.items), said_of(error)
        )
        self.todo.extend(lost)
