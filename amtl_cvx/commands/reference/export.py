"""`amtl-cvx reference export`: packs in the formats of others, and readers of packs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from amtl_cvx.commands.output import write_whole
from amtl_cvx.commands.reference.selection import places_of
from amtl_cvx.console import emit, say
from amtl_cvx.errors import DataError, Exit, ModelError
from amtl_cvx.reference import read_pack
from amtl_cvx.reference.formats import FOLDERS, FORMATS, SUFFIXES, export_pack, format_of
from amtl_cvx.reference.readers import READERS, reader_text

_SUFFIX = {kind: suffix for suffix, kind in SUFFIXES.items()}


def run(arguments: Namespace) -> Exit:
    """`amtl-cvx reference export`."""
    reader = None if arguments.reader is None else reader_text(arguments.reader)
    if not (arguments.packs or arguments.all):
        return _reader_alone(arguments, reader)
    out: Path | None = arguments.out
    if out is None:
        raise ModelError("expected --out, the file or folder to write, it was left out: add --out PLACE")
    kind = arguments.format or format_of(out)
    if kind not in FORMATS:
        raise ModelError(f"--format must be one of {', '.join(FORMATS)}, got {kind!r}")
    places = places_of(arguments.packs, arguments.folder)
    single = len(places) == 1 and not arguments.all and not set("*?[") & set(arguments.packs[0])
    home = out.absolute().parent if single else out
    if reader is not None and (home / READERS[arguments.reader]).exists():
        raise DataError(f"{home / READERS[arguments.reader]} exists: it is left alone, choose another --out")
    for place in places:
        pack = read_pack(place)
        end = "" if kind in FOLDERS else _SUFFIX[kind]
        target = out if single else out / f"{pack.name}{end}"
        export_pack(pack, target, kind=kind)
        say(f"wrote {target}: {pack.name} as {kind}")
    if reader is not None:
        _write_reader(home / READERS[arguments.reader], reader)
    return Exit.DONE


def _reader_alone(arguments: Namespace, reader: str | None) -> Exit:
    """A reader without a pack: to a file, or on stdout."""
    if reader is None:
        raise ModelError(
            "expected a PACK, --all or --reader LANGUAGE, got none: see `amtl-cvx reference list`"
        )
    if arguments.out is None:
        emit(reader)
    else:
        out: Path = arguments.out
        _write_reader(out / READERS[arguments.reader] if out.is_dir() else out, reader)
    return Exit.DONE


def _write_reader(place: Path, text: str) -> None:
    if place.exists():
        raise DataError(f"{place} exists: it is left alone, choose another --out")
    write_whole(place, text.encode())
    say(f"wrote {place}: a reader of packs, {len(text.splitlines())} lines")
