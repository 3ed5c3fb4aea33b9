"""The problem that a stored point is about: data, preparation and model, as a run or the options say."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amtl_cvx.commands.named import check_said
from amtl_cvx.commands.parts import columns_aside, retake, wanted_parts
from amtl_cvx.commands.rows import keep_rows
from amtl_cvx.commands.settings import (
    NO_CLASS_WEIGHT,
    build_model,
    check_options,
    is_auto,
    learn_preparation,
    prepared,
    resolve,
    say_reading,
)
from amtl_cvx.data import TABLE_OPTIONS, Dataset, read, table_options
from amtl_cvx.errors import ModelError
from amtl_cvx.experiment import suggest_loss
from amtl_cvx.families import DEFAULT, Settings, all_settings, family_named, settings_of, settings_with
from amtl_cvx.families.settings import SHARED
from amtl_cvx.methods import method_named
from amtl_cvx.preparation import Preparation
from amtl_cvx.runfolder import StoredRun
from amtl_cvx.tasks import TaskSet

_AS_IT_IS = {"standardize": False, "intercept": False}


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Data, prepared tasks and model that a stored point is about."""

    dataset: Dataset
    preparation: Preparation
    tasks: TaskSet
    model: Any


def stored_problem(arguments: Namespace, stored: StoredRun | None, *, rows: bool | None = None) -> Problem:
    """The data of the arguments with what a run, if any, records of columns, preparation and model.

    `rows` says whether rows are kept in memory; None where the loss and the family decide.
    """
    if stored is not None:
        family = stored.family
        method_named(arguments.method or family.default_method, family=family.name)
    else:
        family = family_named(settings_with(arguments.method).family if arguments.method else DEFAULT)
    table = settings_of(family.name)
    _check_options(arguments, table, family=family.name)
    dataset = _data(arguments, stored, rows=rows or (not family.streams or None))
    given = arguments.class_weight or (stored and stored.arguments.get("class_weight")) or NO_CLASS_WEIGHT
    if table is None:
        assert stored is not None  # a method that is found has a table
        preparation = stored.preparation or learn_preparation(_AS_IT_IS, dataset)
        tasks, model = prepared({"class_weight": given}, preparation, dataset.train), stored.model
    else:
        settings, preparation = _settings_and_preparation(arguments, stored, dataset, table=table)
        tasks = prepared({"class_weight": given}, preparation, dataset.train)
        check_said(arguments, settings)
        model, _ = build_model(settings, tasks, family=table.family, source="run.json")
    return Problem(dataset=dataset, preparation=preparation, tasks=tasks, model=model)


def _check_options(arguments: Namespace, table: Settings | None, *, family: str) -> None:
    """`ModelError` for an option of another family; without a table a run alone says what its model is."""
    if table is not None:
        check_options(arguments, table)
        return
    shared, own = (each.name for each in SHARED), (sorted(each.names) for each in all_settings())
    names = [*shared, *(name for group in own for name in group)]
    for name in names:
        if getattr(arguments, name, None) is not None:
            option = f"--{name.replace('_', '-')}"
            raise ModelError(f"{option} is of AMTL, this is a run of {family!r}: leave it out")


def _data(arguments: Namespace, stored: StoredRun | None, *, rows: bool | None) -> Dataset:
    """The data, read as the run says where nothing is said, without the rows that it kept apart."""
    recorded = {} if stored is None else stored.arguments
    columns = {name: getattr(arguments, name) for name in TABLE_OPTIONS}
    open_names = [name for name in table_options(arguments.data) if columns[name] is None]
    taken = {name: recorded[name] for name in open_names if isinstance(recorded.get(name), str)}
    columns |= taken
    missing = arguments.missing or recorded.get("missing")
    say_reading(arguments.data, taken, recorded)
    loss = arguments.loss or ({} if stored is None else stored.run.get("model") or {}).get("loss")
    parts = wanted_parts(recorded)
    held = any(part.from_data for part in parts)
    dataset = read(
        arguments.data,
        **columns,
        missing=missing,
        aside=columns_aside(parts),
        keep_rows=rows or held or keep_rows(loss),
    )
    if stored is not None and held:
        dataset = retake(dataset, recorded, seed=stored.seed, whole=stored.data.get("whole"))
    return dataset


def _settings_and_preparation(
    arguments: Namespace, stored: StoredRun | None, dataset: Dataset, *, table: Settings
) -> tuple[dict[str, Any], Preparation]:
    """Options given now, else those of run.json, else the problem's own; and how features are prepared."""
    recorded = {} if stored is None else stored.arguments
    known: Mapping[str, Any] = {
        name: recorded[name] for name in ("standardize", "intercept") if name in recorded
    }
    if stored is not None:
        known = {**known, **(stored.run.get("model") or stored.family.told(stored.blocks))}
    settings = resolve(arguments, dataset.settings, run=known, family=table.family)
    if arguments.standardize is None and arguments.intercept is None and stored is not None and stored.run:
        preparation = stored.preparation or learn_preparation(_AS_IT_IS, dataset)
    else:
        preparation = learn_preparation(settings, dataset)
    for name in table.auto:
        if is_auto(settings[name]):
            raise ModelError(f"--{name} is not known: give a number, or keep run.json beside the solution")
    if settings["loss"] == "auto":
        settings["loss"] = suggest_loss(dataset.train)
    return settings, preparation
