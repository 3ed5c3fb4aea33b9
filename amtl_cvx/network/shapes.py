"""The blocks of a network by their names and shapes: which belong together, and which are transposed.

    W1 (d, k_1), W2 (k_1, k_2), ..., Wh      S (k_h, T)      A (T, k_h)
    bias1 (k_1,), ..., biash                 bias_feedback (k_h,)           where there are any

The shapes alone say how many layers there are and whether they have biases. `torch.nn.Linear` holds a layer
as (out, in), so a file of its weights is often transposed: where that is the one way to read it, it is said.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from amtl_cvx.arrays import Array, numbers
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import TaskSet

MOST = 64
"""Layers of which a file is read at most."""
NEEDED = ("W1", "S", "A")
OPTIONAL = (
    "bias1",
    *(f"{kind}{number}" for number in range(2, MOST + 1) for kind in ("W", "bias")),
    "bias_feedback",
)
"""What a file may hold beside them."""
_LAYER = re.compile(r"W(\d+)", re.ASCII)


class Miss(NamedTuple):
    """The first block whose shape does not fit the others."""

    name: str
    shape: tuple[int, ...]
    words: str


def depth(blocks: Mapping[str, Any]) -> int:
    """The number of hidden layers; `DataError` where one is left out."""
    found = sorted(int(match[1]) for name in blocks if (match := _LAYER.fullmatch(name)))
    if found != list(range(1, len(found) + 1)) or not found:
        there = ", ".join(f"W{number}" for number in found) or "none"
        first = next(number for number in itertools.count(1) if number not in found)
        raise DataError(f"W{first} is missing, of the layers there are {there}: number them from 1")
    return len(found)


def checked(blocks: Mapping[str, Any], *, tasks: TaskSet | None) -> dict[str, Array]:
    """The blocks as finite doubles that fit each other, and tasks where they are given, in their order.

    Raises
    ------
    DataError
        For a block too few, a number that is not finite, or a shape that does not fit, with the shape that it
        should have; blocks that fit once they are transposed are named.
    """
    h = depth(blocks)
    names = _complete(blocks, h)
    found = {name: numbers(blocks[name], name) for name in names}
    for name, array in found.items():
        if array.ndim != 1 + (not name.startswith("bias")) or not array.size:
            of = "two dimensions" if not name.startswith("bias") else "one dimension"
            raise DataError(f"{name} must have {of}, each >= 1, it has shape {array.shape}")
    miss = misfit(found, h, tasks)
    if miss is None:
        return found
    for turned in _transposed(found):
        if misfit(turned.blocks, h, tasks) is None:
            raise DataError(transposed_words(turned.names, found))
    cure = ": transpose it" if found[miss.name].shape == miss.shape[::-1] else ""
    came = found[miss.name].shape
    raise DataError(f"{miss.name} must have shape {miss.shape} {miss.words}, it has {came}{cure}")


def transposed_words(names: tuple[str, ...], blocks: Mapping[str, Array]) -> str:
    """That blocks are transposed, with the shapes that they have and should have, and the cure."""
    told = ", ".join(f"{name} {blocks[name].shape} should be {blocks[name].shape[::-1]}" for name in names)
    return (
        f"{' and '.join(names)} {'are' if names[1:] else 'is'} transposed ({told}), as torch.nn.Linear holds"
        f" weights: transpose {'them' if names[1:] else 'it'}"
    )


def _complete(blocks: Mapping[str, Any], h: int) -> tuple[str, ...]:
    """The names of the blocks in their order; `DataError` where one is missing."""
    layers = [f"bias{number}" for number in range(1, h + 1)]
    there = [name for name in layers if name in blocks]
    missing = [name for name in ("S", "A") if name not in blocks]
    if missing:
        cure = "add zeros (T, k) where tasks give nothing back" if missing == ["A"] else "add what is missing"
        raise DataError(f"a network has {', '.join(NEEDED)}, this one lacks {' and '.join(missing)}: {cure}")
    if there and there != layers:
        lacks = next(name for name in layers if name not in blocks)
        raise DataError(f"every layer has a bias or none has, {lacks} is missing beside {', '.join(there)}")
    more = [name for name in blocks if re.fullmatch(r"bias\d+", name) and name not in layers]
    if more:
        raise DataError(f"{more[0]} has no layer, there are {h}: add W{more[0][4:]}, or leave it out")
    pairs = [(f"W{number}", f"bias{number}") for number in range(1, h + 1)]
    names = [name for W, bias in pairs for name in ((W, bias) if there else (W,))]
    return (*names, "S", "A", *(["bias_feedback"] if "bias_feedback" in blocks else []))


def misfit(blocks: Mapping[str, Array], h: int, tasks: TaskSet | None) -> Miss | None:
    """The first block that does not fit those before it, and tasks; None where all fit."""
    if tasks is None:
        T, of = blocks["S"].shape[1], "to fit the other blocks"
        d = blocks["W1"].shape[0]
    else:
        T, d, of = tasks.T, tasks.d, f"for {tasks.T} tasks and {tasks.d} features of the data"
    width = d
    for number in range(1, h + 1):
        W = blocks[f"W{number}"]
        if W.shape[0] != width:
            return Miss(f"W{number}", (width, W.shape[1]), of if number == 1 else f"to follow W{number - 1}")
        width = W.shape[1]
        if f"bias{number}" in blocks and blocks[f"bias{number}"].shape != (width,):
            return Miss(f"bias{number}", (width,), f"for the {width} units of W{number}")
    for name, shape in (("S", (width, T)), ("A", (T, width)), ("bias_feedback", (width,))):
        if name in blocks and blocks[name].shape != shape:
            return Miss(name, shape, f"{of}, with {width} units in the last layer")
    return None


class Turned(NamedTuple):
    """Blocks with some of them transposed."""

    blocks: Mapping[str, Array]
    names: tuple[str, ...]


def turned(blocks: Mapping[str, Array], names: tuple[str, ...]) -> Turned:
    """The blocks with those of `names` transposed."""
    return Turned({**blocks, **{name: blocks[name].T for name in names}}, names)


def _transposed(blocks: Mapping[str, Array]) -> Iterator[Turned]:
    """All layers with S and A transposed, all layers with S, all layers, and each block alone."""
    flat = tuple(name for name, block in blocks.items() if block.ndim == 2)
    layers = tuple(name for name in flat if name not in ("S", "A"))
    for names in dict.fromkeys((flat, (*layers, "S"), layers, *((name,) for name in flat))):
        yield turned(blocks, names)
