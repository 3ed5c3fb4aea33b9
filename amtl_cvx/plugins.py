"""Classes that are known by a name, and classes of the user's own that are to be known.

A class is known under its `name` once it is built in, given to `register`, or installed as an entry point
(group "amtl_cvx.transfer" or "amtl_cvx.losses"); and under ``package.module:Class`` once it is registered or
the user has named it so: in Python, or as an option of the command that runs. Only what is known is found
again from a stored run: a folder that somebody sends imports nothing by itself.

A term of J is a class and its parameters, ``name:key=value,key=value`` or ``name:number`` (`Plugins.make`).
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import inspect
import os
import re
import sys
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from amtl_cvx.arrays import is_number
from amtl_cvx.errors import ModelError

Kind = TypeVar("Kind")
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True)
class Plugins(Generic[Kind]):
    """The classes of one kind by name.

    Parameters
    ----------
    base : type
        What every class derives from.
    noun, option, group : str
        What messages call the kind, the option that names a class, the group of entry points.
    classes : dict
        Built-in classes by name; `register` adds to it.
    of_function : type, optional
        The class that makes a term of a plain function, given as its `function`; functions are known like
        classes then.
    """

    base: type[Kind]
    noun: str
    option: str
    group: str
    classes: dict[str, Any]
    of_function: type[Any] | None = None

    def register(self, cls: Any, name: str | None = None) -> Any:
        """Make `cls` known under `name` (default: its `name`, else ``module:Class``); usable as a decorator.

        Raises
        ------
        ModelError
            For what is no class of this kind, or where another class has the name.
        """
        if not (self._derived(cls) or self._takes(cls)):
            raise ModelError(f"expected a class derived from {self.base.__name__}, got {cls!r}")
        name = name or getattr(cls, "name", None) or path_of(cls)
        if not isinstance(name, str) or (
            self.classes.get(name, cls) is not cls and not _same(self, name, cls)
        ):
            raise ModelError(f"another {self.noun} is called {name!r}: choose another name")
        self.classes[name] = cls
        return cls

    def _derived(self, found: object) -> bool:
        return isinstance(found, type) and issubclass(found, self.base)

    def _takes(self, found: object) -> bool:
        """Whether a plain function makes a term."""
        return self.of_function is not None and inspect.isfunction(found)

    def find(self, label: str) -> Any:
        """The known class or function of a name or ``module:Class``; an entry point is loaded when named."""
        if label in self.classes:
            return self.classes[label]
        for cls in self.classes.values():
            if path_of(cls) == label:
                return cls
        for point in importlib.metadata.entry_points(group=self.group):
            if label in (point.name, point.value):
                return self.register(self._loaded(point.value), point.name)
        return None

    def admit(self, label: str) -> Any:
        """What the user names, imported where it is a ``module:Class`` that is not known yet."""
        found = self.find(label)
        if found is not None:
            return found
        if not is_path(label):
            raise ModelError(self.unknown(label))
        cls = self._loaded(label)
        self.classes[label] = cls
        return cls

    def label_of(self, term: Any) -> str:
        """The name that finds the class, or the function, of a term again."""
        made = self.of_function is not None and isinstance(term, self.of_function)
        return self.label(term.function if made else type(term))

    def label(self, cls: Any) -> str:
        """The name that finds a class or function again."""
        name = getattr(cls, "name", None)
        if isinstance(name, str) and self.classes.get(name) is cls:
            return name
        return next((name for name, known in self.classes.items() if known is cls), path_of(cls))

    def split(self, text: str) -> tuple[str, str]:
        """Name and parameters of a term: ``name:parameters``, the name possibly ``module:Class``."""
        parts = text.split(":")
        path = ":".join(parts[:2])
        length = 2 if len(parts) > 1 and parts[0] not in self.classes and is_path(path) else 1
        return ":".join(parts[:length]), ":".join(parts[length:])

    def make(self, text: str, *, main: str, given: Mapping[str, Any]) -> Any:
        """The object of a term; `main` is the parameter that a number alone means.

        `given` is for what the term itself leaves open.

        Raises
        ------
        ModelError
            For a name that is not known, and for parameters that the class does not take.
        """
        name, rest = self.split(text)
        cls = self.find(name)
        if cls is None:
            raise ModelError(self.unknown(name))
        words = term_words(rest, main=main)
        if self._takes(cls):
            cls, given = self.of_function, {**given, "function": cls}
        values, own = dict(given), {key: value for key, value in words.items() if key != main}
        values |= cls.options(own) if own or set(given) <= {main} else {}
        if main in words:
            try:
                values[main] = float(words[main])
            except ValueError as error:
                raise ModelError(f"{main} of {name} must be a number, got {words[main]!r}") from error
        fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
        unknown = [f"there is no {each}" for each in values if each not in fields]
        absent = [f"{each} is missing" for each in sorted(_needed(fields) - values.keys())]
        if wrong := [*unknown, *absent]:
            known = ", ".join(fields)
            raise ModelError(f"the parameters of {name} are {known}; {', '.join(wrong)}: {name}:key=value")
        try:
            return cls(**values)
        except TypeError as error:  # of a user's own check
            raise ModelError(f"{name} cannot be made of {', '.join(values)}: {error}") from error

    def unknown(self, label: str) -> str:
        """What to say of a label that is not known."""
        if is_path(label):
            return (
                f"the {self.noun} {label} is not known here: a stored run imports no code by itself, so name"
                f" the class ({self.option} {label}), register it or install it (entry point {self.group})"
            )
        return f"unknown {self.noun} {label!r}: choose one of {', '.join(self.classes)}, or MODULE:CLASS"

    def _loaded(self, path: str) -> Any:
        """The class or function at ``module:Class``, looked for in the current folder as well."""
        module, _, name = path.partition(":")
        here = os.getcwd()
        sys.path.append(here)
        try:
            cls = getattr(importlib.import_module(module), name, None)
        except ImportError as error:
            raise ModelError(
                f"cannot import the {self.noun} {path}: {error}: run where {module.partition('.')[0]} can be"
                " imported, or install it"
            ) from error
        except Exception as error:  # whatever the file of somebody else does
            raise ModelError(
                f"cannot import the {self.noun} {path}: {module} raises {type(error).__name__}: {error}"
            ) from error
        finally:
            sys.path.remove(here)
        if self._takes(cls):
            return cls
        if not self._derived(cls):
            either = " or a function" if self.of_function is not None else ""
            raise ModelError(
                f"{path} is no {self.noun}: expected a class derived from {self.base.__name__}{either}"
            )
        lacks = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        fields = dataclasses.is_dataclass(cls)
        if lacks or not fields:
            what = f"it lacks {lacks}" if lacks else "it is no dataclass"
            raise ModelError(f"{path} is no {self.noun}: {what}; the guide, chapter Extend, has an example")
        return cls


def is_path(label: str) -> bool:
    """Whether a label is spelled ``package.module:Class``."""
    return _PATH.fullmatch(label) is not None


def path_of(cls: Any) -> str:
    """``module:Class`` of a class, or of a function, by the name of its file where that is the script."""
    module = cls.__module__
    if module == "__main__":
        stem = Path(getattr(sys.modules["__main__"], "__file__", None) or "__main__").stem
        module = stem if stem.isidentifier() else module
    return f"{module}:{cls.__qualname__}"


def _same(plugins: Plugins[Any], name: str, cls: type[Any]) -> bool:
    """Whether the class of that name is an earlier version of `cls` (a notebook cell that ran twice)."""
    return path_of(plugins.classes[name]) == path_of(cls)


def term_words(text: str, *, main: str) -> dict[str, str]:
    """The parameters of a term as words: ``key=value,key=value``, or a number, which is `main`."""
    if not text:
        return {}
    if "=" not in text:
        return {main: text}
    words: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier() or key in words:
            raise ModelError(f"expected NAME:key=value,key=value with different keys, got {text!r}")
        words[key] = value.strip()
    return words


def word_value(text: str) -> Any:
    """A word of the command line: true, false, a number, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


def check_weight(name: str, value: object, *, positive: bool = False) -> None:
    """Raise `ModelError` unless a parameter is a finite number >= 0 (or > 0)."""
    size = float(value) if is_number(value) else np.nan
    if not np.isfinite(size) or size < 0.0 or (positive and size <= 0.0):
        raise ModelError(f"{name} must be a finite number {'>' if positive else '>='} 0, got {value!r}")


def description_of(term: object) -> Hashable:
    """Class and fields of a term, arrays by their bytes: equal for terms that are the same."""
    return type(term), tuple((name, _hashable(value)) for name, value in sorted(vars(term).items()))


def _hashable(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    if isinstance(value, Mapping):
        return tuple((name, _hashable(entry)) for name, entry in sorted(value.items()))
    found: Hashable = value
    return found


def _needed(fields: Mapping[str, dataclasses.Field[Any]]) -> set[str]:
    """The fields that have no default."""
    none = dataclasses.MISSING
    return {name for name, field in fields.items() if field.default is none and field.default_factory is none}
