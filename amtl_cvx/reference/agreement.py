r"""Whether a stored claim and the one that is computed now say the same.

Claims are computed in doubles, by libraries that round differently from machine to machine. What is held
against what:

    words, truths, places, counts     the same; a sentence may hold other numbers
    sharp figures                     within 1e-6 of each other; condition numbers within 64 eps of themselves
                                      squared, as a condition number is itself conditioned
    figures of rounding               residuals, gaps and what follows from them are eps times something, and
                                      0 on one machine: the same where both are below what a pack is held to
                                      (its tolerance, its limit), else within a half of each other
    J                                 the double within 16 eps of the sum of its |terms|, the decimals in all
                                      digits that are claimed
    digits                            as many as are found, but for two that depend on the machine

Nothing that is claimed too well passes, nor what is claimed too badly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from amtl_cvx.reference.decimals import fraction_of

EPS = 2.0**-52
SHARP, LOOSE = 1e-6, 1e-3
NEAR = 2
"""Digits that two derivations may share more or fewer on another machine."""
_NUMERAL = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?")
_BY = ("gain_W_by", "gap_by", "gap_L_by")
_BOUNDS = ("decrement", "gap", "value", "none", "curvature", "duality")
"""Which of two bounds is the lesser one may be decided by rounding."""
_AT_TOL = frozenset(
    ("relative", "joint_relative", "balance", "balance_lower")
    + tuple(f"relative_{name}" for name in ("W", "B", "L", "S", "A", "weights", "kinks"))
)
_AT_LIMIT = ("gap", "gap_W", "gap_B", "gap_L", "gap_S", "gap_A", "gain_W", "global_excess", "limit")
_CONDITIONS = ("condition_W", "condition_B", "condition_w", "kappa", "kappa_W", "kappa_B", "kappa_w")
_FAR = ("error_W", "error_B", "proven_distance", "proven_isolation", "reduced_hessian_min")
_ROUGH = 1e4
_TINY = 1e-7


@dataclass(frozen=True)
class Scale:
    """What figures of rounding are held to in one pack: its tolerance, its limit, J+."""

    tol: float
    limit: float
    terms: float

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> Scale:
        """Those of claims that were computed now."""
        certificate, terms = claims["certificate"], float(claims["objective"]["terms"])
        limit = certificate.get("limit")
        return cls(float(certificate["tol"]), max(float(limit or 0.0), 64.0 * EPS * terms), terms)


def differences(key: str, stored: Any, found: Any, scale: Scale) -> list[str]:
    """Where a claim and what is computed differ, in words; empty where they agree."""
    rule = _RULES.get(key, _same)
    return list(rule(key, stored, found, scale))


def _same(path: str, stored: Any, found: Any, scale: Scale) -> Iterator[str]:
    """Any value, part by part."""
    name = path.rpartition(".")[2]
    if isinstance(stored, Mapping) and isinstance(found, Mapping):
        for part in sorted({*stored, *found}):
            if part not in stored or part not in found:
                yield f"{path}.{part} is {'missing' if part in found else 'not a claim that is known'}"
            else:
                yield from _same(f"{path}.{part}", stored[part], found[part], scale)
    elif isinstance(stored, list | tuple) and isinstance(found, list | tuple):
        if len(stored) != len(found):
            yield f"{path} has {len(stored)} parts, {len(found)} are found"
            return
        for k, (one, other) in enumerate(zip(stored, found, strict=True)):
            yield from _same(f"{path}.{k}", one, other, scale)
    elif _number(stored) and _number(found):
        if not _close(name, float(stored), float(found), scale):
            yield _told(path, stored, found)
    elif isinstance(stored, str) and isinstance(found, str):
        either = name in _BY and stored in _BOUNDS and found in _BOUNDS
        if not either and _said(stored) != _said(found):
            yield _told(path, stored, found)
    elif stored != found or type(stored) is not type(found):
        yield _told(path, stored, found)


def _said(text: str) -> str:
    """A sentence without its numbers; a single word, as the level C3 is one, as it is."""
    return _NUMERAL.sub("#", text) if " " in text else text


def _close(name: str, stored: float, found: float, scale: Scale) -> bool:
    """Whether two figures are the same, by their name."""
    if name in _AT_TOL:
        return _within(stored, found, 0.5, scale.tol)
    if name in _AT_LIMIT:
        return _within(stored, found, 0.5, scale.limit)
    if name in _FAR:
        small = max(abs(stored), abs(found)) <= max(_TINY, 10.0 * math.sqrt(scale.limit))
        return small or (stored * found > 0.0 and 1.0 / _ROUGH <= stored / found <= _ROUGH)
    if name in _CONDITIONS:
        return _within(stored, found, max(SHARP, 64.0 * EPS * abs(found)), 0.0)
    if name.startswith("sigma_min"):
        return _within(stored, found, SHARP, 1e-13)
    return _within(stored, found, SHARP, 64.0 * EPS)


def _within(stored: float, found: float, part: float, floor: float) -> bool:
    return abs(stored - found) <= max(part * max(abs(stored), abs(found)), floor)


def _certificate(path: str, stored: Any, found: Any, scale: Scale) -> Iterator[str]:
    """The certificate: its figures, and of the rungs their states; stationarity goes with the residual."""
    left_out = ("reasons", "rungs", "refused", "objective", "level")
    for name in sorted({*stored, *found} - set(left_out)):
        if name not in stored or name not in found:
            yield f"{path}.{name} is {'missing' if name in found else 'not a claim that is known'}"
        elif name.startswith("stationarity"):
            yield from _stationarity(f"{path}.{name}", stored[name], found, name, scale)
        elif name in ("global_lower", "global_upper") and _number(stored[name]) and _number(found[name]):
            if not _within(stored[name], found[name], 0.0, scale.limit):
                yield _told(f"{path}.{name}", stored[name], found[name])
        elif name == "global_width":
            if _number(stored[name]) != _number(found[name]) or (
                _number(stored[name]) and not _within(stored[name], found[name], 0.5, 1e-9)
            ):
                yield _told(f"{path}.{name}", stored[name], found[name])
        else:
            yield from _same(f"{path}.{name}", stored[name], found[name], scale)
    yield from _objective_double(f"{path}.objective", stored["objective"], found["objective"], scale)
    yield from _same(f"{path}.level", stored["level"], found["level"], scale)
    for code in sorted({*stored.get("rungs", {}), *found.get("rungs", {})}):
        states = [each.get("rungs", {}).get(code, {}).get("state") for each in (stored, found)]
        if states[0] != states[1]:
            yield _told(f"{path}.rungs.{code}", *states)


def _stationarity(path: str, stored: Any, found: Any, name: str, scale: Scale) -> Iterator[str]:
    relative = found.get(name.replace("stationarity", "relative"), found.get("relative"))
    own = found[name]
    if not (_number(stored) and _number(own)):
        if stored != own:
            yield _told(path, stored, own)
        return
    floor = own * scale.tol / relative if relative and math.isfinite(relative) else scale.tol * scale.terms
    if not _within(stored, own, 0.5, max(floor, 64.0 * EPS * scale.terms)):
        yield _told(path, stored, own)


def _objective(path: str, stored: Any, found: Any, scale: Scale) -> Iterator[str]:
    """J: the double, the decimals, and how many digits these have."""
    yield from _same(
        path,
        {key: value for key, value in stored.items() if key not in ("hex", "decimal", "digits")},
        {key: value for key, value in found.items() if key not in ("hex", "decimal", "digits")},
        scale,
    )
    try:
        double, decimal = float.fromhex(stored["hex"]), fraction_of(stored["decimal"])
    except (ArithmeticError, KeyError, TypeError, ValueError):
        yield f"{path} is no number"
        return
    yield from _objective_double(f"{path}.hex", double, float.fromhex(found["hex"]), scale)
    count = stored.get("digits")
    near = 0 if stored.get("proven") else NEAR
    if not isinstance(count, int) or count < 0 or abs(count - found["digits"]) > near:
        yield _told(f"{path}.digits", count, found["digits"])
        return
    off, size = abs(decimal - Fraction(found["decimal"])), abs(Fraction(found["decimal"]))
    room = max(3 * size / 10**count, Fraction(16.0 * EPS * scale.terms))
    if off > (0 if stored.get("proven") else room):
        yield _told(f"{path}.decimal", stored["decimal"], found["decimal"])


def _objective_double(path: str, stored: Any, found: Any, scale: Scale) -> Iterator[str]:
    if not _number(stored) or not abs(stored - found) <= 16.0 * EPS * scale.terms:
        yield _told(path, stored, found)


def _routes(path: str, stored: Any, found: Any, scale: Scale) -> Iterator[str]:
    """The digits that two derivations share: as many as are found, but for `NEAR`."""
    if stored is None or found is None:
        if stored is not found:
            yield _told(path, stored, found)
        return
    count, other = stored.get("digits"), found.get("digits")
    if (count is None) != (other is None) or (count is not None and abs(count - other) > NEAR):
        yield _told(f"{path}.digits", count, other)
    for name in sorted({*stored, *found} - {"digits"}):
        yield from _same(f"{path}.{name}", stored.get(name), found.get(name), scale)


def _tolerances(path: str, stored: Any, found: Any, scale: Scale) -> Iterator[str]:
    """Each within a thousandth, or the limit of the gaps that are part of them."""
    for dtype in sorted({*stored, *found}):
        one, other = stored.get(dtype, {}), found.get(dtype, {})
        for name in sorted({*one, *other}):
            a, b = one.get(name), other.get(name)
            floor = scale.limit if name in ("objective", "gap") else 0.0
            known = _number(a) and _number(b)
            if not (_within(a, b, LOOSE, 0.01 * floor) if known else a is b):
                yield _told(f"{path}.{dtype}.{name}", a, b)


def _condition(path: str, stored: Any, found: Any, scale: Scale) -> Iterator[str]:
    """As figures; estimates within a thousandth."""
    loose = found.get("how") not in (None, "computed")
    for name in sorted({*stored, *found}):
        a, b = stored.get(name), found.get(name)
        if loose and name.startswith("kappa") and _number(a) and _number(b):
            if not _within(a, b, LOOSE, 0.0):
                yield _told(f"{path}.{name}", a, b)
        elif name == "why" and isinstance(a, str) and isinstance(b, str):
            continue
        else:
            yield from _same(f"{path}.{name}", a, b, scale)


def _minima(path: str, stored: Any, found: Any, scale: Scale) -> Iterator[str]:
    """Of every other minimum J, the residual and the distance."""
    if not isinstance(stored, list) or len(stored) != len(found):
        yield f"{path} does not list the {len(found)} points that there are"
        return
    for k, (one, other) in enumerate(zip(stored, found, strict=True)):
        here = f"{path}.{k + 1}"
        try:
            J = float.fromhex(one["objective"])
        except (ArithmeticError, KeyError, TypeError, ValueError):
            yield f"{here}.objective is no number"
            continue
        yield from _objective_double(f"{here}.objective", J, float.fromhex(other["objective"]), scale)
        rest = {key: value for key, value in one.items() if key != "objective"}
        again = {key: value for key, value in other.items() if key != "objective"}
        yield from _same(here, rest, again, scale)


def _bound(path: str, stored: Any, found: Any, scale: Scale) -> Iterator[str]:
    """An exact bound to its last digit, one by duality to the limit."""
    if not isinstance(stored, Mapping) or not isinstance(found, Mapping):
        if stored != found:
            yield _told(path, stored, found)
        return
    exact = found["method"] == "exact"
    for name in sorted({*stored, *found}):
        a, b = stored.get(name), found.get(name)
        if a is not None and b is not None and _number(a) and _number(b):
            same = (
                a == b if exact else _within(a, b, 0.5 if name == "width" else 0.0, max(scale.limit, 1e-15))
            )
            if not same:
                yield _told(f"{path}.{name}", a, b)
        elif a != b:
            yield _told(f"{path}.{name}", a, b)


def _words(path: str, stored: Any, found: Any, scale: Scale) -> Iterator[str]:
    """Reasons: there or not there."""
    if bool(stored) != bool(found) or not isinstance(stored, str | None):
        yield _told(path, stored, found)


def _told(path: str, stored: Any, found: Any) -> str:
    return f"{path}: {_short(stored)} is claimed, {_short(found)} is found"


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_RULES: Mapping[str, Callable[[str, Any, Any, Scale], Iterator[str]]] = {
    "objective": _objective,
    "certificate": _certificate,
    "routes": _routes,
    "tolerances": _tolerances,
    "condition": _condition,
    "minima": _minima,
    "bound": _bound,
    "digits_why": _words,
    "bound_why": _words,
    "unique_why": _words,
}
