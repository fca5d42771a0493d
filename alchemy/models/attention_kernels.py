"""Loops compiled by Numba: causal attention, with WIDE rows in the innermost dimension, and renaming of symbols.

Shapes: `mixed` (B, T, 3, H, E) holds queries, keys and values, and `read` (B, T, H, E) is the result of attention.
`weights` (tiles, H, T (T + 1) / 2, WIDE) holds the attention weights of each token over itself and those before it, a
triangle, for the backward pass. Source: attention is arXiv:1706.03762, 3.2.1; the gradient of softmax y is y (g - sum(y
g)).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from alchemy.models.compiled import keep_checked

WIDE = 64  # rows in a tile: long enough loops to be unrolled, and a tile fits the cache
Array = NDArray[np.float32]
ONE, LOG2_E, LN_2, LEAST = (
    np.float32(1),
    np.float32(1.4426950408889634),
    np.float32(0.6931471805599453),
    np.float32(-87),
)
TERMS = tuple(np.float32(term) for term in (1 / 120, 1 / 24, 1 / 6, 0.5, 1, 1))  # of e^x, after 1/720
BIAS, MANTISSA = np.float32(127), np.float32(1 << 23)  # of 32-bit floats: bias of the exponent, size of the mantissa


# Sums in any order, numbers finite; but divisions exact: some processors' quick reciprocal is off by the last bit.
EXACT_DIVISION = {"nnan", "ninf", "nsz", "contract", "reassoc"}


def compiled(function: Callable[..., None]) -> Any:
    """The function as compiled by Numba at its first call. The result is cached on disk, if a folder can be written."""
    made = njit(fastmath=EXACT_DIVISION, error_model="numpy")(function)
    try:
        made.enable_caching()
    except RuntimeError:  # no folder for the cache can be written
        return made
    keep_checked(made)
    return made


@compiled
def exponential(x: Array, power: Array, bits: NDArray[np.int32]) -> None:
    """Replaces x, which is at most 0, by e to the x, to about 1e-5; values below LEAST count as LEAST. `power` is a
    buffer of the same size, and `bits` is the memory of `power` as integers.
    """
    for w in range(x.size):
        t = max(x[w], LEAST) * LOG2_E
        whole = np.trunc(t - np.float32(0.5))
        rest = (t - whole) * LN_2
        y = np.float32(1 / 720)
        for term in TERMS:
            y = y * rest + term
        x[w] = y
        power[w] = whole
    for w in range(x.size):
        bits[w] = np.int32((power[w] + BIAS) * MANTISSA)  # 2 to the whole
    for w in range(x.size):
        x[w] *= power[w]


@compiled
def turn(rows: Array, first: int, part: int, head: int, scale: np.float32, turned: Array) -> None:
    """Writes into `turned` (T, E, WIDE) one part (0 queries, 1 keys, 2 values) of one head of the rows from number
    `first` on, times `scale`, with rows innermost.
    """
    B, T, _, _, E = rows.shape
    for i in range(T):
        for w in range(min(WIDE, B - first)):
            for e in range(E):
                turned[i, e, w] = rows[first + w, i, part, head, e] * scale


@compiled
def turn_back(turned: Array, first: int, part: int, head: int, rows: Array) -> None:
    """Writes `turned` (T, E, WIDE) into one part of one head of the rows from number `first` on."""
    B, T, _, _, E = rows.shape
    for i in range(T):
        for w in range(min(WIDE, B - first)):
            for e in range(E):
                rows[first + w, i, part, head, e] = turned[i, e, w]


@compiled
def dots(one: Array, others: Array, found: Array) -> None:
    """Writes into `found` (n, WIDE) the products of a vector (E, WIDE) with the first n of `others` (T, E, WIDE), four
    terms at a time.
    """
    E = one.shape[0]
    for j in range(found.shape[0]):
        for w in range(WIDE):
            found[j, w] = 0
        for e in range(0, E, 4):
            for w in range(WIDE):
                found[j, w] += (
                    one[e, w] * others[j, e, w]
                    + one[e + 1, w] * others[j, e + 1, w]
                    + one[e + 2, w] * others[j, e + 2, w]
                    + one[e + 3, w] * others[j, e + 3, w]
                )


@compiled
def normalise(scores: Array, power: Array, bits: NDArray[np.int32], largest: Array, total: Array) -> None:
    """Replaces `scores` (n, WIDE) by their softmax over the first dimension. The other arguments are buffers."""
    n = scores.shape[0]
    for w in range(WIDE):
        largest[w] = scores[0, w]
        total[w] = 0
    for j in range(1, n):
        for w in range(WIDE):
            largest[w] = max(largest[w], scores[j, w])
    for j in range(n):
        for w in range(WIDE):
            scores[j, w] -= largest[w]
    exponential(scores.reshape(-1), power, bits)
    for j in range(n):
        for w in range(WIDE):
            total[w] += scores[j, w]
    for w in range(WIDE):
        total[w] = ONE / total[w]
    for j in range(n):
        for w in range(WIDE):
            scores[j, w] *= total[w]


@compiled
def forward(mixed: Array, read: Array, weights: Array) -> None:
    """Writes the result of causal attention into `read`, and the attention weights into `weights`."""
    B, T, _, H, E = mixed.shape
    scale = np.float32(1 / np.sqrt(E))
    room = np.zeros((4, T, E, WIDE), np.float32)
    queries, keys, values, out = room[0], room[1], room[2], room[3]
    power, largest, total = np.zeros(T * WIDE, np.float32), np.zeros(WIDE, np.float32), np.zeros(WIDE, np.float32)
    bits = power.view(np.int32)
    rows = read.reshape(B, T, 1, H, E)
    for tile in range(weights.shape[0]):
        first = tile * WIDE
        for h in range(H):
            turn(mixed, first, 0, h, scale, queries)
            turn(mixed, first, 1, h, ONE, keys)
            turn(mixed, first, 2, h, ONE, values)
            for i in range(T):
                mine = weights[tile, h, i * (i + 1) // 2 : (i + 1) * (i + 2) // 2]
                dots(queries[i], keys, mine)
                normalise(mine, power, bits, largest, total)
                for e in range(E):
                    for w in range(WIDE):
                        out[i, e, w] = mine[0, w] * values[0, e, w]
                    for j in range(1, i, 2):
                        for w in range(WIDE):
                            out[i, e, w] += mine[j, w] * values[j, e, w] + mine[j + 1, w] * values[j + 1, e, w]
                    if i % 2:
                        for w in range(WIDE):
                            out[i, e, w] += mine[i, w] * values[i, e, w]
            turn_back(out, first, 0, h, rows)


@compiled
def backward(mixed: Array, weights: Array, gradient: Array, found: Array) -> None:
    """Writes into `found` (B, T, 3, H, E) the gradient by `mixed`, from the gradient by the result of attention."""
    B, T, _, H, E = mixed.shape
    scale = np.float32(1 / np.sqrt(E))
    room = np.zeros((7, T, E, WIDE), np.float32)
    queries, keys, values, given = room[0], room[1], room[2], room[3]
    to_queries, to_keys, to_values = room[4], room[5], room[6]
    slopes, total = np.zeros((T, WIDE), np.float32), np.zeros(WIDE, np.float32)
    rows = gradient.reshape(B, T, 1, H, E)
    for tile in range(weights.shape[0]):
        first = tile * WIDE
        for h in range(H):
            turn(mixed, first, 0, h, scale, queries)
            turn(mixed, first, 1, h, scale, keys)
            turn(mixed, first, 2, h, ONE, values)
            turn(rows, first, 0, h, ONE, given)
            to_queries[:] = 0
            to_keys[:] = 0
            to_values[:] = 0
            for i in range(T):
                mine = weights[tile, h, i * (i + 1) // 2 : (i + 1) * (i + 2) // 2]
                dots(given[i], values, slopes[: i + 1])
                for w in range(WIDE):
                    total[w] = 0
                for j in range(i + 1):
                    for w in range(WIDE):
                        total[w] += slopes[j, w] * mine[j, w]
                for j in range(i + 1):
                    for w in range(WIDE):
                        slopes[j, w] = mine[j, w] * (slopes[j, w] - total[w])
                    for e in range(E):
                        for w in range(WIDE):
                            to_values[j, e, w] += mine[j, w] * given[i, e, w]
                            to_keys[j, e, w] += slopes[j, w] * queries[i, e, w]
                            to_queries[i, e, w] += slopes[j, w] * keys[j, e, w]
            turn_back(to_queries, first, 0, h, found)
            turn_back(to_keys, first, 1, h, found)
            turn_back(to_values, first, 2, h, found)


@compiled
def rename(rows: NDArray[np.int16], targets: NDArray[np.int16], renamed: NDArray[np.int16]) -> None:
    """Writes into `renamed` the rows (B, C) with those symbols renamed that are among `targets` (N,): in each row the
    first of them to appear becomes targets[0], the second targets[1], and so on. Symbols are numbers from 0 on.
    """
    symbols = rows.max() + 1 if rows.size else 0
    free = np.zeros(max(symbols, targets.max() + 1), dtype=np.bool_)
    free[targets] = True
    names = np.empty(len(free), dtype=np.int16)
    for b in range(rows.shape[0]):
        names[:] = -1
        taken = 0
        for c in range(rows.shape[1]):
            symbol = rows[b, c]
            if free[symbol]:
                if names[symbol] < 0:
                    names[symbol] = targets[taken]
                    taken += 1
                renamed[b, c] = names[symbol]
            else:
                renamed[b, c] = symbol
