"""Write the codec's loops, which are written once in Python, as one file of C.

    python extension/to_c.py FILE.c

ENTRIES says what a loop is called with. The types of everything else follow, as numba finds them:
each function is written once for each combination of types that it is called with. Only what the
loops of the codec use of Python is known here; all else ends with an error that names the line.
"""

import ast
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "san"
LOOPS = {"integer_loop", "search_loop"}
PARTS = {"integer_step", "integer_part", "search_step"}
ARRAYS = {
    "int64": "int64_t", "int32": "int32_t", "uint32": "uint32_t", "uint16": "uint16_t",
    "uint8": "uint8_t", "float64": "double", "float32": "float",
}  # fmt: skip
SCALARS = {"int": "int64_t", "float64": "double", "float32": "float"}
#: What the parameters of each loop are that are no integers. Python calls loops with these.
ENTRIES = {
    "san.codec.entropy.range_coder.code_raw_bits": "coder: int64, data: uint8",
    "san.codec.entropy.range_coder.code_all_raw": "coder: int64, data: uint8, values: int64",
    "san.codec.entropy.mixing.code_simple_bit": "mixer: entropy.mixing.Mixer",
    "san.codec.entropy.mixing.code_number": "mixer: entropy.mixing.Mixer",
    "san.codec.search.pursuit._suppress": "state: uint8, order: int64",
    "san.codec.search.pursuit._strongest": (
        "similarity: float32, strongest: float32, threshold: real"
    ),
    "san.codec.search.pursuit._take": (
        "similarity: float32, gram: float32, peaks: int64, positions: int64, chosen: int64, "
        "amplitudes: float64"
    ),
    "san.codec.search.pursuit._refit": (
        "similarity: float32, gram: float32, positions: int64, chosen: int64, amplitudes: float64"
    ),
    "san.codec.search.pursuit._refit_in": (
        "left: float32, kernels: float32, positions: int64, chosen: int64, amplitudes: float64"
    ),
    "san.codec.search.pursuit._add": (
        "x: float32, kernels: float32, positions: int64, chosen: int64, amplitudes: float64, "
        "sign: real"
    ),
    "san.codec.search.pursuit.estimate_bits": "work: float64, lifting: float64",
    "san.codec.search.pursuit._prune": (
        "left: float32, kernels: float32, positions: int64, chosen: int64, amplitudes: float64, "
        "order: int64, bits: real, lifting: float64, work: float64"
    ),
    "san.codec.modes.experts.solve": "model: modes.experts.Model",
    "san.codec.modes.fast_frames.decode_frame": (
        "bits: uint32, words: uint16, room: modes.fast_room.Room, "
        "laws: modes.fast_laws.Tables, bounds: int64"
    ),
    "san.codec.modes.fast_coding.code_frame": (
        "room: modes.fast_room.Room, fit: modes.fast_fit.Fit, draft: modes.fast_packing.Draft, "
        "laws: modes.fast_laws.Tables, bounds: int64"
    ),
    "san.codec.modes.least_squares.solve": (
        "solver: modes.least_squares.Solver, moments: int64, weights: int64"
    ),
    "san.codec.modes.predictive.code_samples": (
        "mixer: entropy.mixing.Mixer, model: modes.experts.Model, samples: int64, decoded: int64, "
        "touched: int64"
    ),
    "san.codec.modes.joint_experts.place_features": (
        "model: modes.joint_experts.Model, mates: int64"
    ),
    "san.codec.modes.joint_experts.learn": "model: modes.joint_experts.Model",
    "san.codec.modes.joint.code_mates": "mixer: entropy.mixing.Mixer, mates: int64",
    "san.codec.modes.joint.code_samples": (
        "mixer: entropy.mixing.Mixer, model: modes.joint_experts.Model, samples: int64, "
        "decoded: int64"
    ),
    "san.codec.modes.bands.code_band": (
        "mixer: entropy.mixing.Mixer, q: int64, magnitude: int64, around: modes.bands.Around"
    ),
    "san.codec.modes.across.rotate": "rows: int64, angles: int64, sines: int64",
    "san.codec.modes.events.code_events": (
        "mixer: entropy.mixing.Mixer, starts: int64, kernels: int64, amplitudes: int64, "
        "memory: int64"
    ),
}
BUILT_IN = {"least", "most", "size_of", "item_of", "wrapped"}
WIDE = "_wide"  # the end of the names of what is compiled for processors with wide registers


@dataclass(frozen=True)
class Array:
    """A one-dimensional array of so many bits."""

    item: str

    def c(self):
        return f"A_{self.item}"


@dataclass(frozen=True)
class Record:
    """A named tuple: its module and class."""

    module: str
    name: str

    def c(self):
        return f"R_{self.module.replace('.', '_')}_{self.name}"


@dataclass(frozen=True)
class Several:
    """What a function returns that returns several values."""

    parts: tuple

    def c(self):
        return "T_" + "_".join(c_of(part).removesuffix("_t") for part in self.parts)


def c_of(kind):
    return SCALARS[kind] if isinstance(kind, str) else kind.c()


def joined(a, b, where):
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
    lines: list
    constants: dict = field(default_factory=dict)
    functions: dict = field(default_factory=dict)
    records: dict = field(default_factory=dict)  # class: [(field, type)]
    imported: dict = field(default_factory=dict)  # name: (module, name)


class Program:
    """All modules, and the functions that are written."""

    def __init__(self):
        self.modules, self.instances, self.order = {}, {}, []
        self.several, self.used_records = {}, {}

    def module(self, name):
        if name not in self.modules:
            path = PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py")
            text = path.read_text()
            found = Module(name, ast.parse(text), text.splitlines())
            self.modules[name] = found
            self._read(found)
        return self.modules[name]

    def _read(self, module):
        for node in module.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("san."):
                for alias in node.names:
                    module.imported[alias.asname or alias.name] = (node.module, alias.name)
        for node in module.tree.body:
            if isinstance(node, ast.FunctionDef):
                marks = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
                if marks & (LOOPS | PARTS):
                    module.functions[node.name] = node
            elif isinstance(node, ast.ClassDef) and any(
                getattr(base, "id", "") == "NamedTuple" for base in node.bases
            ):
                module.records[node.name] = self._fields(module, node)
            elif isinstance(node, ast.Assign):
                self._constant(module, node)

    def _fields(self, module, node):
        fields = []
        for each in node.body:
            if not isinstance(each, ast.AnnAssign):
                continue
            said = ast.unparse(each.annotation)
            if said in module.records:
                kind = Record(module.name, said)
            elif said in module.imported:
                home, name = module.imported[said]
                kind = Record(home, name)
            elif said == "int":
                kind = "int"
            else:
                comment = module.lines[each.lineno - 1].partition("#")[2]
                found = re.search(r"\b(u?int(?:8|16|32|64)|float(?:32|64))\b", comment)
                kind = Array(found.group(1) if found else "int64")
            fields.append((each.target.id, kind))
        return fields

    def _constant(self, module, node):
        names = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
        known = {"range": range, "len": len}
        for name in names:
            value = self.constant(module, name)
            if value is not None:
                known[name] = value
        spaces = {
            n.value.id: self.space(module, n.value.id)
            for n in ast.walk(node.value)
            if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
        }
        known |= {k: v for k, v in spaces.items() if v is not None}
        try:
            value = eval(
                compile(ast.Expression(node.value), "", "eval"), {"__builtins__": {}}, known
            )
        except Exception:
            return  # no constant of the loops
        for target in node.targets:
            if isinstance(target, ast.Name):
                module.constants[target.id] = value
            elif isinstance(target, ast.Tuple):
                for one, each in zip(target.elts, value, strict=True):
                    module.constants[one.id] = each

    def constant(self, module, name):
        if name in module.constants:
            return module.constants[name]
        if name in module.imported:
            home, other = module.imported[name]
            path = PACKAGE.joinpath(*home.split(".")[1:]).with_suffix(".py")
            if path.is_file():
                return self.constant(self.module(home), other)
        return None

    def space(self, module, name):
        """The constants of an imported module, as attributes."""
        if name not in module.imported:
            return None
        home = ".".join(module.imported[name])
        if not PACKAGE.joinpath(*home.split(".")[1:]).with_suffix(".py").is_file():
            return None
        return type("Space", (), dict(self.module(home).constants))

    def function(self, module, node):
        """The module and the definition that a call names."""
        if isinstance(node, ast.Attribute):
            home = ".".join(module.imported[node.value.id])
            return self.function(self.module(home), ast.Name(node.attr))
        if node.id in module.functions:
            return module, module.functions[node.id]
        if node.id in module.imported:
            home, other = module.imported[node.id]
            return self.function(self.module(home), ast.Name(other))
        return None

    def record(self, module, name):
        if name in module.records:
            return Record(module.name, name)
        if name in module.imported:
            home, other = module.imported[name]
            return self.record(self.module(home), other)
        return None

    def fields(self, record):
        self.used_records[record] = None
        return self.module(record.module).records[record.name]

    def instance(self, module, node, kinds):
        key = (module.name, node.name, kinds)
        if key not in self.instances:
            made = self.instances[key] = Function(self, module, node, kinds, len(self.instances))
            made.infer()
            self.order.append(made)
        return self.instances[key]


class Function:
    """A function for arguments of certain types: what it returns, and its text in C."""

    def __init__(self, program, module, node, kinds, number):
        self.program, self.module, self.node, self.kinds = program, module, node, kinds
        self.name = f"{node.name.strip('_')}_{number}"
        self.types = {a.arg: k for a, k in zip(node.args.args, kinds, strict=True)}
        self.arguments = set(self.types)
        self.result = None
        marks = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
        self.is_search = bool(marks & {"search_loop", "search_step"})
        self.temporary = 0

    def where(self, node):
        return f"{self.module.name}:{getattr(node, 'lineno', '?')}"

    # Types

    def infer(self):
        while True:
            before = (dict(self.types), self.result)
            for node in ast.walk(self.node):
                self._infer(node)
            if before == (self.types, self.result):
                break

    def _infer(self, node):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, node.value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            made = ast.BinOp(node.target, node.op, node.value, lineno=node.lineno)
            self._join(node.target.id, self.type(made), node)
        elif isinstance(node, ast.For):
            self._join(node.target.id, "int", node)
        elif isinstance(node, ast.Return) and node.value is not None:
            kind = self.type(node.value)
            if kind is not None:
                self.result = joined(self.result, kind, self.where(node))

    def _bind(self, target, value):
        if isinstance(target, ast.Name):
            self._join(target.id, self.type(value), target)
        elif isinstance(target, ast.Tuple):
            kinds = self.types_of(value, len(target.elts))
            for each, kind in zip(target.elts, kinds, strict=True):
                if isinstance(each, ast.Name):
                    self._join(each.id, kind, target)

    def _join(self, name, kind, node):
        if kind is not None:
            self.types[name] = joined(self.types.get(name), kind, self.where(node))

    def types_of(self, node, count):
        """The types of several values."""
        if isinstance(node, ast.Tuple):
            return [self.type(each) for each in node.elts]
        if isinstance(node, ast.IfExp):
            one, other = self.types_of(node.body, count), self.types_of(node.orelse, count)
            return [joined(a, b, self.where(node)) for a, b in zip(one, other, strict=True)]
        kind = self.type(node)
        return [None] * count if kind is None else list(kind.parts)

    def type(self, node):
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
                owner = self.type(node.value) if self._is_local(node.value) else None
                if isinstance(owner, Record):
                    return dict(self.program.fields(owner))[node.attr]
                space = self.program.space(self.module, node.value.id)
                if space is not None:
                    return "int"
                return None
            case ast.Subscript():
                owner = self.type(node.value)
                if isinstance(owner, Array):
                    if isinstance(node.slice, ast.Slice):
                        return owner
                    return owner.item if owner.item.startswith("float") else "int"
                if isinstance(owner, Record):
                    fields = self.program.fields(owner)[: ast.literal_eval(node.slice.upper)]
                    return Several(tuple(kind for _, kind in fields))
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
        raise SyntaxError(f"{self.where(node)}: {ast.unparse(node)} is not known")

    def _is_local(self, node):
        return not isinstance(node, ast.Name) or node.id in self.types

    def _type_of_call(self, node):
        name = ast.unparse(node.func)
        if name in BUILT_IN | {"len", "int", "round", "math.floor", "math.ceil"}:
            return "int"
        if name in ("math.sqrt", "math.log2"):
            return "float64"
        if name in ("min", "max", "abs"):
            kind = None
            for each in node.args:
                kind = joined(kind, self.type(each), self.where(node))
            return kind
        if isinstance(node.func, ast.Name):
            record = self.program.record(self.module, name)
            if record is not None:
                return record
        made = self._called(node)
        return None if made is None else made.result

    def _called(self, node):
        kinds = tuple(self.type(each) for each in node.args)
        if None in kinds:
            return None
        found = self.program.function(self.module, node.func)
        if found is None:
            raise SyntaxError(f"{self.where(node)}: {ast.unparse(node.func)} is not known")
        home, definition = found
        if len(kinds) != len(definition.args.args):
            raise SyntaxError(f"{self.where(node)}: a call without all arguments")
        return self.program.instance(home, definition, kinds)

    # Text

    def head(self):
        result = "void" if self.result is None else c_of(self.result)
        if isinstance(self.result, Several):
            self.program.several[self.result] = None
        said = []
        for a, kind in zip(self.node.args.args, self.kinds, strict=True):
            star = "const {} *" if isinstance(kind, Record) else "{} "
            said.append(f"{star.format(c_of(kind))}a_{a.arg}")
        return f"static {result} {self.name}({', '.join(said)})"

    def text(self):
        lines = [self.head() + " {"]
        for name, kind in self.types.items():
            if name not in self.arguments:
                zero = "0" if isinstance(kind, str) else "{0}"
                lines.append(f"    {c_of(kind)} v_{name} = {zero};")
        for node in self.node.body:
            lines += self.statement(node, 1)
        return "\n".join([*lines, "}"])

    def statement(self, node, depth):
        pad = "    " * depth
        match node:
            case ast.Expr(value=ast.Constant()):
                return []
            case ast.Expr():
                return [pad + self.expression(node.value) + ";"]
            case ast.Assign():
                return [pad + line for line in self._assign(node)]
            case ast.AugAssign():
                target = self.expression(node.target)
                if isinstance(node.target, ast.Name | ast.Subscript):
                    made = ast.BinOp(node.target, node.op, node.value, lineno=node.lineno)
                    return [f"{pad}{target} = {self.expression(made)};"]
            case ast.If():
                lines = [f"{pad}if ({self.expression(node.test)}) {{"]
                for each in node.body:
                    lines += self.statement(each, depth + 1)
                if node.orelse:
                    lines.append(f"{pad}}} else {{")
                    for each in node.orelse:
                        lines += self.statement(each, depth + 1)
                return [*lines, pad + "}"]
            case ast.While():
                lines = [f"{pad}while ({self.expression(node.test)}) {{"]
                for each in node.body:
                    lines += self.statement(each, depth + 1)
                return [*lines, pad + "}"]
            case ast.For():
                return self._for(node, depth)
            case ast.Return():
                if node.value is None:
                    return [pad + "return;"]
                return [f"{pad}return {self._returned(node.value)};"]
            case ast.Break():
                return [pad + "break;"]
            case ast.Continue():
                return [pad + "continue;"]
        raise SyntaxError(f"{self.where(node)}: {ast.unparse(node)} is not known")

    def _returned(self, node):
        if isinstance(self.result, Several) and isinstance(node, ast.Tuple):
            parts = ", ".join(map(self.expression, node.elts))
            return f"({c_of(self.result)}){{{parts}}}"
        return self.expression(node)

    def _for(self, node, depth):
        pad = "    " * depth
        if ast.unparse(node.iter.func) != "range":
            raise SyntaxError(f"{self.where(node)}: a loop over something else than range")
        given = [self.expression(each) for each in node.iter.args]
        begin, end, step = ("0", *given, "1") if len(given) == 1 else (*given, "1")[:3]
        falls = len(node.iter.args) == 3 and ast.unparse(node.iter.args[2]).startswith("-")
        self.temporary += 1
        k, e, h = (f"{letter}_{self.temporary}" for letter in "keh")
        lines = [
            f"{pad}for (int64_t {k} = {begin}, {e} = {end}, {h} = {step}; "
            f"{k} {'>' if falls else '<'} {e}; {k} += {h}) {{",
            f"{pad}    {self.expression(node.target)} = {k};",
        ]
        for each in node.body:
            lines += self.statement(each, depth + 1)
        return [*lines, pad + "}"]

    def _assign(self, node):
        (target,) = node.targets
        if not isinstance(target, ast.Tuple):
            return [f"{self.expression(target)} = {self.expression(node.value)};"]
        value, count = node.value, len(target.elts)
        self.temporary += 1
        base, lines = f"x_{self.temporary}", []
        kinds = self.types_of(value, count)
        if isinstance(value, ast.IfExp):
            lines.append(f"int64_t {base}_c = {self.expression(value.test)};")
            texts = [
                f"{base}_c ? {self.expression(a)} : {self.expression(b)}"
                for a, b in zip(value.body.elts, value.orelse.elts, strict=True)
            ]
        elif isinstance(value, ast.Tuple):
            texts = [self.expression(each) for each in value.elts]
        elif isinstance(value, ast.Subscript):
            owner = self.type(value.value)
            fields = self.program.fields(owner)[:count]
            texts = [self._field(value.value, name) for name, _ in fields]
        else:
            kind = self.type(value)
            lines.append(f"{c_of(kind)} {base}_r = {self.expression(value)};")
            texts = [f"{base}_r.f{i}" for i in range(count)]
        for i, (kind, text) in enumerate(zip(kinds, texts, strict=True)):
            lines.append(f"{c_of(kind)} {base}_{i} = {text};")
        for i, each in enumerate(target.elts):
            lines.append(f"{self.expression(each)} = {base}_{i};")
        return ["{", *("    " + line for line in lines), "}"]

    def _field(self, owner, name):
        is_pointer = isinstance(owner, ast.Name) and owner.id in self.arguments
        return f"{self.expression(owner)}{'->' if is_pointer else '.'}{name}"

    def expression(self, node):
        match node:
            case ast.Constant():
                return self._number(node.value)
            case ast.Name():
                if node.id in self.types:
                    return f"{'a' if node.id in self.arguments else 'v'}_{node.id}"
                return self._number(self.program.constant(self.module, node.id))
            case ast.Attribute():
                if self._is_local(node.value):
                    return self._field(node.value, node.attr)
                return self._number(
                    getattr(self.program.space(self.module, node.value.id), node.attr)
                )
            case ast.Subscript():
                owner = self.type(node.value)
                if isinstance(node.slice, ast.Slice):  # a view; no part of it is outside
                    whole = self.expression(node.value)
                    low = "0" if node.slice.lower is None else self.expression(node.slice.lower)
                    high = (
                        f"{whole}.n" if node.slice.upper is None
                        else self.expression(node.slice.upper)
                    )  # fmt: skip
                    return f"({owner.c()}){{{whole}.p + {low}, {high} - {low}}}"
                item = f"{self.expression(node.value)}.p[{self.expression(node.slice)}]"
                wide = isinstance(node.ctx, ast.Load) and not owner.item.startswith("float")
                return f"(int64_t){item}" if wide and owner.item != "int64" else item
            case ast.BinOp():
                return self._operation(node)
            case ast.UnaryOp():
                sign = {ast.USub: "-", ast.Not: "!", ast.Invert: "~", ast.UAdd: "+"}
                return f"({sign[type(node.op)]}{self.expression(node.operand)})"
            case ast.BoolOp():
                word = " && " if isinstance(node.op, ast.And) else " || "
                return "(" + word.join(map(self.expression, node.values)) + ")"
            case ast.Compare():
                return self._comparison(node)
            case ast.IfExp():
                parts = map(self.expression, (node.test, node.body, node.orelse))
                return "({} ? {} : {})".format(*parts)
            case ast.Call():
                return self._call(node)
        raise SyntaxError(f"{self.where(node)}: {ast.unparse(node)} is not known")

    def _number(self, value):
        if isinstance(value, float):
            return repr(value)
        value = int(value)
        return f"INT64_C({value})" if value >= 0 else f"(-INT64_C({-value}))"

    def _operation(self, node):
        left, right, kind = self.expression(node.left), self.expression(node.right), self.type(node)
        signs = {
            ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.LShift: "<<", ast.RShift: ">>",
            ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
        }  # fmt: skip
        if type(node.op) in signs:
            if kind == "float64":
                left = f"(double){left}"
            return f"({left} {signs[type(node.op)]} {right})"
        if isinstance(node.op, ast.FloorDiv):
            return f"floor_divided({left}, {right})"
        if isinstance(node.op, ast.Mod):
            return f"floor_rest({left}, {right})"
        if isinstance(node.op, ast.Div):
            return f"((double){left} / (double){right})"
        if isinstance(node.op, ast.Pow) and ast.unparse(node.right) == "0.5":
            return f"sqrt({left})"
        raise SyntaxError(f"{self.where(node)}: {ast.unparse(node)} is not known")

    def _comparison(self, node):
        signs = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==",
                 ast.NotEq: "!="}  # fmt: skip
        values = [node.left, *node.comparators]
        parts = [
            f"{self.expression(a)} {signs[type(op)]} {self.expression(b)}"
            for a, op, b in zip(values, node.ops, values[1:], strict=False)
        ]
        return "(" + " && ".join(parts) + ")"

    def _call(self, node):
        name = ast.unparse(node.func)
        given = [self.expression(each) for each in node.args]
        if name in BUILT_IN:
            return f"{name}({', '.join(given)})"
        if name == "len":
            return f"({given[0]}.n)"
        if name == "int":
            return f"((int64_t){given[0]})"
        if name == "round":
            return f"((int64_t)rint({given[0]}))"
        if name in ("math.floor", "math.ceil"):
            return f"((int64_t){name[5:]}({given[0]}))"
        if name in ("math.sqrt", "math.log2"):
            return f"{name[5:]}({given[0]})"
        if name == "abs":
            return f"fabs({given[0]})" if self.type(node) != "int" else f"size_of({given[0]})"
        if name in ("min", "max"):
            function = {"int": {"min": "least", "max": "most"}}.get(
                self.type(node), {"min": "lesser", "max": "greater"}
            )[name]
            text = given[0]
            for each in given[1:]:
                text = f"{function}({text}, {each})"
            return text
        record = self.program.record(self.module, name) if isinstance(node.func, ast.Name) else None
        if record is not None:
            self.program.fields(record)
            return f"({record.c()}){{{', '.join(given)}}}"
        made = self._called(node)
        passed = []
        for text, each, kind in zip(given, node.args, made.kinds, strict=True):
            own = isinstance(each, ast.Name) and each.id in self.arguments
            passed.append(f"&{text}" if isinstance(kind, Record) and not own else text)
        return f"{made.name}({', '.join(passed)})"


HEAD = """/* Written by extension/to_c.py from the Python source. */
#include <math.h>
#include <stdint.h>
#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static inline double lesser(double a, double b) { return b < a ? b : a; } /* as Python's min */
static inline double greater(double a, double b) { return b > a ? b : a; }
static inline int64_t size_of(int64_t a) { return a >= 0 ? a : -a; }
static inline int64_t wrapped(int64_t v) { return (int32_t)(uint32_t)v; }
static inline int64_t floor_divided(int64_t a, int64_t b) {
    int64_t q;
    if (b == 0) return 0; /* as numba without Python's errors */
    if (b == -1) return -a;
    q = a / b;
    return q - ((a % b != 0) & ((a < 0) != (b < 0)));
}
static inline int64_t floor_rest(int64_t a, int64_t b) { return a - b * floor_divided(a, b); }
"""
# Products of vectors of integers take half the time with AVX2. FMA is not asked for: floats are the
# same at both levels.
WIDE_BEGINS = """
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
EXPORT int64_t san_wide(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2")
"""
WIDE_ENDS = """#pragma GCC pop_options
#else
EXPORT int64_t san_wide(void) { return 0; }
#endif
"""


def said(program, module, node):
    """The types of a loop's parameters, as ENTRIES says them."""
    loop = f"{module.name}.{node.name}"
    if loop not in ENTRIES:
        raise TypeError(f"ENTRIES does not say what {loop} is called with")
    given = dict(each.split(": ") for each in ENTRIES[loop].split(", "))
    kinds = []
    for each in node.args.args:
        kind = given.pop(each.arg, "int")
        if kind in ARRAYS:
            kinds.append(Array(kind))
        elif kind in ("int", "real"):
            kinds.append("int" if kind == "int" else "float64")
        else:
            home, _, name = kind.rpartition(".")
            kinds.append(Record(f"san.codec.{home}", name))
            program.module(f"san.codec.{home}")
    if given:
        raise TypeError(f"{module.name}.{node.name} has no {', '.join(given)}")
    return tuple(kinds)


def flattened(program, kind, name):
    """The parameters of C for a parameter: [(type, name)], and its value from them."""
    if isinstance(kind, str):
        return [(SCALARS[kind], name)], name
    if isinstance(kind, Array):
        pair = [(f"{ARRAYS[kind.item]} *", f"{name}_p"), ("int64_t", f"{name}_n")]
        return pair, f"({kind.c()}){{{name}_p, {name}_n}}"
    parts, values = [], []
    for each, of in program.fields(kind):
        more, value = flattened(program, of, f"{name}_{each}")
        parts += more
        values.append(value)
    return parts, f"({kind.c()}){{{', '.join(values)}}}"


def described(program, kind):
    """A parameter as loops.json says it: a number, an array's items, or a tuple's fields."""
    if isinstance(kind, str):
        return kind
    if isinstance(kind, Array):
        return f"[{kind.item}]"
    return [described(program, of) for _, of in program.fields(kind)]


def written(modules):
    """The text of C and the entries, of the loops of these modules."""
    program, entries, ends = Program(), {}, []
    for name in modules:
        module = program.module(name)
        for node in module.functions.values():
            marks = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
            if not marks & LOOPS:
                continue
            kinds = said(program, module, node)
            made = program.instance(module, node, kinds)
            symbol = f"{name.replace('.', '_')}_{node.name}"
            parts, given, setup = [], [], []
            for a, kind in zip(node.args.args, kinds, strict=True):
                more, value = flattened(program, kind, f"p_{a.arg}")
                parts += more
                if isinstance(kind, Record):
                    setup.append(f"    {kind.c()} r_{a.arg} = {value};")
                    value = f"&r_{a.arg}"
                given.append(value)
            call = f"{made.name}({', '.join(given)})"
            result = "void" if made.result is None else c_of(made.result)
            body = f"    {call};" if made.result is None else f"    return {call};"
            ends.append(
                f"EXPORT {result} {symbol}({', '.join(f'{t} {n}' for t, n in parts)}) {{\n"
                + "\n".join([*setup, body]) + "\n}"
            )  # fmt: skip
            entries[f"{name}.{node.name}"] = {
                "symbol": symbol,
                "result": made.result,
                "parameters": [described(program, kind) for kind in kinds],
            }
    texts = [made.text() for made in program.order]
    heads = [made.head() + ";" for made in program.order]
    kinds = [f"typedef struct {{ {c} *p; int64_t n; }} A_{item};" for item, c in ARRAYS.items()]
    kinds.append(
        "static inline int64_t item_of(A_int64 a, int64_t i) "
        "{ return (uint64_t)i < (uint64_t)a.n ? a.p[i] : 0; }"
    )
    done = []

    def define(record):
        if record in done:
            return
        for _, of in program.fields(record):
            if isinstance(of, Record):
                define(of)
        done.append(record)
        fields = " ".join(f"{c_of(of)} {each};" for each, of in program.fields(record))
        kinds.append(f"typedef struct {{ {fields} }} {record.c()};")

    for record in list(program.used_records):
        define(record)
    for several in program.several:
        fields = " ".join(f"{c_of(of)} f{i};" for i, of in enumerate(several.parts))
        kinds.append(f"typedef struct {{ {fields} }} {several.c()};")
    names = [made.name for made in program.order] + [each["symbol"] for each in entries.values()]
    return "\n".join([HEAD, *kinds, twice([*heads, *texts, *ends], names)]) + "\n", entries


def twice(code, names):
    """The code for every processor, and again for those with wide registers, under other names."""
    renamed = [f"#define {name} {name}{WIDE}" for name in names]
    return "\n".join([*code, WIDE_BEGINS, *renamed, *code, WIDE_ENDS])


def modules_with_loops():
    """The modules below san/codec that have loops."""
    names = []
    for path in sorted((PACKAGE / "codec").rglob("*.py")):
        if re.search(r"^@(integer|search)_", path.read_text(), re.MULTILINE):
            names.append(".".join(["san", *path.relative_to(PACKAGE).with_suffix("").parts]))
    return [name for name in names if not name.endswith(".loops")]


def library():
    """The text of C of the whole library: loops, and what `san.codec.entropy.extension` reads."""
    text, loops = written(modules_with_loops())
    described = {"checksum": checksum(), "wide": WIDE, "loops": loops}
    said = json.dumps(described).replace('"', '\\"')
    export = f'EXPORT const char san_loops[] = "{said}";\n'
    return (
        text + export + "EXPORT void *PyInit__loops(void) { return 0; } /* Windows asks for it */\n"
    )


def checksum():
    """The checksum of the source, computed by the file of SAN that compares it."""
    space = {"__file__": str(PACKAGE / "codec" / "entropy" / "extension.py")}
    tree = ast.parse(Path(space["__file__"]).read_text())
    needed = ("_CODEC", "_LOOP", "sources", "checksum")
    tree.body = [node for node in tree.body if named(node) in needed]
    exec("import hashlib, re\nfrom pathlib import Path", space)
    exec(compile(tree, "extension.py", "exec"), space)
    return space["checksum"]()


def named(node):
    """What a statement defines."""
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0])
    return getattr(node, "name", None)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(library())
