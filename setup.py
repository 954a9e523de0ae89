"""The extension of the codec: its C is written from the Python source, and built if possible.

Without a C compiler the build says so and goes on; SAN then compiles the same loops with LLVM.
"""

import runpy
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

HERE = Path(__file__).parent
# Overflow wraps, and no product is fused with a sum.
FLAGS = ["-O3", "-fwrapv", "-fno-strict-aliasing", "-fno-math-errno", "-ffp-contract=off", "-g0"]


class Build(build_ext):
    """Writes the C file before it is compiled."""

    def build_extension(self, ext):
        source = Path(self.build_temp) / "loops.c"
        source.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.write_text(runpy.run_path(str(HERE / "extension" / "to_c.py"))["library"]())
        except (SyntaxError, TypeError) as error:
            raise CompileError(f"the C of the loops cannot be written: {error}") from error
        ext.sources = [str(source)]
        if self.compiler.compiler_type != "msvc":
            ext.extra_compile_args = FLAGS
            ext.libraries = ["m"]
        super().build_extension(ext)


setup(
    ext_modules=[Extension("san.codec.entropy._loops", sources=[], optional=True)],
    cmdclass={"build_ext": Build},
)
