"""The three sparse selections on NumPy arrays, compiled: the hot path of the project.

Each function takes contiguous maps and one parameter per map, and writes the activation map:
the kept values at their positions, zeros elsewhere. It returns False where it met a NaN. Maps
are independent and no function holds the GIL. Definitions: `san.activations`.
"""

import numba
import numpy as np

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")

_ROUNDS = 6  # of suppression in two dimensions, after which a sort finishes the map


@_compiled
def extrema_1d(maps, min_distance, alpha):
    """Keep the extrema of each map (rows of `maps`, shape (M, L)) that no larger one suppresses."""
    samples = maps.shape[1]
    flags = np.zeros((samples + 7) // 8 * 8, np.uint8)
    positions = np.empty(flags.size + 1, np.int64)
    magnitudes = np.empty(flags.size + 1, maps.dtype)
    waiting = np.empty(flags.size + 1, np.int64)
    limits = np.empty(flags.size + 1, np.int64)
    kept = np.empty(flags.size + 1, np.int64)
    for i in range(maps.shape[0]):
        s, a = maps[i], alpha[i]
        a[:] = 0
        if _has_nan(s):
            return False
        _mark_candidates(s, flags)
        candidates = _compact(s, flags, positions, magnitudes)
        count = _suppress(positions, magnitudes, candidates, min_distance[i], waiting, limits, kept)
        for j in range(count):
            a[kept[j]] = s[kept[j]]
    return True


@_compiled
def _has_nan(s):
    found = False
    for t in range(s.size):
        found |= s[t] != s[t]
    return found


@_compiled
def _mark_candidates(s, flags):
    """Flag peaks above zero (left edge of a plateau) and valleys below it (right edge)."""
    last = s.size - 1
    for t in range(1, last):
        before, here, after = s[t - 1], s[t], s[t + 1]
        flags[t] = ((here > before) & (after <= here) & (here > 0)) | (
            (after > here) & (here <= before) & (here < 0)
        )
    if (
        last > 0
    ):  # past the borders the difference is zero: no valley at the end, no peak at the start
        flags[0] = (s[1] > s[0]) & (s[0] < 0)
        flags[last] = (s[last] > s[last - 1]) & (s[last] > 0)


@_compiled
def _compact(s, flags, positions, magnitudes):
    """List the flagged samples; eight flags are looked at in one word, most words are empty."""
    words = flags.view(np.uint64)
    count = 0
    for word in range(words.size):
        if words[word] != 0:
            for t in range(8 * word, 8 * word + 8):
                positions[count] = t
                count += flags[t]
    for i in range(count):
        magnitudes[i] = abs(s[positions[i]])
    return count


@_compiled
def _suppress(positions, magnitudes, candidates, distance, waiting, limits, kept):
    """Greedy suppression in order of falling magnitude, in linear time and without a sort.

    From a candidate, climb to the largest candidate within `distance` to its right until none is
    larger: that summit has nothing larger on its left either (the climb came from there), so it
    is kept. It removes its neighbourhood; what remains to its right and to its left no longer
    meet, and each is climbed in turn. `waiting` holds the climb, `limits[i]` the first candidate
    that is out of reach for `waiting[i]`. The summits are at least distance + 1 apart and each
    ends at most two climbs beside its own, so no candidate is looked at more than a few times.
    """
    count = 0
    top = -1
    if candidates > 0:
        top = 0
        waiting[0] = 0
        limits[0] = candidates
    while top >= 0:
        start, limit = waiting[top], limits[top]
        summit, height = start, magnitudes[start]
        reach = positions[start] + distance
        right = start + 1
        while right < limit and positions[right] <= reach:
            if magnitudes[right] > height:
                summit, height = right, magnitudes[right]
            right += 1
        if summit != start:
            top += 1
            waiting[top] = summit
            limits[top] = limit
            continue
        kept[count] = positions[start]
        count += 1
        reach = positions[start] - distance
        top -= 1
        while top >= 0 and positions[waiting[top]] >= reach:
            top -= 1
        if top >= 0:
            left = start
            while positions[left - 1] >= reach:
                left -= 1
            limits[top] = min(limits[top], left)
        if right < limit:
            top += 1
            waiting[top] = right
            limits[top] = limit
    return count


@_compiled
def extrema_2d(maps, min_distance, alpha):
    """Keep the extrema of each image (`maps`, shape (M, H, W)); `min_distance` has shape (M, 2)."""
    height, width = maps.shape[1:]
    rows = np.empty(height * width, np.int64)
    columns = np.empty(height * width, np.int64)
    magnitudes = np.empty(height * width, maps.dtype)
    first = np.empty(height + 1, np.int64)
    wins = np.empty(height * width, np.bool_)
    for i in range(maps.shape[0]):
        s, a = maps[i], alpha[i]
        a[:] = 0
        for y in range(height):
            if _has_nan(s[y]):
                return False
        left = _candidates_2d(s, rows, columns, magnitudes)
        for _ in range(_ROUNDS):
            if left == 0:
                break
            _index_rows(rows, left, first)
            _mark_winners(rows, columns, magnitudes, left, first, min_distance[i], wins)
            left = _settle_round(
                s, a, rows, columns, magnitudes, left, first, min_distance[i], wins
            )
        if left > 0:
            _index_rows(rows, left, first)
            _settle_by_sort(s, a, rows, columns, magnitudes, left, first, min_distance[i], wins)
    return True


@_compiled
def _candidates_2d(s, rows, columns, magnitudes):
    """List, row by row, the samples that are peaks (or valleys) along both axes."""
    height, width = s.shape
    count = 0
    for y in range(height):
        for x in range(width):
            here = s[y, x]
            if here == 0:
                continue
            up = s[y - 1, x] if y > 0 else here
            down = s[y + 1, x] if y < height - 1 else here
            before = s[y, x - 1] if x > 0 else here
            after = s[y, x + 1] if x < width - 1 else here
            peak = (here > 0) & (here > up) & (down <= here) & (here > before) & (after <= here)
            valley = (here < 0) & (down > here) & (here <= up) & (after > here) & (here <= before)
            if peak | valley:
                rows[count] = y
                columns[count] = x
                magnitudes[count] = abs(here)
                count += 1
    return count


@_compiled
def _index_rows(rows, left, first):
    """first[y] is the first candidate of row y or below it."""
    i = 0
    for y in range(first.size):
        while i < left and rows[i] < y:
            i += 1
        first[y] = i


@_compiled
def _from_column(columns, start, stop, column):
    """The first candidate of a row's range [start, stop) at `column` or to its right."""
    while start < stop:
        middle = (start + stop) // 2
        if columns[middle] < column:
            start = middle + 1
        else:
            stop = middle
    return start


@_compiled
def _mark_winners(rows, columns, magnitudes, left, first, distance, wins):
    """Mark each candidate that is the largest of its box; the lowest index wins a tie."""
    last_row = first.size - 2
    for i in range(left):
        y, x, magnitude = rows[i], columns[i], magnitudes[i]
        win = True
        for row in range(max(y - distance[0], 0), min(y + distance[0], last_row) + 1):
            j = _from_column(columns, first[row], first[row + 1], x - distance[1])
            while j < first[row + 1] and columns[j] <= x + distance[1]:
                if magnitudes[j] > magnitude or (magnitudes[j] == magnitude and j < i):
                    win = False
                    break
                j += 1
            if not win:
                break
        wins[i] = win


@_compiled
def _settle_round(s, a, rows, columns, magnitudes, left, first, distance, wins):
    """Keep the winners, drop what lies in their boxes, and close the gaps in the list."""
    last_row = first.size - 2
    alive = np.ones(left, np.bool_)
    for i in range(left):
        if not wins[i]:
            continue
        y, x = rows[i], columns[i]
        a[y, x] = s[y, x]
        for row in range(max(y - distance[0], 0), min(y + distance[0], last_row) + 1):
            j = _from_column(columns, first[row], first[row + 1], x - distance[1])
            while j < first[row + 1] and columns[j] <= x + distance[1]:
                alive[j] = False
                j += 1
    count = 0
    for i in range(left):
        if alive[i]:
            rows[count], columns[count] = rows[i], columns[i]
            magnitudes[count] = magnitudes[i]
            count += 1
    return count


@_compiled
def _settle_by_sort(s, a, rows, columns, magnitudes, left, first, distance, alive):
    """Finish an adversarial map: greedily, in order of falling magnitude."""
    last_row = first.size - 2
    alive[:left] = True
    for i in np.argsort(-magnitudes[:left], kind="mergesort"):
        if not alive[i]:
            continue
        y, x = rows[i], columns[i]
        a[y, x] = s[y, x]
        for row in range(max(y - distance[0], 0), min(y + distance[0], last_row) + 1):
            j = _from_column(columns, first[row], first[row + 1], x - distance[1])
            while j < first[row + 1] and columns[j] <= x + distance[1]:
                alive[j] = False
                j += 1


@_compiled
def extrema_pool(maps, pool_size, alpha):
    """Keep the largest magnitude of each window of each map; a vector is a map of one row.

    `maps` has shape (M, H, W), `pool_size` (M, 2).
    """
    height, width = maps.shape[1:]
    for i in range(maps.shape[0]):
        s, a = maps[i], alpha[i]
        a[:] = 0
        for y in range(height):
            if _has_nan(s[y]):
                return False
        tall, wide = pool_size[i]
        for top in range(0, height - tall + 1, tall):
            for start in range(0, width - wide + 1, wide):
                largest = abs(s[top, start])
                row, column = top, start
                for y in range(top, top + tall):
                    for x in range(start, start + wide):
                        if abs(s[y, x]) > largest:
                            largest = abs(s[y, x])
                            row, column = y, x
                a[row, column] = s[row, column]
    return True


def top_k_absolutes(maps, k, alpha):
    """Keep the k largest magnitudes of each map (rows of `maps`, shape (M, L))."""
    integer = np.int32 if maps.dtype == np.float32 else np.int64
    return _top_k_absolutes(maps, maps.view(integer), integer(np.iinfo(integer).max), k, alpha)


@_compiled
def _top_k_absolutes(maps, bits, without_sign, k, alpha):
    """Without their sign, floats are ordered as the integers with the same bits are."""
    magnitudes = np.empty(maps.shape[1], bits.dtype)
    for i in range(maps.shape[0]):
        s, a = maps[i], alpha[i]
        if _has_nan(s):
            return False
        for t in range(s.size):
            magnitudes[t] = bits[i, t] & without_sign
        threshold, ties = _threshold(magnitudes, min(k[i], s.size))
        for t in range(s.size):
            a[t] = s[t] if magnitudes[t] > threshold else 0
        t = 0
        while ties > 0:
            if magnitudes[t] == threshold:
                a[t] = s[t]
                ties -= 1
            t += 1
    return True


@_compiled
def _threshold(magnitudes, k):
    """The k-th largest magnitude, or one just below it, and how many equal to it are among the k.

    Bisects the integers; count(>= low) >= k > count(> high) holds throughout.
    """
    low, high = magnitudes[0] * 0, magnitudes.max()
    while low < high:
        middle = high - (high - low) // 2
        count = _count_from(magnitudes, middle)
        if count == k:
            return middle - 1, 0
        if count > k:
            low = middle
        else:
            high = middle - 1
    return low, k - _count_from(magnitudes, low + 1)


@_compiled
def _count_from(magnitudes, threshold):
    count = np.int32(0)
    for t in range(magnitudes.size):
        count = np.int32(count + np.int32(magnitudes[t] >= threshold))
    return np.int64(count)
