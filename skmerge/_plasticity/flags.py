"""Texts for the flags of a grain, which add up; the compiled steps define the flags."""

from skmerge._ext.crystal_stepping import ELSEWHERE, LONG, LOST, OUTSIDE, REVERSED
from skmerge._text import warn

FLAG_WORDS = {
    OUTSIDE: "left the states of the training trajectories",
    REVERSED: "were strained in a direction that no training trajectory has; rates of the other direction were used",
    ELSEWHERE: "began at a density at which no training trajectory begins; memory_ needs one that begins there",
    LONG: "were strained by longer steps than any trained one; these were divided",
    LOST: "reached states that are not finite, far beyond the training; they are NaN from there on",
}


def warn_of(flags):
    """Warn of each flag that some of the grains have."""
    for flag, words in FLAG_WORDS.items():
        count = int(((flags & flag) > 0).sum())
        if count:
            warn(f"{count} of {len(flags)} grains {words}; see flags_.")
