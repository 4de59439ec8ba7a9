"""Modules import each other in one direction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import grimp
import pytest

ROOMS_WITH_CIRCLES = ("cinema.actors",)
"""The kernel and its actors know each other."""


def circles(imports: Mapping[str, Iterable[str]]) -> list[set[str]]:
    """The strongly connected parts of more than one module (Tarjan 1972, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    found: list[set[str]] = []
    for start in imports:
        if start in index:
            continue
        work = [(start, iter(imports[start]))]
        index[start] = low[start] = len(index)
        path.append(start)
        on_path.add(start)
        while work:
            module, rest = work[-1]
            following = next(rest, None)
            if following is None:
                work.pop()
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[module])
                if low[module] == index[module]:
                    part = set(path[path.index(module) :])
                    del path[path.index(module) :]
                    on_path -= part
                    if len(part) > 1:
                        found.append(part)
            elif following not in index:
                index[following] = low[following] = len(index)
                path.append(following)
                on_path.add(following)
                work.append((following, iter(imports[following])))
            elif following in on_path:
                low[module] = min(low[module], index[following])
    return found


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    # Imports for the type checker count too: whoever reads a module has to know those it names.
    return grimp.build_graph("cinema", exclude_type_checking_imports=False)


def test_circles_are_left_only_inside_actors(graph: grimp.ImportGraph) -> None:
    imports = {
        module: sorted(graph.find_modules_directly_imported_by(module))
        for module in sorted(graph.modules)
        if not module.startswith(ROOMS_WITH_CIRCLES)
    }
    inside = {module: [one for one in them if one in imports] for module, them in imports.items()}
    assert len(inside) > 200
    assert circles(inside) == []


def test_a_circle_is_found() -> None:
    imports = {"a": ["b"], "b": ["c", "d"], "c": ["a"], "d": ["e"], "e": []}
    assert circles(imports) == [{"a", "b", "c"}]
    assert circles({**imports, "c": ["e"]}) == []
