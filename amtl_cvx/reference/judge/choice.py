"""Which packs a back end is judged on: those of its losses, reductions and penalties, of every kind.

Unless packs are named, the joint problems and the single steps that are easy or average and small are taken
in turn from every loss and reduction, each with as many traits and sizes as possible that those before it
have not, until there are `JOINT` and `STEPS` of them. They are asked about by size, the smallest first. Last
come the smallest joint problems, `MORE` at most, of what no joint problem of a loss among them has: many
tasks, fewer rows than features, weights of tasks or of rows. A back end may be wrong there alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.reference.judge.backends import BackEnd
from amtl_cvx.reference.pack import Pack, pack_names, read_pack

JOINT, STEPS = 12, 12
"""How many joint problems, and how many single steps, are asked about."""
MORE = 6
"""How many joint problems are added for what those have not."""
MANY = 7
"""From how many tasks on there are many."""
UNKNOWNS, ROWS = 64, 2000
"""The largest T d, and the most rows in all, of a pack that is taken unasked."""
ASKS = ("joint", "w-step", "b-step", "one-task")
"""The packs that the judge asks about, by their `ask`."""


def chosen(backend: BackEnd, packs: Iterable[Any] | None) -> list[Pack]:
    """The packs that are named, or else those that suit, read with every digest.

    Raises
    ------
    DataError
        For a pack that is not there or was changed.
    ModelError
        For a named pack that the back end does not support, or that is not judged here.
    """
    if packs is not None:
        found = [pack if isinstance(pack, Pack) else read_pack(pack) for pack in packs]
        for pack in found:
            if why := why_not(backend, pack):
                raise ModelError(f"{pack.name} cannot be asked of {backend.name}: {why}")
        return found
    there = [read_pack(name, files=False) for name in pack_names()]
    fitting = [pack for pack in there if not why_not(backend, pack) and _small(pack)]
    joint = _in_turn([pack for pack in fitting if pack.ask == "joint"], JOINT)
    steps = _in_turn([pack for pack in fitting if pack.ask != "joint"], STEPS)
    more = _missing([pack for pack in there if not why_not(backend, pack) and _within(pack)], joint)
    return [read_pack(pack.folder) for pack in [*sorted([*joint, *steps], key=_unknowns), *more]]


def _missing(packs: Sequence[Pack], taken: Sequence[Pack]) -> list[Pack]:
    """Of every loss in turn the smallest joint problems of each kind that is not among those taken."""
    joint, found = [pack for pack in packs if pack.ask == "joint"], list(taken)
    hard = {pack.name for pack in joint if pack.about["grade"] == "hard"}
    for kind in ("many tasks", "few rows", "task weights", "row weights"):
        for loss in sorted({pack.about["loss"] for pack in joint}):
            own = [pack for pack in joint if pack.about["loss"] == loss and kind in _kinds(pack)]
            if kind != "few rows":  # which are hard, all of them
                own = [pack for pack in own if pack.name not in hard]
            if own and not any(pack in own for pack in found) and len(found) - len(taken) < MORE:
                found.append(min(own, key=_unknowns))
    return found[len(taken) :]


def _kinds(pack: Pack) -> set[str]:
    """What of its problem may go wrong alone."""
    about = pack.about
    kinds = {
        "many tasks": about["T"] >= MANY,
        "few rows": min(about["rows"]) < about["d"],
        "task weights": "task weights" in about["traits"],
        "row weights": "problem/sample_weight.npy" in about["files"],
    }
    return {name for name, holds in kinds.items() if holds}


def why_not(backend: BackEnd, pack: Pack) -> str:
    """Why a back end cannot be asked about a pack; "" where it can."""
    about = pack.about
    if about["family"] != "amtl" or pack.ask not in ASKS:
        return f"the judge asks about {', '.join(ASKS)} of AMTL, it is {pack.ask} of {about['family']}"
    said = (
        ("loss", about["loss"], backend.losses),
        ("reduction", about["reduction"], backend.reductions),
        ("penalty", about["transfer"], backend.transfers),
        ("omega", about["omega"], (None, *backend.omegas)),
    )
    for what, value, known in said:
        if value not in known:
            return f"the {what} {value} is not among those it says it has"
    weighted = "problem/sample_weight.npy" in about["files"]
    return "it says it takes no row weights" if weighted and not backend.row_weights else ""


def _unknowns(pack: Pack) -> int:
    return int(pack.about["T"]) * int(pack.about["d"])


def _small(pack: Pack) -> bool:
    return pack.about["grade"] != "hard" and _within(pack)


def _within(pack: Pack) -> bool:
    return _unknowns(pack) <= UNKNOWNS and int(sum(pack.about["rows"])) <= ROWS


def _in_turn(packs: Sequence[Pack], most: int) -> list[Pack]:
    """Of every ask, loss and reduction in turn, each with as much as possible that is new."""
    kinds: dict[tuple[str, ...], list[Pack]] = {}
    for pack in packs:
        about = pack.about
        kinds.setdefault((pack.ask, about["loss"], about["reduction"]), []).append(pack)
    turns = chain.from_iterable(zip_longest(*(_varied(kinds[key]) for key in sorted(kinds))))
    return [pack for pack in turns if pack is not None][:most]


def _varied(packs: Sequence[Pack]) -> list[Pack]:
    """The packs in such an order that each has more that is new than those after it."""
    left, seen, found = list(packs), set[str](), list[Pack]()
    while left:
        best = min(left, key=lambda pack: (-len(_aspects(pack) - seen), _odd(pack), pack.name))
        left.remove(best)
        found.append(best)
        seen |= _aspects(best)
    return found


def _aspects(pack: Pack) -> set[str]:
    """What is particular about a pack: its traits, its size, whether edges are the only ones."""
    about = pack.about
    size = {f"T {min(about['T'], 5)}", f"d {min(about['d'], 5)}"}
    return {*about["traits"], *size, f"unique {(pack.claims.get('unique') or {}).get('B')}"}


def _odd(pack: Pack) -> float:
    """How far its number of unknowns is from a dozen."""
    return abs(math.log(_unknowns(pack) / 12.0))
