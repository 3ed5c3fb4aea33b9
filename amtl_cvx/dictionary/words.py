"""All sentences of a certificate of a shared dictionary: verdict, headline, what is known, every level."""

from __future__ import annotations

from collections.abc import Mapping

from amtl_cvx.certificate.figures import rounded_down, rounded_up
from amtl_cvx.certificate.levels import LEVELS, Rung, sentence
from amtl_cvx.dictionary.known import DictionaryKnown
from amtl_cvx.dictionary.model import DictionaryModel
from amtl_cvx.features import telling
from amtl_cvx.features.telling import against_zero, live

NOT_FEASIBLE = "the columns of D must be in the unit ball and ||g_t||_1 at most the radius"


def verdict(found: DictionaryKnown) -> str:
    """One line: level, word and the figures that decide."""
    if found.level is None:
        return f"not feasible: {NOT_FEASIBLE}, one is beyond by {found.feasibility:.2g} of it"
    gaps = "".join(f", gap_{name} {rounded_up(value)}" for name, value in _gaps(found))
    passes = "passes" if found.passes else "does not pass"
    if found.live_features == 0:
        passes += ": nothing is learned"
    return (
        f"{found.level} {LEVELS[found.level]}: relative residual {rounded_up(found.relative)}{gaps}, limit"
        f" {rounded_down(found.limit)}, {live(found)}{against_zero(found)}, tolerance {found.tol:g}"
        f" ({passes})"
    )


def headline(found: DictionaryKnown) -> str:
    """The verdict in a few words, without claiming more than was shown."""
    nothing = "Nothing is learned: no task uses a feature"
    return telling.headline(found, infeasible="Not feasible: D or G is beyond its ball", nothing=nothing)


def sentences(found: DictionaryKnown) -> list[str]:
    """The certificate in plain words."""
    if found.level is None:
        return [f"{verdict(found)}."]
    lines = [
        "The point is judged as a first-order point of the joint objective J over D and G in their balls; J"
        " is not convex, other such points can exist.",
        f"The objective is {found.objective:.6g}; that of the zero point is {found.zero_objective:.6g}.",
        f"{live(found)[0].upper()}{live(found)[1:]}; {found.full} codes have the whole radius.{_dead(found)}",
        *(f"No move of {name} alone can gain more than {rounded_up(value)}." for name, value in _gaps(found)),
        f"The limit for their sum is {rounded_down(found.limit)}.",
        telling.residual(found),
    ]
    return [*lines, *(f"{name}: {why}." for name, why in found.reasons.items() if name not in LEVELS)]


def _dead(found: DictionaryKnown) -> str:
    count = found.features - found.live_features
    if not count:
        return ""
    verb, them = ("is", "it") if count == 1 else ("are", "them")
    return f" {count} {verb} dead: no task uses {them}, and any direction of {them} meets the conditions."


def _gaps(found: DictionaryKnown) -> list[tuple[str, float]]:
    return [(name, gap) for name, gap in (("D", found.gap_D), ("G", found.gap_G)) if gap is not None]


def rungs(found: DictionaryKnown) -> tuple[Rung, ...]:
    """Every level of the ladder as the certificate sees it, lowest first: six `Rung`."""
    return telling.rungs(found, _known)


def _known(found: DictionaryKnown, code: str) -> tuple[str, str]:
    """The figure of a level, and the sentence of who reached it."""
    known: Mapping[str, tuple[str, str]] = {
        "C0": (f"J {found.objective:.12g}", _evaluated(found)),
        "C1": (", ".join(f"gap_{name} {rounded_up(g)}" for name, g in _gaps(found)), _partial(found)),
        "C2": (f"relative residual {rounded_up(found.relative)}", telling.first_order(found)),
    }
    return known.get(code, ("", ""))


def _evaluated(found: DictionaryKnown) -> str:
    if found.level is None:
        return sentence(verdict(found))
    return f"D and G are in their balls, J and its residuals are known; {live(found)}."


def _partial(found: DictionaryKnown) -> str:
    parts = [
        f"no move of {name} alone can gain more than {rounded_up(value)}" for name, value in _gaps(found)
    ]
    known = "; ".join(parts) or "what a move of a block can gain is not known"
    return f"{sentence(known)[:-1]}; the limit for the sum is {rounded_down(found.limit)}."


def shortfall(found: DictionaryKnown) -> str:
    """What misses which limit, and why where that is known."""
    if found.level is None:
        return f"not certified: {verdict(found)}"
    missed = []
    if not found.relative <= found.tol:
        missed.append(f"the relative residual is {found.relative:.1e}, its limit {found.tol:g}")
    if (gaps := _gaps(found)) and sum(value for _, value in gaps) > found.limit:
        told = ", ".join(f"of {name} {rounded_up(value)}" for name, value in gaps)
        missed.append(
            f"moves of one block alone can gain, {told}, the limit for the sum is {rounded_down(found.limit)}"
        )
    if found.live_features == 0:
        missed.append("no task uses a feature: nothing is learned")
    return f"not certified: {'; '.join(missed or ['no level is reached'])}"


def advice(found: DictionaryKnown, model: DictionaryModel) -> str:
    """What to try where blocks from elsewhere do not pass."""
    if found.level is None:
        return "divide the columns of D and G that are too long by their length over that of the ball"
    if found.live_features == 0:
        return "another start"
    told = f"{model.features} features, radius {model.radius:g}"
    return (
        f"check the model (loss {model.loss.label}, {model.loss.reduction}, {told}), then run the solver"
        " longer; `amtl-cvx fit` gives a reference point"
    )
