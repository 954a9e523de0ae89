"""How events are found on a device: correlations, extrema and choices of kernels in torch.

The pieces go to the device once, and the kernels once for each set of them. A round correlates what
is left of the pieces with the kernels, keeps the extrema of the strongest similarity, takes the
best kernel of each, and subtracts these events. The events of a round come back in one copy, for
which the CPU waits; nothing else does. What follows is done in order, on the CPU: amplitudes are
fitted again, and events that do not pay are dropped (`pursuit.settle`).

No sum depends on the order in which threads come: each sample subtracts its events itself.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from san.codec.modes.events import capacity, no_events
from san.codec.search.pursuit import ROUNDS, THRESHOLD, Pursued, block_of, settle
from san.hot_path.operation import select

# An event changes what its follower sees, if that is nearer than a kernel is long. Choices are made
# again so many times with what the events before them chose. Then those of the first links of each
# chain are final, and the others nearly always.
LINKS = 8
TOGETHER = 16  # shapes whose similarities are in the device's memory together


class OnDevice:
    """Finds events in pieces that are on a device; see `finding.Finder`."""

    def __init__(self, pieces: Sequence[np.ndarray], device: str) -> None:
        self.pieces = pieces
        self._device = torch.device(device)
        self._there = self._put(np.stack(pieces))  # (pieces, channels, n)

    def _put(self, x: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(x, np.float32)).to(self._device)

    def pursue(self, kernels: np.ndarray) -> list[Pursued]:
        """See `finding.Finder`."""
        channels, n = self.pieces[0].shape
        if n < kernels.shape[2] or len(kernels) == 0:
            return [(no_events(channels), x.copy()) for x in self.pieces]
        events = self._in_rounds(kernels)
        return [settle(x, kernels, *each) for x, each in zip(self.pieces, events, strict=True)]

    def _in_rounds(self, kernels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Positions, kernels and amplitudes (events, channels) of each piece, round by round."""
        left, there = self._there, self._put(kernels)
        room = capacity(left.shape[2], there.shape[2])
        nearby = _nearby(there)
        rows: list[list[np.ndarray]] = [[] for _ in self.pieces]
        for _ in range(ROUNDS):
            positions, taken, amplitudes = _take(_similarities(left, there), nearby)
            left = _subtracted(left, there, positions, taken, amplitudes)
            packed = torch.cat([torch.stack([positions, taken], 2), amplitudes.long()], 2)
            came = packed.cpu().numpy()  # the one copy of a round, and its one wait
            some: np.ndarray = np.any(came[..., 2:], axis=2)
            for own, row, is_event in zip(rows, came, some, strict=True):
                own.append(row[is_event])
            if not some.any():
                break
        joined = [np.concatenate(own)[:room] for own in rows]
        return [(each[:, 0], each[:, 1], each[:, 2:].astype(np.float64)) for each in joined]

    def explained(self, wide: np.ndarray, shapes: np.ndarray) -> np.ndarray:
        """See `finding.Finder`."""
        windows, kernels = self._put(wide), self._put(shapes)
        segments = windows.unfold(2, kernels.shape[2], 1)  # (W, channels, shifts, L)
        found = []
        for some in kernels.split(TOGETHER):
            similarity = torch.einsum("jcsl,icl->ijcs", segments, some)
            found.append(similarity.square().sum(2).amax(2))
        best: np.ndarray = torch.cat(found).cpu().numpy()
        return best.astype(np.float64)


def _similarities(x: Tensor, kernels: Tensor) -> Tensor:
    """Similarity of every kernel at every place: (pieces, K, channels, n - L + 1)."""
    n, length = x.shape[2], kernels.shape[2]
    places, block = n - length + 1, block_of(length)
    step = block - length + 1
    blocks = -(-places // step)
    windows = F.pad(x, (0, (blocks - 1) * step + block - n)).unfold(2, block, step)
    spectra = torch.fft.rfft(kernels, block).conj()[None, :, :, None]
    products = torch.fft.rfft(windows)[:, None] * spectra
    return torch.fft.irfft(products, block)[..., :step].flatten(3)[..., :places]


def _nearby(kernels: Tensor) -> Tensor:
    """[k, d, j, c]: what kernel k leaves of itself in the similarity of kernel j, d later."""
    length = kernels.shape[2]
    spectra = torch.fft.rfft(kernels.double(), 2 * length)
    products = torch.fft.irfft(spectra[:, None] * spectra.conj()[None], 2 * length)
    return products[..., :length].permute(0, 3, 1, 2).float().contiguous()


def _take(similarity: Tensor, nearby: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The events at the extrema of the strongest similarity.

    Returns positions and kernels, int64 (pieces, most), and amplitudes (pieces, most, channels),
    rounded to steps. There is room for the most extrema that there can be; beyond those there are,
    amplitudes are zero, and positions lie behind the signal.
    """
    pieces, count, channels, places = similarity.shape
    length = nearby.shape[1]
    if channels == 1:
        strongest = similarity[:, :, 0].abs().amax(1)
    else:
        strongest = similarity.square().sum(2).amax(1).sqrt()
    strongest = torch.where(strongest < THRESHOLD, 0, strongest)
    kept = select("extrema", strongest[:, None], ((length // 2,),))[:, 0] > 0
    most = places // (length // 2 + 1) + 1
    numbers = torch.where(kept, kept.cumsum(1) - 1, most)  # all that are not kept share the last
    at = torch.arange(places, device=kept.device).expand(pieces, places)
    positions = numbers.new_full((pieces, most + 1), places + length - 1)
    positions = positions.scatter_(1, numbers, at)[:, :most].contiguous()
    is_there = positions < places
    index = positions.clamp(max=places - 1)[:, None, None].expand(pieces, count, channels, most)
    seen = similarity.gather(3, index).permute(0, 3, 1, 2)  # (pieces, most, K, channels)
    taken, amplitudes = _best(seen, is_there)
    before = positions.roll(1, 1)
    distance = positions - before
    near = ((distance > 0) & (distance < length))[..., None, None]
    distance = distance.clamp(0, length - 1)
    for _ in range(LINKS):
        changes = nearby[taken.roll(1, 1), distance] * amplitudes.roll(1, 1)[:, :, None]
        taken, amplitudes = _best(seen - torch.where(near, changes, 0), is_there)
    return positions, taken, amplitudes


def _best(seen: Tensor, is_there: Tensor) -> tuple[Tensor, Tensor]:
    """The kernel of the most energy for each event, and its amplitudes in whole steps."""
    taken = seen.square().sum(3).argmax(2)
    index = taken[..., None, None].expand(*taken.shape, 1, seen.shape[3])
    amplitudes = seen.gather(2, index)[:, :, 0].round()
    return taken, torch.where(is_there[..., None], amplitudes, 0)


def _subtracted(
    x: Tensor, kernels: Tensor, positions: Tensor, taken: Tensor, amplitudes: Tensor
) -> Tensor:
    """What is left of x, (pieces, channels, n), without events.

    They are farther apart than half a kernel, so that at most two of them reach a sample.
    """
    pieces, channels, n = x.shape
    length = kernels.shape[2]
    at = torch.arange(n, device=x.device).expand(pieces, n).contiguous()
    last = torch.searchsorted(positions, at, right=True) - 1
    channel = torch.arange(channels, device=x.device)[:, None]
    for earlier in range(2):
        number = last - earlier
        row = number.clamp(min=0)
        place = at - positions.gather(1, row)
        inside = (number >= 0) & (place < length)
        place = place.clamp(0, length - 1)[:, None]
        shape = kernels[taken.gather(1, row)[:, None], channel, place]
        amplitude = amplitudes.gather(1, row[..., None].expand(-1, -1, channels)).transpose(1, 2)
        x = x - torch.where(inside[:, None], amplitude * shape, 0)
    return x
