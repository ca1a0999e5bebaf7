"""Chance that is the same on every machine and in every version: a mixing function of a number.

A library's generator may give other numbers after an upgrade; this one never does, and any row's
chance is known without the rows before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S27, S30, S31, S11 = (np.uint64(bits) for bits in (27, 30, 31, 11))
UNIT = 2.0**-53


def mixed(word: Array) -> Array:
    """SplitMix64's finaliser: one to one, and every bit depends on all others."""
    word = (word ^ (word >> S30)) * FIRST
    word = (word ^ (word >> S27)) * SECOND
    last: Array = word ^ (word >> S31)
    return last


# The same for one word, inside compiled code.
mix_one: Callable[[Any], Any] = njit(cache=True, nogil=True)(mixed)


@njit(cache=True, nogil=True)
def set_dice(dice: Array, number: int, of: int) -> None:
    """Begin a row of throws that belongs to this number of those."""
    dice[0] = np.uint64(number) * GOLDEN ^ mix_one(np.uint64(of))
    dice[0] = mix_one(dice[0])


@njit(cache=True, nogil=True)
def roll(dice: Array) -> float:
    """From 0 to 1, without 1; `dice` is one word and is turned on."""
    dice[0] = dice[0] + GOLDEN
    return float(mix_one(dice[0]) >> S11) * UNIT


@njit(cache=True, nogil=True)
def throw(dice: Array, count: int) -> int:
    """A whole number from 0, under `count`."""
    return int(roll(dice) * count)


def shuffled(numbers: Array, what: str) -> Array:
    """A word for each number; what it is for makes it another one."""
    salt = int.from_bytes(hashlib.blake2b(what.encode(), digest_size=8).digest(), "big")
    return mixed(mixed(numbers.astype(np.uint64) * GOLDEN + GOLDEN) ^ np.uint64(salt))


def shares(numbers: Array, what: str) -> Array:
    """From 0 to 1, without 1, for each number."""
    return (shuffled(numbers, what) >> S11).astype(np.float64) * UNIT


def below(numbers: Array, what: str, count: int) -> Array:
    """A whole number from 0, under `count`, for each number."""
    found: Array = (shares(numbers, what) * count).astype(np.int64)
    return found
