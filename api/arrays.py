"""Postgres's binary values as numpy arrays: one large value instead of thousands of small ones."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from shared.rolling import Floats, Integers

Instants: TypeAlias = npt.NDArray[np.datetime64]

# What `array_send` makes: the wire format of a one-dimensional array without nulls: dimensions, a null flag,
# the element type, the length and the lower bound, 4 bytes each; then each element behind its own length. Big-endian.
_HEADER_BYTES = 20
_ELEMENT_OF_8 = np.dtype([("length", ">i4"), ("value", ">i8")])
# Postgres counts microseconds from 2000.
_POSTGRES_EPOCH = np.datetime64("2000-01-01", "us").astype(np.int64)


def read_integers(sent: bytes) -> Integers:
    """Read a `bigint[]`."""
    return np.frombuffer(sent, _ELEMENT_OF_8, offset=_HEADER_BYTES)["value"].astype(np.int64)


def read_instants(sent: bytes) -> Instants:
    """Read a `timestamptz[]` as `datetime64[us]`, UTC."""
    return (read_integers(sent) + _POSTGRES_EPOCH).view("datetime64[us]")


def read_packed_floats(packed: bytes) -> Floats:
    """Read big-endian floats of 8 bytes, one behind the other."""
    return np.frombuffer(packed, ">f8").astype(np.float64)
