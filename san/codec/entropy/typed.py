"""Which types the values in the codec's loops have: all that writes them in another language asks.

`entries` says what a loop is called with. The types of everything else follow, as numba finds them:
each function is written once for each combination of types that it is called with. Only what the
loops use of Python is known here; all else ends with an error that names the line. This module
imports nothing of SAN, since `setup.py` reads it before SAN is installed.
"""

import ast
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOOPS = {"integer_loop", "search_loop"}
PARTS = {"integer_step", "integer_part", "integer_apart", "search_step"}
BUILT_IN = {"least", "most", "size_of", "item_of", "wrapped", "products"}
ITEMS = ("int64", "int32", "int16", "uint32", "uint16", "uint8", "float64", "float32")  # of arrays


@dataclass(frozen=True)
class Array:
    """A one-dimensional array of such items."""

    item: str


@dataclass(frozen=True)
class Record:
    """A named tuple: its module and class."""

    module: str
    name: str


@dataclass(frozen=True)
class Several:
    """What a function returns that returns several values."""

    parts: tuple["Kind", ...]


Kind = Any  # "int", "float64", "float32", Array, Record or Several; None where it is not known yet


def joined(a: Kind, b: Kind, where: str) -> Kind:
    """The type that holds both."""
    if a is None or a == b:
        return b
    if b is None:
        return a
    if isinstance(a, str) and isinstance(b, str):
        return "float64"  # as numba: int64 and float32 meet in float64
    if isinstance(a, Several) and isinstance(b, Several) and len(a.parts) == len(b.parts):
        return Several(tuple(joined(p, q, where) for p, q in zip(a.parts, b.parts, strict=True)))
    raise TypeError(f"{where}: {a} and {b} meet")


@dataclass
class Module:
    """What the loops of a file may name."""

    name: str
    tree: ast.Module
    lines: list[str]
    constants: dict[str, Any] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    records: dict[str, list[tuple[str, Kind]]] = field(default_factory=dict)  # class: fields
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)  # name: (module, name)


def marks_of(node: ast.FunctionDef) -> set[str]:
    """The decorators of a function."""
    return {d.id for d in node.decorator_list if isinstance(d, ast.Name)}


class Program:
    """All modules, and the functions for certain types.

    `package` is the folder of `san`, and `entries` says what loops are called with.
    """

    def __init__(self, package: Path, entries: dict[str, str], function: type["Function"]) -> None:
        self.package, self.entries, self.made = package, entries, function
        self.modules: dict[str, Module] = {}
        self.instances: dict[tuple[Any, ...], Function] = {}
        self.order: list[Function] = []
        self.used_records: dict[Record, None] = {}
        self.marks: list[str] = []  # of loops, which a writer may put after all functions

    def path(self, name: str) -> Path:
        """The file of a module."""
        return self.package.joinpath(*name.split(".")[1:]).with_suffix(".py")

    def module(self, name: str) -> Module:
        """A module by its name."""
        if name not in self.modules:
            text = self.path(name).read_text(encoding="utf-8")
            found = Module(name, ast.parse(text), text.splitlines())
            self.modules[name] = found
            self._read(found)
        return self.modules[name]

    def _read(self, module: Module) -> None:
        for node in module.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("san."):
                for alias in node.names:
                    module.imported[alias.asname or alias.name] = (node.module, alias.name)
        for node in module.tree.body:
            if isinstance(node, ast.FunctionDef):
                if marks_of(node) & (LOOPS | PARTS):
                    module.functions[node.name] = node
            elif isinstance(node, ast.ClassDef) and any(
                getattr(base, "id", "") == "NamedTuple" for base in node.bases
            ):
                module.records[node.name] = self._fields(module, node)
        self.read_constants(module)

    def _fields(self, module: Module, node: ast.ClassDef) -> list[tuple[str, Kind]]:
        fields: list[tuple[str, Kind]] = []
        for each in node.body:
            if not isinstance(each, ast.AnnAssign):
                continue
            said = ast.unparse(each.annotation)
            kind: Kind
            if said in module.records:
                kind = Record(module.name, said)
            elif said in module.imported:
                kind = Record(*module.imported[said])
            elif said == "int":
                kind = "int"
            else:
                comment = module.lines[each.lineno - 1].partition("#")[2]
                found = re.search(r"\b(u?int(?:8|16|32|64)|float(?:32|64))\b", comment)
                kind = Array(found.group(1) if found else "int64")
            fields.append((ast.unparse(each.target), kind))
        return fields

    def read_constants(self, module: Module) -> None:
        """Find the constants of a module: those of the one that is loaded."""
        loaded = vars(sys.modules[module.name])
        module.constants = {k: v for k, v in loaded.items() if type(v) in (int, float)}

    def constant(self, module: Module, name: str) -> Any:
        """A constant of a module, or one that it imports; None where there is none."""
        if name in module.constants:
            return module.constants[name]
        if name in module.imported:
            home, other = module.imported[name]
            if self.path(home).is_file():
                return self.constant(self.module(home), other)
        return None

    def space(self, module: Module, name: str) -> Any:
        """The constants of an imported module, as attributes."""
        if name not in module.imported:
            return None
        home = ".".join(module.imported[name])
        if not self.path(home).is_file():
            return None
        return type("Space", (), dict(self.module(home).constants))

    def function(self, module: Module, node: ast.expr) -> tuple[Module, ast.FunctionDef] | None:
        """The module and the definition that a call names."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            home = ".".join(module.imported[node.value.id])
            return self.function(self.module(home), ast.Name(node.attr))
        if not isinstance(node, ast.Name):
            return None
        if node.id in module.functions:
            return module, module.functions[node.id]
        if node.id in module.imported:
            home, other = module.imported[node.id]
            return self.function(self.module(home), ast.Name(other))
        return None

    def record(self, module: Module, name: str) -> Record | None:
        """The named tuple of this name that a module has or imports."""
        if name in module.records:
            return Record(module.name, name)
        if name in module.imported:
            home, other = module.imported[name]
            if self.path(home).is_file():
                return self.record(self.module(home), other)
        return None

    def fields(self, record: Record) -> list[tuple[str, Kind]]:
        """Names and types of the fields of a named tuple."""
        self.used_records[record] = None
        return self.module(record.module).records[record.name]

    def instance(self, module: Module, node: ast.FunctionDef, kinds: tuple[Kind, ...]) -> Any:
        """A function for arguments of these types."""
        key = (module.name, node.name, kinds)
        if key not in self.instances:
            made = self.made(self, module, node, kinds, len(self.instances))
            self.instances[key] = made
            made.infer()
            self.order.append(made)
        return self.instances[key]

    def said(self, module: Module, node: ast.FunctionDef) -> tuple[Kind, ...]:
        """The types of a loop's parameters, as the entries say them."""
        loop = f"{module.name}.{node.name}"
        if loop not in self.entries:
            raise TypeError(f"ENTRIES does not say what {loop} is called with")
        given = dict(each.split(": ") for each in self.entries[loop].split(", "))
        kinds: list[Kind] = []
        for each in node.args.args:
            kind = given.pop(each.arg, "int")
            if kind in ITEMS:
                kinds.append(Array(kind))
            elif kind in ("int", "real"):
                kinds.append("int" if kind == "int" else "float64")
            else:
                home, _, name = kind.rpartition(".")
                kinds.append(Record(f"san.codec.{home}", name))
        if given:
            raise TypeError(f"{loop} has no {', '.join(given)}")
        return tuple(kinds)

    def described(self, kind: Kind) -> Any:
        """A parameter as a caller reads it: a number, an array's items, or a tuple's fields."""
        if isinstance(kind, Array):
            return f"[{kind.item}]"
        if isinstance(kind, Record):
            return [self.described(of) for _, of in self.fields(kind)]
        return kind


class Function:
    """A function for arguments of certain types: the types of its variables, what it returns."""

    def __init__(
        self,
        program: Program,
        module: Module,
        node: ast.FunctionDef,
        kinds: tuple[Kind, ...],
        number: int,
    ) -> None:
        self.program, self.module, self.node, self.kinds = program, module, node, kinds
        self.name = f"{node.name.strip('_')}_{number}"
        self.types: dict[str, Kind] = {a.arg: k for a, k in zip(node.args.args, kinds, strict=True)}
        self.arguments = set(self.types)
        self.result: Kind = None
        self.temporary = 0

    def where(self, node: ast.AST) -> str:
        """The line of a node, for an error."""
        return f"{self.module.name}:{getattr(node, 'lineno', '?')}"

    def unknown(self, node: ast.AST) -> SyntaxError:
        """The error about what is not known here."""
        return SyntaxError(f"{self.where(node)}: {ast.unparse(node)} is not known")

    def infer(self) -> None:
        """Find all types."""
        while True:
            before = (dict(self.types), self.result)
            for node in ast.walk(self.node):
                self._infer(node)
            if before == (self.types, self.result):
                break

    def _infer(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, node.value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            made = ast.BinOp(node.target, node.op, node.value, lineno=node.lineno)
            self._join(node.target.id, self.type(made), node)
        elif isinstance(node, ast.For):
            self._join(ast.unparse(node.target), "int", node)
        elif isinstance(node, ast.Return) and node.value is not None:
            kind = self.type(node.value)
            if kind is not None:
                self.result = joined(self.result, kind, self.where(node))

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._join(target.id, self.type(value), target)
        elif isinstance(target, ast.Tuple):
            kinds = self.types_of(value, len(target.elts))
            for each, kind in zip(target.elts, kinds, strict=True):
                if isinstance(each, ast.Name):
                    self._join(each.id, kind, target)

    def _join(self, name: str, kind: Kind, node: ast.AST) -> None:
        if kind is not None:
            self.types[name] = joined(self.types.get(name), kind, self.where(node))

    def types_of(self, node: ast.expr, count: int) -> Sequence[Kind]:
        """The types of several values."""
        if isinstance(node, ast.Tuple):
            return [self.type(each) for each in node.elts]
        if isinstance(node, ast.IfExp):
            one, other = self.types_of(node.body, count), self.types_of(node.orelse, count)
            return [joined(a, b, self.where(node)) for a, b in zip(one, other, strict=True)]
        kind = self.type(node)
        return [None] * count if kind is None else list(kind.parts)

    def type(self, node: ast.expr) -> Kind:
        """The type of an expression."""
        match node:
            case ast.Constant():
                if isinstance(node.value, float):
                    return "float64"
                if isinstance(node.value, int):
                    return "int"
            case ast.Name():
                if node.id in self.types:
                    return self.types[node.id]
                value = self.program.constant(self.module, node.id)
                if value is not None:
                    return "float64" if isinstance(value, float) else "int"
                return None  # not yet known
            case ast.Attribute():
                owner = self.type(node.value) if self.is_local(node.value) else None
                if isinstance(owner, Record):
                    return dict(self.program.fields(owner))[node.attr]
                if owner is None and isinstance(node.value, ast.Name):
                    space = self.program.space(self.module, node.value.id)
                    return None if space is None else "int"
                return None
            case ast.Subscript():
                owner = self.type(node.value)
                if isinstance(owner, Array):
                    if isinstance(node.slice, ast.Slice):
                        return owner
                    return owner.item if owner.item.startswith("float") else "int"
                if isinstance(owner, Record):
                    return Several(tuple(kind for _, kind in self.first_fields(owner, node)))
                return None
            case ast.BinOp():
                left, right = self.type(node.left), self.type(node.right)
                if left is None or right is None:
                    return left or right
                if isinstance(node.op, ast.Div | ast.Pow):
                    return "float32" if left == right == "float32" else "float64"
                return joined(left, right, self.where(node))
            case ast.UnaryOp():
                return "int" if isinstance(node.op, ast.Not) else self.type(node.operand)
            case ast.IfExp():
                return joined(self.type(node.body), self.type(node.orelse), self.where(node))
            case ast.Compare() | ast.BoolOp():
                return "int"
            case ast.Tuple():
                kinds = tuple(self.type(each) for each in node.elts)
                return None if None in kinds else Several(kinds)
            case ast.Call():
                return self._type_of_call(node)
        raise self.unknown(node)

    def is_local(self, node: ast.expr) -> bool:
        """Whether an expression is a variable or more than a name."""
        return not isinstance(node, ast.Name) or node.id in self.types

    def first_fields(self, owner: Record, node: ast.Subscript) -> list[tuple[str, Kind]]:
        """The fields that a[:count] takes of a named tuple."""
        if isinstance(node.slice, ast.Slice) and node.slice.lower is None and node.slice.upper:
            return self.program.fields(owner)[: ast.literal_eval(node.slice.upper)]
        raise self.unknown(node)

    def _type_of_call(self, node: ast.Call) -> Kind:
        name = ast.unparse(node.func)
        if name in BUILT_IN | {"len", "int", "round", "math.floor", "math.ceil"}:
            return "int"
        if name in ("math.sqrt", "math.log2"):
            return "float64"
        if name in ("min", "max", "abs"):
            kind: Kind = None
            for each in node.args:
                kind = joined(kind, self.type(each), self.where(node))
            return kind
        if isinstance(node.func, ast.Name):
            record = self.program.record(self.module, name)
            if record is not None:
                return record
        made = self.called(node)
        return None if made is None else made.result

    def called(self, node: ast.Call) -> Any:
        """The function that a call names, for its arguments; None where a type is not known yet."""
        kinds = tuple(self.type(each) for each in node.args)
        if None in kinds:
            return None
        found = self.program.function(self.module, node.func)
        if found is None:
            raise self.unknown(node.func)
        home, definition = found
        if len(kinds) != len(definition.args.args):
            raise SyntaxError(f"{self.where(node)}: a call without all arguments")
        return self.program.instance(home, definition, kinds)
