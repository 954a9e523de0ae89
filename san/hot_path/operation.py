"""How a selection of samples becomes a torch operation: parameters, backend, gradient, transforms.

`select` is the one door. It takes the first of these routes whose condition holds:

    condition                         route                  why
    out is given                      _select_into           writes there and keeps no graph
    torch.compile is tracing          _select_opaquely       one operation that nothing looks into
    there are no samples              s itself               there is nothing to select
    a function of torch.func runs     _TransformedSelection  vmap joins the mapped axis to the batch
    a gradient is wanted              _Selection             the quickest form for autograd
    none of these                     _activate              no graph at all

All but the third end in `_activate`. On a GPU it runs the kernels of `gpu`. On the CPU the
compiled selections work in float32 and float64 (other float types are selected as float32, which
holds them exactly), and many maps are shared among threads, as many as `torch.get_num_threads()`
says. The gradient of α passes to s where α is not zero.
"""

import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

Rows = tuple[tuple[int, ...], ...]  # a row for all channels, or one for each

SAMPLES_PER_THREAD = 1 << 18  # fewer are done sooner than a thread is started
_FLOATS = (torch.float32, torch.float64)
_LARGE = 1 << 22  # bytes of an array from where NumPy asks for large pages


def select(activation: str, s: Tensor, rows: Rows, out: Tensor | None = None) -> Tensor:
    """Apply top_k_absolutes, extrema_pool or extrema to maps; see `san.activations`.

    Parameters
    ----------
    activation : str
        Its name.
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Similarity maps.
    rows : tuple of tuples of ints
        The sparsity parameter, as `parameter_rows` gives it.
    out : Tensor, same shape and type, optional
        Where to write; without it, into new memory.

    Returns
    -------
    Tensor, same shape and type
        Activation maps.

    Raises
    ------
    ValueError
        If out differs from s in shape, type or device, or a gradient is asked for as well.
    """
    if out is not None:  # the routes are explained at the top
        return _select_into(out, activation, s, rows)
    if torch.compiler.is_compiling():
        numbers = [number for row in rows for number in row]
        return _select_opaquely(s, activation, numbers, len(rows[0]))
    if s.numel() == 0:
        return s
    if transforms_are_active():
        return _TransformedSelection.apply(s, activation, rows)
    if s.requires_grad and torch.is_grad_enabled():
        return _Selection.apply(s, activation, rows)
    return _activate(s, activation, rows)


def parameter_rows(name: str, value: Any, s: Tensor, *, minimum: int, per_axis: bool) -> Rows:
    """Check a sparsity parameter and bring it into the form that `select` takes.

    Parameters
    ----------
    name : str
        What errors call it.
    value : int, sequence of ints, sequence of sequences, or integer tensor or array
        One number; one per axis (a sequence); one row per channel (a sequence of sequences, or a
        tensor or array of shape (C,) or (C, axes)).
    s : Tensor
        The maps it is for.
    minimum : int
        The smallest number that makes sense.
    per_axis : bool
        Whether there can be a number for each axis.

    Raises
    ------
    TypeError, ValueError
        If it is not made of whole numbers, has another shape, or a number is too small.
    """
    rows: Rows
    if type(value) is int:
        if value >= minimum:  # the usual case, without the rest
            return ((value,),)
        rows = ((value,),)
    elif isinstance(value, Tensor | np.ndarray | np.generic):
        array = value.tolist()
        table = array if isinstance(array, list) else [array]
        per_channel = isinstance(array, list)
        rows = tuple(tuple(r) if isinstance(r, list) else (r,) for r in table)
        if per_channel and len(rows) != s.shape[1]:
            raise ValueError(
                f"{name} must have a row for each of {s.shape[1]} channels, got {value!r}"
            )
    elif isinstance(value, Sequence) and not isinstance(value, str):
        nested = any(isinstance(entry, Sequence) for entry in value)
        rows = tuple(tuple(row) for row in value) if nested else (tuple(value),)
    else:
        raise TypeError(f"{name} must be a whole number, or several, got {value!r}")
    _check_rows(name, value, rows, s, minimum, per_axis)
    return rows


def _check_rows(name: str, value: Any, rows: Rows, s: Tensor, minimum: int, per_axis: bool) -> None:
    numbers = [number for row in rows for number in row]
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        raise TypeError(f"{name} must be a whole number, or several, got {value!r}")
    columns = {len(row) for row in rows}
    axes = (1, s.dim() - 2) if per_axis else (1,)
    if len(rows) not in (1, s.shape[1]) or len(columns) != 1 or not columns <= set(axes):
        raise ValueError(
            f"{name} must be one number{', or one per axis,' if per_axis else ''} for all channels "
            f"or for each of {s.shape[1]}, with {s.dim() - 2} axes, got {value!r}"
        )
    if min(numbers) < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value!r}")


def refuse_nan(s: Tensor) -> None:
    """Raise ValueError with the place of a NaN.

    It does not look on a GPU, because it would have to wait for it, nor under torch.compile and
    torch.func.
    """
    if s.device.type == "cuda" or torch.compiler.is_compiling() or transforms_are_active():
        return
    if torch.isfinite(s.detach().sum()):  # one pass; a NaN would be in the sum
        return
    nan = torch.isnan(s.detach())
    if nan.any():
        where = tuple(nan.nonzero()[0].tolist())
        raise ValueError(f"s must not hold NaN, got one at index {where}")


def _find_transforms_check(c: Any) -> Callable[[], bool]:
    """Find what says whether a function of torch.func (vmap, grad and so on) is running.

    torch has no public name for it, so that a release may lack any of these. Without all of them,
    calls within torch.func end in an error of torch; no result is wrong.
    """
    if hasattr(c, "_are_functorch_transforms_active"):
        check: Callable[[], bool] = c._are_functorch_transforms_active
        return check
    peek = getattr(getattr(c, "_functorch", None), "peek_interpreter_stack", None)
    if peek is not None:
        return lambda: peek() is not None
    return lambda: False


transforms_are_active = _find_transforms_check(torch._C)


class _Selection(torch.autograd.Function):
    """α equals s where α is not zero; the gradient passes there and nowhere else."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, activation: str, rows: Rows) -> Tensor:
        alpha = _activate(s, activation, rows)
        ctx.save_for_backward(alpha)
        return alpha

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (alpha,) = ctx.saved_tensors
        return _pass_gradient(alpha, gradients[0]), None, None


class _TransformedSelection(torch.autograd.Function):
    """The same in the form that torch.func needs; a call takes 20 microseconds longer."""

    @staticmethod
    def forward(s: Tensor, activation: str, rows: Rows) -> Tensor:
        return _activate(s, activation, rows)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(output)

    backward = _Selection.backward

    @staticmethod
    def vmap(info: Any, in_dims: Any, s: Tensor, activation: str, rows: Rows) -> tuple[Tensor, int]:
        batches = s.movedim(in_dims[0], 0)
        alpha = select(activation, batches.flatten(0, 1), rows)
        return alpha.unflatten(0, batches.shape[:2]), 0


@torch.library.custom_op("san::select", mutates_args=())
def _select_opaquely(s: Tensor, activation: str, numbers: Sequence[int], columns: int) -> Tensor:
    rows = tuple(tuple(numbers[i : i + columns]) for i in range(0, len(numbers), columns))
    return _activate(s, activation, rows) if s.numel() else s.clone()


@_select_opaquely.register_fake
def _shape_of_selection(s: Tensor, activation: str, numbers: Any, columns: int) -> Tensor:
    return torch.empty_like(s, memory_format=torch.contiguous_format)


def _keep_output(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(output)


def _pass_opaquely(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
    (alpha,) = ctx.saved_tensors
    return _pass_gradient_in_torch(alpha, gradient), None, None, None


_select_opaquely.register_autograd(_pass_opaquely, setup_context=_keep_output)


def _pass_gradient(alpha: Tensor, gradient: Tensor) -> Tensor:
    """The gradient where α is not zero, and zeros elsewhere."""
    if not (gradient.requires_grad or transforms_are_active()):
        if alpha.is_cuda and (kernels := _gpu_kernels()):
            with torch.cuda.device(alpha.device):
                return kernels.pass_gradient(alpha, gradient)
        plain = type(gradient) is Tensor and gradient.dtype == alpha.dtype and alpha.is_cpu
        if plain and alpha.dtype in _FLOATS:
            from san.hot_path.cpu import maps

            slope = gradient.contiguous().numpy()
            passed = np.empty(slope.shape, slope.dtype)
            flat = (array.reshape(-1) for array in (alpha.numpy(), slope, passed))
            maps.pass_gradient(*flat)
            return torch.from_numpy(passed)
    return _pass_gradient_in_torch(alpha, gradient)


def _pass_gradient_in_torch(alpha: Tensor, gradient: Tensor) -> Tensor:
    """The same for what torch traces or differentiates; six times faster than torch.where."""
    return torch.ops.aten.threshold_backward(gradient, alpha.abs(), 0)


def _select_into(out: Tensor, activation: str, s: Tensor, rows: Rows) -> Tensor:
    if (out.shape, out.dtype, out.device) != (s.shape, s.dtype, s.device):
        raise ValueError(
            f"out must be like s, {tuple(s.shape)} of {s.dtype} on {s.device}, got "
            f"{tuple(out.shape)} of {out.dtype} on {out.device}"
        )
    if torch.is_grad_enabled() and (s.requires_grad or out.requires_grad):
        raise ValueError("out has no gradient: use it under torch.no_grad()")
    traced = torch.compiler.is_compiling() or transforms_are_active()
    same = s.untyped_storage().data_ptr() == out.untyped_storage().data_ptr()
    if traced or same or not out.is_contiguous() or s.numel() == 0:
        return out.copy_(select(activation, s, rows))
    return _activate(s, activation, rows, out)


def _activate(s: Tensor, activation: str, rows: Rows, out: Tensor | None = None) -> Tensor:
    """Select on the GPU if s is there, else on the CPU; α has the device and the type of s."""
    maps = s.detach() if s.requires_grad else s
    if maps.is_cuda and (kernels := _gpu_kernels()):
        with torch.cuda.device(maps.device):
            return kernels.select(activation, maps.contiguous(), rows, out)
    plain = maps.dtype in _FLOATS and maps.is_cpu
    if not plain:
        maps = maps.to("cpu", maps.dtype if maps.dtype in _FLOATS else torch.float32)
    if not maps.is_contiguous():
        maps = maps.contiguous()
    batch, channels, *size = s.shape
    parameter = _parameter(rows, batch, channels, tuple(size), activation)
    values, into = maps.numpy(), out if plain else None
    is_large = into is None and values.nbytes >= _LARGE
    target = _new_maps(values, is_large) if into is None else into.numpy()
    flat = values.reshape(-1), size, parameter, target.reshape(-1)
    if not select_maps(activation, *flat, is_clear=is_large):
        refuse_nan(s)
    if into is not None:
        return into
    alpha = torch.from_numpy(target)
    if plain:
        return alpha
    return alpha.to(s) if out is None else out.copy_(alpha)


def _new_maps(values: np.ndarray, is_large: bool) -> np.ndarray:
    """New memory for activation maps; large memory holds zeros, other memory holds anything.

    For large arrays NumPy, unlike torch, asks the system for large pages. These take half the
    time, and the system fills them with zeros.
    """
    return (np.zeros if is_large else np.empty)(values.shape, values.dtype)


@functools.cache
def _gpu_kernels() -> Any:
    """The module of the kernels, or None without Triton: then the CPU selects for the GPU."""
    try:
        from san.hot_path.gpu import launch
    except ImportError:
        return None
    return launch


@functools.lru_cache(maxsize=64)
def _parameter(
    rows: Rows, batch: int, channels: int, size: tuple[int, ...], activation: str
) -> np.ndarray:
    of_channels = rows * (channels if len(rows) == 1 else 1)
    return table_per_map(of_channels * batch, size, activation)


def table_per_map(rows: Rows, size: Sequence[int], activation: str) -> np.ndarray:
    """The parameter of every map, a row each, as `select_maps` takes it: (M, axes) or (M,)."""
    largest = math.prod(size) + 1  # anything larger changes nothing
    table = np.array([[min(number, largest) for number in row] for row in rows], np.int64)
    if activation == "top_k_absolutes":
        return table[:, 0].copy()
    return np.broadcast_to(table, (len(table), len(size))).copy()  # a view compiles once more


def select_maps(
    activation: str,
    s: np.ndarray,
    size: Sequence[int],
    parameter: np.ndarray,
    alpha: np.ndarray,
    *,
    is_clear: bool = False,
) -> bool:
    """Write the activation maps of flat maps, one after the other; return False if there is a NaN.

    `is_clear` says that `alpha` holds zeros only. The compiled selections then write what they
    keep and nothing else, so that a wrong `is_clear` leaves old values in the maps.
    """
    samples, backend = math.prod(size), _compiled(activation, len(size))
    sizes = (samples,) if activation == "top_k_absolutes" else tuple(size)
    threads = min(torch.get_num_threads(), len(parameter), s.size // SAMPLES_PER_THREAD)
    if threads < 2:
        return backend(s, sizes, parameter, alpha, is_clear)
    ends = [len(parameter) * i // threads for i in range(threads + 1)]

    def share(first: int, last: int) -> bool:
        here = slice(first * samples, last * samples)
        return backend(s[here], sizes, parameter[first:last], alpha[here], is_clear)

    with ThreadPoolExecutor(threads) as pool:
        return all(list(pool.map(share, ends[:-1], ends[1:])))


def nonzeros(alpha: Tensor) -> Tensor:
    """The indices of the non-zeros of maps (N, C, *size), ascending, shape (E, 2 + axes), int64."""
    plain = alpha.device.type == "cpu" and alpha.dtype in _FLOATS and alpha.is_contiguous()
    if not plain or torch.compiler.is_compiling() or transforms_are_active():
        return alpha.nonzero()
    from san.hot_path.cpu import places

    found = places.nonzeros(alpha.detach().numpy().reshape(-1))
    return torch.from_numpy(np.stack(np.unravel_index(found, alpha.shape), axis=1))


@functools.cache
def _compiled(activation: str, axes: int) -> Any:
    """The compiled selection, imported when it is first needed."""
    from san.hot_path.cpu import extrema, extrema_images, pool, top_k

    if activation == "extrema":
        return (extrema_images if axes == 2 else extrema).extrema
    return pool.extrema_pool if activation == "extrema_pool" else top_k.top_k_absolutes
