"""Models that were damaged since they were stored do not load, and say what was; nothing else is refused.

Run as a script it flips bits in one model, as a pickle and as a joblib file, and prints how the cases ended.
"""

import collections
import copy
import io
import itertools
import pickle
import subprocess
import sys
import warnings
import zlib

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import stored_models
from sklearn.base import clone
from sklearn.linear_model import Ridge

from skmerge import GradientForestRegressor, MergedNetImputer, MergedNetRegressor, PlasticityPropagator
from skmerge._digest import checksums

NAMES = ("law", "committee", "forest", "imputer", "propagator")
FLIPS, MEMORY = 60, 6 * 2**30  # of each model and format; bytes of addresses
ARRAY = {"law": "A_", "committee": "blend_", "forest": "leaves_", "imputer": "variance_", "propagator": "table_"}


@pytest.fixture(scope="module")
def models():
    """Stored by 0.1.0, without a digest: what is dumped here has one."""
    return {name: joblib.load(stored_models.STORED / f"{name}.joblib") for name in NAMES}


def joblib_bytes(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    return file.getvalue()


FORMATS = {  # in the order of their names
    "joblib": (joblib_bytes, lambda data: joblib.load(io.BytesIO(data))),
    "pickle": (pickle.dumps, pickle.loads),
}


def flipped(data, bit):
    data = bytearray(data)
    data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


def same(found, expected):
    """Whether two states or predictions are the same; NumPy compares, not the checksums."""
    if isinstance(expected, np.ndarray):
        return isinstance(found, np.ndarray) and found.dtype == expected.dtype and bool(
            found.shape == expected.shape and np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")
        )  # fmt: skip
    return True


def ending(data, load, expected):
    """How a damaged file ends: it does not load, does not answer, answers right, or answers wrongly."""
    try:
        model = load(data)
    except Exception as error:  # anything but an answer
        return "found by the digest" if "is damaged" in str(error) else "does not load"
    try:
        with np.errstate(all="ignore"):
            found = stored_models.predicted(model)
    except Exception:
        return "raises when used"
    return "right" if same(found, expected) else "WRONG"


def flip(name, begin):
    """Print how each case ends, from a format and a number on."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    model = joblib.load(stored_models.STORED / f"{name}.joblib")
    expected = stored_models.predicted(model)
    for form, (dump, load) in FORMATS.items():
        data = dump(model)
        bits = np.random.default_rng(zlib.crc32(name.encode())).integers(8 * len(data), size=FLIPS)
        for i, bit in enumerate(bits):
            if (form, i) >= begin:
                print(form, i, flush=True)
                print(ending(flipped(data, int(bit)), load, expected), flush=True)


@pytest.mark.parametrize("name", NAMES)
def test_no_flipped_bit_makes_a_wrong_answer(name):
    pytest.importorskip("resource", reason="a damaged length may ask for any memory: only with a limit")
    counts, begin = {form: collections.Counter() for form in FORMATS}, ("", 0)
    while begin:
        done = subprocess.run([sys.executable, __file__, name, *map(str, begin)], capture_output=True, text=True)
        lines = done.stdout.splitlines()
        assert lines, done.stderr
        begin = None
        for case, end in itertools.zip_longest(lines[::2], lines[1::2]):
            form, i = case.split()
            if end is None:  # NumPy may crash of what a pickle gives for the state of a dtype, before we see it
                assert done.returncode < 0, done.stderr
                begin = form, int(i) + 1
            counts[form][end] += 1
    for form, ends in counts.items():
        assert sum(ends.values()) == FLIPS and ends["WRONG"] == 0, (form, ends)
        assert ends["found by the digest"] > FLIPS / 10 and ends[None] < FLIPS / 20, (form, ends)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_in_an_array_is_told_by_name(models, name, form):
    """Every bit of one number, where it stands in the file."""
    dump, load = FORMATS[form]
    model, attribute = copy.deepcopy(models[name]), ARRAY[name]
    array = getattr(model, attribute)
    array = array[0] if isinstance(array, list) else array
    array.flat[0] = 1.2345678901234567  # found in the file by its bytes
    data = dump(model)
    at = data.index(array.flat[:1].tobytes())
    assert load(data) is not None
    for bit in range(64):
        with pytest.raises(ValueError, match=rf"{type(model).__name__} is damaged: {attribute} not as stored\. Load"):
            load(flipped(data, 8 * at + bit))


@pytest.mark.parametrize("name", NAMES)
def test_a_lost_attribute_is_named(models, name):
    model, attribute = models[name], ARRAY[name]
    state = model.__getstate__()
    del state[attribute]
    with pytest.raises(ValueError, match=f"is damaged: {attribute} lost"):
        type(model)().__setstate__(state)
    without = copy.copy(model)
    delattr(without, attribute)
    with pytest.raises(AttributeError, match=f"no attribute '{attribute}'.*was lost since: fit the model again"):
        getattr(without, attribute)
    assert not hasattr(without, attribute) and hasattr(model, attribute)
    with pytest.raises(AttributeError, match=r"no attribute 'absent'$"):
        _ = model.absent
    with pytest.raises(AttributeError, match=r"no attribute 'absent_'$"):
        _ = clone(model).absent_


@pytest.mark.parametrize("name", NAMES)
def test_models_without_a_digest_load(models, name):
    state = models[name].__getstate__()
    del state["_digest"]
    model = type(models[name])()
    model.__setstate__(state)
    assert same(stored_models.predicted(model), stored_models.predicted(models[name]))


@pytest.mark.filterwarnings("ignore:1 of 5 grains left")
@pytest.mark.parametrize("name", NAMES)
def test_nothing_sound_is_refused(models, name, tmp_path):
    """Copies, changed models, memory maps, other orders of bytes and axes: stored and loaded, they answer the same."""
    model, expected = models[name], stored_models.predicted(models[name])
    changed = copy.deepcopy(model).set_params(verbose=1)
    changed.set_params(verbose=0, n_jobs=2)
    changed.note_ = {"made by": ("us", 1, None, {2.5}), "other": Ridge().fit([[0.0], [1.0]], [0.0, 1.0])}
    for array, value in vars(changed).items():
        if isinstance(value, np.ndarray) and value.ndim == 2:
            setattr(changed, array, np.asfortranarray(value))
    for one in (model, copy.copy(model), copy.deepcopy(model), changed):
        assert "_digest" not in vars(one)
        for dump, load in FORMATS.values():
            loaded = load(dump(load(dump(one))))
            assert "_digest" not in vars(loaded)
            assert same(stored_models.predicted(loaded), expected)
    skops.io.dump(model, tmp_path / "model.skops")
    trusted = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    assert same(stored_models.predicted(skops.io.load(tmp_path / "model.skops", trusted=trusted)), expected)
    joblib.dump(model, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    again = pickle.loads(pickle.dumps(copy.deepcopy(mapped)))
    assert same(stored_models.predicted(mapped), expected) and same(stored_models.predicted(again), expected)


def test_a_changed_model_is_stored_as_it_is():
    X = np.linspace(1, 2, 20)[:, None]
    model = GradientForestRegressor(5, order=1, warm_start=True, random_state=0).fit(X, X[:, 0])
    model = pickle.loads(pickle.dumps(model)).set_params(n_estimators=8).fit(X, X[:, 0])
    model.x_min_ = model.x_min_ - 1
    assert pickle.loads(pickle.dumps(model)).x_min_ == model.x_min_


def test_a_memory_map_is_not_read(models, tmp_path):
    """Its form is compared, its content is not: a map is opened without being read. Read whole, the file is refused."""
    file = tmp_path / "model.joblib"
    model = copy.deepcopy(models["propagator"])
    model.table_.flat[0] = 1.2345678901234567
    joblib.dump(model, file)
    data = file.read_bytes()
    file.write_bytes(flipped(data, 8 * data.index(model.table_.flat[:1].tobytes())))
    mapped = joblib.load(file, mmap_mode="r")
    assert isinstance(mapped.table_, np.memmap) and mapped.table_.flat[0] != model.table_.flat[0]
    with pytest.raises(ValueError, match="table_ not as stored"):
        joblib.load(file)


def test_regressors_within_are_read():
    """Another package's regressor as far as it is arrays; one of ours by its own digest."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    for inner, attribute in ((Ridge(), "coef_"), (MergedNetRegressor(n_nodes=1, blend=1.0, random_state=0), "A_")):
        model = PlasticityPropagator(inner).fit(X, X[:, 0])
        array = getattr(model.estimator_, attribute)
        data = pickle.dumps(model)
        at = data.index(array.tobytes())
        with pytest.raises(ValueError, match=r"estimator_ not as stored|MergedNetRegressor is damaged: A_"):
            pickle.loads(flipped(data, 8 * at + 3))


def test_names_words_and_rows_are_part_of_the_digest():
    a = np.linspace(1, 9, 24)
    frame = pd.DataFrame({"a": a, "route": ["cast", "rolled"] * 12, "b": 3 * a}, index=[f"row {i}" for i in range(24)])
    frame.loc["row 4", "b"] = np.nan
    model = MergedNetImputer(["b"], n_estimators=0, random_state=0).fit(frame)
    loaded = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(loaded.transform(frame), model.transform(frame))
    data = pickle.dumps(model)
    for text, attribute in ((b"row 7", "index_"), (b"rolled", "words_")):
        with pytest.raises(ValueError, match=f"{attribute} not as stored"):
            pickle.loads(data.replace(text, text[:-1] + b"~"))


def test_checksums_do_not_depend_on_how_arrays_lie():
    array = np.random.default_rng(0).normal(size=(5, 6))
    for other in (np.asfortranarray(array), array[::-1][::-1], array.astype(">f8")):
        assert checksums(other) == checksums(array)
    for other in (array.T, array.astype(np.float32), array.reshape(6, 5), array[:, ::-1], array.view(np.int64)):
        assert checksums(other) != checksums(array)
    assert checksums([1, (2, "3")]) != checksums([1, [2, "3"]]) != checksums([1, [2, 3]]) != checksums([True, [2, 3]])


if __name__ == "__main__":
    flip(sys.argv[1], (sys.argv[2], int(sys.argv[3])))


def test_a_lost_parameter_is_told_at_loading():
    """A file holds each name once: changed in the state it is changed in the digest."""
    X = np.random.default_rng(0).uniform(1, 2, (60, 2))
    stored = pickle.dumps(MergedNetRegressor(n_nodes=1).fit(X, X[:, 0] * X[:, 1]))
    for name in (b"n_jobs", b"offset", b"_n_outputs", b"A_"):
        damaged = stored.replace(bytes([len(name)]) + name, bytes([len(name)]) + name[:-1] + b"#")
        assert damaged != stored
        with pytest.raises(ValueError, match="names of its attributes not as stored"):
            pickle.loads(damaged)
