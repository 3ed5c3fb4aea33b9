"""state.npz: where an interrupted fit stopped, as plain arrays.

    W (d, T), B (T, T), previous (T, T) or absent, handed_W and handed_B alike
    the columns of the history, one entry a step
    facts: JSON of the numbers and names that remain

Doubles are stored as they are, so a fit goes on from exactly the point at which it stopped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.arrays import check_weights
from amtl_cvx.data import read_arrays
from amtl_cvx.errors import DataError
from amtl_cvx.methods import METHODS
from amtl_cvx.refine import Carried
from amtl_cvx.runfolder.files import locate
from amtl_cvx.solution import Blocks, Record, State

STATE = "state.npz"
_COLUMNS = tuple(field.name for field in fields(Record))
_TEXTS = ("step", "solver", "solver_status")
_FACTS = ("method", "phase", "moved", "factor", "refining", "order", "ridge", "seconds")
_HANDED = ("handed_W", "handed_B")
_SECONDS = ("total", "compile", "solvers", "refine")


def state_arrays(state: State) -> dict[str, np.ndarray]:
    """The content of state.npz."""
    facts = {name: getattr(state, name) for name in _FACTS}
    arrays = {
        "W": state.W,
        "B": state.B,
        "facts": np.array(json.dumps({**facts, "refining": dict(state.refining)})),
        **{name: np.array([getattr(record, name) for record in state.history]) for name in _COLUMNS},
    }
    if state.previous is not None:
        arrays["previous"] = state.previous
    if state.handed is not None:
        arrays["handed_W"], arrays["handed_B"] = state.handed.W, state.handed.B
    return arrays


def read_state(folder: Path) -> State | None:
    """The state in a run folder, None without one; `DataError` for anything but what a fit left."""
    path = locate(folder, STATE)
    if not path.is_file():
        return None
    arrays = read_arrays(path, required=("W", "B", "facts", *_COLUMNS), optional=("previous", *_HANDED))
    try:
        return _state(arrays)
    except (
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:
        raise DataError(
            f"{path} is not a state that a fit left ({type(error).__name__}: {error}): remove it to begin at"
            " the run's W and B"
        ) from error


def _state(arrays: Mapping[str, np.ndarray]) -> State:
    d, T = arrays["W"].shape
    W, B = check_weights(arrays["W"], arrays["B"], d=d, T=T)
    previous = None if "previous" not in arrays else check_weights(W, arrays["previous"], d=d, T=T)[1]
    facts = {name: json.loads(str(arrays["facts"]))[name] for name in _FACTS}
    columns = [arrays[name].tolist() for name in _COLUMNS]
    state = State(
        method=facts["method"],
        W=W,
        B=B,
        history=tuple(Record(**_record(row)) for row in zip(*columns, strict=True)),
        phase=facts["phase"],
        moved=bool(facts["moved"]),
        factor=_number(facts["factor"]),
        previous=previous,
        refining=_refining(facts["refining"]),
        handed=_handed(arrays, d=d, T=T),
        order=tuple(int(t) for t in facts["order"]),
        ridge=None if facts["ridge"] is None else _number(facts["ridge"]),
        seconds={name: _number(facts["seconds"][name]) for name in _SECONDS},
    )
    _check(state)
    return state


def _handed(arrays: Mapping[str, np.ndarray], *, d: int, T: int) -> Blocks | None:
    if not any(name in arrays for name in _HANDED):
        return None
    return Blocks(*check_weights(*(arrays[name] for name in _HANDED), d=d, T=T))


def _check(state: State) -> None:
    """Raise `ValueError` where the parts do not fit together."""
    rounds = state.phase in ("rounds", "numpy", "refine") and state.history[0].step == "W"
    known = rounds if state.method == "alternating" else state.method in METHODS
    order = sorted(state.order)
    if not (
        known and state.history and order == sorted(set(order)) and set(order) <= set(range(len(state.B)))
    ):
        raise ValueError("its parts do not fit together")


def _refining(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What refinement carries, every number of it checked; empty before its first step."""
    if stored == {}:
        return {}
    found = Carried.from_dict(stored)
    for number in (
        found.relative,
        found.objective,
        *vars(found.trust).values(),
        *(found.units or (1.0, 1.0)),
    ):
        if number is not None:
            _number(number)
    return Carried(
        steps=int(found.steps),
        idle=int(found.idle),
        turn=int(found.turn),
        rounds=int(found.rounds),
        relative=found.relative,
        objective=found.objective,
        trust=found.trust,
        units=found.units,
    ).to_dict()


def _number(value: Any) -> float:
    """A finite number >= 0, which all of them are."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < math.inf:
        raise ValueError(f"{value!r} is no number >= 0")
    return float(value)


def _record(row: tuple[Any, ...]) -> dict[str, Any]:
    values = dict(zip(_COLUMNS, row, strict=True))
    texts = {name: str(values[name]) for name in _TEXTS}
    numbers = {name: float(values[name]) for name in _COLUMNS if name not in _TEXTS}
    return {**numbers, **texts, "round": int(values["round"])}
