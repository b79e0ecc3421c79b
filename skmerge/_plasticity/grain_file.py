"""The law of slip as a file that C programs load; skmerge/_ext/grain_model.h says what stands where in it."""

import os
import struct
import zlib

import numpy as np

MAGIC, VERSION = b"SKMGRAIN", 1
NEWTON_TOL = 1e-2


def bytes_of(schmid, spin, stiffness, exponent, slip_rate, table, trained, tol):
    """The content of a file: stiffness is C11 - C12, 2 C44, bulk modulus in MPa; the others as GrainLaw has them."""
    n_systems, n_nodes = schmid.shape[1], (len(table) - 2) // 4
    head = [exponent, slip_rate, *stiffness, tol, NEWTON_TOL, *table[:2], *trained, 0.0]
    numbers = np.concatenate([head, schmid.ravel(), spin.ravel(), table[2:]]).astype("<f8").tobytes()
    rest = struct.pack("<QII", 32 + len(numbers), n_systems, n_nodes) + numbers
    return MAGIC + struct.pack("<II", VERSION, zlib.crc32(rest)) + rest


def write(path, content):
    """Write a whole file or none: a program that reads it meanwhile sees the old one."""
    temporary = f"{os.fspath(path)}.{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise
