"""What runs in a simulated world goes through no set in turn, since its order is left to chance.

The hash of a text differs from process to process, and that of an object is its place in memory.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
ROOMS: Final = (
    *("cinema/actors", "cinema/cluster", "cinema/domain"),
    *("cinema/storage/journal", "cinema/storage/membership", "tests/simulation"),
)

SETS: Final = {"set", "frozenset", "AbstractSet", "MutableSet", "Set"}
SAME_IN_EVERY_PROCESS: Final = {"int", "bool"}
"""Their hashes are themselves."""

WITHOUT_ORDER: Final = {"sorted", "set", "frozenset", "any", "all", "sum", "min", "max", "len"}
IN_TURN: Final = {"list", "tuple", "iter", "enumerate", "map", "filter", "zip", "deque", "join"}
IN_TURN_TOO: Final = {"extend", "fromkeys"}
COMBINED: Final = {"union", "intersection", "difference", "symmetric_difference", "copy"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Known:
    """The names of attributes that are sets, and of functions that return one, in all modules.

    A name that is a set here and something else there is left out.
    """

    def __init__(self, trees: Iterable[ast.Module]) -> None:
        self.attributes: set[str] = set()
        self.functions: set[str] = set()
        others: set[str] = set()
        for tree in trees:
            for node in ast.walk(tree):
                if isinstance(node, Function) and _is_set_type(node.returns):
                    self.functions.add(node.name)
                for name, annotation in _attributes(node):
                    (self.attributes if _is_set_type(annotation) else others).add(name)
        self.attributes -= others


def _attributes(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Those that are declared here, in the body of a class or of a method, and their types."""
    match node:
        case ast.ClassDef(body=body):
            for one in body:
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                    yield one.target.id, one.annotation
        case ast.AnnAssign(target=ast.Attribute(attr=name), annotation=annotation):
            yield name, annotation


def _is_set_type(annotation: ast.expr | None) -> bool:
    match annotation:
        case ast.Subscript(value=ast.Name(id=name), slice=of):
            if name in {"Final", "ClassVar"}:
                return _is_set_type(of)
            element = of.id if isinstance(of, ast.Name) else ""
            return name in SETS and element not in SAME_IN_EVERY_PROCESS
        case ast.Name(id=name):
            return name in SETS
        case ast.BinOp(left=left, right=right):
            return _is_set_type(left) or _is_set_type(right)
    return False


class Scope:
    """One function or module, and which of its names are sets."""

    def __init__(self, known: Known, body: ast.AST, outer: Scope | None) -> None:
        self._known = known
        self.names = set(outer.names) if outer is not None else set[str]()
        if isinstance(body, Function):
            arguments = body.args
            for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                self._name(one.arg, _is_set_type(one.annotation))
        for node in own_nodes(body):
            match node:
                case ast.AnnAssign(target=ast.Name(id=name)):
                    self._name(name, _is_set_type(node.annotation))
                case ast.Assign(targets=[ast.Name(id=name)]):
                    if self.is_set(node.value):
                        self.names.add(name)
                case ast.NamedExpr(target=ast.Name(id=name)) if self.is_set(node.value):
                    self.names.add(name)

    def _name(self, name: str, is_set: bool) -> None:
        (self.names.add if is_set else self.names.discard)(name)

    def is_set(self, node: ast.expr) -> bool:
        """Whether an expression is a set whose order is left to chance, as far as one can see."""
        match node:
            case ast.Name(id=name):
                return name in self.names
            case ast.Attribute(attr=name):
                return name in self._known.attributes
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id=name)):
                return name in {"set", "frozenset", *self._known.functions}
            case ast.Call(func=ast.Attribute(value=value, attr=name)):
                return name in self._known.functions or (name in COMBINED and self.is_set(value))
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
                return self.is_set(left) or self.is_set(node.right) or _is_view(left)
            case ast.Await(value=value):
                return self.is_set(value)
            case ast.IfExp(body=one, orelse=other):
                return self.is_set(one) or self.is_set(other)
            case ast.BoolOp(values=values):
                return any(map(self.is_set, values))
        return False


def _is_view(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"keys", "items"}
    )


def own_nodes(body: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a function or module, in the order of the text, without functions within it."""
    for child in ast.iter_child_nodes(body):
        yield child
        if not isinstance(child, Function):
            yield from own_nodes(child)


def in_turn(tree: ast.Module, known: Known) -> list[int]:
    """The lines in which a set is gone through in turn."""
    found: set[int] = set()
    _look(tree, known, None, found)
    return sorted(found)


def _look(body: ast.AST, known: Known, outer: Scope | None, found: set[int]) -> None:
    scope = Scope(known, body, outer)
    harmless: set[ast.AST] = set()
    for node in own_nodes(body):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in WITHOUT_ORDER:
                harmless |= set(node.args)
            case ast.Set(elts=elements):
                harmless |= set(elements)
        if node not in harmless and any(map(scope.is_set, _gone_through(node))):
            found.add(getattr(node, "lineno", 0))
        if isinstance(node, Function):
            _look(node, known, scope, found)


def _gone_through(node: ast.AST) -> list[ast.expr]:
    """What a node takes one after the other, in an order that matters."""
    match node:
        case ast.For() | ast.AsyncFor():
            return [node.iter]
        case ast.ListComp() | ast.DictComp() | ast.GeneratorExp():
            return [one.iter for one in node.generators]
        case ast.Starred(value=value) | ast.YieldFrom(value=value):
            return [value]
        case ast.Call(func=ast.Name(id=name)) if name in IN_TURN:
            return node.args
        case ast.Call(func=ast.Attribute(attr=name)) if name in {"join", *IN_TURN_TOO}:
            return node.args
        case ast.Call(func=ast.Attribute(value=value, attr="pop"), args=[]):
            return [value]
        case ast.Assign(targets=[ast.Tuple() | ast.List()], value=value):
            return [value]
    return []


def _trees() -> dict[str, ast.Module]:
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text())
        for path in paths
        if not path.name.startswith("test_")
    }


def test_no_set_is_gone_through_in_turn() -> None:
    trees = _trees()
    known = Known(trees.values())
    assert len(trees) > 100
    found = [f"{path}:{line}" for path, tree in trees.items() for line in in_turn(tree, known)]
    assert found == [], "keep it in a dict, or sort it"


SOURCE = """
class Links:
    kinds: frozenset[str]

    def __init__(self) -> None:
        self._accepted: set[Link] = set()
        self._seats: set[int] = set()

    def dead(self) -> frozenset[bytes]:
        return self._dead

async def f(links: Links, given: set[bytes] | None, numbers: set[int], names: list[str]) -> None:
    local = {one.name for one in names}
    async def inner() -> None:
        STATEMENT
"""


def found_in(statement: str) -> bool:
    tree = ast.parse(SOURCE.replace("STATEMENT", statement))
    return bool(in_turn(tree, Known([tree])))


@pytest.mark.parametrize(
    "statement",
    [
        "for one in links._accepted: one.close()",
        "for one in links._accepted - given: one.close()",
        "for one in set(names): print(one)",
        "for one in a.keys() - b: print(one)",
        "print([one for one in links.kinds])",
        "print({one: 1 for one in links.kinds})",
        "print(one for one in links.dead())",
        "print([*given])",
        "print(*(await links.dead()))",
        "list(given or names)",
        "', '.join(local)",
        "first = next(iter(local))",
        "local.pop()",
        "one, other = given",
        "dict.fromkeys(local)",
        "names.extend(given)",
        "yield from given",
        "x = {'a', 'b'}; y = tuple(x)",
    ],
)
def test_an_order_left_to_chance_is_found(statement: str) -> None:
    assert found_in(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "for one in sorted(links._accepted): one.close()",
        "for one in names: print(one)",
        "for one in links._seats: print(one)",
        "for one in numbers: print(one)",
        "print(any(one.is_open for one in links._accepted))",
        "print({one.name for one in links._accepted})",
        "print({*given, *local})",
        "print(len(given), max(local))",
        "print('a' in links.kinds)",
        "names.pop()",
        "list(dict.fromkeys(names))",
    ],
)
def test_what_has_no_order_is_left_alone(statement: str) -> None:
    assert not found_in(statement)
