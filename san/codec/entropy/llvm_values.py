"""How an expression of a loop is written in the language of LLVM, whose compiler numba brings.

Numbers are int64 or floats. An array is a pointer and a length, and a named tuple is a list of what
is in it. Operations on floats are those of the extension, in its order: both give the same bytes.
"""

import ast
import struct
from collections.abc import Callable
from typing import Any

from san.codec.entropy.typed import Array, Function, Kind, Record, Several, joined

NUMBERS = {"int": "i64", "float64": "double", "float32": "float"}
STORED = {
    "int64": "i64", "int32": "i32", "int16": "i16", "uint32": "i32", "uint16": "i16", "uint8": "i8",
    "float64": "double", "float32": "float",
}  # fmt: skip
OPERATIONS = {  # of integers, and of floats
    ast.Add: ("add", "fadd"), ast.Sub: ("sub", "fsub"), ast.Mult: ("mul", "fmul"),
    ast.LShift: ("shl", ""), ast.RShift: ("ashr", ""), ast.BitAnd: ("and", ""),
    ast.BitOr: ("or", ""), ast.BitXor: ("xor", ""),
}  # fmt: skip
COMPARISONS = {
    ast.Lt: ("slt", "olt"), ast.LtE: ("sle", "ole"), ast.Gt: ("sgt", "ogt"),
    ast.GtE: ("sge", "oge"), ast.Eq: ("eq", "oeq"), ast.NotEq: ("ne", "une"),
}  # fmt: skip
ROUNDED = {"int": "", "round": "rint", "math.floor": "floor", "math.ceil": "ceil"}
Values = list[str]  # a value for each leaf of a type


class Expressions(Function):
    """A function whose expressions become instructions."""

    def begin_text(self) -> None:
        """Forget what was written."""
        self.lines: list[str] = []
        self.places: list[
            str
        ] = []  # of variables: LLVM turns those of the first block to registers
        self.needed: list[Any] = []  # functions that are called
        self.ended, self.label = False, "entry"
        self.group = ""  # of loads and stores in lanes: they may be done in any order

    def leaves(self, kind: Kind) -> list[str]:
        """The types of LLVM that a type consists of."""
        if isinstance(kind, str):
            return [NUMBERS[kind]]
        if isinstance(kind, Array):
            return ["ptr", "i64"]
        if isinstance(kind, Several):
            return [leaf for part in kind.parts for leaf in self.leaves(part)]
        return [leaf for _, of in self.program.fields(kind) for leaf in self.leaves(of)]

    def returned(self) -> str:
        """The type of what a call gives."""
        if self.result is None:
            return "void"
        leaves = self.leaves(self.result)
        return leaves[0] if len(leaves) == 1 else "{ " + ", ".join(leaves) + " }"

    # Instructions and blocks

    def new(self, instruction: str) -> str:
        """The name of what an instruction gives."""
        self.temporary += 1
        self.lines.append(f"%t{self.temporary} = {instruction}")
        return f"%t{self.temporary}"

    def labels(self, count: int) -> list[str]:
        """Names for so many blocks."""
        self.temporary += 1
        return [f"L{self.temporary}.{i}" for i in range(count)]

    def end(self, instruction: str) -> None:
        """End the block with an instruction."""
        self.lines.append(instruction)
        self.ended = True

    def go(self, label: str) -> None:
        """Go on in a block, unless this one has ended."""
        if not self.ended:
            self.end(f"br label %{label}")

    def begin(self, label: str) -> None:
        """Begin a block; the one before goes on here."""
        self.go(label)
        self.lines.append(f"{label}:")
        self.label, self.ended = label, False

    def branch(self, condition: str, yes: str, no: str) -> None:
        """Go to one of two blocks."""
        self.end(f"br i1 {condition}, label %{yes}, label %{no}")

    def converted(self, value: str, kind: Kind, to: Kind) -> str:
        """A number as one of another type."""
        if kind == to:
            return value
        if kind == "int":
            return self.new(f"sitofp i64 {value} to {NUMBERS[to]}")
        if to == "int":
            return self.new(f"fptosi {NUMBERS[kind]} {value} to i64")
        change = "fpext" if to == "float64" else "fptrunc"
        return self.new(f"{change} {NUMBERS[kind]} {value} to {NUMBERS[to]}")

    def as_kind(self, values: Values, kind: Kind, to: Kind) -> Values:
        """Values of a type as those of another one that has as many leaves."""
        if isinstance(kind, str):
            return [self.converted(values[0], kind, to)]
        if isinstance(kind, Several) and kind != to:
            given = zip(values, kind.parts, to.parts, strict=True)
            return [self.converted(*each) for each in given]
        return values

    def number(self, node: ast.expr, kind: Kind) -> str:
        """An expression as a number of a type."""
        return self.converted(self.values(node)[0], self.type(node), kind)

    # Expressions

    def values(self, node: ast.expr) -> Values:
        """What an expression gives."""
        match node:
            case ast.Constant():
                return [constant(node.value)]
            case ast.Name():
                if node.id not in self.types:
                    return [constant(self.program.constant(self.module, node.id))]
                return [
                    self.new(f"load {leaf}, ptr %v.{node.id}.{i}")
                    for i, leaf in enumerate(self.leaves(self.types[node.id]))
                ]
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript():
                return self._item(node)
            case ast.BinOp():
                return [self._operation(node)]
            case ast.UnaryOp(op=ast.USub()):
                kind, value = self.type(node.operand), self.values(node.operand)[0]
                negated = "sub i64 0," if kind == "int" else f"fneg {NUMBERS[kind]}"
                return [self.new(f"{negated} {value}")]
            case ast.UnaryOp(op=ast.Invert()):
                return [self.new(f"xor i64 {self.values(node.operand)[0]}, -1")]
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                return [self.new(f"zext i1 {self.condition(node)} to i64")]
            case ast.IfExp():
                return self.either(node, self.type(node))
            case ast.Tuple():
                return [value for each in node.elts for value in self.values(each)]
            case ast.Call():
                return self._call(node)
        raise self.unknown(node)

    def _attribute(self, node: ast.Attribute) -> Values:
        if not self.is_local(node.value):
            space = self.program.space(self.module, ast.unparse(node.value))
            return [constant(getattr(space, node.attr))]
        owner, first = self.type(node.value), 0
        for name, kind in self.program.fields(owner):
            size = len(self.leaves(kind))
            if name == node.attr:
                return self.values(node.value)[first : first + size]
            first += size
        raise self.unknown(node)

    def _item(self, node: ast.Subscript) -> Values:
        owner = self.type(node.value)
        if isinstance(owner, Record):
            return self.values(node.value)[: len(self.leaves(self.type(node)))]
        if isinstance(node.slice, ast.Slice):  # a view; no part of it is outside
            start, size = self.values(node.value)
            low = "0" if node.slice.lower is None else self.number(node.slice.lower, "int")
            high = size if node.slice.upper is None else self.number(node.slice.upper, "int")
            item = STORED[owner.item]
            place = self.new(f"getelementptr inbounds {item}, ptr {start}, i64 {low}")
            return [place, self.new(f"sub i64 {high}, {low}")]
        item = STORED[owner.item]
        value = self.new(f"load {item}, ptr {self.place(node)}{self.group}")
        if owner.item.startswith("float") or item == "i64":
            return [value]
        wider = "zext" if owner.item.startswith("u") else "sext"
        return [self.new(f"{wider} {item} {value} to i64")]

    def place(self, node: ast.Subscript) -> str:
        """Where an item of an array is."""
        start, _ = self.values(node.value)
        index, item = self.number(node.slice, "int"), STORED[self.type(node.value).item]
        return self.new(f"getelementptr inbounds {item}, ptr {start}, i64 {index}")

    def _operation(self, node: ast.BinOp) -> str:
        kind = self.type(node)
        if isinstance(node.op, ast.Pow) and ast.unparse(node.right) == "0.5":
            root = self.new(
                f"call double @llvm.sqrt.f64(double {self.number(node.left, 'float64')})"
            )
            return self.converted(root, "float64", kind)
        left, right = self.number(node.left, kind), self.number(node.right, kind)
        if isinstance(node.op, ast.Div):
            return self.new(f"fdiv {NUMBERS[kind]} {left}, {right}")
        if isinstance(node.op, ast.FloorDiv | ast.Mod) and kind == "int":
            whole = self.new(f"call i64 @floor_divided(i64 {left}, i64 {right})")
            if isinstance(node.op, ast.FloorDiv):
                return whole
            return self.new(f"sub i64 {left}, {self.new(f'mul i64 {right}, {whole}')}")
        name = OPERATIONS.get(type(node.op), ("", ""))[kind != "int"]
        if not name:
            raise self.unknown(node)
        return self.new(f"{name} {NUMBERS[kind]} {left}, {right}")

    def condition(self, node: ast.expr) -> str:
        """Whether an expression is true, as one bit."""
        match node:
            case ast.UnaryOp(op=ast.Not()):
                return self.new(f"xor i1 {self.condition(node.operand)}, true")
            case ast.BoolOp():
                return self._one_after_other(node)
            case ast.Compare():
                sides = [node.left, *node.comparators]
                found = [
                    self._compared(a, op, b)
                    for a, op, b in zip(sides, node.ops, sides[1:], strict=False)
                ]
                while len(found) > 1:
                    found = [self.new(f"and i1 {found[0]}, {found[1]}"), *found[2:]]
                return found[0]
        kind, value = self.type(node), self.values(node)[0]
        if kind == "int":
            return self.new(f"icmp ne i64 {value}, 0")
        return self.new(f"fcmp une {NUMBERS[kind]} {value}, {constant(0.0)}")

    def _compared(self, a: ast.expr, op: ast.cmpop, b: ast.expr) -> str:
        kind = joined(self.type(a), self.type(b), self.where(a))
        left, right = self.number(a, kind), self.number(b, kind)
        if type(op) not in COMPARISONS:
            raise self.unknown(ast.Compare(a, [op], [b], lineno=a.lineno))
        of_integers, of_floats = COMPARISONS[type(op)]
        how = f"icmp {of_integers}" if kind == "int" else f"fcmp {of_floats}"
        return self.new(f"{how} {NUMBERS[kind]} {left}, {right}")

    def _one_after_other(self, node: ast.BoolOp) -> str:
        """`and` and `or`: what comes later is only computed where it is needed."""
        all_needed = isinstance(node.op, ast.And)
        (after,) = self.labels(1)
        ways = []
        for each in node.values[:-1]:
            value, (more,) = self.condition(each), self.labels(1)
            ways.append(f"[ {'false' if all_needed else 'true'}, %{self.label} ]")
            self.branch(value, *((more, after) if all_needed else (after, more)))
            self.begin(more)
        ways.append(f"[ {self.condition(node.values[-1])}, %{self.label} ]")
        self.begin(after)
        return self.new(f"phi i1 {', '.join(ways)}")

    def either(self, node: ast.IfExp, kind: Kind) -> Values:
        """One of two values; only that one is computed."""
        yes, no, after = self.labels(3)
        self.branch(self.condition(node.test), yes, no)
        found = []
        for label, each in ((yes, node.body), (no, node.orelse)):
            self.begin(label)
            values = self.as_kind(self.values(each), self.type(each), kind)
            found.append((values, self.label))
            self.go(after)
        self.begin(after)
        (one, first), (other, second) = found
        return [
            self.new(f"phi {leaf} [ {a}, %{first} ], [ {b}, %{second} ]")
            for leaf, a, b in zip(self.leaves(kind), one, other, strict=True)
        ]

    # Calls

    def _call(self, node: ast.Call) -> Values:
        name = ast.unparse(node.func)
        if name in BUILT_IN:
            return [BUILT_IN[name](self, node)]
        if name == "len":
            return self.values(node.args[0])[1:]
        if name in ROUNDED:
            kind, value = self.type(node.args[0]), self.values(node.args[0])[0]
            if ROUNDED[name] and kind != "int":
                value = self.converted(value, kind, "float64")
                value = self.new(f"call double @llvm.{ROUNDED[name]}.f64(double {value})")
                kind = "float64"
            return [self.converted(value, kind, "int")]
        if name in ("math.sqrt", "math.log2"):
            function = "llvm.sqrt.f64" if name == "math.sqrt" else "log2"
            value = self.number(node.args[0], "float64")
            return [self.new(f"call double @{function}(double {value})")]
        if name in ("min", "max", "abs"):
            return [self._of_numbers(name, node)]
        is_record = self.program.record(self.module, name) if self.is_plain(node.func) else None
        given = [value for each in node.args for value in self.values(each)]
        if is_record is not None:
            missing = self.leaves(is_record)[len(given) :]
            return given + ["null" if leaf == "ptr" else "0" for leaf in missing]
        made = self.called(node)
        self.needed.append(made)
        passed = [
            f"{leaf} {value}" for (leaf, _), value in zip(made.parameters(), given, strict=True)
        ]
        call = f"call fastcc {made.returned()} @{made.name}({', '.join(passed)})"
        if made.result is None:
            self.lines.append(call)
            return []
        found, leaves = self.new(call), self.leaves(made.result)
        if len(leaves) == 1:
            return [found]
        return [
            self.new(f"extractvalue {made.returned()} {found}, {i}") for i in range(len(leaves))
        ]

    def is_plain(self, node: ast.expr) -> bool:
        """Whether an expression is a name."""
        return isinstance(node, ast.Name)

    def _of_numbers(self, name: str, node: ast.Call) -> str:
        kind = self.type(node)
        leaf, (best, *others) = NUMBERS[kind], [self.number(each, kind) for each in node.args]
        if name == "abs":
            if kind == "int":
                return self.new(f"call i64 @llvm.abs.i64(i64 {best}, i1 false)")
            bits = "f64" if kind == "float64" else "f32"
            return self.new(f"call {leaf} @llvm.fabs.{bits}({leaf} {best})")
        for each in others:
            if kind == "int":
                best = self.new(f"call i64 @llvm.s{name}.i64(i64 {best}, i64 {each})")
            else:
                order = "olt" if name == "min" else "ogt"
                is_better = self.new(f"fcmp {order} {leaf} {each}, {best}")
                best = self.new(f"select i1 {is_better}, {leaf} {each}, {leaf} {best}")
        return best

    def parameters(self) -> list[tuple[str, str]]:
        """Type and name of each parameter."""
        return [
            (leaf, f"%a.{each.arg}.{i}")
            for each, kind in zip(self.node.args.args, self.kinds, strict=True)
            for i, leaf in enumerate(self.leaves(kind))
        ]


def constant(value: Any) -> str:
    """A number as LLVM reads it."""
    if isinstance(value, float):
        return f"0x{struct.pack('>d', value).hex().upper()}"
    return str(int(value))


def _write_call(template: str) -> Callable[[Expressions, ast.Call], str]:
    def write(made: Expressions, node: ast.Call) -> str:
        given = [f"i64 {made.number(each, 'int')}" for each in node.args]
        return made.new(template.format(", ".join(given)))

    return write


def _write_item(made: Expressions, node: ast.Call) -> str:
    (start, size), index = made.values(node.args[0]), made.number(node.args[1], "int")
    return made.new(f"call i64 @item_of(ptr {start}, i64 {size}, i64 {index})")


def _write_wrapped(made: Expressions, node: ast.Call) -> str:
    low = made.new(f"trunc i64 {made.number(node.args[0], 'int')} to i32")
    return made.new(f"sext i32 {low} to i64")


def _write_products(made: Expressions, node: ast.Call) -> str:
    item = made.type(node.args[0]).item
    (one, _), i = made.values(node.args[0]), made.number(node.args[1], "int")
    (other, _), j = made.values(node.args[2]), made.number(node.args[3], "int")
    count = made.number(node.args[4], "int")
    given = f"ptr {one}, i64 {i}, ptr {other}, i64 {j}, i64 {count}"
    return made.new(f"call i64 @products_{item}({given})")


#: What `loops` says of these functions, as instructions.
BUILT_IN = {
    "least": _write_call("call i64 @llvm.smin.i64({})"),
    "most": _write_call("call i64 @llvm.smax.i64({})"),
    "size_of": _write_call("call i64 @llvm.abs.i64({}, i1 false)"),
    "item_of": _write_item,
    "products": _write_products,
    "wrapped": _write_wrapped,
}
