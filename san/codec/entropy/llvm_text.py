"""How a loop is written in the language of LLVM: its statements, and all that it calls.

Every variable is a place in memory in the first block; LLVM turns these places into registers.
"""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from san.codec.entropy.entries import ENTRIES
from san.codec.entropy.llvm_values import NUMBERS, STORED, Expressions, Values
from san.codec.entropy.typed import Kind, Program, Several

HEAD = """
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
declare i64 @llvm.abs.i64(i64, i1)
declare double @llvm.floor.f64(double)
declare double @llvm.ceil.f64(double)
declare double @llvm.rint.f64(double)
declare double @llvm.sqrt.f64(double)
declare double @llvm.fabs.f64(double)
declare float @llvm.fabs.f32(float)
declare double @log2(double)

define internal i64 @floor_divided(i64 %a, i64 %b) alwaysinline nounwind {
  switch i64 %b, label %usual [ i64 0, label %none
                                i64 -1, label %minus ]
none:
  ret i64 0
minus:
  %n = sub i64 0, %a
  ret i64 %n
usual:
  %q = sdiv i64 %a, %b
  %r = srem i64 %a, %b
  %some = icmp ne i64 %r, 0
  %s = xor i64 %a, %b
  %differ = icmp slt i64 %s, 0
  %both = and i1 %some, %differ
  %less = zext i1 %both to i64
  %d = sub i64 %q, %less
  ret i64 %d
}

define internal i64 @item_of(ptr %a, i64 %n, i64 %i) alwaysinline nounwind {
  %in = icmp ult i64 %i, %n
  br i1 %in, label %inside, label %outside
inside:
  %p = getelementptr inbounds i64, ptr %a, i64 %i
  %v = load i64, ptr %p
  ret i64 %v
outside:
  ret i64 0
}
"""
# The sum of products of two runs: of 16-bit numbers in 32 bits, of 32-bit numbers in 64.
PRODUCTS = """
define internal i64 @products_{item}(ptr %a, i64 %i, ptr %b, i64 %j, i64 %n) nounwind {{
  %p = getelementptr inbounds {of}, ptr %a, i64 %i
  %q = getelementptr inbounds {of}, ptr %b, i64 %j
  br label %test
test:
  %k = phi i64 [ 0, %0 ], [ %l, %body ]
  %s = phi {to} [ 0, %0 ], [ %t, %body ]
  %more = icmp slt i64 %k, %n
  br i1 %more, label %body, label %after
body:
  %pk = getelementptr inbounds {of}, ptr %p, i64 %k
  %qk = getelementptr inbounds {of}, ptr %q, i64 %k
  %x = load {of}, ptr %pk
  %y = load {of}, ptr %qk
  %u = sext {of} %x to {to}
  %v = sext {of} %y to {to}
  %w = mul {to} %u, %v
  %t = add {to} %s, %w
  %l = add nuw nsw i64 %k, 1
  br label %test
after:
  {end}
}}
"""
HEAD += PRODUCTS.format(
    item="int16", of="i16", to="i32", end="%r = sext i32 %s to i64\n  ret i64 %r"
)
HEAD += PRODUCTS.format(item="int32", of="i32", to="i64", end="ret i64 %s")
# What a loop over lanes is marked with: its loads and stores may be done in any order, as vectors,
# and it is not unrolled before it becomes vectors.
MARKS = """
!0 = distinct !{}
!1 = !{!"llvm.loop.parallel_accesses", !0}
!2 = !{!"llvm.loop.vectorize.enable", i1 true}
!3 = !{!"llvm.loop.unroll.disable"}
"""
FIRST_LOOP = 4
PACKAGE = Path(__file__).parents[2]


class Writer(Expressions):
    """A function for arguments of certain types, and its text."""

    def text(self) -> str:
        """The definition."""
        self.begin_text()
        self.loops: list[tuple[str, str]] = []  # where continue and break go
        for name, kind in self.types.items():
            for i, leaf in enumerate(self.leaves(kind)):
                self.places.append(f"%v.{name}.{i} = alloca {leaf}")
                first = f"%a.{name}.{i}" if name in self.arguments else "zeroinitializer"
                self.lines.append(f"store {leaf} {first}, ptr %v.{name}.{i}")
        for node in self.node.body:
            self.statement(node)
        if not self.ended:
            self.give(None)
        given = ", ".join(f"{leaf} {name}" for leaf, name in self.parameters())
        marks = {ast.unparse(each) for each in self.node.decorator_list}
        inline = " alwaysinline" if "integer_part" in marks else ""
        inline += " noinline" if "integer_apart" in marks else ""
        head = f"define internal fastcc {self.returned()} @{self.name}({given}) nounwind{inline} {{"
        return "\n".join([head, "entry:", *self.places, *self.lines, "}"])

    def statement(self, node: ast.stmt) -> None:
        """Write a statement."""
        if self.ended:
            return  # nothing comes here
        match node:
            case ast.Expr(value=ast.Constant()):
                pass
            case ast.Expr():
                self.values(node.value)
            case ast.Assign(targets=[target]):
                self._assign(target, node.value)
            case ast.AugAssign(target=ast.Name() | ast.Subscript()):
                made = ast.BinOp(node.target, node.op, node.value, lineno=node.lineno)
                self._put(node.target, self.values(made), self.type(made))
            case ast.If():
                yes, no, after = self.labels(3)
                self.branch(self.condition(node.test), yes, no)
                for label, body in ((yes, node.body), (no, node.orelse)):
                    self.begin(label)
                    for each in body:
                        self.statement(each)
                    self.go(after)
                self.begin(after)
            case ast.While():
                test, first, after = self.labels(3)
                self.begin(test)
                self.branch(self.condition(node.test), first, after)
                self._repeat(node.body, first, test, after)
                self.begin(after)
            case ast.For():
                self._count(node)
            case ast.Return():
                self.give(node.value)
            case ast.Break():
                self.end(f"br label %{self.loops[-1][1]}")
            case ast.Continue():
                self.end(f"br label %{self.loops[-1][0]}")
            case _:
                raise self.unknown(node)

    def _repeat(self, nodes: Sequence[ast.stmt], body: str, again: str, after: str) -> None:
        """Write what a loop repeats."""
        self.loops.append((again, after))
        self.begin(body)
        for each in nodes:
            self.statement(each)
        self.go(again)
        self.loops.pop()

    def _count(self, node: ast.For) -> None:
        """Write a loop over a range."""
        call = node.iter
        if not isinstance(call, ast.Call) or ast.unparse(call.func) not in ("range", "lanes"):
            raise SyntaxError(f"{self.where(node)}: a loop over something else than range")
        given = [self.number(each, "int") for each in call.args]
        begin, end, step = ("0", *given, "1") if len(given) == 1 else (*given, "1")[:3]
        falls = len(call.args) == 3 and ast.unparse(call.args[2]).startswith("-")
        test, first, body, more, after = self.labels(5)
        counter = f"%k.{test}"
        self.places.append(f"{counter} = alloca i64")
        self.lines.append(f"store i64 {begin}, ptr {counter}")
        self.begin(test)
        at = self.new(f"load i64, ptr {counter}")
        self.branch(self.new(f"icmp {'sgt' if falls else 'slt'} i64 {at}, {end}"), first, after)
        self.begin(first)
        self._put(node.target, [at], "int")
        lanes = ast.unparse(call.func) == "lanes"
        self.group = ", !llvm.access.group !0" if lanes else ""
        self._repeat(node.body, body, more, after)
        self.group = ""
        self.begin(more)
        now = self.new(f"load i64, ptr {counter}")
        self.lines.append(f"store i64 {self.new(f'add i64 {now}, {step}')}, ptr {counter}")
        self.end(f"br label %{test}{self.loop() if lanes else ''}")
        self.begin(after)

    def loop(self) -> str:
        """The mark of one loop over lanes."""
        number = FIRST_LOOP + len(self.program.marks)
        self.program.marks.append(f"!{number} = distinct !{{!{number}, !1, !2, !3}}")
        return f", !llvm.loop !{number}"

    def give(self, node: ast.expr | None) -> None:
        """Return a value, or nothing."""
        if self.result is None or node is None:
            kind = self.returned()
            self.end("ret void" if kind == "void" else f"ret {kind} zeroinitializer")
            return
        values = self.as_kind(self.values(node), self.type(node), self.result)
        leaves, kind = self.leaves(self.result), self.returned()
        if len(values) == 1:
            self.end(f"ret {kind} {values[0]}")
            return
        made = "poison"
        for i, (leaf, value) in enumerate(zip(leaves, values, strict=True)):
            made = self.new(f"insertvalue {kind} {made}, {leaf} {value}, {i}")
        self.end(f"ret {kind} {made}")

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if not isinstance(target, ast.Tuple):
            self._put(target, self.values(value), self.type(value))
            return
        kinds = self.types_of(value, len(target.elts))
        if isinstance(value, ast.IfExp):
            values = self.either(value, Several(tuple(kinds)))
        else:
            values = self.values(value)
        for each, kind in zip(target.elts, kinds, strict=True):
            count = len(self.leaves(kind))
            self._put(each, values[:count], kind)
            values = values[count:]

    def _put(self, target: ast.expr, values: Values, kind: Kind) -> None:
        """Give a variable, or an item of an array, a value."""
        if isinstance(target, ast.Name):
            to = self.types[target.id]
            values = self.as_kind(values, kind, to)
            for i, (leaf, value) in enumerate(zip(self.leaves(to), values, strict=True)):
                self.lines.append(f"store {leaf} {value}, ptr %v.{target.id}.{i}")
            return
        if not isinstance(target, ast.Subscript):
            raise self.unknown(target)
        item = self.type(target.value).item
        stored, is_float = STORED[item], item.startswith("float")
        value = self.converted(values[0], kind, item if is_float else "int")
        if not is_float and stored != "i64":
            value = self.new(f"trunc i64 {value} to {stored}")
        self.lines.append(f"store {stored} {value}, ptr {self.place(target)}{self.group}")


def written(loop: str) -> tuple[str, dict[str, Any]]:
    """The text of a loop, `module.name`, and what it is called with and gives.

    Raises
    ------
    SyntaxError, TypeError
        If the loop uses something that is not known here.
    """
    program = Program(PACKAGE, ENTRIES, Writer)
    home, _, name = loop.rpartition(".")
    module = program.module(home)
    made = program.instance(
        module, module.functions[name], program.said(module, module.functions[name])
    )
    texts: dict[str, str] = {}
    waiting = [made]
    while waiting:
        each = waiting.pop()
        if each.name not in texts:
            texts[each.name] = each.text()
            waiting += each.needed
    parameters = made.parameters()
    given = ", ".join(f"{leaf} %p{i}" for i, (leaf, _) in enumerate(parameters))
    call = f"call fastcc {made.returned()} @{made.name}({given})"
    if made.result is None:
        body = f"{call}\nret void"
    elif made.result in NUMBERS:
        body = f"%r = {call}\nret {made.returned()} %r"
    else:
        raise TypeError(f"{loop} returns several values to Python")
    entry = f"define {made.returned()} @entry({given}) nounwind {{\n{body}\n}}"
    described = {
        "result": made.result,
        "parameters": [program.described(kind) for kind in made.kinds],
    }
    return "\n".join([HEAD, *texts.values(), entry, MARKS, *program.marks]), described
