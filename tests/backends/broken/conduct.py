"""Back ends with the right formulas that crash, hang, answer nothing, or anything at all."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from backends.broken.listed import listed
from backends.dense import Dense
from backends.terms import Array, Given


@listed("raised", "L1/*")
class Raises(Dense):
    """The W-step divides by nothing."""

    def w_step(self, asked: Any) -> Array:
        raise ZeroDivisionError("float division by zero")


@listed("raised", "L1/*")
class Leaves(Dense):
    """The B-step ends the interpreter."""

    def b_step(self, asked: Any) -> Array:
        raise SystemExit(0)


@listed("hang", "L1/*", limit=0.3)
class Hangs(Dense):
    """The W-step never comes back."""

    def w_step(self, asked: Any) -> Array:
        while True:
            time.sleep(0.01)


@listed("raised", "L1/*")
class OutOfMemory(Dense):
    """The W-step asks for a matrix that no machine holds."""

    def w_step(self, asked: Any) -> Array:
        return np.zeros((2**24, 2**24, 2**10))


@listed("no-answer", "L0/*")
class NotANumber(Dense):
    """J is 0/0."""

    def evaluate(self, asked: Any) -> dict[str, Any]:
        return {**super().evaluate(asked), "objective": float("nan")}


@listed("no-answer", "L1/*")
class InfiniteEntries(Dense):
    """A predictor overflows."""

    def w_step(self, asked: Any) -> Array:
        W = super().w_step(asked)
        W[0, 0] = np.inf
        return W


@listed("no-answer", "L0/*")
class ColumnOfLosses(Dense):
    """The losses are a matrix of one column."""

    def evaluate(self, asked: Any) -> dict[str, Any]:
        found = super().evaluate(asked)
        return {**found, "losses": found["losses"][:, None]}


@listed("no-answer", "L1/*")
class TransposedShape(Dense):
    """W is (T, d)."""

    def w_step(self, asked: Any) -> Array:
        return super().w_step(asked).T


@listed("no-answer", "L3/*")
class PredictorsAlone(Dense):
    """The fit hands W back and no B."""

    def fit(self, asked: Any) -> Any:
        return super().fit(asked)[0]


@listed("no-answer", "L1/*")
class NoAnswerAtAll(Dense):
    """The B-step forgets its return."""

    def b_step(self, asked: Any) -> Any:
        super().b_step(asked)


@listed("no-answer", "L1/*")
class Text(Dense):
    """The W-step hands back what it would print."""

    def w_step(self, asked: Any) -> Any:
        return str(super().w_step(asked))


@listed("no-answer", "L0/*")
class Complex(Dense):
    """The gradient has imaginary parts."""

    def evaluate(self, asked: Any) -> dict[str, Any]:
        found = super().evaluate(asked)
        return {**found, "gradient_W": found["gradient_W"] + 0j}


@listed("no-answer", "L1/*")
class SingleInDisguise(Dense):
    """It says float64 and answers in float32."""

    def w_step(self, asked: Any) -> Array:
        return super().w_step(asked).astype(np.float32)


@listed("input-written", "L0/*")
class WritesIntoFeatures(Dense):
    """The features are centred where they lie."""

    def evaluate(self, asked: Any) -> dict[str, Any]:
        found = super().evaluate(asked)
        for X in asked.X:
            X -= X.mean(axis=0)
        return found


@listed("input-written", "L1/*")
class WritesIntoTheStart(Dense):
    """The B-step works in the B that it was given."""

    def b_step(self, asked: Any) -> Array:
        asked.B[:] = super().b_step(asked)
        return asked.B


@listed("no-answer", "L2/*")
class FewerRounds(Dense):
    """The objective after each round, not after each half of it."""

    def rounds(self, asked: Any) -> Array:
        return super().rounds(asked)[1::2]


class _Trusting(Dense):
    """Some of what has no meaning is not refused."""

    def tidy(self, asked: Any) -> Any:
        return asked

    def start(self, asked: Any) -> tuple[Given, Array, Array]:
        return super().start(self.tidy(asked))


@listed("", "L5/*")
class TakesNaNs(_Trusting):
    """NaN counts as 0, in X and y."""

    def tidy(self, asked: Any) -> Any:
        return replace(asked, X=list(map(np.nan_to_num, asked.X)), y=list(map(np.nan_to_num, asked.y)))


@listed("", "L5/*")
class TakesNegativePrices(_Trusting):
    """A negative mu counts as 0."""

    def tidy(self, asked: Any) -> Any:
        return replace(asked, mu=max(asked.mu, 0.0))


@listed("", "L5/*")
class TakesDiagonals(_Trusting):
    """The diagonal of B is overlooked."""

    def tidy(self, asked: Any) -> Any:
        return replace(asked, B=asked.B - np.diag(np.diag(asked.B)))
