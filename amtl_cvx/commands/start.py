"""`fit --start RUN`: where a fit begins, a run of ours or any blocks (of AMTL a W and B).

A run that was interrupted, or a checkpoint of one that was killed, holds the state of its fit (`state.npz`):
on the same data and model the fit goes on from there as if nothing had happened. Anything else, a run of
other data or another model included, is a point at which the alternation begins, its tasks and features in
the order of the data where they have names.

Whatever the run says of how it was fitted, what auto chose included, is the default of what the command line
leaves open.
"""

from __future__ import annotations

import contextlib
import dataclasses
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.commands.foreign import in_data_order, read_point
from amtl_cvx.commands.named import translated
from amtl_cvx.commands.settings import NO_CLASS_WEIGHT, RUNNING_DEFAULTS, say_reading
from amtl_cvx.commands.setup import Setup
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.families import Found, Settings, settings_of, settings_with
from amtl_cvx.families.settings.named import NAMED
from amtl_cvx.runfolder import StoredRun, model_to_dict, read_state
from amtl_cvx.solution import State

_COLUMNS = ("task", "target", "sample_weight", "missing", "sep", "decimal", "encoding", "validation", "test")
"""Options of the reader, those of the run for a file of the same kind."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Beginning:
    """A run or a point to begin at, as it was read; `state` is None where it has none."""

    path: Path
    stored: StoredRun
    state: State | None
    table: Settings

    def arguments(self, given: Namespace) -> Namespace:
        """The arguments given, and those of the run where nothing was given."""
        method = self.stored.family.method_for(self.stored.blocks) or self.table.methods[0]
        if given.method is None:
            method = self._method(given, method)
            given = self._by_name(given, method)
        values, running = vars(given), dict[str, Any](method=method)
        if self.state is not None:
            names = (*RUNNING_DEFAULTS, "method", "solve_limit", *(each.name for each in self.table.fit))
            running = {name: self.stored.arguments.get(name) for name in names}
        defaults = {**self._reading(given), **self._preparation(), **self._model(), **running}
        if given.transfer is not None and given.transfer != defaults.get("transfer"):
            defaults.pop("transfer_parameters", None)  # they are of the other term
        if given.omega is not None and given.omega != defaults.get("omega"):
            defaults.pop("omega_parameters", None)
        known = {name: value for name, value in defaults.items() if values.get(name, 0) is None}
        say_reading(given.data, known, self.stored.arguments)
        return Namespace(**{**values, **known})

    def _method(self, given: Namespace, first: str) -> str:
        """The method that goes on: that of the state, else the first one, which needs a coupling."""
        if self.state is not None:
            return self.state.method
        was = self.stored.run.get("method")
        alone = given.coupling is None and (self.stored.run.get("model") or {}).get("coupling") == 0.0
        return str(was) if alone and was in self.table.methods else first

    def _by_name(self, given: Namespace, method: str) -> Namespace:
        """The arguments with the name of the run, where its method goes on and nothing contradicts it."""
        found = NAMED.get(str(self.stored.arguments.get("named")))
        if found is None or found.method != method:
            return given
        with contextlib.suppress(ModelError):
            return translated(Namespace(**{**vars(given), "method": found.name}))
        return given

    def choice(self, setup: Setup) -> Mapping[str, Any] | None:
        """What auto chose, now or for the run, as run.json keeps it."""
        model, chosen = setup.choice.model, self._chosen
        if setup.auto or not chosen:
            return setup.described_choice()
        return chosen if (chosen.get("coupling"), chosen.get("mu")) == (model.coupling, model.mu) else None

    def at(self, setup: Setup, method: str) -> tuple[Any, str]:
        """Where the fit begins, and the line that says so.

        Raises
        ------
        DataError, ModelError
            For a point that does not fit the data, or a method that has its own start.
        """
        if self.state is not None and method == self.state.method:
            other = self._other(setup)
            if not other:
                count = len(self.state.history)
                return self.state, f"goes on from {self.path}, after {count} step{'s' * (count != 1)}"
        elif self.state is not None:
            other = f"it is a run of --method {self.state.method}"
        else:
            other = self._other(setup) if self.stored.run else ""
        family = self.stored.family
        if not family.methods[method].takes_start:
            why = other or "it holds no state of such a run"
            raise ModelError(f"--start {self.path} is no start for --method {method} ({why}): leave it out")
        point = self._point(setup)
        blocks = " and ".join(self.stored.blocks)
        return point, f"begins at {blocks} of {self.path}{f': {other}' if other else ''}"

    def _point(self, setup: Setup) -> Any:
        family, tasks = self.stored.family, setup.train
        try:
            found = in_data_order(self.stored, tasks, ridge=None).point
            blocks = family.prepare_start(family.problem(tasks, setup.choice.model), found)
        except (DataError, ModelError) as error:
            raise DataError(f"--start {self.path}: {error}") from error
        return family.point(Found(blocks))

    def _other(self, setup: Setup) -> str:
        """What differs from the problem of the run, "" if nothing does."""
        train, pool = setup.dataset.train, self.stored.family.pooled
        if self.stored.data.get("fingerprint") != train.fingerprint(pool=pool):
            return "its data were others"
        now = setup.preparation
        if self.stored.run.get("preparation") != (None if now.is_identity else now.to_dict()):
            return "its features were prepared in another way"
        if self.stored.run.get("model") != model_to_dict(setup.choice.model):
            return "its model was another"
        if self.stored.arguments.get("class_weight", NO_CLASS_WEIGHT) != setup.settings["class_weight"]:
            return "its classes had other weights"
        return ""

    def _reading(self, given: Namespace) -> dict[str, Any]:
        recorded = self.stored.arguments
        same = Path(str(recorded.get("data"))).suffix.lower() == Path(given.data).suffix.lower()
        return {name: recorded.get(name) for name in (*_COLUMNS, "seed")} if same else {}

    def _preparation(self) -> dict[str, Any]:
        if not self.stored.run:
            return {}
        learned = self.stored.preparation
        flags: dict[str, Any] = {
            "intercept": learned is not None and learned.intercept,
            "standardize": learned is not None and bool(learned.center.any() or (learned.scale != 1.0).any()),
        }
        flags["class_weight"] = NO_CLASS_WEIGHT
        return {name: self.stored.arguments.get(name, flag) for name, flag in flags.items()}

    def _model(self) -> dict[str, Any]:
        """The model by the words of the command line; auto stays auto where its choice was cut short."""
        stored = self.stored.run.get("model")
        if stored is None:
            return self.stored.family.told(self.stored.blocks)
        model = model_to_dict(self.stored.model)
        if isinstance(weights := model.get("task_weights"), list):
            model["task_weights"] = tuple(weights)
        chosen = self._chosen
        if chosen and not any(chosen.get(name) for name in ("trials", "mu_max", "paths")):
            model |= {name: self.stored.arguments.get(name) for name in ("coupling", "mu", "rho")}
        return model

    @property
    def _chosen(self) -> Mapping[str, Any]:
        chosen = self.stored.run.get("chosen")
        return chosen if isinstance(chosen, dict) else {}


def read_start(path: Path, *, method: str | None) -> Beginning:
    """A run folder, or blocks in any layout that `read_run` knows; `DataError` for anything else.

    Blocks without a run.json are of the family of the method; a run is of its own, and `ModelError` says so
    where the method is of another one.
    """
    if method is not None:
        settings_with(method)
    try:
        stored = read_point(path, method=method)
        state = read_state(path if path.is_dir() else path.parent) if stored.run else None
        if state is not None and not _same(state.blocks, stored.blocks):
            state = None  # that of another file in the folder
    except DataError as error:
        raise DataError(f"--start: {error}") from error
    table = settings_of(stored.family.name)
    if table is None:
        raise DataError(
            f"--start {path} is a run of the family {stored.family.name!r}, which the command line does not"
            " fit: go on from it in Python, with Options(start=read_state(...))"
        )
    if method is not None and method not in table.methods:
        raise ModelError(
            f"--start {path} is a run of {table.title}, --method {method} is of another family: leave one of"
            f" both out, or say --method {table.methods[0]}"
        )
    return Beginning(path=path, stored=stored, state=state, table=table)


def _same(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    """Whether both are the same blocks."""
    return set(one) == set(other) and all(np.array_equal(one[name], other[name]) for name in one)
