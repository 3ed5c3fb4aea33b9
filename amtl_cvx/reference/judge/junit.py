"""The verdict as JUnit XML, the format that CI systems read.

One suite a level, one case a check: ``classname`` is the back end and the level, ``name`` the rest of the id.
A failed check is a ``failure`` whose type is its first cause; an expected failure is ``skipped`` with its
reason, as pytest writes it; one that was announced and passes is a failure. Characters that XML 1.0 does not
have are shown by their number. Valid by the schema of the xUnit plugin of Jenkins (junit-10.xsd).
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from amtl_cvx.reference.judge.summary import figures, told
from amtl_cvx.reference.judge.verdict import LEVELS, Result, Verdict

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(verdict: Verdict) -> str:
    """The verdict as one XML document.

    Examples
    --------
    >>> from amtl_cvx.reference.judge import Check, Result, Verdict
    >>> from amtl_cvx.reference.judge.junit import junit
    >>> check = Check(id="L0/objective/pair", level="L0", name="objective", title="J", needs="evaluate")
    >>> result = Result(check=check, status="passed", words="J is right", seconds=0.5)
    >>> text = junit(Verdict(backend="mine", dtype="float64", results=(result,)))
    >>> text.splitlines()[1]
    '<testsuites name="mine (float64)" tests="1" failures="0" errors="0" time="0.500">'
    """
    name = _valid(f"{verdict.backend} ({verdict.dtype})")
    counts = _counts(verdict.results)
    del counts["skipped"]  # which the schema of Jenkins has of a suite alone
    root = ElementTree.Element("testsuites", {"name": name, **counts})
    for level in verdict.levels():
        results = tuple(result for result in verdict.results if result.check.level == level)
        title = f"{level} {LEVELS[level]}"
        suite = ElementTree.SubElement(root, "testsuite", {"name": title, **_counts(results)})
        for result in results:
            _case(suite, result, f"{verdict.backend}.{level}")
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _counts(results: tuple[Result, ...]) -> dict[str, str]:
    """The counts and the time that a suite states."""
    skipped = sum(1 for result in results if result.status in ("skipped", "expected"))
    return {
        "tests": str(len(results)),
        "failures": str(sum(1 for result in results if result.bad)),
        "errors": "0",
        "skipped": str(skipped),
        "time": f"{sum(result.seconds for result in results):.3f}",
    }


def _case(suite: ElementTree.Element, result: Result, place: str) -> None:
    """One check."""
    name = result.check.id.partition("/")[2] or result.check.id
    case = ElementTree.SubElement(
        suite, "testcase", {"classname": _valid(place), "name": _valid(name), "time": f"{result.seconds:.3f}"}
    )
    said = _valid(told(result))
    if result.bad:
        kind = result.causes[0].name if result.causes else result.status
        failure = ElementTree.SubElement(case, "failure", {"message": said, "type": _valid(kind)})
        lines = [said, *(f"{cause.name}: {cause.sentence} {cause.fix}".strip() for cause in result.causes)]
        failure.text = _valid("\n".join([*lines, figures(result)]).strip())
    elif result.status == "expected":
        ElementTree.SubElement(case, "skipped", {"type": "pytest.xfail", "message": said})
    elif result.status == "skipped":
        ElementTree.SubElement(case, "skipped", {"message": said})


def _valid(text: str) -> str:
    """The text with what XML does not have shown by its number."""
    return _NO_XML.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
