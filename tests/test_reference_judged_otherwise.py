"""Back ends that are wrong on one kind of problem alone, and objects that would break the judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from backends.dense import Dense

from amtl_cvx.errors import ModelError
from amtl_cvx.reference.judge import Verdict, judge
from amtl_cvx.reference.judge.backends import backend_of
from amtl_cvx.reference.judge.choice import chosen

PAIR = ("tiny-t2-d2-mean",)


def of(**changes: Callable[..., Any]) -> Verdict:
    """The verdict of the correct back end with methods of its own, on a pair of tasks."""
    return judge(type("Mine", (Dense,), changes)(), packs=PAIR)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize(
    "kind",
    [
        lambda about: about["T"] >= 7,
        lambda about: "task weights" in about["traits"],
        lambda about: "problem/sample_weight.npy" in about["files"],
    ],
)
@pytest.mark.sampled(6)
def test_every_loss_is_asked_about_on_every_kind_of_joint_problem(kind: Any, loss: str) -> None:
    packs = [pack.about for pack in chosen(backend_of(Dense()), None)]
    assert any(a["ask"] == "joint" and a["loss"] == loss and kind(a) for a in packs)
    few = [a for a in packs if a["ask"] == "joint" and min(a["rows"]) < a["d"]]
    assert few


@pytest.mark.slow
def test_wrong_where_rows_are_few_alone_is_found() -> None:
    class Few(Dense):
        def fit(self, asked: Any) -> Any:
            W, B = super().fit(asked)
            return (1.1 * W if min(map(len, asked.y)) < asked.d else W), B

    few = [pack for pack in chosen(backend_of(Dense()), None) if min(pack.about["rows"]) < pack.about["d"]]
    assert not judge(Few(), packs=few, levels=["L3"]).passes


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError


def replaced(self: Any, asked: Any) -> Any:
    found = Dense.evaluate(self, asked)
    asked.X[0] = asked.X[0].tolist()
    return found


def silent(self: Any, asked: Any) -> Any:
    raise Silent


def masked(self: Any, asked: Any) -> Any:
    W = Dense.w_step(self, asked)
    return np.ma.masked_array(W, mask=W > 0.0)


@pytest.mark.slow
def test_whatever_an_object_does_is_a_failed_check() -> None:
    assert set(of(evaluate=replaced).causes()) == {"input-written"}
    assert set(of(evaluate=silent).causes()) == {"raised"}
    assert set(of(w_step=masked).causes()) == {"no-answer"}


def test_right_answers_in_other_forms_pass() -> None:
    class Other(Dense):
        def evaluate(self, asked: Any) -> Any:
            return {name: np.ma.masked_array(part) for name, part in super().evaluate(asked).items()}

        def w_step(self, asked: Any) -> Any:
            return np.asfortranarray(super().w_step(replace(asked, X=[x.copy("F") for x in asked.X])))

        def b_step(self, asked: Any) -> Any:
            return super().b_step(asked).tolist()

        def fit(self, asked: Any) -> Any:
            return [part.astype(np.longdouble) for part in super().fit(asked)]

    assert judge(Other(), packs=PAIR).passes


@pytest.mark.parametrize("said", [{"accuracy": "x"}, {"expected_failures": ["L5"]}])
def test_what_a_back_end_says_of_itself_is_looked_at(said: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        backend_of(type("Mine", (Dense,), said))


def test_a_name_can_be_written() -> None:
    found = Dense()
    found.name = "a\ud800\nb"
    assert backend_of(found).name.encode() and "\n" not in backend_of(found).name
