"""Finds extensions: every module of a package that defines an object of a type. One extension, one file."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def discover(package: ModuleType, kind: type[T]) -> tuple[T, ...]:
    """All module-level objects of type ``kind`` in the package's modules, in order of module name.

    Raises ValueError when two of them carry the same ``name``: the second would silently win or lose.
    """
    found: list[T] = []
    names: dict[str, str] = {}
    for entry in sorted(pkgutil.iter_modules(package.__path__), key=lambda entry: entry.name):
        module = importlib.import_module(f"{package.__name__}.{entry.name}")
        for value in vars(module).values():
            if not isinstance(value, kind) or value in found:
                continue
            name = str(getattr(value, "name", entry.name))
            if name in names:
                raise ValueError(f"{module.__name__} and {names[name]} both define {name!r}")
            names[name] = module.__name__
            found.append(value)
    return tuple(found)
