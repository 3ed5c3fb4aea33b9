"""Every claim of a pack, computed again and held against what is stored.

    for finding in verify(read_pack("tiny-...")):
        print(finding.name, finding.holds, finding.words)

The problem, the answer, what a step is given and other minima are read from the pack's arrays; all that is
claimed of them is computed anew by `claims_of`, as when the pack was made. Stored digits are proved again
next to the stored blocks and compared decimal by decimal, a stored proof goes to the checker; nothing is
searched for. A claim that says more than is found does not hold, nor one that says less. What must hold of
every pack is a finding as well: every check is true, and the answer is of first order at 1e-12, or 64 eps of
the terms, of ReLU networks 1e-10, of deep ones 1e-9.

Without the extra ``[verify]`` digits and second derivations are left out, and the rest is held as it is.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amtl_cvx.console import one_line
from amtl_cvx.errors import AMTLError, DataError
from amtl_cvx.parallel import WorkerPool
from amtl_cvx.reference.agreement import Scale, differences
from amtl_cvx.reference.claims import claims_of
from amtl_cvx.reference.content import said_otherwise
from amtl_cvx.reference.pack import Pack, pack_names, read_pack
from amtl_cvx.threads import one_thread

_NEED_EXTRAS = ("digits", "digits_why", "routes")
_FIRST = ("C2", "C3", "C4", "C5")
_MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a content that is none of a pack makes of the claims."""


@dataclass(frozen=True)
class Finding:
    """What was found of one claim.

    Attributes
    ----------
    name : str
        The claim: "files", "problem", or a key of `claims`.
    holds : bool
    words : str
        What is claimed and what is found; where it holds, what of it was held.
    """

    name: str
    holds: bool
    words: str


def verify(pack: Pack, *, extras: bool = True) -> tuple[Finding, ...]:
    """Compute every claim of a pack again and hold it against the stored one.

    Parameters
    ----------
    pack : Pack
        From `read_pack`.
    extras : bool
        Whether the optional packages are used, where they are installed.

    Returns
    -------
    tuple of Finding
        One for the files, one for what pack.json says of the problem, one for every claim.
    """
    return tuple(_findings(pack, extras and importlib.util.find_spec("flint") is not None))


def _findings(pack: Pack, extras: bool) -> Iterator[Finding]:
    yield _tried("files", lambda: _files(pack))
    try:
        told = said_otherwise(pack)
    except AMTLError as error:
        yield Finding("problem", False, str(error))
        return
    except _MALFORMED as error:
        yield Finding("problem", False, _formless(error))
        return
    yield Finding("problem", not told, "; ".join(told) or "pack.json says what the problem is")
    try:
        found, proof = _computed(pack, extras)
    except AMTLError as error:
        yield Finding("claims", False, str(error))
        return
    except _MALFORMED as error:
        yield Finding("claims", False, _formless(error))
        return
    if proof is not None:
        yield proof
    yield from held(pack.claims, found, extras=extras, proved=proof is None)


def _formless(error: Exception) -> str:
    return one_line(f"what the pack holds is not of its form ({type(error).__name__}: {str(error)[:120]})")


def _files(pack: Pack) -> str:
    read_pack(pack.folder)
    there = {
        path.relative_to(pack.folder).as_posix() for path in pack.folder.rglob("*") if path.is_file()
    } - {"pack.json"}
    if more := sorted(there - set(pack.about["files"])):
        raise DataError(f"{more[0]} is no file of the pack: take it out")
    return f"{len(there)} files are those that were written"


def _computed(pack: Pack, extras: bool) -> tuple[dict[str, Any], Finding | None]:
    """The claims as they are found, and what is wrong with a proof; then they are found without it."""

    def claims(proof: Mapping[str, Any] | None) -> dict[str, Any]:
        return claims_of(
            pack.problem,
            pack.ask,
            pack.solution,
            given=pack.given,
            minima=pack.minima,
            digits=pack.digits,
            proof=proof,
            task=pack.task,
            extras=extras,
        )

    if pack.proof is None:
        return claims(None), None
    try:
        return claims(pack.proof), None
    except DataError as rejected:
        return claims(None), Finding("proof", False, str(rejected))


def held(
    stored: Mapping[str, Any], found: Mapping[str, Any], *, extras: bool, proved: bool
) -> Iterator[Finding]:
    """One finding for every claim."""
    scale = Scale.of(found)
    for key in sorted({*stored, *found}):
        if key in _NEED_EXTRAS and not extras:
            continue
        if key == "bound_why" and not proved:
            continue
        if key not in stored or key not in found:
            yield Finding(key, False, "it is missing" if key in found else "it is no claim that is known")
            continue
        mine, theirs = stored[key], found[key]
        if not extras:
            mine, theirs = _first_order(key, mine, theirs)
        try:
            told = [*_musts(key, mine, theirs), *differences(key, mine, theirs, scale)]
        except _MALFORMED as error:
            told = [f"it is not of the form of this claim ({type(error).__name__}: {error})"]
        yield Finding(key, not told, "; ".join(told[:4]) or _shown(key, theirs))


def _first_order(key: str, stored: Any, found: Any) -> tuple[Any, Any]:
    """Both claims as far as they are known without extras."""
    if key == "level":
        reached = stored in _FIRST and found in _FIRST and stored >= found
        return (found, found) if reached else (stored, found)
    if key == "objective" and isinstance(stored, Mapping):
        known = ("hex", "terms")
        rest = {"decimal": found["decimal"], "digits": found["digits"], "proven": found["proven"]}
        return {**{name: stored.get(name) for name in known}, **rest}, found
    if key == "certificate" and isinstance(stored, Mapping):
        proved = ("proven_radius", "proven_distance", "proven_isolation", "level", "rungs")
        kept = {name: found[name] for name in proved if name in found}
        return {**stored, **kept}, found
    if key == "checks" and isinstance(stored, Mapping):
        return {name: value for name, value in stored.items() if name in found}, found
    if key == "unique" and isinstance(stored, Mapping) and isinstance(found, Mapping):
        kept = {name: found[name] for name in found if found[name] is None and name in stored}
        return {**stored, **kept}, found
    return stored, found


def _musts(key: str, stored: Any, found: Any) -> list[str]:
    """What must hold of every pack, whatever it claims."""
    if key == "checks":
        own = {"data"} if stored.get("data") is False else set()  # that singles round them, as a user's may
        wrong = [name for name, value in found.items() if value is not True and name not in own]
        return [f"the check {name!r} is not true" for name in wrong]
    if key == "level" and found not in _FIRST:
        return [f"the answer is not of first order: {found}"]
    if key == "certificate" and found.get("passes") is not True:
        return [f"the certificate does not pass at {found.get('tol'):g}"]
    return []


def _shown(key: str, found: Any) -> str:
    """What was held, in a few words."""
    if key == "objective":
        kind = "proven" if found["proven"] else "shared"
        return f"J = {found['decimal'][:20]}..., {found['digits']} digits {kind}"
    if key == "certificate":
        return f"passes at {found['tol']:.1e}"
    if key == "condition":
        return "no kappa" if found["kappa"] is None else f"kappa {found['kappa']:.3g}"
    if key == "routes":
        return "none" if found is None else f"{found['digits']} digits shared: {found['second']}"
    if key == "digits":
        return "none" if found is None else f"{found['proven']} digits proved again"
    if key == "bound":
        return "none" if found is None else f"width {found['width']:.1e}, {found['method']}"
    if key == "minima":
        return f"{len(found)} other first-order points"
    if key == "checks":
        return ", ".join(found)
    if key in ("level", "unique", "min_positive_B", "min_multiplier"):
        return str(found)
    return "as claimed"


def _tried(name: str, work: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, work())
    except AMTLError as error:
        return Finding(name, False, str(error))


def verify_all(
    places: Sequence[str | Path] | None = None,
    *,
    processes: int = 2,
    extras: bool = True,
    observe: Callable[[str, tuple[Finding, ...]], None] | None = None,
) -> dict[str, tuple[Finding, ...]]:
    """Verify packs in processes of their own, the largest first.

    Parameters
    ----------
    places : sequence of str or Path, optional
        Names or folders; default: every pack that comes with the package.
    processes : int
        How many at a time; 1 stays in this process.
    extras : bool
        As of `verify`.
    observe : callable(str, tuple of Finding), optional
        Told of every pack when it is done.

    Returns
    -------
    dict
        The findings by pack, in the order that was given.
    """
    wanted = [str(place) for place in (pack_names() if places is None else places)]
    done: dict[str, tuple[Finding, ...]] = {}
    if processes <= 1:
        for place in wanted:
            done[place] = verified(place, extras)
            if observe is not None:
                observe(place, done[place])
        return done
    with WorkerPool(processes) as pool:  # at Ctrl-C its processes end without a word
        running = {
            pool.submit(verified, place, extras): place for place in sorted(wanted, key=_work, reverse=True)
        }
        for future in as_completed(running):
            place = running[future]
            done[place] = future.result()
            if observe is not None:
                observe(place, done[place])
    return {place: done[place] for place in wanted}


def verified(place: str, extras: bool) -> tuple[Finding, ...]:
    """`verify` of a place; a pack that cannot be read is a finding."""
    try:
        with one_thread():  # several packs at a time do not fight for cores
            return verify(read_pack(place), extras=extras)
    except AMTLError as error:
        return (Finding("files", False, str(error)),)


def _work(place: str) -> float:
    """About how much a pack takes: unknowns and rows; 0 for one that cannot be read."""
    try:
        about = read_pack(place, files=False).about
    except AMTLError:
        return 0.0
    return float(about["T"]) ** 2 * float(about["d"]) ** 2 + float(sum(about["rows"]) * about["d"])
