"""Sessions that are bound to a region."""

import pytest

from quorate.durable.region import Place, check_region, lies_in
from quorate.errors import UserError


@pytest.mark.parametrize(
    ("region", "bound", "inside"),
    [
        ("eu", "eu", True),
        ("eu-central-1", "eu", True),
        ("eu", "eu-central-1", False),
        ("europe", "eu", False),
        ("us", "eu", False),
        (None, "eu", False),
        (None, None, True),
        ("us", None, True),
        ("", "eu", False),
    ],
)
def test_where_something_lies(region, bound, inside):
    assert lies_in(region, bound) is inside


def test_a_session_stays_in_its_region():
    inside = [Place("the node of alice", "eu"), Place("the inbox of bob", "eu-west-3")]
    check_region("eu", inside)
    check_region(None, [*inside, Place("the inbox of carol", "us")])
    with pytest.raises(
        UserError, match=r"'eu', but the inbox of carol lies in 'us'; the node of dave states no region;"
    ):
        check_region("eu", [*inside, Place("the inbox of carol", "us"), Place("the node of dave", None)])
