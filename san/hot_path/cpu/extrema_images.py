"""Extrema of images on NumPy arrays, compiled: suppression by rounds over the whole image.

An image is laid out in flat memory with room between its rows and around it, so that one loop
over flat memory reaches every neighbour. A round keeps each candidate that is the largest of its
own box (found by sliding along the rows, then along the columns) and clears the boxes of the kept
ones. On real images one or two rounds leave few candidates, which are finished as a list; where
they do not, a sorted list ends the rounds, so that the time is bounded for every input.
"""

import numpy as np

from san.hot_path.cpu.maps import as_integers, has_nan
from san.hot_path.cpu.places import list_events
from san.hot_path.cpu.vectors import compiled, inlined

_ROUNDS = 6  # after which a sort finishes the image
_SPARSE = 128  # samples per candidate from where a list of candidates pays
_FEW = 24  # candidates in a list that is not worth sorting


@compiled
def extrema(s, size, min_distance, a, is_clear):
    """Keep the extrema of each image; as `san.hot_path.cpu.extrema.extrema`."""
    height, width = size[0], size[-1]
    maps = s.reshape((len(min_distance), height, width))
    alpha, mask = a.reshape(maps.shape), as_integers(s)[1]
    room = 8
    for i in range(maps.shape[0]):
        room = max(room, _layout(min_distance[i], height, width)[4])
    values, work = np.empty(room, s.dtype), np.empty((4, room), as_integers(s)[0].dtype)
    magnitudes, value_bits = work[3], as_integers(values)[0]
    wins, kept = np.zeros((2, room), np.uint8)
    near, listed = np.empty((4, room), np.uint8), np.empty(room, np.int64)
    for i in range(maps.shape[0]):
        image = maps[i]
        if has_nan(image.reshape(-1), 0, image.size):
            return False
        layout = _layout(min_distance[i], height, width)
        _, _, pitch, origin, extent = layout
        _lay_out(image, values, pitch, origin)
        left = _mark_candidates(values, value_bits, mask, magnitudes, layout, image.shape)
        kept[:] = 0
        rounds = 0
        while left > max(_FEW, extent // _SPARSE) and rounds < _ROUNDS:
            _mark_winners(magnitudes[:extent], layout, wins, work)
            left = _clear_boxes(magnitudes[:extent], layout, wins, near, kept)
            rounds += 1
        if left > 0:
            found = list_events(magnitudes, origin, extent - origin, listed, 0)
            candidates = listed[:found]
            if found > _FEW:
                candidates = _largest_first(candidates, magnitudes)
            _finish_list(magnitudes, candidates, layout, kept)
        _write(image, kept[origin:], pitch, alpha[i])
    return True


@inlined
def _layout(min_distance, height, width):
    """Reach of an extremum, samples from row to row, the first sample's place, and the size."""
    tall, wide = min(min_distance[0], height), min(min_distance[1], width)
    above, between = max(tall, 1), max(wide, 2)  # the border's neighbours need room as well
    pitch = width + between
    origin = above * pitch + between
    return tall, wide, pitch, origin, (height + 2 * above) * pitch + 2 * between


@inlined
def _lay_out(s, values, pitch, origin):
    """Copy an image with its border repeated once around it."""
    height, width = s.shape
    for y in range(-1, height + 1):
        row, place = s[min(max(y, 0), height - 1)], origin + y * pitch
        target = values[place : place + width]
        for x in range(width):
            target[x] = row[x]
        values[place - 1] = row[0]
        values[place + width] = row[width - 1]


@inlined
def _mark_candidates(values, bits, mask, magnitudes, layout, shape):
    """Lay out the magnitudes of the peaks (valleys) along both axes, and zeros; count them."""
    _, _, pitch, origin, size = layout
    height, width = shape
    magnitudes[:origin] = 0
    magnitudes[size - origin : size] = 0
    here, here_bits, target = values[origin:], bits[origin:], magnitudes[origin:]
    left, right = values[origin - 1 :], values[origin + 1 :]
    up, down = values[origin - pitch :], values[origin + pitch :]
    zero = mask & 0
    for t in range(size - 2 * origin):
        value = here[t]
        peak = (value > left[t]) & (right[t] <= value) & (value > up[t]) & (down[t] <= value)
        valley = (right[t] > value) & (value <= left[t]) & (down[t] > value) & (value <= up[t])
        candidate = (peak & (value > 0)) | (valley & (value < 0))
        target[t] = here_bits[t] & (mask if candidate else zero)
    for y in range(height):
        target[y * pitch + width : min((y + 1) * pitch, size - 2 * origin)] = 0
    return _count_positive(target[: size - 2 * origin])


@inlined
def _count_positive(values):
    count = np.int32(0)
    for t in range(values.size):
        count = np.int32(count + np.int32(values[t] > 0))
    return np.int64(count)


@inlined
def _mark_winners(magnitudes, layout, wins, work):
    """Mark what is larger than all before it in its box and not smaller than all after it."""
    tall, wide, pitch, origin, size = layout
    beside = _slide(magnitudes, 1, wide, work[0], work[1])
    rows, inside = work[2, :size], size - 2 * wide - 1
    rows[:wide] = 0
    rows[size - wide - 1 :] = 0
    # Loops run over views: indices are plain in them, and the loops are made of vectors.
    left, here, right = beside, magnitudes[wide:], beside[wide + 1 :]
    whole, won = rows[wide:], wins[wide:]
    for t in range(inside):
        larger = left[t] if left[t] > right[t] else right[t]
        whole[t] = here[t] if here[t] > larger else larger
        won[t] = (here[t] > left[t]) & (here[t] >= right[t])
    across = _slide(rows, pitch, tall, work[0], work[1])
    above, below = across[origin - tall * pitch :], across[origin + pitch :]
    here, won = magnitudes[origin:], wins[origin:]
    for t in range(size - 2 * origin):
        won[t] &= (here[t] > above[t]) & (here[t] >= below[t])


@inlined
def _clear_boxes(magnitudes, layout, wins, near, kept):
    """Keep the winners and clear their boxes; return how many candidates are left."""
    tall, wide, pitch, origin, size = layout
    wins[:origin] = 0
    wins[size - origin : size] = 0
    _larger(kept, wins, size, kept)
    beside = _slide(wins[:size], 1, 2 * wide + 1, near[0], near[1])
    boxes = _slide(beside[:size], pitch, 2 * tall + 1, near[2], near[3])
    here, zero = magnitudes[origin : size - origin], magnitudes.dtype.type(0)
    boxes = boxes[origin - tall * pitch - wide :]
    for t in range(here.size):
        here[t] = zero if boxes[t] else here[t]
    return _count_positive(here)


@inlined
def _slide(values, step, length, out, spare):
    """The largest of values[t], values[t + step] and so on, `length` of them, at each t."""
    size, done, source = values.size, 1, values
    if length == 0:
        out[:size] = 0
        return out
    while done < length:
        more = min(done, length - done)
        size -= step * more
        _larger(source, source[step * more :], size, out)
        source, out, spare = out, spare, out
        done += more
    return source


@compiled
def _larger(a, b, size, out):  # a function of its own, or the loop is not made of vectors
    for t in range(size):
        out[t] = a[t] if a[t] > b[t] else b[t]


@compiled
def _largest_first(candidates, magnitudes):
    """Sort candidates by merging; equals keep their order.

    numba's own sorting takes two seconds to compile.
    """
    source, target, width = candidates, np.empty_like(candidates), 1
    while width < source.size:
        for begin in range(0, source.size, 2 * width):
            i, middle = begin, min(begin + width, source.size)
            j, stop = middle, min(middle + width, source.size)
            for t in range(begin, stop):
                if j >= stop or (i < middle and magnitudes[source[i]] >= magnitudes[source[j]]):
                    target[t] = source[i]
                    i += 1
                else:
                    target[t] = source[j]
                    j += 1
        source, target = target, source
        width *= 2
    return source


@inlined
def _finish_list(magnitudes, candidates, layout, kept):
    """Keep the candidates one after the other, the largest that is left first.

    A long list comes sorted, and the first that is left is the largest; a short one does not.
    """
    tall, wide, pitch, _, _ = layout
    if candidates.size > _FEW:
        for t in candidates:
            if magnitudes[t] != 0:
                kept[t] = 1
                for row in range(-tall, tall + 1):
                    begin = t + row * pitch - wide
                    magnitudes[begin : begin + 2 * wide + 1] = 0
        return
    left = candidates.size
    while left > 0:
        best = candidates[0]
        for i in range(1, left):
            best = candidates[i] if magnitudes[candidates[i]] > magnitudes[best] else best
        kept[best] = 1
        row, column = best // pitch, best % pitch
        count = 0
        for i in range(left):
            t = candidates[i]
            if abs(t // pitch - row) > tall or abs(t % pitch - column) > wide:
                candidates[count] = t
                count += 1
        left = count


@inlined
def _write(s, kept, pitch, a):
    height, width = s.shape
    zero = s.dtype.type(0)
    for y in range(height):
        row, flags, target = s[y], kept[y * pitch :], a[y]
        for x in range(width):
            target[x] = row[x] if flags[x] else zero
