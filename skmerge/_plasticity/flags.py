"""What `propagate` says of a grain: flags, which add up, and their words. The compiled step gives the same numbers."""

from skmerge._text import warn

OUTSIDE, REVERSED, LONG, ELSEWHERE, LOST = 1, 2, 4, 8, 16
WORDS = {
    OUTSIDE: "left the states of the training trajectories",
    REVERSED: "were strained in a direction of which no training trajectory tells; the other one was taken",
    ELSEWHERE: "began at a density at which no training trajectory begins; a model with memory_ knows none of them",
    LONG: "were strained by longer steps than any trained one; these were made in several parts",
    LOST: "reached states that are no numbers and are NaN from there on, far beyond what was trained",
}


def tell(flags):
    """Warn of each flag that some of the grains have."""
    for flag, words in WORDS.items():
        count = int(((flags & flag) > 0).sum())
        if count:
            warn(f"{count} of {len(flags)} grains {words}; flags_ tells which.")
