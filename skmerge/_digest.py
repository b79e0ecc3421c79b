"""A digest that travels with a stored model and is checked where it is loaded."""

import inspect
import zlib

import numpy as np
from sklearn.base import BaseEstimator

NAME = "_digest"  # in the stored state; a model in memory has none
ALL_NAMES = ""  # key of the checksum of all names in the digest
PLAIN = (type(None), bool, int, float, complex, str, bytes)


def checksums(value, read_maps=True):
    """CRC-32 in hexadecimal: of everything but arrays, then of each array in turn.

    It detects every flipped bit, and takes .5 ms a megabyte (SHA-1 .9, BLAKE2 1.1). It does not cover functions, random
    states and the compiled parts of other packages; an estimator of this package inside another has its own digest.
    Without ``read_maps``, "-" stands for the content of a memory map.
    """
    rest, arrays = [], []

    def walk(value):
        if isinstance(value, (np.ndarray, np.generic)):
            if value.dtype.hasobject or value.dtype.kind == "T":
                rest.append(f"objects {value.shape}")
                walk(value.tolist())
                return
            little = value.dtype.newbyteorder("<")  # machines of both byte orders read the file
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
        elif isinstance(value, BaseEstimator) and _stores_all_attributes(type(value)):
            rest.append(type(value).__name__)
            walk(vars(value))

    walk(value)
    return " ".join([_crc("\n".join(rest).encode(errors="surrogatepass")), *arrays])


def _crc(data):
    return f"{zlib.crc32(data):08x}"


def _stores_all_attributes(kind):
    return kind.__getstate__ is BaseEstimator.__getstate__ and kind.__setstate__ is BaseEstimator.__setstate__


class Digested:
    """Mixin that stores a model with checksums of its attributes; a damaged file does not load.

    Pickle, joblib or skops make the digest when they get the state, so that it covers what a user changed before. It is
    checked once, when that state is set, without reading memory maps, whose purpose is to be opened unread. Files
    without a digest, as version 0.1.0 wrote them, load unchecked.
    """

    def __getstate__(self):
        state = dict(super().__getstate__())
        state[NAME] = {name: checksums(value) for name, value in state.items()} | {ALL_NAMES: _names(state)}
        return state

    def __setstate__(self, state):
        state = dict(state)
        digest = state.pop(NAME, None)
        if digest is not None:
            self._compare(digest, state)
        # Parameters that came after the release that stored it.
        later = inspect.signature(type(self).__init__).parameters.values()
        defaults = {p.name: p.default for p in later if p.default is not p.empty}
        super().__setstate__(defaults | state)

    def __copy__(self):
        # Without the state and its digest: fits and predictions make copies and store nothing.
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __getattr__(self, name):
        # Python calls this only for attributes that it does not find.
        try:
            return super().__getattribute__(name)
        except AttributeError as error:
            if not _is_of_a_fit(name) or not any(map(_is_of_a_fit, vars(self))):
                raise
            text = f"{error}. If fit sets it, it was lost since: fit the model again, or load another copy of it."
            raise AttributeError(text, name=name, obj=self) from None

    def _compare(self, digest, state):
        """Raise if attributes differ from the stored ones, with their names."""
        lost, changed = [], ["the digest itself"]
        if isinstance(digest, dict) and ALL_NAMES in digest:
            lost = [name for name in digest if name not in state and name != ALL_NAMES]
            # The file contains each name once: a changed name changes the digest with the attribute.
            changed = ["the names of its attributes"] if digest[ALL_NAMES] != _names(state) else []
            changed += [name for name in state if not _agree(digest.get(name), checksums(state[name], read_maps=False))]
        faults = {"lost": lost, "not as stored": changed}
        text = "; ".join(f"{', '.join(map(str, names))} {fault}" for fault, names in faults.items() if names)
        if text:
            raise ValueError(
                f"the file of this {type(self).__name__} is damaged: {text}. Load another copy, or fit the model again."
            )


def _names(state):
    return _crc("\n".join(sorted(state)).encode(errors="surrogatepass"))


def _is_of_a_fit(name):
    return name.endswith("_") and not name.startswith("_")


def _agree(stored, found):
    """Whether checksums are equal, apart from memory maps that were not read."""
    if not isinstance(stored, str):
        return False
    stored, found = stored.split(), found.split()
    return len(stored) == len(found) and all(b in (a, "-") for a, b in zip(stored, found, strict=True))
