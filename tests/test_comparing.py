"""`compare`: fits on training rows alone, one look at the test rows at the end, nothing lost on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import ridge
from compared import NAMES, Watched, small, watched

from amtl_cvx import LossWeightedL1, Model, TaskSet
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.experiment.comparing import (
    Comparison,
    Contender,
    Part,
    compare,
    drawn_parts,
    folded_parts,
    protocol,
)
from amtl_cvx.experiment.comparing.scores import measure_of, scored
from amtl_cvx.losses import Logistic, Squared

CONTENDERS = (
    Contender(method="stl", grid={"coupling": (0.05, 0.5)}),
    Contender(method="amtl", grid={"mu": (0.05, 0.5), "rounds": (1, 2, 3)}, settings={"coupling": 0.5}),
)
PARTS = drawn_parts(small(), 2, test=0.25, seed=1)
HOW: dict[str, Any] = {"folds": 2, "widen": 0, "resampled": True}


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(PARTS, CONTENDERS, **HOW)


def outcome(found: Comparison, contender: str, part: int) -> Any:
    return found.of(contender)[part]


def test_each_fit_is_that_of_the_training_rows(found: Comparison) -> None:
    """STL is ridge in closed form, and errors are those of a plain loop over the test rows."""
    for place, part in enumerate(PARTS):
        stl, amtl = (outcome(found, name, place) for name in ("stl", "amtl"))
        W = ridge(
            part.train, Model(transfer=LossWeightedL1(mu=0.0), coupling=stl.learned.parameters["coupling"])
        )
        np.testing.assert_allclose(stl.learned.blocks["W"], W, rtol=1e-7, atol=1e-9)
        for each in (stl, amtl):
            squares = [
                (task.X @ w - task.y) ** 2
                for task, w in zip(part.test, each.learned.blocks["W"].T, strict=True)
            ]
            assert each.error == pytest.approx(np.sqrt(np.concatenate(squares).mean()))
            np.testing.assert_allclose(each.by_task, [np.sqrt(each.mean()) for each in squares])
        assert stl.learned.passes and amtl.learned.passes is not amtl.learned.stopped
        assert amtl.learned.parameters["coupling"] == 0.5
    shares = [part.test.rows.sum() / part.train.rows.sum() for part in PARTS]
    assert found.overlap == pytest.approx(np.mean(shares))
    assert found.measure == "pooled rmse" and found.tasks == NAMES


@pytest.fixture
def log() -> Iterator[list[Any]]:
    Watched.log.clear()
    yield Watched.log
    Watched.log.clear()


def test_test_rows_are_read_once_at_the_end(found: Comparison, log: list[Any], tmp_path: Path) -> None:
    parts = [replace(part, test=watched(part.test)) for part in PARTS]
    log.clear()  # a part has looked at the number of features
    again = compare(
        parts,
        CONTENDERS,
        **HOW,
        journal=tmp_path / "journal",
        observe=lambda part, contender, learned: log.append("fit"),
    )
    fits = len(parts) * len(CONTENDERS)
    assert log[:fits] == ["fit"] * fits
    assert sorted(log[fits:]) == sorted(
        (what, name) for part in parts for what in "Xy" for name in part.test.names
    )
    np.testing.assert_array_equal(again.errors("amtl"), found.errors("amtl"))


def test_what_is_chosen_does_not_depend_on_the_test_rows(found: Comparison) -> None:
    garbled = [
        replace(part, test=replace(part.test, tasks=tuple(replace(t, y=-9 * t.y) for t in part.test.tasks)))
        for part in PARTS
    ]
    again = compare(garbled, CONTENDERS, **HOW)
    for was, now in zip(found.outcomes, again.outcomes, strict=True):
        assert was.learned.parameters == now.learned.parameters and now.error > was.error
        np.testing.assert_array_equal(was.learned.blocks["W"], now.learned.blocks["W"])


def test_what_was_interrupted_goes_on(
    found: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended after two fits and within the third's tuning: what is missing is done, to the same figures."""
    tuned: list[str] = []
    tune = protocol.tune

    def counted(tasks: TaskSet, method: str, *rest: Any, **more: Any) -> Any:
        tuned.append(method)
        return tune(tasks, method, *rest, **more)

    def stop(done: int, total: int, least: float) -> None:
        if len(tuned) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(protocol, "tune", counted)
    journal = tmp_path / "deep" / "journal"
    with pytest.raises(KeyboardInterrupt):
        compare(PARTS, CONTENDERS, **HOW, journal=journal, trial=stop)
    assert tuned == ["stl", "amtl", "stl"] and len(list(journal.glob("*.tuning"))) == 1
    damaged = sorted(journal.glob("*.npz"))[0]
    damaged.write_bytes(damaged.read_bytes()[:50])  # one of the two is lost
    tuned.clear()
    again = compare(PARTS, CONTENDERS, **HOW, journal=journal)
    assert len(tuned) == 3 and not list(journal.glob("*.tuning"))
    for was, now in zip(found.outcomes, again.outcomes, strict=True):
        assert was.error == now.error and was.learned.parameters == now.learned.parameters
    tuned.clear()
    further = compare(
        PARTS, (*CONTENDERS, Contender(method="mean", grid={"rho": (1.0,)})), **HOW, journal=journal
    )
    assert tuned == ["mean", "mean"] and further.error("amtl") == found.error("amtl")
    tuned.clear()
    for other in ({"folds": 3}, {"seed": 1}):  # chosen otherwise: another fit
        compare(PARTS[:1], CONTENDERS[:1], **{**HOW, **other}, journal=journal)
    assert tuned == ["stl", "stl"]


def test_parts_of_all_rows_are_folds() -> None:
    tasks = small()
    parts = folded_parts(tasks, 3, seed=2)
    for t, task in enumerate(tasks):
        tested = np.concatenate([part.test[part.test.index(task.name)].y for part in parts])
        assert sorted(tested) == sorted(task.y)
        for part in parts:
            assert part.train[t].n + part.test[t].n == task.n
    drawn = drawn_parts(tasks, 2, test=0.25, seed=1)
    assert [part.train.fingerprint() for part in drawn] == [part.train.fingerprint() for part in PARTS]
    assert drawn[0].train.fingerprint() != drawn[1].train.fingerprint()


def test_features_are_prepared_by_the_training_rows(found: Comparison) -> None:
    """Other units of the features change nothing where they are standardised."""
    scale, shift = np.array([1e3, 1.0, 1e-2]), np.array([5.0, -2.0, 0.0])

    def moved(tasks: TaskSet) -> TaskSet:
        return replace(tasks, tasks=tuple(replace(task, X=task.X * scale + shift) for task in tasks.tasks))

    parts = [replace(part, train=moved(part.train), test=moved(part.test)) for part in PARTS[:1]]
    how = {**HOW, "standardize": True, "intercept": True}
    plain, other = (compare(each, CONTENDERS[:1], **how) for each in (PARTS[:1], parts))
    assert other.error("stl").mean == pytest.approx(plain.error("stl").mean, rel=1e-6)


def test_errors_of_classes_make_up_the_whole(rng: np.random.Generator) -> None:
    labels = rng.integers(3, size=40)
    tasks = TaskSet.one_vs_rest(rng.normal(size=(40, 2)) + labels[:, None], labels)
    W, model = rng.normal(size=(2, 3)), Model(loss=Logistic(), coupling=0.0)
    blocks = {"W": W, "B": np.zeros((3, 3))}
    how: dict[str, Any] = {"names": tasks.names, "features": None, "labels": tasks.labels}
    assert measure_of(Logistic(), tasks) == "class error"
    found = scored(model, blocks, tasks, measure="class error", **how)
    scores, wrong = tasks[0].X @ W, []
    for row, label in zip(scores, labels, strict=True):
        wrong.append(max(range(3), key=lambda t: row[t]) != label)
    assert found.error == pytest.approx(np.mean(wrong))
    assert found.right is not None and (~found.right).tolist() == wrong
    sizes = np.bincount(labels, minlength=3)
    assert found.by_task @ sizes / 40 == pytest.approx(found.error)
    sides = [np.mean((scores[:, t] > 0) != (labels == t)) for t in range(3)]
    assert found.others["error"] == pytest.approx(np.mean(sides))
    alone = scored(model, blocks, tasks, measure="error", **how)
    np.testing.assert_allclose(alone.by_task, sides)
    some = replace(tasks, tasks=tasks.tasks[:2])
    with pytest.raises(DataError, match="class accuracy needs"):
        scored(model, blocks, some, measure="class error", **how)
    with pytest.raises(DataError, match="test rows of all classes"):
        compare([Part(name="a", train=tasks, test=some)], ["stl"])
    with pytest.raises(DataError, match="pooled rmse or rmse, got 'error'"):
        measure_of(Squared(), small(), "error")


def other_tasks(*names: str) -> Part:
    tasks = TaskSet.from_arrays([np.ones((4, 3))] * len(names), [np.arange(4.0)] * len(names), names=names)
    return Part(name="other", train=tasks, test=tasks)


@pytest.mark.parametrize(
    ("parts", "contenders", "more", "words"),
    [
        (PARTS, ["stl", "amlt"], {}, "unknown method 'amlt'"),
        (PARTS, ["stl", "amtl", "stl"], {}, "'stl' is compared twice"),
        (PARTS, ["amtl"], {}, "the baseline 'stl' is none of amtl"),
        (PARTS, [], {}, "give a method"),
        ([], ["stl"], {}, "give a part"),
        (PARTS[:1] * 2, ["stl"], {}, "two parts are called 'split 1'"),
        ([PARTS[0], other_tasks(*NAMES[:2])], ["stl"], {}, "same tasks and features"),
        (PARTS, ["stl"], {"folds": 2, "held_out": 0.2}, "leave one out"),
        (PARTS, ["stl"], {"measure": "error"}, "pooled rmse or rmse"),
        (PARTS, [Contender(method="stl", settings={"lost": "squared"})], {}, "no setting 'lost'"),
        (PARTS, ["stl", Contender(method="mean", settings={"loss": "logistic"})], {}, "of one kind"),
        ([other_tasks("ash")], ["stl"], {"held_out": 1.5}, "between 0 and 1"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_what_cannot_be_compared(parts: Any, contenders: Any, more: Any, words: str) -> None:
    with pytest.raises((ModelError, DataError), match=words):
        compare(parts, contenders, **more)


def test_what_makes_no_contender_and_no_part(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="stl has no parameter 'mu'"):
        Contender(method="stl", grid={"mu": (0.1,)})
    with pytest.raises(ModelError, match="has no parameter 'rounds'"):
        Contender(method="mean", grid=["rounds=1:3"])
    one = TaskSet.from_arrays([np.ones((1, 3))] * 3, [[1.0]] * 3, names=NAMES)
    with pytest.raises(DataError, match="no task has a row to spare"):
        drawn_parts(one, 2)
    with pytest.raises(DataError, match="empty"):
        folded_parts(one, 2)
    for wrong in ({"count": 0}, {"count": 2, "test": 1.0}):
        with pytest.raises(ModelError):
            drawn_parts(small(), **wrong)
    with pytest.raises(DataError, match="2 features, its training rows 3"):
        Part(
            name="a", train=small(), test=TaskSet.from_arrays([np.ones((2, 2))], [[1.0, 2.0]], names=["ash"])
        )
    with pytest.raises(DataError, match="a task 'oak'"):
        Part(
            name="a", train=small(), test=TaskSet.from_arrays([np.ones((2, 3))], [[1.0, 2.0]], names=["oak"])
        )
    named = TaskSet.from_arrays([np.ones((2, 1))], [["no", "yes"]], names=["a"], feature_names=["warm"])
    for other, words in (
        (replace(named, feature_names=("cold",)), "a feature 'cold'"),
        (replace(named, labels=("nein", "ja")), "labels"),
    ):
        with pytest.raises(DataError, match=words):
            Part(name="a", train=named, test=other)
    (tmp_path / "letter.txt").touch()
    with pytest.raises(DataError, match="holds something else"):
        compare(PARTS, CONTENDERS, **HOW, journal=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_classes_weigh_the_same_where_that_is_asked_for(rng: np.random.Generator) -> None:
    """The fit is that of rows whose weights are made by hand, the error that of rows that count once."""
    X = rng.normal(size=(24, 2))
    y = np.where(X[:, 0] + rng.normal(size=24) > 0.9, 1.0, -1.0)
    part = Part(name="a", train=TaskSet.from_arrays([X], [y]), test=TaskSet.from_arrays([X], [y]))
    n, positive = len(y), int((y > 0).sum())
    weights = np.where(y > 0, n / (2 * positive), n / (2 * (n - positive)))
    by_hand = replace(part, train=TaskSet.from_arrays([X], [y], sample_weight=[weights]))
    how: dict[str, Any] = {"held_out": 0.25, "widen": 0}
    stl = [Contender(method="stl", settings={"coupling": 0.1})]
    found = compare([part], stl, balanced=True, **how).of("stl")[0]
    W = compare([by_hand], stl, **how).of("stl")[0].learned.blocks["W"]
    np.testing.assert_allclose(found.learned.blocks["W"], W, rtol=1e-6)
    assert found.error == pytest.approx(np.mean((X @ W[:, 0] > 0) != (y > 0)))
    assert abs(compare([part], stl, **how).of("stl")[0].learned.blocks["W"] - W).max() > 1e-3


def test_parameters_of_a_term_may_be_held(found: Comparison) -> None:
    held = compare(PARTS[:1], [Contender(method="mean", settings={"rho": 1.0})], baseline=None, **HOW)
    tuned = compare(PARTS[:1], [Contender(method="mean", grid={"rho": (1.0,)})], baseline=None, **HOW)
    assert held.error("mean") == tuned.error("mean") and held.of("mean")[0].learned.chosen["trials"] == 1


def test_what_is_said_of_a_grid_stands_once() -> None:
    """Widened grids and growing trials are notes; the sentence of a choice leaves them out."""
    contender = Contender(method="stl", grid={"coupling": (50.0, 100.0)})
    found = compare(PARTS[:1], (contender,), baseline="stl", folds=2, widen=1)
    chosen = found.outcomes[0].learned.chosen
    assert "widened" not in chosen["sentence"] and "try" not in chosen["sentence"]
    assert len(chosen["widened"]) == 2 and sum("was widened" in note for note in found.said) == 1
