"""Loops that LLVM compiles when they are first called: what is kept on the disk, and their calls.

The library llvmlite, which comes with numba, has the compiler. numba itself is not used: to find
the types of the codec's loops it needs seconds, and `typed` finds them in a few hundredths.
"""

import ctypes
import ctypes.util
import functools
import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from san import compilation
from san.codec.entropy import extension
from san.codec.entropy.entries import ENTRIES

_HERE = Path(__file__).parent
#: Besides the loops, what they become depends on these files.
_WRITERS = ("entries", "typed", "llvm_values", "llvm_text", "machine_code")
_SUFFIX = ".san-code"
_LOCK = threading.RLock()
_engines: list[Any] = []  # they own the code, and live as long as the process


class Loop:
    """A loop that Python calls. It is compiled, or read from the disk, when it is first called."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._call: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Run the loop without the GIL."""
        return (self._call or self.ready())(*arguments)

    def ready(self) -> Callable[..., Any]:
        """What runs the loop, compiled if need be."""
        with _LOCK:
            if self._call is None:
                described, code = _read(self.name) or _compile(self.name)
                self._call = extension.caller(
                    self.name,
                    described["parameters"],
                    described["result"],
                    lambda result, given: ctypes.CFUNCTYPE(result, *given)(_loaded(code)),
                )
            return self._call


def load() -> dict[str, Callable[..., Any]]:
    """All loops by their names; none of them is compiled yet."""
    return {name: Loop(name) for name in ENTRIES}


@functools.cache
def _options() -> dict[str, Any]:
    """For which processor to compile: this one, or the one that the variables of numba name."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    if llvm.address_of_symbol("log2") is None:
        llvm.load_library_permanently(ctypes.util.find_library("m"))
    name, features = os.environ.get("NUMBA_CPU_NAME"), os.environ.get("NUMBA_CPU_FEATURES", "")
    if name is None:
        name = llvm.get_host_cpu_name()
        features = features or llvm.get_host_cpu_features().flatten()
    reloc = "static" if llvm.get_process_triple().startswith("x86") else "default"
    return {"cpu": name, "features": features, "opt": 2, "reloc": reloc, "codemodel": "jitdefault"}


def _machine() -> Any:
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(**_options(), jit=True)


@functools.cache
def _key() -> str:
    """What compiled code is for: these sources, this compiler, this processor."""
    digest = hashlib.sha256(extension.checksum().encode())
    for name in _WRITERS:
        digest.update((_HERE / f"{name}.py").read_bytes())
    about = [llvm.llvm_version_info, llvm.get_process_triple(), sorted(_options().items())]
    digest.update(repr(about).encode())
    return digest.hexdigest()


def folders() -> list[Path]:
    """Where compiled code may be kept: the first of these that can be written."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return [Path(chosen)]
    users = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return [_HERE / "__pycache__", Path(users or Path.home() / ".cache") / "san"]


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name.removeprefix('san.codec.')}-{_key()[:24]}{_SUFFIX}"


def _read(name: str) -> tuple[dict[str, Any], bytes] | None:
    """The code of a loop that is on the disk, or None; a damaged file counts as none."""
    for folder in folders():
        path = _file(folder, name)
        if not os.access(path, os.R_OK):
            continue
        head, _, code = path.read_bytes().partition(b"\n")
        digest, _, about = head.partition(b" ")
        if hashlib.sha256(about + code).hexdigest().encode() == digest:
            compilation.compilations().found(folder)
            return json.loads(about), code
    return None


def _compile(name: str) -> tuple[dict[str, Any], bytes]:
    """Compile a loop, and keep its code where a folder can be written."""
    from san.codec.entropy import llvm_text  # most processes compile nothing

    folder = next(filter(_can_be_written, folders()), None)
    compilation.compilations().began(name, folder)
    text, described = llvm_text.written(name)
    machine = _machine()
    module = llvm.parse_assembly(text, context=llvm.create_context())
    module.triple, module.data_layout = llvm.get_process_triple(), str(machine.target_data)
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(2)  # 3 takes a tenth longer for no speed
    tuning.loop_vectorization = tuning.slp_vectorization = True
    passes = llvm.create_pass_builder(machine, tuning)
    passes.getModulePassManager().run(module, passes)
    code = machine.emit_object(module)
    if folder is not None:
        about = json.dumps(described).encode()
        digest = hashlib.sha256(about + code).hexdigest().encode()
        _write(_file(folder, name), digest + b" " + about + b"\n" + code)
    return described, code


def _can_be_written(folder: Path) -> bool:
    """Whether files can be made in a folder; it is made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _write(path: Path, data: bytes) -> None:
    """Write a file that other processes see whole or not at all."""
    part = path.with_suffix(f".{os.getpid()}")
    part.write_bytes(data)
    os.replace(part, path)


def _loaded(code: bytes) -> int:
    """The address of the loop in machine code."""
    engine = llvm.create_mcjit_compiler(
        llvm.parse_assembly("", context=llvm.create_context()), _machine()
    )
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    address: int = engine.get_function_address("entry")
    return address
