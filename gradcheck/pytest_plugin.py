"""The fixture `gradcheck`: a failing check in pytest's output is the report, at the line of the test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

# Nothing of ours is imported up here: pytest loads its plugins before coverage starts to count.


@pytest.fixture(name="gradcheck")
def _gradcheck() -> Callable[..., None]:
    """``gradcheck(layer, x)``, ``gradcheck(forward, backward, x, w)`` or ``gradcheck(loss, scores, y)``: see
    `gradcheck.assert_gradients`.
    """
    from gradcheck import assert_gradients

    return assert_gradients
