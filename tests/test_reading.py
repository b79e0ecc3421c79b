"""read_table: numbers as people write them, in files as they keep them; every change is told."""

import gzip
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmerge import read_table
from skmerge._reading.cells import read, value_of
from skmerge._reading.columns import unit_in

FILE = """# measured by J., 2023
alloy;date;Rm;A (%);T;ok;c
;;MPa;;°C;;
X1;03.01.2023;1.023,5;12 %;550 °C;yes;<0,1
X2;04.01.2023;980,0 ± 15;n/a;560;no;0,35
;;;;;;
X3;05.01.2023;-;11,5;833 K;yes;0,4
X4;nd;1.100,25;10;abc;no;>2
"""


def table(tmp_path, text, name="raw.csv", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, **options)


def column(*texts, **options):
    """What a column of these cells, beside one of numbers, is read as."""
    frame = pd.DataFrame({"v": list(texts), "x": np.arange(len(texts), dtype=float)})
    return read_table(frame, **options)


def told(reading, *parts):
    return any(all(part in str(note) for part in parts) for note in reading.report)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,023", 1023), ("1 023", 1023), ("1\u202f023.5", 1023.5), ("1'000", 1000), ("1,234,567.8", 1234567.8),
        ("-4.5", -4.5), ("−4.5", -4.5), ("+3", 3), (".5", 0.5), ("1.5e-3", 0.0015),
        ("1.5 x 10^-3", 0.0015),
        ("2·10^6", 2e6), ("~5", 5), ("12 %", 12), ("1.2 GPa", 1.2), ("3 mol/L", 3), ("10 m/s", 10), ("550 °C", 550),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(text, value):
    cell = read(text)
    assert cell.kind == "number"
    assert_allclose(cell.sign * value_of(cell.digits, ".", cell.exponent), value, rtol=1e-15)


@pytest.mark.parametrize("text", ["1-2", "Ti-6Al-4V", "1e400", "+/-3", "a1", "§", "12:30", "1..2 x", "()", "^", "--1"])
def test_what_is_no_number(text):
    assert read(text).kind in ("word", "missing")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_read(text):
    cell = read(text)
    assert cell.kind in ("number", "missing", "date", "truth", "word")
    if cell.kind == "number":
        for decimal in ".,":
            assert not np.isinf(value_of(cell.digits, decimal, cell.exponent))


@settings(max_examples=100, deadline=None)
@given(
    st.floats(1e-3, 1e9).map(lambda v: round(v, 4)),
    st.sampled_from([("{:,.4f}", "."), ("{:.4f}", "."), ("{:.6e}", ".")]),
    st.booleans(),
)
def test_what_is_written_comes_back(value, form, comma):
    text = form[0].format(value)
    decimal = "." if not comma else ","
    if comma:
        text = text.translate(str.maketrans(".,", ",."))
    cell = read(text)
    assert_allclose(
        value_of(cell.digits, decimal, cell.exponent), float(form[0].format(value).replace(",", "")), rtol=1e-12
    )


def test_a_whole_file(tmp_path):
    pytest.importorskip("pint")
    reading = table(tmp_path, FILE)
    frame = reading.frame
    assert list(frame.columns) == ["alloy", "date", "Rm", "A (%)", "T", "ok", "c"]
    assert frame["alloy"].tolist() == ["X1", "X2", "X3", "X4"]
    assert_array_equal(frame["date"], [0, 1, 2, np.nan])
    assert_array_equal(frame["Rm"], [1023.5, 980, np.nan, 1100.25])
    assert_array_equal(frame["A (%)"], [12, np.nan, 11.5, 10])
    assert_allclose(frame["T"], [550, 560, 559.85, np.nan])
    assert_array_equal(frame["ok"], [1, 0, 1, 0])
    assert_array_equal(frame["c"], [0.1, 0.35, 0.4, 2])
    assert_array_equal(reading.censored["c"], [-1, 0, 0, 1])
    assert reading.errors["Rm"].tolist()[1] == 15 and reading.errors.notna().sum().sum() == 1
    assert reading.units == {"Rm": "MPa", "T": "°C", "A (%)": "%", "date": "d"}
    for parts in (
        ("1 lines above the names",), ("blank rows left out",), ("first row holds units", "Rm in MPa"),
        ("Rm", "decimal commas"), ("T", "converted from K to °C"), ("T", "'abc' not read"),
        ("ok", "yes and no are 1 and 0"),
        ("date", "days since 2023-01-03"), ("c", "a limit"), ("date", "'nd' read as not measured"),
    ):  # fmt: skip
        assert told(reading, *parts), parts
    assert {note.column for note in reading.problems} == {"T"}
    text = str(reading)
    assert text.startswith("4 rows, 7 columns (6 of numbers, 1 of words), 4 cells blank") and "Check:" in text


def test_thousands_and_decimals_are_decided_by_the_column():
    doubted = column("1,023", "2,500", "900")
    assert_array_equal(doubted.frame["v"], [1023, 2500, 900])
    assert "give decimal=','" in doubted.problems[0].remedy
    assert_allclose(column("1,023", "2,500", "900", decimal=",").frame["v"], [1.023, 2.5, 900])
    clear = column("1,023", "2,50", "9,0")
    assert_allclose(clear.frame["v"], [1.023, 2.5, 9])
    assert not clear.problems
    mixed = column("1.234", "1.234,5", "2,5")  # 1.234 is a number to Python
    assert_allclose(mixed.frame["v"], [1234, 1234.5, 2.5])
    assert told(mixed, "a point parts thousands: '1.234' is 1234")
    assert_allclose(column("1e3", "2,5", "3,25", "4,125").frame["v"], [1000, 2.5, 3.25, 4.125])
    negative = column("-1.234", "-0,5", "1,25")
    assert_allclose(negative.frame["v"], [-1234, -0.5, 1.25])
    assert not column("1,234,567", "2,000").problems


def test_units_of_one_kind_are_converted_and_others_are_not_read():
    pytest.importorskip("pint")
    reading = column("1.2 GPa", "900 MPa ± 20", "1100 MPa", "2 kg", "800")
    assert_allclose(reading.frame["v"], [1200, 900, 1100, np.nan, 800])
    assert reading.units == {"v": "MPa"}
    assert told(reading, "converted from GPa to MPa") and told(reading, "'2 kg' not read")
    assert told(reading, "no unit, taken as MPa")
    named = read_table(pd.DataFrame({"E [GPa]": ["200", "210000 MPa", "190"]}))
    assert_allclose(named.frame["E [GPa]"], [200, 210, 190])
    assert named.units == {"E [GPa]": "GPa"}


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("strength (MPa)", "MPa"), ("E [GPa]", "GPa"), ("v, m/s", "m/s"), ("rho in kg/m3", "kg/m3"), ("A (%)", "%"),
        ("T (°C)", "°C"), ("c (mg L-1)", "mg L-1"), ("yield (total)", None), ("name (old)", None),
        ("x", None), ("a, b", None),
        ("k (1/s)", "1/s"), ("D (cm² s⁻¹)", "cm² s⁻¹"), ("time in days", "days"), ("living in", None),
    ],
)  # fmt: skip
def test_units_in_names(name, unit):
    assert unit_in(name) == unit


def test_errors_and_limits():
    reading = column("3.2 ± 0.1", "3.21(5)", "4 +/- 0.2", "<0.1", ">= 10", "less than 3", "1.0e3 ± 2")
    assert_allclose(reading.frame["v"], [3.2, 3.21, 4, 0.1, 10, 3, 1000])
    assert_allclose(reading.errors["v"], [0.1, 0.05, 0.2, np.nan, np.nan, np.nan, 2])
    assert_array_equal(reading.censored["v"], [0, 0, 0, -1, 1, -1, 0])
    assert reading.frame.shape == reading.errors.shape == reading.censored.shape
    assert not reading.censored["x"].any() and reading.errors["x"].isna().all()


def test_codes_keep_their_zeros(tmp_path):
    reading = table(tmp_path, "id,v\n007,1.5\n012,2.5\n100,0.5\n")
    assert reading.frame["id"].tolist() == ["007", "012", "100"]
    assert told(reading, "id", "codes with leading zeros such as '007' are words")
    assert_array_equal(reading.frame["v"], [1.5, 2.5, 0.5])
    assert column("0.5", "0", "00", "1").frame["v"].tolist() == ["0.5", "0", "00", "1"]


def test_a_unit_that_is_none_is_not_converted():
    pytest.importorskip("pint")
    reading = column("1 MPa", "2 MPa", "3 GPa", "4 x y(", "5 qqq", "6 m/", "7 GPa**")
    assert_allclose(reading.frame["v"][:3], [1, 2, 3000])
    assert reading.frame["v"][3:].isna().all()


def test_words_dates_and_truths():
    words = column("cast", "forged", "n/a", "cast", "12")
    assert words.frame["v"].tolist() == ["cast", "forged", None, "cast", "12"]
    assert told(words, "a column of words, of which 25% are numbers")
    american = column("12/31/2023", "01/02/2024", "01/03/2024")
    assert_array_equal(american.frame["v"], [0, 2, 3])
    doubted = column("01/02/2024", "01/03/2024")
    assert told(doubted, "month/day/year") and doubted.problems
    assert_array_equal(column("31/12/2023", "01/01/2024").frame["v"], [0, 1])
    assert told(column("2024-02-30", "2024-02-28", "2024-03-01"), "no date, taken as not measured")
    assert_array_equal(column("yes", "no", "N/A", "Yes").frame["v"], [1, 0, np.nan, 1])
    times = read_table(
        pd.DataFrame({"t": pd.to_datetime(["2024-01-01 00:00", None, "2024-01-02 12:00"]), "b": [True, False, True]})
    )
    assert_array_equal(times.frame["t"], [0, np.nan, 1.5])
    assert_array_equal(times.frame["b"], [1, 0, 1])


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_files_of_any_separator_and_encoding(tmp_path, separator):
    lines = ["name", "Größe", "b"], ["x", "1.5", "2"], ["y", "2.5", "3"]
    text = "\n".join(separator.join(line) for line in lines)
    for encoded in (
        text.encode(),
        b"\xef\xbb\xbf" + text.encode(),
        text.encode("utf-16"),
        text.replace("\n", "\r\n").encode(),
    ):
        reading = table(tmp_path, encoded)
        assert list(reading.frame.columns) == ["name", "Größe", "b"] and not reading.problems
        assert_array_equal(reading.frame["Größe"], [1.5, 2.5])
    packed = table(tmp_path, gzip.compress(text.encode()), "raw.csv.gz")
    assert_array_equal(packed.frame["Größe"], [1.5, 2.5])
    old = table(tmp_path, text.encode("cp1252"))
    assert list(old.frame.columns) == ["name", "Größe", "b"] and told(old, "Windows-1252")
    assert table(tmp_path, f"sep={separator}\n{text}").frame.shape == (2, 3)
    assert read_table(io.StringIO(text)).frame.equals(read_table(io.BytesIO(text.encode())).frame)


def test_names_rows_and_columns_that_are_odd(tmp_path):
    reading = table(tmp_path, "a,a,,d,e\n1,2,3,,5\n1,2,3,,5\n1,2\n4,5,6,,8,9\n")
    assert list(reading.frame.columns) == ["a", "a (2)", "column 3", "e"]
    assert reading.frame.shape == (4, 4)
    for parts in (
        ("a (2)", "another column named 'a'"), ("column 3", "had no name"), ("columns without a cell", "'d'"),
        ("fewer than 5 cells", "(2,)"), ("more than 5 cells", "(3,)"), ("rows repeat an earlier row", "(1,)"),
    ):  # fmt: skip
        assert told(reading, *parts), parts


def test_frames_of_pandas_and_polars_and_workbooks(tmp_path):
    frame = pd.DataFrame(
        {"a": [1, 2, 3], "b": [1.5, np.inf, None], "c": ["1,5", "2,5", "x"], "d": pd.Categorical(["u", "v", "u"])}
    )
    reading = read_table(frame)
    assert_array_equal(reading.frame["b"], [1.5, np.nan, np.nan])
    assert_array_equal(reading.frame["c"], [1.5, 2.5, np.nan])
    assert reading.frame["d"].tolist() == ["u", "v", "u"]
    assert told(reading, "b", "infinite")
    assert frame["c"].tolist() == ["1,5", "2,5", "x"]
    polars = pytest.importorskip("polars")
    same = read_table(polars.DataFrame({"a": [1, 2, 3], "c": ["1,5", "2,5", "x"]}))
    assert_array_equal(same.frame["c"], [1.5, 2.5, np.nan])
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(tmp_path / "book.xlsx") as book:
        pd.DataFrame({"about": ["x"]}).to_excel(book, sheet_name="about", index=False)
        frame[["a", "c"]].to_excel(book, sheet_name="data", index=False)
    assert told(read_table(tmp_path / "book.xlsx"), "sheet 'about' read")
    assert_array_equal(read_table(tmp_path / "book.xlsx", sheet="data").frame["c"], [1.5, 2.5, np.nan])
    with pytest.raises(ValueError, match="has no sheet 'x'; it has 'about', 'data'"):
        read_table(tmp_path / "book.xlsx", sheet="x")


def test_what_is_no_table(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="is empty"):
        table(tmp_path, "  \n")
    with pytest.raises(ValueError, match=r"names columns and has no rows|no cells below"):
        table(tmp_path, "a,b\n")
    with pytest.raises(ValueError, match="neither text nor a workbook"):
        table(tmp_path, b"PK\x03\x04\0\0")
    with pytest.raises(TypeError, match="source is a list; give a path, an open file, or a DataFrame"):
        read_table([1, 2])
    with pytest.raises(ValueError, match="decimal=';' is not possible"):
        read_table(pd.DataFrame({"a": [1]}), decimal=";")


def test_the_source_row_numbers_are_those_of_the_index():
    frame = pd.DataFrame({"v": ["1", "x", "3"]}, index=[10, 20, 30])
    reading = read_table(frame)
    assert reading.report[0].rows == (20,) and list(reading.frame.index) == [10, 20, 30]
