"""What the alternation of AMTL carries from one step to the next beside W and B."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amtl_cvx.arrays import Array
from amtl_cvx.families import Memory
from amtl_cvx.problem import Blocks
from amtl_cvx.refine import Carried
from amtl_cvx.untrusted import nonnegative


@dataclass(kw_only=True)
class Looking(Memory):
    """How far it looks ahead and from which B, what refinement carries, and where it took over."""

    arrays_named = ("previous", "handed_W", "handed_B")
    factor: float = 1.0
    previous: Array | None = None
    refining: Carried = field(default_factory=Carried)
    handed: Blocks | None = None

    def enter(self, phase: str) -> None:
        self.factor, self.previous, self.refining = 1.0, None, Carried()

    def facts(self) -> dict[str, Any]:
        begun = self.refining.steps or self.refining.rounds
        return {"factor": self.factor, "refining": self.refining.to_dict() if begun else {}}

    def arrays(self) -> dict[str, Array]:
        found = {} if self.previous is None else {"previous": self.previous}
        return (
            found if self.handed is None else {**found, "handed_W": self.handed.W, "handed_B": self.handed.B}
        )

    def restore(self, facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        if facts.get("order") or facts.get("ridge") is not None:  # earlier versions stored them, empty
            raise ValueError("a fit by alternation learns no tasks in order")
        self.factor, self.previous = nonnegative(facts["factor"]), arrays.get("previous")
        self.refining = _refining(facts["refining"])
        self.handed = None
        if "handed_W" in arrays or "handed_B" in arrays:
            self.handed = Blocks(arrays["handed_W"], arrays["handed_B"])


def _refining(stored: Mapping[str, Any]) -> Carried:
    """What refinement carries, every number of it checked; as before its first step where that is empty."""
    if stored == {}:
        return Carried()
    found = Carried.from_dict(stored)
    for value in (
        found.relative,
        found.objective,
        *vars(found.trust).values(),
        *(found.units or (1.0, 1.0)),
        *vars(found.growth).values(),
    ):
        if value is not None:
            nonnegative(value)
    return Carried(
        steps=int(found.steps),
        idle=int(found.idle),
        turn=int(found.turn),
        rounds=int(found.rounds),
        relative=found.relative,
        objective=found.objective,
        trust=found.trust,
        units=found.units,
        growth=found.growth,
    )
