"""The registry of checks: a new check is a function of a `Case` that gives an `Outcome`, and a line above it.

    @check("L0", "objective-zero", needs="evaluate", title="J at W = 0, B = 0")
    def objective_at_zero(case: Case) -> Outcome: ...

It is made on every pack of its `asks` that the back end supports, or on the first `most` of them; where that
is one, its id is level and name alone (``L5/nan-in-X``), else the pack's name follows. `applies` says why it
cannot be made on a pack; "" where it can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from amtl_cvx.reference.judge.case import Case, Outcome

KINDS: list[Kind] = []
"""All kinds of checks, in the order in which they were registered."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of check.

    Parameters
    ----------
    level, name, title : str
    needs : str
        What the back end is asked: one of `asked.ASKS`.
    run : callable(Case) -> Outcome
        `NoAnswer` may be raised.
    asks : tuple of str
        The packs it is made on, by their `ask`.
    most : int or None
        On how many.
    applies : callable(Case) -> str
        Why it cannot be made; "" where it can. A pack on which it cannot is passed over without a word.
    """

    level: str
    name: str
    title: str
    needs: str
    run: Callable[[Case], Outcome]
    asks: tuple[str, ...] = ("joint",)
    most: int | None = None
    applies: Callable[[Case], str] = lambda case: ""

    def id(self, pack: str) -> str:
        """What the check is called on a pack."""
        return f"{self.level}/{self.name}" if self.most == 1 else f"{self.level}/{self.name}/{pack}"


def check(
    level: str,
    name: str,
    *,
    needs: str,
    title: str,
    asks: tuple[str, ...] = ("joint",),
    most: int | None = None,
    applies: Callable[[Case], str] = lambda case: "",
) -> Callable[[Callable[[Case], Outcome]], Callable[[Case], Outcome]]:
    """Register a function as a kind of check; parameters as of `Kind`."""

    def registered(run: Callable[[Case], Outcome]) -> Callable[[Case], Outcome]:
        if any((kind.level, kind.name) == (level, name) for kind in KINDS):
            raise ValueError(f"there is a check {level}/{name} already")
        KINDS.append(
            Kind(
                level=level,
                name=name,
                title=title,
                needs=needs,
                run=run,
                asks=asks,
                most=most,
                applies=applies,
            )
        )
        return run

    return registered
