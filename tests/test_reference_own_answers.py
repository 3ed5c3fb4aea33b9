"""The judge on the shipped packs: who gives the stored answers passes, of every loss and penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from amtl_cvx.arrays import Array
from amtl_cvx.losses import LOSSES
from amtl_cvx.reference import Pack, pack_names, read_pack
from amtl_cvx.reference.judge import Asked, judge, plan
from amtl_cvx.reference.judge.choice import ASKS

STORED = [name for name in pack_names() if read_pack(name, files=False).about["family"] == "amtl"]


@pytest.fixture(autouse=True)
def no_causes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks why: that is what the tests of the causes are about."""
    monkeypatch.setattr(plan, "causes_of", lambda failure: ())


class Stored:
    """Knows the answer of one pack, and nothing else."""

    losses = tuple(LOSSES)
    row_weights = True

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.transfers, self.omegas = (pack.about["transfer"],), (pack.about["omega"] or "ridge",)

    def given(self, asked: Asked) -> bool:
        """Whether it is asked what the pack answers."""
        return all(np.array_equal(getattr(asked, name), block) for name, block in self.pack.given.items())

    def w_step(self, asked: Asked) -> Array:
        if not (self.pack.ask == "w-step" and self.given(asked)):
            raise NotImplementedError("another step")
        return self.pack.solution["W"]

    def one_task(self, asked: Asked) -> Array:
        if not (self.pack.ask == "one-task" and self.given(asked)):
            raise NotImplementedError("another step")
        return self.pack.solution["w"]

    def b_step(self, asked: Asked) -> Array:
        if not (self.pack.ask == "b-step" and self.given(asked)):
            raise NotImplementedError("another step")
        return self.pack.solution["B"]

    def fit(self, asked: Asked) -> tuple[Array, Array]:
        return self.pack.solution["W"], self.pack.solution["B"]


@pytest.mark.parametrize("name", STORED)
@pytest.mark.sampled(24)
def test_the_stored_answer_passes(name: str) -> None:
    pack = read_pack(name)
    if pack.ask not in ASKS:
        pytest.skip(f"the judge does not ask about {pack.ask}")
    verdict = judge(Stored(pack), packs=[pack], levels=["L1", "L3"])
    assert verdict.passes, [(result.check.id, result.words) for result in verdict.failed]


class Off(Stored):
    """The same, its largest entry off by a part of a hundred thousand."""

    def _off(self, block: Any) -> Array:
        moved = np.array(block)
        moved.flat[np.argmax(np.abs(moved))] *= 1.0 + 1e-5
        return moved

    def w_step(self, asked: Asked) -> Array:
        return self._off(super().w_step(asked))

    def one_task(self, asked: Asked) -> Array:
        return self._off(super().one_task(asked))

    def b_step(self, asked: Asked) -> Array:
        return self._off(super().b_step(asked))

    def fit(self, asked: Asked) -> tuple[Array, Array]:
        return self._off(self.pack.solution["W"]), self.pack.solution["B"]


@pytest.mark.parametrize("name", STORED)
@pytest.mark.sampled(24)
def test_an_answer_that_is_off_in_the_fifth_digit_fails(name: str) -> None:
    pack = read_pack(name)
    if pack.ask not in ASKS:
        pytest.skip(f"the judge does not ask about {pack.ask}")
    if pack.ask == "b-step" and not pack.solution["B"].any():
        pytest.skip("no edge can be off")
    assert judge(Off(pack), packs=[pack], levels=["L1", "L3"]).failed
