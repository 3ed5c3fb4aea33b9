"""What `fit` and `explore` do before they start: read, prepare, choose the model; and what a signal does."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import signal
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from amtl_cvx.arrays import storable
from amtl_cvx.commands.choosing import Chosen, chosen
from amtl_cvx.commands.parts import columns_aside, take_parts, wanted_parts
from amtl_cvx.commands.rows import keep_rows, split_rows
from amtl_cvx.commands.settings import build_model, learn_preparation, prepared, resolve
from amtl_cvx.data import TABLE_OPTIONS, Dataset, read, table_options
from amtl_cvx.data.stream import Observe
from amtl_cvx.errors import ModelError
from amtl_cvx.experiment import Choice
from amtl_cvx.families import Family, Settings, all_settings, family_named, family_of
from amtl_cvx.options import Options
from amtl_cvx.preparation import Preparation
from amtl_cvx.progress import Progress
from amtl_cvx.tasks import TaskSet, distinct_rows, size_words

_UNEVEN = 100.0
"""Sizes of features that differ by more are named where the best coupling is at an end of its path."""
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Setup:
    """The problem to solve: data as read, prepared training tasks, and the model with what auto chose."""

    dataset: Dataset
    settings: Mapping[str, Any]
    preparation: Preparation
    train: TaskSet
    chosen: Chosen
    auto: bool
    stopped: bool

    @property
    def choice(self) -> Choice:
        """The model, and how coupling and mu were chosen."""
        return self.chosen.choice

    @property
    def family(self) -> Family:
        """The family of the model."""
        return family_of(self.choice.model)

    def described_choice(self) -> dict[str, Any] | None:
        """What run.json keeps of the choice; None where nothing was left to auto."""
        if not self.auto:
            return None
        return {
            "coupling": self.choice.model.coupling,
            "mu": self.choice.model.mu,
            "mu_max": self.choice.mu_max,
            "trials": [dataclasses.asdict(trial) for trial in self.choice.trials],
            **{path.weight: path.value for path in self.chosen.paths},
            **({"paths": self.chosen.tried()} if self.chosen.paths else {}),
        }

    def summary(self, *, further: bool = True) -> list[str]:
        """Data and model in a line, and what was chosen; `further` as in `Choice.sentence`."""
        train, model = self.dataset.train, self.choice.model
        lines = [
            f"{data_words(self.dataset)}; {model.loss.label} loss ({model.loss.reduction})"
            f"{self.family.settings_words(model)}"
        ]
        lines += weight_lines(train, self.settings, self.family.unlabelled_words(model))
        lines += label_lines(train) if model.loss.classification else []
        lines += [path.sentence(further=further) for path in self.chosen.paths]
        if self.choice.trials or self.choice.mu_max is not None:
            lines.append(self.choice.sentence(further=further))
        ended = self.choice.at_an_end or any(path.at_an_end for path in self.chosen.paths)
        spread = feature_spread(self.train) if ended else 1.0
        if spread > _UNEVEN and not self.settings["standardize"]:
            lines.append(
                f"the features differ in size by a factor of {spread:.0e}, which moves couplings to an end of"
                " the path: --standardize brings them to one size"
            )
        return lines


def data_words(dataset: Dataset) -> str:
    """How large the data are, and how many rows are not trained on, by part."""
    train, parts = dataset.train, {"validation": dataset.validation, "test": dataset.test}
    counts = [f"{distinct_rows(part)} for {name}" for name, part in parts.items() if part is not None]
    apart = f" to train on ({', '.join(counts)})" if counts else ""
    return f"{dataset.name}: {size_words(train)}{apart}"


def label_lines(tasks: TaskSet) -> list[str]:
    """Which of two labels is which, where they are not -1 and +1."""
    if tasks.labels is None or tasks.labels == (-1, 1):
        return []
    negative, positive = (json.dumps(label, ensure_ascii=False) for label in tasks.labels)
    return [f"labels: {negative} is -1, {positive} is +1"]


def weight_lines(tasks: TaskSet, settings: Mapping[str, Any], unlabelled: str) -> list[str]:
    """What is said of rows without a label, what becomes of them, and of those that do not count once."""
    missing = [f"{count} of {json.dumps(name, ensure_ascii=False)}" for name, count in tasks.missing.items()]
    lines = [f"rows without a label, {unlabelled}: {', '.join(missing)}"] if missing else []
    if any(task.total is not None for task in tasks):
        least, most = tasks.counts.min(), tasks.counts.max()
        lines.append(f"rows count by weights, whose sums are {least:.6g} to {most:.6g} a task")
    if settings["class_weight"] == "balanced":
        lines.append("the classes of every task weigh the same (--class-weight balanced)")
    return lines


def running_options(arguments: Namespace, table: Settings) -> Options:
    """How every command that fits does so; `AMTLError` for a seed or an option that is none.

    Of the settings that the family has for a fit, those that `Options` knows are passed on.
    """
    if arguments.seed < 0:
        raise ModelError(f"--seed must be a whole number >= 0, got {arguments.seed}")
    known = {field.name for field in dataclasses.fields(Options)}
    own: dict[str, Any] = {
        each.name: getattr(arguments, each.name, None) for each in table.fit if each.name in known
    }
    return Options(
        tol=arguments.tol,
        max_rounds=arguments.max_rounds,
        engine=arguments.engine,
        solver=arguments.solver,
        gpu=arguments.gpu,
        solve_limit=arguments.solve_limit,
        **own,
    )


def read_data(arguments: Namespace, counting: Callable[[str], Observe], *, rows: bool) -> Dataset:
    """The data of the arguments with their validation and test parts.

    The rows are in memory where `rows` asks for them, where the loss needs them, or where some of them are
    taken out.
    """
    options = {name: getattr(arguments, name) for name in TABLE_OPTIONS}
    parts = wanted_parts(arguments)
    dataset = read(
        arguments.data,
        **options,
        aside=columns_aside(parts),
        missing=arguments.missing,
        keep_rows=rows or any(part.from_data for part in parts) or keep_rows(arguments.loss),
        observe=counting(f"reading {arguments.data}"),
    )

    def read_part(place: str) -> Dataset:
        known = {name: options[name] for name in table_options(place)} | {"missing": arguments.missing}
        return read(place, **known, keep_rows=True, observe=counting(f"reading {place}"))

    return take_parts(dataset, parts, seed=arguments.seed, read=read_part)


def set_up(
    arguments: Namespace,
    options: Options,
    progress: Progress,
    *,
    table: Settings,
) -> Setup:
    """Read, prepare, and choose what is left to auto."""
    family = family_named(table.family)
    dataset = read_data(arguments, progress.counting, rows=not family.streams)
    _log.info("%s: %s, fingerprint %s", dataset.name, dataset.source, dataset.train.fingerprint())
    settings = resolve(arguments, dataset.settings, family=table.family)
    preparation = learn_preparation(settings, dataset)
    train = prepared(settings, preparation, dataset.train)
    model, auto = build_model(settings, train, family=table.family)
    family.check(train, model)
    found, stopped = Chosen(choice=Choice(model=model)), False
    if any(auto.values()):
        progress.phase(f"choosing {' and '.join(name for name, wanted in auto.items() if wanted)}")
        validation = arguments.validation is not None
        split = split_rows(dataset, preparation, progress.counting, validation=validation)
        try:
            found = chosen(
                train,
                model,
                auto,
                method=arguments.method,
                seed=arguments.seed,
                options=options,
                split=split,
                progress=progress,
                on_validation=validation,
            )
        except KeyboardInterrupt:
            stopped = True
    return Setup(
        dataset=dataset,
        settings=settings,
        preparation=preparation,
        train=train,
        chosen=found,
        auto=any(auto.values()),
        stopped=stopped,
    )


def feature_spread(tasks: TaskSet) -> float:
    """By which factor the features differ in size, those that are 0 apart."""
    sizes = np.max([np.abs(task.X).max(axis=0) for task in tasks], axis=0)
    sizes = sizes[sizes > 0]
    return float(sizes.max() / sizes.min()) if len(sizes) else 1.0


_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if name in signal.Signals.__members__)
"""What ends a process from outside: a job that is stopped, a terminal that is closed."""


def interruptible() -> contextlib.AbstractContextManager[None]:
    """Termination and a closed terminal are Ctrl-C for a while."""
    return _handling(signal.default_int_handler, *_ENDING)


def uninterrupted() -> contextlib.AbstractContextManager[None]:
    """Ctrl-C, termination and a closed terminal are not heard for a while."""
    return _handling(signal.SIG_IGN, signal.SIGINT, *_ENDING)


@contextlib.contextmanager
def _handling(action: Callable[[int, FrameType | None], Any] | int, *signals: int) -> Iterator[None]:
    """Do `action` on signals for a while, those that are ignored (nohup) apart; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, action) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def recorded(arguments: Namespace, table: Settings) -> dict[str, Any]:
    """The arguments as run.json keeps them: without the options of other families."""
    others = {name for each in all_settings() for name in (*each.names, *each.kept)}
    left_out = others - table.names - set(table.kept)
    values = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(arguments).items()
        if name not in left_out
    }
    return {name: storable(value) if isinstance(value, str) else value for name, value in values.items()}
