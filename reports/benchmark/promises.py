"""The comparisons that this project promises, from the stored figures: what, limit, figure, whether it holds.

A promise whose figures are missing (an entrant skipped, a problem not run) is "not measured"; one whose rival
did not get there while ours did holds, with the rival's seconds as a lower bound.
"""

from __future__ import annotations

from typing import Any, NamedTuple

OURS, ALTERNATION, FAST = "amtl-cvx", "amtl-cvx-alternation", "amtl-cvx-fast"
RIVALS = ("compiled-cholesky", "compiled-pcg", "compiled-newton", "compiled-late-newton")
PLAIN_RIVALS = ("compiled-cholesky", "compiled-pcg")
FIELD = {"cvxpy-rebuilt": 0.144, "dbcp-0.1": 0.117, "alternation": 0.26, "newton": 0.044}
"""An earlier machine on pilot15: seconds per round, and seconds of compiled code to 1e-6."""
Figures = dict[str, Any]


class Promise(NamedTuple):
    """One line of the table; `holds` is None where it was not measured."""

    what: str
    limit: str
    figure: str
    holds: bool | None


def promises(stored: Figures) -> list[Promise]:
    """Every comparison."""
    return [*_single(stored), *_peers(stored), *_rival(stored), *_against_rival(stored), *_school(stored)]


def _single(stored: Figures) -> list[Promise]:
    rows = []
    for problem, level, limit in (("hard20", "1e-10", 10.0), ("easy10", "1e-12", 0.5)):
        found = _find(stored, problem, OURS)
        what = f"{problem}: `fit` below {level}, set-up included"
        seconds = found and found["seconds_to"][level]
        shown = "not measured"
        if found:
            shown = f"{seconds:.3g} s" if seconds else f"not reached ({found['relative']:.1e})"
        rows.append(
            Promise(what, f"< {limit:g} s", shown, bool(seconds and seconds < limit) if found else None)
        )
    for problem in ("pilot15", "easy10", "hard20"):
        found = _find(stored, problem, OURS)
        known = stored["problems"].get(problem, {}).get("known")
        if not found or not known:
            rows.append(Promise(f"{problem}: J", "the known value", "not measured", None))
            continue
        digits = len(known.split(".")[1])
        shown = f"{found['objective']:.{digits}f}"
        above = " or below" if problem == "hard20" else ""
        same = shown == known or (bool(above) and float(shown) <= float(known))
        rows.append(Promise(f"{problem}: J", known + above, shown, same))
    return rows


def _peers(stored: Figures) -> list[Promise]:
    rows = []
    for peer in ("cvxpy-rebuilt", "dbcp-0.1", "dbcp-0"):
        rows.append(_per_round(stored, "pilot15", ALTERNATION, peer, 0.25))
        rows.append(_to_level(stored, "pilot15", OURS, (peer,), 0.05))
    found = _find(stored, "pilot15", ALTERNATION)
    rest = found and found.get("overhead_per_round")
    shown = f"{1e3 * rest:.2f} ms" if rest else "not measured"
    rows.append(
        Promise("pilot15: a round minus its solvers' time", "<= 5 ms", shown, rest <= 5e-3 if rest else None)
    )
    return rows


def _rival(stored: Figures) -> list[Promise]:
    """The rival itself: as quick as the earlier measurement, scaled to this machine, and right."""
    rows = []
    rebuilt = _find(stored, "pilot15", "cvxpy-rebuilt")
    scale = rebuilt["seconds_per_round"] / FIELD["cvxpy-rebuilt"] if rebuilt else None
    for kind, names in (("alternation", PLAIN_RIVALS), ("newton", RIVALS[2:])):
        best = _best(stored, "pilot15", names)
        what = f"pilot15: the compiled {kind} to 1e-6, scaled to this machine by the rebuilt CVXPY's round"
        if scale is None or best is None:
            rows.append(Promise(what, f"{FIELD[kind]:g} s times the scale", "not measured", None))
            continue
        limit = scale * FIELD[kind]
        rows.append(Promise(what, f"<= {limit:.3f} s (scale {scale:.2f})", f"{best:.3f} s", best <= limit))
    for name in RIVALS:
        every = [
            entry["entrants"][name]
            for entry in stored["problems"].values()
            if "path" in entry["entrants"].get(name, {})
        ]
        what = f"{name}: largest residual of a half-step in its own block, largest rise of J, over all points"
        if not every:
            rows.append(Promise(what, "<= 1e-11, 1e-11, rounding", "not measured", None))
            continue
        W, B, rise = (max(f[key] for f in every) for key in ("half_step_W", "half_step_B", "rise_of_J"))
        outside = max(f["infeasibility"] for f in every)
        good = max(W, B) <= 1e-11 and rise <= 1e-12 and outside <= 0
        shown = f"W {W:.0e}, B {B:.0e}, rise {rise:.0e}, infeasibility {outside:.0e}"
        rows.append(Promise(what, "<= 1e-11, 1e-11, rounding; feasible", shown, good))
    return rows


def _against_rival(stored: Figures) -> list[Promise]:
    rows = []
    for problem, entry in stored["problems"].items():
        T = entry.get("T", 0)
        if "skipped" in entry or problem == "school" or (T != 15 and T < 60):
            continue
        if T == 15:
            rows.append(_to_level(stored, problem, OURS, RIVALS, 15.0))
            rows.append(_to_level(stored, problem, FAST, RIVALS, 15.0))
        else:
            rows.append(_to_level(stored, problem, FAST, RIVALS, 3.0))
            rows.append(_to_level(stored, problem, OURS, RIVALS, 10.0))
            rows += [_per_round(stored, problem, ALTERNATION, rival, 10.0) for rival in PLAIN_RIVALS]
    return rows


def _school(stored: Figures) -> list[Promise]:
    if "school" not in stored["problems"]:
        return []
    rows = []
    for name in (ALTERNATION, OURS, FAST):
        what = f"School: {name} below 1e-3"
        found = _find(stored, "school", name)
        if found is None:
            rows.append(Promise(what, "<= 120 s", "not measured", None))
            continue
        seconds, spent = found["seconds_to"]["1e-03"], found.get("seconds_per_round")
        if seconds:
            rows.append(Promise(what, "<= 120 s", f"{seconds:.1f} s", seconds <= 120))
        else:
            shown = f"not reached ({found['relative']:.1e} in {found['seconds']:.0f} s)"
            rows.append(Promise(what, "<= 120 s", shown, False if found["seconds"] >= 120 else None))
        if spent:
            rows.append(Promise(f"School: {name}, a round", "<= 1 s", f"{spent:.2f} s", spent <= 1.0))
        if peak := found.get("peak_MiB"):
            rows.append(
                Promise(f"School: {name}, peak memory", "<= 2048 MiB", f"{peak:.0f} MiB", peak <= 2048)
            )
    return rows


def _find(stored: Figures, problem: str, entrant: str) -> Figures | None:
    found = stored["problems"].get(problem, {}).get("entrants", {}).get(entrant)
    return found if found and "path" in found and found["path"] else None


def _per_round(stored: Figures, problem: str, ours: str, peer: str, limit: float) -> Promise:
    what = f"{problem}: seconds per round, {ours} over {peer}"
    a, b = _find(stored, problem, ours), _find(stored, problem, peer)
    if not (a and b and a.get("seconds_per_round") and b.get("seconds_per_round")):
        return Promise(what, f"<= {limit:g}", "not measured", None)
    ratio = a["seconds_per_round"] / b["seconds_per_round"]
    shown = f"{ratio:.3g} ({1e3 * a['seconds_per_round']:.3g} over {1e3 * b['seconds_per_round']:.3g} ms)"
    return Promise(what, f"<= {limit:g}", shown, ratio <= limit)


def _to_level(stored: Figures, problem: str, ours: str, peers: tuple[str, ...], limit: float) -> Promise:
    """Seconds to 1e-6: ours over the quickest of the peers."""
    rival = peers[0] if len(peers) == 1 else "the quickest compiled rival"
    what = f"{problem}: seconds to 1e-6, {ours} over {rival}"
    a, found = _find(stored, problem, ours), [p for p in peers if _find(stored, problem, p)]
    if not a or not found:
        return Promise(what, f"<= {limit:g}", "not measured", None)
    mine, best = a["seconds_to"]["1e-06"], _best(stored, problem, peers)
    if mine is None:
        return Promise(what, f"<= {limit:g}", f"ours not reached ({a['relative']:.1e})", False)
    if best is None:
        spent = max(_find(stored, problem, peer)["seconds"] for peer in found)  # type: ignore[index]
        shown = f"< {mine / spent:.3g} ({mine:.3g} s; the other not reached in {spent:.0f} s)"
        return Promise(what, f"<= {limit:g}", shown, mine / spent <= limit or None)
    return Promise(
        what, f"<= {limit:g}", f"{mine / best:.3g} ({mine:.3g} over {best:.3g} s)", mine / best <= limit
    )


def _best(stored: Figures, problem: str, names: tuple[str, ...]) -> float | None:
    found = [_find(stored, problem, name) for name in names]
    return min((f["seconds_to"]["1e-06"] for f in found if f and f["seconds_to"]["1e-06"]), default=None)
