"""The first cases of ``tests/fuzz.py``, and those that once found a fault."""

import fuzz
import pytest

# SVD of infinities (9, 107, 932), a scale of zero (932), a singular matrix (3174), NaN from denormals (846, 20126),
# NaN of a damaged imputer (1001141, 1002346).
FOUND = [9, 107, 846, 932, 3174, 20126, 1001141, 1002346]


@pytest.mark.parametrize("seed", [*range(120), *FOUND])
def test_a_case_ends_in_an_answer_or_a_message(seed):
    fuzz.one(seed)


def test_every_end_is_reached():
    ends = {fuzz.one(seed) for seed in range(40)}
    assert {("fit", "answer"), ("fit", "ValueError"), ("design", "answer"), ("pickle", "load: ValueError")} <= ends
    assert ("pickle", "answer") not in ends  # each of these is damaged, and a digest tells
    assert any(part == "skops" for part, _ in ends)
