"""A raw table from a file or a frame, as a pandas frame whose columns are numbers or text, with what was done to it."""

import csv
import gzip
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from skmerge._reading.cells import read
from skmerge._reading.columns import CODE, Note, listed

LOOKED_AT = 50  # lines that tell the separator and the names
ENCODINGS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
EXCEL, PARQUET = (".xlsx", ".xlsm", ".xls"), (".parquet", ".pq")


def load(source, sheet):
    """A frame with unique names, and notes."""
    notes = []
    if isinstance(source, (str, Path)):
        frame = from_file(Path(source), sheet, notes)
    elif hasattr(source, "read"):
        frame = from_text("the file", source.read(), notes)
    elif isinstance(source, pd.DataFrame):
        frame = source.copy(deep=False)
    elif hasattr(source, "to_dict") and hasattr(source, "columns"):  # polars, whose to_pandas needs pyarrow
        frame = pd.DataFrame(source.to_dict(as_series=False))
    else:
        raise TypeError(
            f"source is a {type(source).__name__}; give a path, an open file, or a DataFrame of pandas or polars."
        )
    return tidy(named(frame, notes), notes), notes


def from_file(path, sheet, notes):
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}.")
    kind = path.suffix.lower()
    if kind in EXCEL:
        try:
            sheets = pd.read_excel(
                path, sheet_name=None, dtype=object, header=None, keep_default_na=False, na_values=[""]
            )
        except ImportError as error:
            raise ImportError(f"{path}: to read workbooks, pip install 'skmerge[excel]'.") from error
        return from_sheets(path, sheets, sheet, notes)
    if kind in PARQUET:
        try:
            return pd.read_parquet(path)
        except ImportError as error:
            raise ImportError(f"{path}: to read Parquet, pip install pyarrow.") from error
    content = path.read_bytes()
    return from_text(path, gzip.decompress(content) if kind == ".gz" else content, notes)


def from_sheets(path, sheets, sheet, notes):
    filled = {name: cells for name, cells in sheets.items() if cells.notna().any(axis=None)}
    if not filled:
        raise ValueError(f"{path} holds no cells.")
    if sheet is None:
        sheet = next(iter(filled))
        if len(filled) > 1:
            notes.append(Note(None, f"sheet {sheet!r} read, of {listed(list(filled), 9)}", (), 0, "give sheet=", True))
    if sheet not in sheets:
        raise ValueError(f"{path} has no sheet {sheet!r}; it has {', '.join(map(repr, sheets))}.")
    rows = sheets[sheet]
    widths = rows.notna().sum(axis=1).to_numpy()
    head = head_of(widths[:LOOKED_AT])
    say_preamble(head, notes)
    frame = rows.iloc[head + 1 :].reset_index(drop=True)
    frame.columns = ["" if pd.isna(cell) else str(cell) for cell in rows.iloc[head]]
    return frame.infer_objects()


def from_text(path, content, notes):
    content = content.encode() if isinstance(content, str) else content
    encoding = next((name for mark, name in ENCODINGS if content.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in content[:4096]:
        raise ValueError(f"{path} is neither text nor a workbook (.xlsx) nor Parquet; save it as CSV.")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
        notes.append(Note(None, "not UTF-8: read as Windows-1252", (), 0, "save it as 'CSV UTF-8'", True))
    if not text.strip():
        raise ValueError(f"{path} is empty.")
    lines = text.splitlines()
    separator = None
    if lines[0].lower().startswith("sep=") and len(lines[0]) == 5:
        separator, lines = lines[0][4], lines[1:]
    separator = separator or separator_of(lines)
    sample = list(csv.reader(lines[:LOOKED_AT], delimiter=separator, skipinitialspace=True))
    head = head_of(np.array([sum(bool(cell.strip()) for cell in row) for row in sample]))
    say_preamble(head, notes)
    cells = [[cell for row in sample[head + 1 :] for cell in row[j : j + 1]] for j in range(len(sample[head]))]
    codes = {j: str for j, column in enumerate(cells) if any(CODE.fullmatch(cell.strip()) for cell in column)}
    try:
        frame = pd.read_csv(
            io.StringIO("\n".join(lines[head:])), sep=separator, skipinitialspace=True, keep_default_na=False,
            na_values=[""], low_memory=False, index_col=False, skip_blank_lines=True, on_bad_lines="error", header=None,
            skiprows=1, dtype=codes,
        )  # fmt: skip
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} names columns and has no rows.") from None
    except pd.errors.ParserError:
        frame = None
    names = [cell.strip() for cell in sample[head]]
    if frame is None or frame.shape[1] != len(names):
        frame = ragged(lines[head + 1 :], separator, len(names), notes)
    frame.columns = names
    return frame


def separator_of(lines):
    """Of , ; tab and |, the one that most lines hold equally often; a comma where there is none."""
    filled = [line for line in lines[:LOOKED_AT] if line.strip()]
    best = ("", 0, 0)
    for separator in (";", "\t", "|", ","):
        widths = Counter(len(row) for row in csv.reader(filled, delimiter=separator))
        width, count = max(widths.items(), key=lambda pair: pair[1] if pair[0] > 1 else 0)
        if width > 1 and (count, width) > best[1:]:
            best = separator, count, width
    return best[0] or ","


def head_of(widths):
    """The first line as wide as most, which names the columns."""
    most = Counter(widths[widths > 0].tolist()).most_common(1)[0][0]
    return next(i for i, width in enumerate(widths) if width >= min(most, max(2, most - 1)) or most == 1)


def say_preamble(head, notes):
    if head:
        notes.append(
            Note(None, f"{head} lines above the names of the columns left out", tuple(range(min(head, 10))), head)
        )


def ragged(lines, separator, width, notes):
    """Rows of other widths than the names: what is beyond is left out, what lacks is blank."""
    rows = [
        row
        for row in csv.reader(lines, delimiter=separator, skipinitialspace=True)
        if any(cell.strip() for cell in row)
    ]
    long = [i for i, row in enumerate(rows) if any(cell.strip() for cell in row[width:])]
    short = [i for i, row in enumerate(rows) if len(row) < width]
    for which, what, remedy in (
        (long, f"more than {width} cells, the rest left out", "quote texts that hold the separator"),
        (short, f"fewer than {width} cells, the rest taken as blank", "check these rows"),
    ):
        if which:
            notes.append(Note(None, f"rows of {what}", tuple(which[:10]), len(which), remedy, True))
    cells = [[cell if cell.strip() else None for cell in (*row[:width], *[""] * (width - len(row)))] for row in rows]
    return pd.DataFrame(cells, dtype=object)


def named(frame, notes):
    """Each column with a name of its own."""
    names, seen = [], Counter()
    for j, name in enumerate(map(str, frame.columns)):
        plain = " ".join(name.split())
        if not plain or plain.lower().startswith("unnamed:"):
            plain = f"column {j + 1}"
            notes.append(Note(plain, "had no name", (), 0, "name it"))
        seen[plain] += 1
        if seen[plain] > 1:
            new = f"{plain} ({seen[plain]})"
            notes.append(Note(new, f"another column named {plain!r} stands before it", (), 0, "rename one", True))
            plain = new
        names.append(plain)
    frame = frame.copy(deep=False)
    frame.columns = names
    return frame


def tidy(frame, notes):
    """Without blank rows and columns, and with a row of units under the names told."""
    blank = frame.isna() | (
        frame.astype(str).apply(lambda column: column.str.strip()) == "" if is_small(frame) else False
    )
    empty = [name for name, is_blank in zip(frame.columns, blank.all(), strict=True) if is_blank]
    if empty and len(empty) < frame.shape[1]:
        notes.append(Note(None, f"columns without a cell left out: {listed(empty, 9)}", (), len(empty)))
        frame, blank = frame.drop(columns=empty), blank.drop(columns=empty)
    rows = np.flatnonzero(blank.all(axis=1).to_numpy())
    if len(rows):
        notes.append(Note(None, "blank rows left out", tuple(rows[:10].tolist()), len(rows)))
        frame = frame.drop(index=frame.index[rows])
    return frame


def is_small(frame):
    return frame.size < 1_000_000


def units_row(frame):
    """The units of columns, if the first row holds such and no number, while the next ones do; or None."""
    if len(frame) < 3:
        return None
    first, rest = frame.iloc[0], frame.iloc[1:LOOKED_AT]
    texts = [None if pd.isna(cell) else str(cell).strip() for cell in first]
    if any(text and read(text).kind in ("number", "date") for text in texts):
        return None
    has_numbers = [
        np.mean([read(cell).kind == "number" for cell in rest[name].dropna()] or [0]) > 0.5 for name in frame.columns
    ]
    if sum(has_numbers) < 1 or not any(text for text, is_number in zip(texts, has_numbers, strict=True) if is_number):
        return None
    return {
        name: text.strip("[]() ")
        for name, text, is_number in zip(frame.columns, texts, has_numbers, strict=True)
        if text and is_number
    }
