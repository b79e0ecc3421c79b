"""Ctrl-C: the longest time by the clock until a call is left; the tests limit the processor time of the same calls."""

import sys
import tempfile
from pathlib import Path

from figures import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import interrupting
import test_crystal
import test_forest_progress
import test_interrupts
import test_plasticity_input
import test_progress

SECTION = "interrupts"


def cases():
    """(title, calls, text that runs before them)."""
    for n_jobs in (1, 2):
        threads = f"{n_jobs} thread" + "s" * (n_jobs > 1)
        for case in test_progress.LONG:
            yield f"net, {case}, {threads}", *test_progress.long_calls(case, n_jobs)
        for order in ("0", "'auto'"):
            yield f"forest, order={order}, {threads}", *test_forest_progress.long_calls(f"order={order}", n_jobs)
        yield f"simulation of crystals, {threads}", *test_crystal.long_calls(n_jobs)
        yield f"propagator, {threads}", *test_plasticity_input.long_calls(n_jobs)
    yield "predictions, imputer, designer", test_interrupts.CALLS, test_interrupts.SETUP


def figures():
    for title, calls, setup in cases():
        with tempfile.TemporaryDirectory() as directory:
            left, _, _ = interrupting.interrupt(calls, directory, setup)
        call = max(left, key=lambda name: left[name].clock)
        beside = f"{call}; {max(seconds.processor for seconds in left.values()):.2f} s of processor time"
        yield Figure(SECTION, f"{title}: longest", left[call].clock, ("<=", 1.0), beside)
