"""What the certificates of learned features say alike: of linear ones, of networks and of dictionaries."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from amtl_cvx.certificate.figures import rounded_down, rounded_up
from amtl_cvx.certificate.levels import (
    DEGENERATE,
    INTERRUPTED,
    LEVELS,
    NEEDS,
    UNDECIDED,
    Rung,
    State,
    is_stopped,
    sentence,
    stopped_headline,
)
from amtl_cvx.notebook import paragraph

Known = Callable[[Any, str], tuple[str, str]]
"""The figure of a level, and the sentence of who reached it, of a certificate and a code."""
_ENTRY = "smallest entry of S or A that is not 0"


class Words(Protocol):
    """The sentences of a family's certificates: its module `words`."""

    def verdict(self, found: Any, /) -> str: ...

    def headline(self, found: Any, /) -> str: ...

    def sentences(self, found: Any, /) -> list[str]: ...

    def rungs(self, found: Any, /) -> tuple[Rung, ...]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Told:
    """A certificate whose sentences are those of a module of words."""

    said: ClassVar[Words]
    missing: ClassVar[tuple[str, ...]] = ()
    """Levels that the ladder of the family does not have; their state is null."""

    def _repr_html_(self) -> str:
        return paragraph([self.verdict(), *self.sentences()])

    def verdict(self) -> str:
        """One line: level, word and the figures that decide."""
        return self.said.verdict(self)

    def headline(self) -> str:
        """The verdict in a few words, without claiming more than was shown."""
        return self.said.headline(self)

    def sentences(self) -> list[str]:
        """The certificate in plain words, up to C2; `rungs` goes on from there."""
        return self.said.sentences(self)

    def rungs(self) -> tuple[Rung, ...]:
        """Every level of the ladder with its state, in words."""
        return self.said.rungs(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe: numbers that are not finite become null; and every rung, null where there is none."""
        result = dataclasses.asdict(self)
        result |= {"reasons": dict(result["reasons"]), "refused": list(result["refused"])}
        result["rungs"] = {
            rung.code: {"state": None if rung.code in self.missing else rung.state, "reason": rung.words}
            for rung in self.rungs()
        }
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in result.items()
        }


def headline(found: Any, *, infeasible: str, nothing: str, point: str = "first-order point") -> str:
    """The verdict in a few words: what is wrong with blocks, or without features, or what the point is."""
    if found.level is None:
        return infeasible
    if found.live_features == 0:
        return nothing
    if not found.passes:
        return stopped_headline(found.kind) if is_stopped(found.kind) else "The certificate does not pass"
    compared = "" if found.objective < found.zero_objective else ", no better than the zero point"
    return f"A verified {point}{compared}"


def residual(found: Any) -> str:
    """The sentence on the residual."""
    compared = "at most" if found.relative <= found.tol else "more than"
    return (
        f"The first-order residual is {rounded_up(found.relative)} of the size of its terms, {compared} the"
        f" tolerance {found.tol:g}."
    )


def first_order(found: Any, conditions: str = "first-order conditions") -> str:
    """The sentence of level C2."""
    verb = "hold to" if found.relative <= found.tol else "are violated by"
    zero = sentence(found.reasons.get("zero"))
    return (
        f"The {conditions} {verb} {rounded_up(found.relative)} of the size of their terms, the tolerance is"
        f" {found.tol:g}.{zero and f' {zero}'}"
    )


def rooms(found: Any, of: str) -> str:
    """How much room level C3 leaves: "" where there is nothing that has any."""
    rooms = {f"smallest room of {of}": found.min_multiplier, _ENTRY: found.min_entry}
    known = {name: room for name, room in rooms.items() if room is not None and math.isfinite(room)}
    return "".join(f", {name} {rounded_down(room)}" for name, room in known.items())


def live(found: Any) -> str:
    """How many features are live."""
    words = "feature is" if found.features == 1 else "features are"
    return f"{found.live_features} of {found.features} {words} live"


def dead(found: Any) -> str:
    """What the others are; "" where there is none."""
    count = found.features - found.live_features
    if not count:
        return ""
    one = count == 1
    return (
        f" {count} {'is' if one else 'are'} dead: no task uses {'it' if one else 'them'}, which meets the"
        " conditions whatever the data say; another start may have use for more."
    )


def against_zero(found: Any) -> str:
    """J beside that of the zero point; "" at that point."""
    if found.live_features == 0:
        return ""
    words = "J is below" if found.objective < found.zero_objective else "J is not below"
    return f", {words} that of the zero point ({found.zero_objective:.6g})"


def rungs(found: Any, known: Known) -> tuple[Rung, ...]:
    """Every level of the ladder as a certificate sees it, lowest first: six `Rung`."""
    return tuple(_rung(found, code, known(found, code)) for code in LEVELS)


def _rung(found: Any, code: str, known: tuple[str, str]) -> Rung:
    reasons: Mapping[str, str] = found.reasons
    word, reason, (figure, words) = LEVELS[code], reasons.get(code), known
    if found.has(code):
        return Rung(code, word, "reached", figure, words)
    if code in found.refused:
        return Rung(code, word, "cannot be had", "", sentence(reason))
    tried = found.has(NEEDS.get(code, "C0"))
    if code > "C2" and (reason in (None, INTERRUPTED) or not tried):
        asked = f"Not asked for; certify with level {code} tries it."
        return Rung(code, word, "not tried", "", sentence(reason) or asked)
    if reason is not None:
        state: State = "cannot tell" if reason.startswith((DEGENERATE, UNDECIDED)) else "not reached"
        return Rung(code, word, state, figure, sentence(reason))
    return Rung(code, word, "not reached", figure, words)
