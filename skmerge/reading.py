"""Tables as people keep them: files and frames read into numbers, words, errors, limits and units, with a report."""

from dataclasses import dataclass
from os import PathLike
from typing import Any

from skmerge._parameters import raise_invalid

__all__ = ["Reading", "read_table"]


@dataclass(frozen=True)
class Reading:
    """A table that was read.

    Attributes
    ----------
    frame : pandas.DataFrame of shape (n_rows, n_columns)
        Numbers (float, NaN where not measured) and words (object, None where missing), with the rows' numbers in the
        source as index, counted from 0 below the names.
    errors : pandas.DataFrame of the same shape
        Standard deviations of the numbers, from cells such as 3.2 ± 0.1; NaN where none is given.
    censored : pandas.DataFrame of int8 of the same shape
        -1 where the number is an upper limit (<0.1), 1 where it is a lower limit (>1000), else 0.
    units : dict of str to str
        Units of the columns that have one.
    report : tuple of notes
        What was done, column by column, and what could not be read; ``print(reading)`` shows it.
    """

    frame: Any
    errors: Any
    censored: Any
    units: dict[str, str]
    report: tuple[Any, ...]

    @property
    def problems(self) -> tuple[Any, ...]:
        """The notes of what could not be read or is doubted."""
        return tuple(note for note in self.report if note.is_problem)

    def __str__(self) -> str:
        n, m = self.frame.shape
        words = sum(dtype.kind != "f" for dtype in self.frame.dtypes)
        missing = int(self.frame.isna().sum().sum())
        share = f"{missing / max(self.frame.size, 1):.0%}"
        lines = [f"{n} rows, {m} columns ({m - words} of numbers, {words} of words), {missing} cells blank ({share})."]
        for title, notes in (
            ("Read:", [note for note in self.report if not note.is_problem]),
            ("Check:", self.problems),
        ):
            if notes:
                lines += [title, *(line_of(note) for note in notes)]
        return "\n".join(lines)


def line_of(note):
    where = f"  {note.column}: " if note.column is not None else "  "
    rows = f"rows {', '.join(map(str, note.rows))}" + (", ..." if note.n_cells > len(note.rows) else "")
    cells = f" ({note.n_cells} cells, {rows})" if note.rows else ""
    return f"{where}{note.what}{cells}" + (f"; {note.remedy}." if note.remedy else ".")


def read_table(source: str | PathLike[str] | Any, *, decimal: str | None = None, sheet: str | None = None) -> Reading:
    """Read a raw table and say all that was done to it.

    Parameters
    ----------
    source : path, open file or DataFrame
        A file of CSV (or with semicolons, tabs or bars), of Excel (``pip install 'skmerge[excel]'``) or Parquet
        (pyarrow), or a DataFrame of pandas or polars.
    decimal : {".", ","}, default=None
        What parts decimals in every column; None: as the cells of each column say.
    sheet : str, default=None
        The sheet of a workbook; None is the first that holds cells.

    Returns
    -------
    Reading
        Numbers and words, errors, limits, units and the report.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError, ImportError
        If there is no table, or what reads it is not installed.

    Notes
    -----
    A column in which more than half of the cells are numbers is one of numbers; the cells that are none are blank
    in the frame and named in the report. Numbers are read as people write them: 1,023 and 1 023 (thousands),
    decimal commas where a cell of the column can be nothing else, 12 %, 3.2 ± 0.1, 3.21(5), 1.2 GPa, 1.5 x 10^-3,
    <0.1, >1000. A unit other than that of most cells is converted where pint is installed. Dates are days since the
    first, yes and no are 1 and 0 where nothing else stands in the column. n/a, -, nd and the like are not measured.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmerge import read_table
    >>> raw = pd.DataFrame({"alloy": ["A", "B", "C"], "Rm (MPa)": ["1,023", "980 ± 15", "<900"]})
    >>> reading = read_table(raw)
    >>> reading.frame["Rm (MPa)"].tolist(), reading.units
    ([1023.0, 980.0, 900.0], {'Rm (MPa)': 'MPa'})
    >>> print(reading)  # doctest: +NORMALIZE_WHITESPACE
    3 rows, 2 columns (1 of numbers, 1 of words), 0 cells blank (0%).
    Read:
      Rm (MPa): value and error (standard deviation) (1 cells, rows 1).
      Rm (MPa): a limit: the value is below or above it (1 cells, rows 2); see `censored`.
    Check:
      Rm (MPa): a comma parts thousands: '1,023' is 1023 (1 cells, rows 0); if it is a decimal comma, give decimal=','.
    """
    if decimal not in (None, ".", ","):
        raise_invalid("decimal", decimal, "give '.', ',' or None")
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("read_table needs pandas: pip install 'skmerge[excel]'.") from error
    from skmerge._reading import table

    return Reading(*table.read(source, decimal, sheet, pd))
