"""One cell of a raw table: a number with what people write about it, a word, a date, or nothing."""

import re
from typing import NamedTuple

import numpy as np

MISSING = {
    "", "-", "--", "---", "–", "—", "?", "*", ".", "na", "n/a", "n.a.", "n.a", "#n/a", "#na", "nan", "null", "none",
    "nd", "n.d.", "n.d", "nil", "missing", "not available", "not measured", "unknown", "tbd", "#value!", "#div/0!",
    "#ref!", "#num!", "#name?", "#null!",
}  # fmt: skip
TRUE, FALSE = {"yes", "y", "true", "ja", "oui", "si", "sí"}, {"no", "n", "false", "nein", "non"}
BELOW, ABOVE = "<≤", ">≥"
SPACES = "\u00a0\u202f\u2009 "  # people and programs part thousands by any of these
DIGITS = r"\d+(?:[.,'’\s]\d+)*|[.,]\d+"
NUMBER = re.compile(rf"[+\-−]?(?:{DIGITS})(?:\s*(?:[eE]|[x×·*]\s*10\s*\^?)\s*[+\-−]?\d+)?")
POWER = re.compile(r"\s*(?:[eE]|[x×·*]\s*10\s*\^?)\s*([+\-−]?\d+)$")
ERROR = re.compile(r"\s*(?:±|\+/-|\+-|\\pm)\s*")
BRACKET = re.compile(r"(.*\d)\((\d+)\)(.*)")  # 3.21(5): the error of the last digits
UNIT = re.compile(r"[%‰°µμΩÅA-Za-z][%‰°µμΩÅ\w·*/^.\-−()²³⁻¹ ]*$")
# Units that a name such as "strength (MPa)" may hold; "yield (total)" holds none.
_SYMBOL = (
    r"(?:(?:da|[fpnµμumcdhkMGT])?(?:m|g|s|A|K|Pa|J|W|N|V|Hz|mol|[Ll]|eV|bar|C|Ω|ohm|F|T|S|cd|M|Da|cal|psi|t)"
    r"|(?:wt|at|mol|vol)?\.?\s?%|‰|°C|°F|degC|°|deg|rad|h|hr|min|d|day|days|yr|years|ppm|ppb|Å|in|ft|lb|ksi|psi|atm|torr|a\.?u\.?|HV|HB|HRC)"
)
KNOWN = re.compile(rf"1?{_SYMBOL}?(?:\s*[·*/ ]?\s*{_SYMBOL}(?:\^?[-−]?\d|[⁻²³¹]+)?)*(?:\^?[-−]?\d|[⁻²³¹]+)?")
DATES = (
    (re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?Z?)?$"), (0, 1, 2)),
    (re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})$"), (2, 1, 0)),
    (re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})$"), None),  # day or month first: the column says
)


class Cell(NamedTuple):
    """A number as it is written, in parts that a column decides on; or a word."""

    kind: str  # "number", "missing", "date", "truth" or "word"
    digits: str = ""  # of the number, with its separators, without sign and power of ten
    sign: float = 1.0
    exponent: int = 0  # of the power of ten
    error: tuple = ("", 0)  # its digits and exponent
    limit: int = 0  # -1 below, 1 above
    unit: str = ""
    value: float = np.nan  # of a truth; of a date days since 1970-01-01
    date: tuple = ()  # day or month, month or day, year: of a date that may be read in two ways


def read(text):
    """A cell as it stands in a file."""
    text = str(text).strip(SPACES + "\t\r\n")
    lower = text.lower()
    if lower in MISSING:
        return Cell("missing")
    if lower in TRUE or lower in FALSE:
        return Cell("truth", value=float(lower in TRUE))
    return date_of(text) or number_of(text) or Cell("word")


def date_of(text):
    for pattern, order in DATES:
        match = pattern.fullmatch(text)
        if not match:
            continue
        parts = [int(part) for part in match.groups()[:3]]
        if order is None:
            first, second, year = parts
            if max(first, second) > 31 or min(first, second) > 12:
                return None
            return Cell("date", date=(first, second, year))
        days = days_of(*(parts[i] for i in order))
        return None if np.isnan(days) else Cell("date", value=days)
    return None


def days_of(year, month, day):
    """Days since 1970-01-01, NaN where there is no such day."""
    try:
        return float(np.datetime64(f"{year:04d}-{month:02d}-{day:02d}").astype(int))
    except ValueError:
        return np.nan


def number_of(text):
    """A number with its limit, error and unit, or None."""
    limit = -1 if text[0] in BELOW else 1 if text[0] in ABOVE else 0
    rest = text[1:].lstrip("=" + SPACES) if limit else text
    for sign, word in ((-1, "less than "), (1, "more than "), (-1, "below "), (1, "above ")):
        if rest.lower().startswith(word) and not limit:
            limit, rest = sign, rest[len(word) :]
    rest = rest.lstrip("~≈" + SPACES)
    bracket = BRACKET.fullmatch(rest)
    if bracket and not bracket[3].startswith("^"):
        digits, last, tail = bracket.groups()
        places = len(digits) - max(digits.rfind("."), digits.rfind(",")) - 1 if re.search(r"[.,]", digits) else 0
        found = number_of(digits + tail)
        return found and found._replace(limit=limit, error=(last, found.exponent - places))
    match = NUMBER.match(rest)
    if not match:
        return None
    number, rest = match[0].rstrip(), rest[match.end() :].strip(SPACES)
    error, split = "", ERROR.search(rest)
    if split:
        second = NUMBER.match(rest[split.end() :])
        if not second:
            return None
        units = rest[: split.start()].strip(SPACES), rest[split.end() + second.end() :].strip(SPACES)
        if units[0] and units[1] and units[0] != units[1]:
            return None
        error, rest = second[0].rstrip(), units[0] or units[1]
    if rest and not UNIT.fullmatch(rest):
        return None
    power, sign = POWER.search(number), -1.0 if number[0] in "-−" else 1.0
    digits = (number[: power.start()] if power else number).lstrip("+-−")
    exponent = int(power[1].replace("−", "-")) if power else 0
    if abs(exponent) > 300:
        return None
    if error:
        own = POWER.search(error)
        error = (error[: own.start()] if own else error).lstrip("+-−"), int(own[1].replace("−", "-")) if own else 0
    return Cell("number", digits, sign, exponent, error or ("", 0), limit, " ".join(rest.split()))


def thousands(digits, separator):
    """Whether a separator can be one of thousands: three digits follow each, up to three stand before."""
    first, *rest = digits.split(separator)
    return bool(rest) and 1 <= len(first) <= 3 and all(len(re.split(r"[.,]", part)[0]) == 3 for part in rest)


def value_of(digits, decimal, exponent=0):
    """Digits times a power of ten as a number, ``decimal`` "." or ","; NaN where they are none."""
    other = "," if decimal == "." else "."
    plain = digits
    for separator in (other, "'", "’", " ", *SPACES):
        if separator in plain:
            if not thousands(plain, separator) or (decimal in plain and plain.index(decimal) < plain.rindex(separator)):
                return np.nan
            plain = plain.replace(separator, "")
    if plain.count(decimal) > 1:
        if not thousands(plain, decimal):
            return np.nan
        plain = plain.replace(decimal, "")
    try:
        return float(f"{plain.replace(decimal, '.')}e{exponent}")
    except ValueError:
        return np.nan
