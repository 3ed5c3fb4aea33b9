"""Which packs a back end is judged on: those of its losses, reductions and penalties, of every kind.

Unless packs are named, the joint problems and the single steps that are easy or average and small are taken
in turn from every pair of loss and reduction, the smallest first, until there are `JOINT` and `STEPS` of
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.reference.judge.backends import BackEnd
from amtl_cvx.reference.pack import Pack, pack_names, read_pack

JOINT, STEPS = 16, 16
"""How many joint problems, and how many single steps, are asked about."""
UNKNOWNS, ROWS = 400, 5000
"""The largest T d, and the most rows in all, of a pack that is taken unasked."""
_ASKS = ("joint", "w-step", "b-step", "one-task")


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
    return [read_pack(pack.folder) for pack in (*joint, *steps)]


def why_not(backend: BackEnd, pack: Pack) -> str:
    """Why a back end cannot be asked about a pack; "" where it can."""
    about = pack.about
    if about["family"] != "amtl" or pack.ask not in _ASKS:
        return f"the judge asks about {', '.join(_ASKS)} of AMTL, it is {pack.ask} of {about['family']}"
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


def _small(pack: Pack) -> bool:
    about = pack.about
    unknowns, rows = int(about["T"]) * int(about["d"]), int(sum(about["rows"]))
    return about["grade"] != "hard" and unknowns <= UNKNOWNS and rows <= ROWS


def _in_turn(packs: Sequence[Pack], most: int) -> list[Pack]:
    """The smallest of every kind in turn."""
    kinds: dict[tuple[str, ...], list[Pack]] = {}
    for pack in sorted(packs, key=lambda each: (each.about["T"] * each.about["d"], each.name)):
        about = pack.about
        kinds.setdefault((pack.ask, about["loss"], about["reduction"]), []).append(pack)
    turns = chain.from_iterable(zip_longest(*(kinds[key] for key in sorted(kinds))))
    return [pack for pack in turns if pack is not None][:most]
