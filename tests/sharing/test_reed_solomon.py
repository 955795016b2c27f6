"""Wrong shares are corrected, and too many are noticed. Polynomials and errors come from a seed."""

from random import Random

import numpy as np
import pytest

from quorate.errors import PeerError
from quorate.sharing import reed_solomon, shamir

P = 2**61 - 1
SETTINGS = [(4, 1), (5, 1), (7, 2), (8, 2), (10, 3)]


def elements(rng, shape):
    return np.array([rng.randrange(P) for _ in range(int(np.prod(shape)))], np.uint64).reshape(shape)


def shared(rng, parties, threshold, shape):
    values = elements(rng, shape)
    return values, list(shamir.split(values, elements(rng, (threshold, *shape)), parties))


def weights(rng):
    return lambda count: elements(rng, (count,))


@pytest.mark.parametrize(("parties", "threshold"), SETTINGS)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 17)])
def test_right_shares_give_the_values(parties, threshold, shape):
    rng = Random(1)
    values, shares = shared(rng, parties, threshold, shape)
    got, wrong = reed_solomon.correct(shares, range(parties), threshold, weights(rng))
    np.testing.assert_array_equal(got, values)
    assert wrong == []
    assert got.shape == shape


@pytest.mark.parametrize(("parties", "threshold"), SETTINGS)
def test_up_to_t_wrong_parties_are_corrected_and_named(parties, threshold):
    """Each of them wrong at places of its own: at one element, some, or all."""
    rng = Random(2)
    for _ in range(20):
        values, shares = shared(rng, parties, threshold, (40,))
        cheaters = sorted(rng.sample(range(parties), rng.randint(1, threshold)))
        for cheater in cheaters:
            for place in rng.sample(range(40), rng.choice([1, 7, 40])):
                shares[cheater][place] = (int(shares[cheater][place]) + rng.randrange(1, P)) % P
        got, wrong = reed_solomon.correct(shares, range(parties), threshold, weights(rng))
        np.testing.assert_array_equal(got, values)
        assert sorted(wrong) == cheaters


@pytest.mark.parametrize(("parties", "threshold"), SETTINGS)
def test_more_wrong_parties_are_noticed(parties, threshold):
    rng = Random(3)
    most = (parties - threshold - 1) // 2
    for _ in range(10):
        _, shares = shared(rng, parties, threshold, (9,))
        for cheater in rng.sample(range(parties), most + 1):
            shares[cheater] = elements(rng, (9,))
        with pytest.raises(PeerError, match=f"more than {most} of the shares"):
            reed_solomon.correct(shares, range(parties), threshold, weights(rng))


def test_holders_need_not_be_the_first_parties():
    rng = Random(4)
    values, shares = shared(rng, 9, 1, (5,))
    holders = [7, 2, 8, 4]
    taken = [shares[holder] for holder in holders]
    taken[1] = elements(rng, (5,))
    got, wrong = reed_solomon.correct(taken, holders, 1, weights(rng))
    np.testing.assert_array_equal(got, values)
    assert wrong == [2]


def test_unlucky_weights_are_drawn_again():
    """Errors that cancel out in a combination are found with other weights."""
    rng = Random(5)
    values, shares = shared(rng, 4, 1, (2,))
    shares[2] = np.array([(int(shares[2][0]) + 1) % P, (int(shares[2][1]) - 1) % P], np.uint64)
    drawn = iter([np.ones(2, np.uint64), np.array([1, 2], np.uint64)])
    got, wrong = reed_solomon.correct(shares, range(4), 1, lambda count: next(drawn))
    np.testing.assert_array_equal(got, values)
    assert wrong == [2]


def test_every_error_pattern_of_a_word_is_decoded():
    """All places, against the word it came from; one more error is refused, or decodes to another word nearby."""
    points, degree = list(range(1, 8)), 2
    rng = Random(6)
    coefficients = [rng.randrange(P) for _ in range(degree + 1)]
    word = [sum(c * pow(x, k, P) for k, c in enumerate(coefficients)) % P for x in points]
    for first in range(7):
        for second in range(first, 7):
            garbled = list(word)
            for place in {first, second}:
                garbled[place] = (garbled[place] + rng.randrange(1, P)) % P
            assert reed_solomon.decode(garbled, points, degree) == sorted({first, second})
    garbled = [(w + (k < 3) * rng.randrange(1, P)) % P for k, w in enumerate(word)]
    assert reed_solomon.decode(garbled, points, degree) is None
