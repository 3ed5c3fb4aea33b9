"""Every error the toolkit raises on purpose, and the exit codes of its commands.

One base class, so that a caller can catch all of them; each child also derives from the built-in that
describes it. A message is one line: what was expected, what came, what to try.
"""

from __future__ import annotations

import enum
import functools
from typing import Any


class Exit(enum.IntEnum):
    """How a command ended, as the shell sees it."""

    DONE = 0
    """Done, and what was to be certified is certified."""
    UNCERTIFIED = 1
    """Done, but the certificate does not pass."""
    USAGE = 2
    """Bad usage or bad data: every other `AMTLError`."""
    SOLVER = 3
    """A subproblem could not be solved: `SolveError`; or a worker was lost again and again: `WorkerError`."""
    BUG = 70
    """An exception that nobody raised on purpose (EX_SOFTWARE of sysexits.h)."""
    INTERRUPTED = 130
    """Ctrl-C: 128 + SIGINT."""


class AMTLError(Exception):
    """Base of all errors raised on purpose by `amtl_cvx`.

    A message is one line: what was expected, what came, what to try. Each child derives from the built-in
    that describes it as well: `DataError`, `ModelError`, `ConvexityError`, `SolverUnavailableError` and
    `NotCertifiable` are a `ValueError`, `SolveError` and `WorkerError` a `RuntimeError`. All are in
    `amtl_cvx.errors`.

    Examples
    --------
    >>> from amtl_cvx import AMTLError, read
    >>> try:
    ...     read("nothing.csv")
    ... except AMTLError as error:
    ...     print(type(error).__name__, isinstance(error, ValueError))
    DataError True
    """


class DataError(AMTLError, ValueError):
    """The data cannot be used: shapes, missing values, labels, an unreadable or foreign file."""


class ModelError(AMTLError, ValueError):
    """A setting of the model or of the run is out of range or contradicts another one."""


class ConvexityError(AMTLError, ValueError):
    """A term is not convex, or not DPP, where the protocol says it must be; the message names the term."""


class SolverUnavailableError(AMTLError, ValueError):
    """The solver asked for is unknown or not installed."""


class SolveError(AMTLError, RuntimeError):
    """A subproblem could not be solved, or the objective rose beyond the solver's accuracy.

    Attributes
    ----------
    step, solver, status : str
        The subproblem, the solver (or the chain of solvers tried) and the status it ended with.
    round : int or None
        The round of the coordinator, where one is running.
    """

    def __init__(
        self, message: str, *, step: str, solver: str, status: str, round: int | None = None
    ) -> None:
        super().__init__(message)
        self.step, self.solver, self.status, self.round = step, solver, status, round

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            functools.partial(SolveError, step=self.step, solver=self.solver, status=self.status),
            self.args,
            self.__dict__,
        )

    def in_round(self, round: int) -> SolveError:
        """The same error, naming the round it happened in."""
        return SolveError(
            f"round {round}: {self}", step=self.step, solver=self.solver, status=self.status, round=round
        )


class WorkerError(AMTLError, RuntimeError):
    """A job was lost with its worker as often as it may be begun."""


class NotCertifiable(AMTLError, ValueError):
    """A proof that cannot be had at this point or for this problem; the message says why and what would help.

    It says nothing against the point: a refusal, never a verdict.
    """


class LimitReached(NotCertifiable):
    """The work that was allowed (seconds, rounds, cells) came to its end before an answer."""
