"""What is found out about an answer, whatever it answers: `claims_of` makes the claims of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amtl_cvx.reference.claims.response import Response


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Of one answer.

    Attributes
    ----------
    objective, terms : float
        J, and J+ of `terms`.
    certificate : dict
        `to_dict` of the judge, or the residual and the gap of a step.
    passes : bool
    level : str or None
        The highest rung of the certificate.
    tol : float
        What the certificate was held to.
    gap : float
        What a move may gain, absolute.
    shares, curved : float
        The largest t_i / size_i, (|H| |x|)_i / size_i of `tolerances`.
    response : Response or None
    no_response : str
        Why there is none.
    unique : mapping of block to bool or None
    unique_why : str
    support : list
        The entries that are off their bounds, by places.
    min_positive_B, min_multiplier : float or None
    digits : mapping or None
        As digits.json holds them.
    no_digits : str
        Why there are none.
    bound : mapping or None
        lower, upper, width, method.
    no_bound : str
    """

    objective: float
    terms: float
    certificate: Mapping[str, Any]
    passes: bool
    level: str | None
    tol: float
    gap: float
    shares: float
    curved: float
    response: Response | None
    no_response: str = ""
    unique: Mapping[str, bool | None]
    unique_why: str
    support: Any
    min_positive_B: float | None = None
    min_multiplier: float | None = None
    digits: Mapping[str, Any] | None = None
    no_digits: str = ""
    bound: Mapping[str, Any] | None = None
    no_bound: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Condition numbers beside kappa."""


def finite(value: float | None) -> float | None:
    """A number that JSON has; None for one that is not finite."""
    return None if value is None or not abs(value) < float("inf") else float(value)
