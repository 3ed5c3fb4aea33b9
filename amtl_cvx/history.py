"""How a run went, step by step, and where it stands after one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amtl_cvx.arrays import Labels
from amtl_cvx.families import Named
from amtl_cvx.tasks import Array

_OF_BLOCK = "stationarity_"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One line of the history: the point after a step over a block, a curriculum task or a refinement.

    `stationarity` has the residual of every block, ``stationarity_W`` is that of W. `seconds` counts from the
    start of the run; `solver_seconds` is the solver's own time in this step.
    """

    round: int
    step: str
    objective: float
    stationarity: Mapping[str, float]
    relative: float
    seconds: float
    solver: str
    solver_status: str
    solver_seconds: float = 0.0

    def __getattr__(self, name: str) -> float:
        first, _, block = name.partition(f"{_OF_BLOCK}")
        residuals: Mapping[str, float] = self.__dict__.get("stationarity", {})
        if not first and block in residuals:
            return residuals[block]
        raise AttributeError(f"Record has no attribute {name!r}")

    def columns(self) -> dict[str, Any]:
        """The record as the columns of history.csv, by name and in order."""
        return {
            "round": self.round,
            "step": self.step,
            "objective": self.objective,
            **{f"{_OF_BLOCK}{block}": value for block, value in self.stationarity.items()},
            "relative": self.relative,
            "seconds": self.seconds,
            "solver": self.solver,
            "solver_status": self.solver_status,
        }

    @classmethod
    def of(cls, columns: Mapping[str, Any], *, blocks: Sequence[str]) -> Record:
        """From columns of numbers and texts as they were read; what is no number raises."""
        return cls(
            round=int(columns["round"]),
            step=str(columns["step"]),
            objective=float(columns["objective"]),
            stationarity={block: float(columns[f"{_OF_BLOCK}{block}"]) for block in blocks},
            relative=float(columns["relative"]),
            seconds=float(columns["seconds"]),
            solver=str(columns["solver"]),
            solver_status=str(columns["solver_status"]),
            solver_seconds=float(columns.get("solver_seconds", 0.0)),
        )


def history_columns(blocks: Sequence[str]) -> tuple[str, ...]:
    """The columns of history.csv, in order, for these blocks."""
    return (
        "round", "step", "objective", *(f"{_OF_BLOCK}{block}" for block in blocks), "relative", "seconds",
        "solver", "solver_status",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class State(Named):
    """Where a fit stands after a step: all that its next decision needs (`Options.start`).

    Attributes
    ----------
    family, method : str
        What is fitted, and the method that is running.
    blocks, history
        The point and how it was reached, the step that led here last.
    phase : str
        The part of the fit that step belongs to; each method names its own.
    moved : bool
        Whether the steps of this round moved the point.
    facts, arrays : Mapping
        What the method carries from one step to the next: JSON, and arrays (`families.Memory`).
    labels : (negative, positive) or None
        What a classification calls its classes, in the users' own words or numbers.
    seconds : Mapping
        Where the time went, as in `Solution`.
    """

    family: str
    method: str
    blocks: Mapping[str, Array]
    history: tuple[Record, ...]
    phase: str
    moved: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)
    labels: Labels | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
