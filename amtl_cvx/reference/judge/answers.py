"""What a back end says, taken apart without trust: finite numbers of the right shapes, or one clear line.

    evaluate              objective (), losses (T,), gradient_W (d, T), gradient_B (T, T): any of them
    w-step, b-step        W (d, T), B (T, T)
    one-task              w (d,)
    rounds                objectives (2 count,)
    fit                   W and B

A back end that says it computes in float64 and answers in float32 is told so: its digits are lost already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.console import one_line
from amtl_cvx.reference.judge.asked import Asked
from amtl_cvx.untrusted import shown

Kind = Literal["unsupported", "refused", "crashed", "hung", "invalid", "tampered"]
WANTED: Mapping[str, tuple[str, ...]] = {
    "evaluate": ("objective", "losses", "gradient_W", "gradient_B"),
    "w-step": ("W",),
    "one-task": ("w",),
    "b-step": ("B",),
    "rounds": ("objectives",),
    "fit": ("W", "B"),
}
"""What answers each ask; of "evaluate" any, of the others all."""


class NoAnswer(Exception):
    """There is no answer that could be judged.

    Attributes
    ----------
    kind : str
        "unsupported": the back end says that it does not do this; "refused": it raised, or ended with an exit
        code; "crashed": a signal ended it; "hung": it did not end in time; "invalid": what it said is no
        answer; "tampered": it wrote into what it was given.
    """

    def __init__(self, kind: Kind, words: str) -> None:
        super().__init__(one_line(words))
        self.kind = kind


def shape_of(name: str, asked: Asked) -> tuple[int, ...]:
    """The shape of a part of an answer."""
    shapes: Mapping[str, tuple[int, ...]] = {
        "objective": (),
        "losses": (asked.T,),
        "gradient_W": (asked.d, asked.T),
        "gradient_B": (asked.T, asked.T),
        "W": (asked.d, asked.T),
        "w": (asked.d,),
        "B": (asked.T, asked.T),
        "objectives": (2 * (asked.count or 0),),
    }
    return shapes[name]


def named(answer: object, asked: Asked) -> dict[str, object]:
    """The parts of what a Python object gave, by name; `NoAnswer` for what has none."""
    names = WANTED[asked.ask]
    if answer is None:
        raise NoAnswer("invalid", f"{asked.method} gave nothing, expected {' and '.join(names)}")
    if isinstance(answer, Mapping):
        found = {name: answer[name] for name in names if answer.get(name) is not None}
        if not found:
            keys = shown([key for key in answer if isinstance(key, str)]) or "nothing"
            raise NoAnswer("invalid", f"{asked.method} must give {', '.join(names)}, its mapping has {keys}")
        return found
    if asked.ask == "evaluate":
        raise NoAnswer(
            "invalid", f"evaluate must give a mapping of {', '.join(names)}, it gave {_type(answer)}"
        )
    if len(names) == 1:
        return {names[0]: answer}
    if isinstance(answer, Sequence) and not isinstance(answer, str) and len(answer) == len(names):
        return dict(zip(names, answer, strict=True))
    raise NoAnswer("invalid", f"{asked.method} must give {' and '.join(names)}, it gave {_type(answer)}")


def checked(found: Mapping[str, object], asked: Asked) -> dict[str, Array]:
    """The parts as finite doubles of the right shapes; `NoAnswer` names what is wrong."""
    names = WANTED[asked.ask]
    if asked.ask == "evaluate" and not any(name in found for name in names):
        raise NoAnswer("invalid", f"expected any of {', '.join(names)}, there is none of them")
    if asked.ask != "evaluate" and (missing := [name for name in names if name not in found]):
        raise NoAnswer("invalid", f"expected {' and '.join(names)}, {' and '.join(missing)} is missing")
    return {name: _part(name, found[name], asked) for name in names if name in found}


def _part(name: str, given: object, asked: Asked) -> Array:
    try:
        array = np.asarray(given)
        masked = isinstance(given, np.ma.MaskedArray) and bool(np.ma.getmaskarray(given).any())
    except Exception as error:  # a tensor on a device, rows of different lengths, anything
        raise NoAnswer(
            "invalid", f"{name} is no array of numbers: {type(error).__name__}: {error}"
        ) from error
    if masked:
        raise NoAnswer("invalid", f"{name} has entries that are masked: give all of them")
    if array.dtype.kind not in "fiu":
        raise NoAnswer("invalid", f"{name} must hold real numbers, it is {array.dtype}")
    if array.dtype.kind == "f" and array.dtype.itemsize < np.dtype(asked.dtype).itemsize:
        raise NoAnswer(
            "invalid",
            f"{name} is {array.dtype}, the back end says {asked.dtype}: answer in that, or say the other",
        )
    wanted = shape_of(name, asked)
    if array.shape != wanted:
        raise NoAnswer(
            "invalid", f"{name} must have the shape {wanted}, it has {array.shape}{_hint(array, wanted)}"
        )
    with np.errstate(over="ignore"):
        doubles = np.array(array, dtype=np.float64)
    if not np.isfinite(doubles).all():
        bad = np.argwhere(~np.isfinite(np.atleast_1d(doubles)))[0].tolist()
        what = float(np.atleast_1d(doubles)[tuple(bad)])
        where = f" at {bad}" if doubles.ndim else ""
        raise NoAnswer("invalid", f"{name} must be finite, it is {what}{where}")
    return doubles


def _hint(array: np.ndarray[Any, Any], wanted: tuple[int, ...]) -> str:
    if array.ndim == 2 and array.shape[::-1] == wanted:
        return ": it is transposed"
    return ": more dimensions than needed" if np.squeeze(array).shape == wanted else ""


def _type(value: object) -> str:
    return type(value).__name__
