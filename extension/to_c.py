"""Write the codec's loops, which are written once in Python, as one file of C.

    python extension/to_c.py FILE.c

`san/codec/entropy/entries.py` says what a loop is called with, and `typed.py` beside it finds the
types of everything else. Only what the loops of the codec use of Python is known here; all else
ends with an error that names the line.
"""

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "san"


def read(name):
    """A module of the package that imports nothing of it: SAN need not be installed."""
    path = PACKAGE / "codec" / "entropy" / f"{name}.py"
    place = importlib.util.spec_from_file_location(f"san_{name}", path)
    sys.modules[place.name] = module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


ENTRIES, typed = read("entries").ENTRIES, read("typed")
Array, Record, Several = typed.Array, typed.Record, typed.Several
ARRAYS = {
    "int64": "int64_t", "int32": "int32_t", "int16": "int16_t", "uint32": "uint32_t",
    "uint16": "uint16_t", "uint8": "uint8_t", "float64": "double", "float32": "float",
}  # fmt: skip
WIDE = "_wide"  # the end of the names of what is compiled for processors with wide registers
SCALARS = {"int": "int64_t", "float64": "double", "float32": "float"}


def c_of(kind):
    if isinstance(kind, Array):
        return f"A_{kind.item}"
    if isinstance(kind, Record):
        return f"R_{kind.module.replace('.', '_')}_{kind.name}"
    if isinstance(kind, Several):
        return "T_" + "_".join(c_of(part).removesuffix("_t") for part in kind.parts)
    return SCALARS[kind]


class Program(typed.Program):
    """The program whose constants are those that the files say."""

    def __init__(self):
        super().__init__(PACKAGE, ENTRIES, Function)
        self.several = {}

    def read_constants(self, module):
        for node in module.tree.body:
            if isinstance(node, ast.Assign):
                self._constant(module, node)

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


class Function(typed.Function):
    """A function for arguments of certain types: its text in C."""

    def head(self):
        result = "void" if self.result is None else c_of(self.result)
        if isinstance(self.result, Several):
            self.program.several[self.result] = None
        said = []
        for a, kind in zip(self.node.args.args, self.kinds, strict=True):
            star = "const {} *" if isinstance(kind, Record) else "{} "
            said.append(f"{star.format(c_of(kind))}a_{a.arg}")
        how = "APART" if "integer_apart" in typed.marks_of(self.node) else "static"
        return f"{how} {result} {self.name}({', '.join(said)})"

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
        raise self.unknown(node)

    def _returned(self, node):
        if isinstance(self.result, Several) and isinstance(node, ast.Tuple):
            parts = ", ".join(map(self.expression, node.elts))
            return f"({c_of(self.result)}){{{parts}}}"
        return self.expression(node)

    def _for(self, node, depth):
        pad = "    " * depth
        name = ast.unparse(node.iter.func)
        if name not in ("range", "lanes"):
            raise SyntaxError(f"{self.where(node)}: a loop over something else than range")
        given = [self.expression(each) for each in node.iter.args]
        begin, end, step = ("0", *given, "1") if len(given) == 1 else (*given, "1")[:3]
        falls = len(node.iter.args) == 3 and ast.unparse(node.iter.args[2]).startswith("-")
        self.temporary += 1
        k, e, h = (f"{letter}_{self.temporary}" for letter in "keh")
        lines = ["LANES"] if name == "lanes" else []
        lines += [
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
            fields = self.first_fields(owner, value)
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
                if self.is_local(node.value):
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
                    return f"({c_of(owner)}){{{whole}.p + {low}, {high} - {low}}}"
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
        raise self.unknown(node)

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
        raise self.unknown(node)

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
        if name == "products":
            name += f"_{self.type(node.args[0]).item}"
            return f"{name}({', '.join(given)})"
        if name in typed.BUILT_IN:
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
            return f"({c_of(record)}){{{', '.join(given)}}}"
        made = self.called(node)
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

#if defined(__GNUC__) && !defined(__clang__)
#define LANES _Pragma("GCC ivdep")
#define FOUR _Pragma("GCC unroll 4")
#else
#define LANES
#define FOUR
#endif
#ifdef __GNUC__
#define APART static __attribute__((noinline))
#else
#define APART static
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
# The sum of products of two runs: of 16-bit numbers in 32 bits, of 32-bit numbers in 64.
PRODUCTS = """static inline int64_t products_{item}(
    A_{item} a, int64_t i, A_{item} b, int64_t j, int64_t n) {{
    const {item}_t *p = a.p + i, *q = b.p + j;
    {sum} s = 0;
{how}    for (int64_t k = 0; k < n; k++) s += ({sum})p[k] * q[k];
    return s;
}}"""
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


def flattened(program, kind, name):
    """The parameters of C for a parameter: [(type, name)], and its value from them."""
    if isinstance(kind, str):
        return [(SCALARS[kind], name)], name
    if isinstance(kind, Array):
        pair = [(f"{ARRAYS[kind.item]} *", f"{name}_p"), ("int64_t", f"{name}_n")]
        return pair, f"({c_of(kind)}){{{name}_p, {name}_n}}"
    parts, values = [], []
    for each, of in program.fields(kind):
        more, value = flattened(program, of, f"{name}_{each}")
        parts += more
        values.append(value)
    return parts, f"({c_of(kind)}){{{', '.join(values)}}}"


def written(modules):
    """The text of C and the entries, of the loops of these modules."""
    program, entries, ends = Program(), {}, []
    for name in modules:
        module = program.module(name)
        for node in module.functions.values():
            if not typed.marks_of(node) & typed.LOOPS:
                continue
            kinds = program.said(module, node)
            made = program.instance(module, node, kinds)
            symbol = f"{name.replace('.', '_')}_{node.name}"
            parts, given, setup = [], [], []
            for a, kind in zip(node.args.args, kinds, strict=True):
                more, value = flattened(program, kind, f"p_{a.arg}")
                parts += more
                if isinstance(kind, Record):
                    setup.append(f"    {c_of(kind)} r_{a.arg} = {value};")
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
                "parameters": [program.described(kind) for kind in kinds],
            }
    texts = [made.text() for made in program.order]
    heads = [made.head() + ";" for made in program.order]
    kinds = [f"typedef struct {{ {c} *p; int64_t n; }} A_{item};" for item, c in ARRAYS.items()]
    kinds.append(
        "static inline int64_t item_of(A_int64 a, int64_t i) "
        "{ return (uint64_t)i < (uint64_t)a.n ? a.p[i] : 0; }"
    )
    kinds += [
        PRODUCTS.format(item="int16", sum="int32_t", how="FOUR\n"),
        PRODUCTS.format(item="int32", sum="int64_t", how=""),
    ]
    done = []

    def define(record):
        if record in done:
            return
        for _, of in program.fields(record):
            if isinstance(of, Record):
                define(of)
        done.append(record)
        fields = " ".join(f"{c_of(of)} {each};" for each, of in program.fields(record))
        kinds.append(f"typedef struct {{ {fields} }} {c_of(record)};")

    for record in list(program.used_records):
        define(record)
    for several in program.several:
        fields = " ".join(f"{c_of(of)} f{i};" for i, of in enumerate(several.parts))
        kinds.append(f"typedef struct {{ {fields} }} {c_of(several)};")
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
