"""The one class of targets: what a user may give, what a header holds, and the words."""

import numpy as np
import pytest

from san.codec.target import LOSSLESS, TARGETS, Target

GIVEN = {
    "lossless": {"lossless": True},
    "max_error": {"max_error": 2.5},
    "prdn": {"prdn": 8},
    "bits_per_sample": {"bits_per_sample": np.float32(0.5)},
}


def test_the_order_on_disk_is_for_ever():
    assert TARGETS == ("lossless", "max_error", "prdn", "bits_per_sample")


@pytest.mark.parametrize("kind", TARGETS)
def test_a_header_and_the_arguments_give_the_same_target(kind):
    target = Target.of(**GIVEN[kind])
    assert target.kind == kind
    assert Target.stored(target.kind, target.value) == target
    assert Target.of(**target.arguments) == target


@pytest.mark.parametrize(
    ("given", "exact", "words"),
    [
        ({"lossless": True}, True, "lossless"),
        ({"max_error": 0}, True, "largest error of at most 0"),
        ({"max_error": 0.25}, False, "largest error of at most 0.25"),
        ({"prdn": 8}, False, "PRDN of at most 8 %"),
        ({"bits_per_sample": 1.5}, False, "size of at most 1.5 bits per sample"),
        (
            {"prdn": 8, "max_error": 0.1},
            False,
            "PRDN of at most 8 % and largest error of at most 0.1",
        ),
        ({"prdn": 8, "max_error": 0}, True, "PRDN of at most 8 % and largest error of at most 0"),
    ],
    ids=str,
)
def test_words_and_exactness(given, exact, words):
    target = Target.of(**given)
    assert (target.exact, str(target)) == (exact, words)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (
            {},
            ValueError,
            "give one of max_error, prdn, lossless and bits_per_sample, or max_error and "
            "prdn together, got none",
        ),
        ({"prdn": 8, "lossless": True}, ValueError, "got prdn and lossless"),
        ({"max_error": 1, "bits_per_sample": 2}, ValueError, "got max_error and bits_per_sample"),
        (
            {"max_error": 1, "prdn": 8, "lossless": True},
            ValueError,
            "got max_error and prdn and loss",
        ),
        (
            {"max_error": -1, "prdn": 8},
            ValueError,
            "max_error must be 0 or above and finite, got -1",
        ),
        ({"lossless": False}, ValueError, "got none"),
        ({"max_error": -1}, ValueError, "max_error must be 0 or above and finite, got -1"),
        ({"max_error": np.nan}, ValueError, "max_error must be 0 or above and finite, got nan"),
        ({"prdn": np.inf}, ValueError, "prdn must be above 0 and finite, got inf"),
        ({"prdn": 0}, ValueError, "prdn must be above 0 and finite, got 0"),
        ({"bits_per_sample": 0.0}, ValueError, "bits_per_sample must be above 0 and finite"),
        ({"prdn": "8"}, TypeError, "prdn must be a number, got '8'"),
        ({"prdn": True}, TypeError, "prdn must be a number, got True"),
        ({"max_error": [1, 2]}, TypeError, r"max_error must be a number, got \[1, 2\]"),
    ],
    ids=str,
)
def test_other_targets_are_refused_in_words(given, error, words):
    with pytest.raises(error, match=words):
        Target.of(**given)


def test_errors_spell_the_names_as_the_caller_does():
    with pytest.raises(ValueError, match="give one of MAX_ERROR, PRDN, LOSSLESS and BITS_PER_SAM"):
        Target.of(spell=str.upper)
    with pytest.raises(ValueError, match="PRDN must be above 0 and finite, got -3"):
        Target.of(prdn=-3, spell=str.upper)


def test_a_bound_beside_a_prdn_is_stored_and_comes_back():
    target = Target.of(prdn=8, max_error=0.1)
    assert (target.kind, target.value, target.bound) == ("prdn", 8.0, 0.1)
    assert Target.stored(target.kind, target.value, target.bound) == target
    assert Target.of(**target.arguments) == target
    assert Target.of(prdn=8).bound is Target.of(max_error=2).bound is None


def test_lossless_is_the_target_without_a_number():
    assert Target() == LOSSLESS == Target.of(lossless=True)
    assert (LOSSLESS.kind, LOSSLESS.value) == ("lossless", 0.0)
