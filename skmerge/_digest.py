"""A digest that travels with a stored model and is checked where it is loaded."""

import zlib

import numpy as np
from sklearn.base import BaseEstimator

NAME = "_digest"  # in the state that is stored; a model in memory has none
NAMES = ""  # in the digest: the checksum of all names
PLAIN = (type(None), bool, int, float, complex, str, bytes)


def checksums(value, read_maps=True):
    """CRC-32 in hexadecimal: of everything but arrays, then of each array in turn.

    It tells every flipped bit, and takes .5 ms a megabyte (SHA-1 .9, BLAKE2 1.1). Of
    functions, random states and the compiled parts of other packages nothing is told; an estimator of this package that
    is part of another has a digest of its own.

    Parameters
    ----------
    read_maps : bool
        Whether memory maps are read; "-" stands for the content of those that are not.
    """
    rest, arrays = [], []

    def walk(value):
        if isinstance(value, (np.ndarray, np.generic)):
            if value.dtype.hasobject or value.dtype.kind == "T":
                rest.append(f"objects {value.shape}")
                walk(value.tolist())
                return
            little = value.dtype.newbyteorder("<")  # a file is read on machines of either order
            rest.append(f"array {little.descr} {value.shape}")
            if isinstance(value, np.memmap) and not read_maps:
                arrays.append("-")
            else:
                arrays.append(_crc(np.ascontiguousarray(value, little).reshape(-1).view(np.uint8)))
        elif isinstance(value, dict):
            rest.append(f"dict {len(value)}")
            for key, one in value.items():
                walk(key)
                walk(one)
        elif isinstance(value, (list, tuple)):
            rest.append(f"{'list' if isinstance(value, list) else 'tuple'} {len(value)}")
            for one in value:
                walk(one)
        elif type(value) in PLAIN:
            rest.append(f"{type(value).__name__} {value!r}")
        elif isinstance(value, BaseEstimator) and _is_stored_as_it_is(type(value)):
            rest.append(type(value).__name__)
            walk(vars(value))

    walk(value)
    return " ".join([_crc("\n".join(rest).encode(errors="surrogatepass")), *arrays])


def _crc(data):
    return f"{zlib.crc32(data):08x}"


def _is_stored_as_it_is(kind):
    """Whether what is stored of an estimator are its attributes, none left out."""
    return kind.__getstate__ is BaseEstimator.__getstate__ and kind.__setstate__ is BaseEstimator.__setstate__


class Digested:
    """Mixin: a model is stored with checksums of its attributes; one that was damaged since does not load.

    The digest is made when the state is asked for, by pickle, joblib or skops, so that what a user changed before is
    part of it. It is checked once, when that state is set. A memory map is not read for that: it is there to be opened
    without being read. Files without a digest, as version 0.1.0 wrote them, load unchecked.
    """

    def __getstate__(self):
        state = dict(super().__getstate__())
        state[NAME] = {name: checksums(value) for name, value in state.items()} | {NAMES: _names(state)}
        return state

    def __setstate__(self, state):
        state = dict(state)
        digest = state.pop(NAME, None)
        if digest is not None:
            self._compare(digest, state)
        super().__setstate__(state)

    def __copy__(self):
        # Not by way of the state: copies are made in fits and predictions, and nothing is stored.
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __getattr__(self, name):
        # Comes here only for what is not there.
        try:
            return super().__getattribute__(name)
        except AttributeError as error:
            if not _is_of_a_fit(name) or not any(map(_is_of_a_fit, vars(self))):
                raise
            told = f"{error}. If a fit leaves one, it was lost since: fit the model again, or load another copy of it."
            raise AttributeError(told, name=name, obj=self) from None

    def _compare(self, digest, state):
        """Raise for what is not as it was stored, by name."""
        known = isinstance(digest, dict) and NAMES in digest
        names, digest = (digest[NAMES], {k: v for k, v in digest.items() if k != NAMES}) if known else (None, digest)
        lost = [name for name in digest if name not in state] if known else []
        changed = [] if known else ["the digest itself"]
        # An attribute of another name is one in the digest, too: the file holds each name once.
        if known and names != _names(state):
            changed.append("the names of its attributes")
        for name in state if known else ():
            stored, found = digest.get(name), checksums(state[name], read_maps=False)
            if stored != found and not _agree(stored, found):
                changed.append(name)
        what = [f"{', '.join(map(str, names))} {verb}" for names, verb in
                ((lost, "lost"), (changed, "not as stored")) if names]  # fmt: skip
        if what:
            raise ValueError(
                f"the file of this {type(self).__name__} is damaged: {'; '.join(what)}. Load another copy, or fit the "
                "model again."
            )


def _names(state):
    return _crc("\n".join(sorted(state)).encode(errors="surrogatepass"))


def _is_of_a_fit(name):
    return name.endswith("_") and not name.startswith("_")


def _agree(stored, found):
    """Whether checksums are the same but for those of maps that were not read."""
    if not isinstance(stored, str):
        return False
    stored, found = stored.split(), found.split()
    return len(stored) == len(found) and all(b in (a, "-") for a, b in zip(stored, found, strict=True))
