"""state.npz: where an interrupted fit stopped, as plain arrays.

    the blocks by their names (AMTL: W (d, T), B (T, T)), and the arrays that the method carries
    the columns of the history, one entry a step
    facts: JSON of the numbers and names that remain

Doubles are stored as they are, so a fit goes on from exactly the point at which it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.data import read_arrays
from amtl_cvx.errors import AMTLError, DataError
from amtl_cvx.families import DEFAULT, Family, family_named
from amtl_cvx.methods import method_named
from amtl_cvx.runfolder.files import locate
from amtl_cvx.solution import Record, State, history_columns
from amtl_cvx.untrusted import nonnegative

STATE = "state.npz"
_OWN = ("family", "method", "phase", "moved", "seconds")
_SECONDS = ("total", "compile", "solvers", "refine")


def state_arrays(state: State) -> dict[str, np.ndarray]:
    """The content of state.npz."""
    facts = {**{name: getattr(state, name) for name in _OWN}, **state.facts}
    columns = _columns(family_named(state.family))
    return {
        **state.blocks,
        "facts": np.array(json.dumps(facts)),
        **{name: np.array([getattr(record, name) for record in state.history]) for name in columns},
        **state.arrays,
    }


def read_state(folder: Path) -> State | None:
    """The state in a run folder, None without one; `DataError` for anything but what a fit left."""
    path = locate(folder, STATE)
    if not path.is_file():
        return None
    try:
        facts = json.loads(str(read_arrays(path, required=("facts",))["facts"]))
        family = family_named(facts.get("family", DEFAULT))
        method = method_named(facts["method"], family=family.name)
        more = (*family.optional, *method.memory().arrays_named)
        arrays = read_arrays(path, required=(*family.blocks, *_columns(family)), optional=more)
        return _state(arrays, facts, family)
    except DataError:
        raise
    except (
        AMTLError,
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
            " the point of the run"
        ) from error


def _state(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], family: Family) -> State:
    columns, names = _columns(family), (*family.blocks, *family.optional)
    rows = zip(*(arrays[name].tolist() for name in columns), strict=True)
    method = method_named(facts["method"], family=family.name)
    carried = {name: arrays[name] for name in method.memory().arrays_named if name in arrays}
    state = State(
        family=family.name,
        method=method.name,
        blocks=family.checked({name: arrays[name] for name in names if name in arrays}),
        history=tuple(
            Record.of(dict(zip(columns, row, strict=True)), blocks=family.residuals_of) for row in rows
        ),
        phase=str(facts["phase"]),
        moved=bool(facts["moved"]),
        facts={name: value for name, value in facts.items() if name not in _OWN},
        arrays=carried,
        seconds={name: nonnegative(facts["seconds"][name]) for name in _SECONDS},
    )
    if not state.history or not method.accepts(state):
        raise ValueError("its parts do not fit together")
    return state


def _columns(family: Family) -> tuple[str, ...]:
    """The columns of the history, as they are stored."""
    return (*history_columns(family.residuals_of), "solver_seconds")
