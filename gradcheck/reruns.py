"""A pair made again: at other arguments, with another cache, or with the forward that it should have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .cs231n import family
from .inputs import Setting
from .pairs import Pair
from .reading import Reading
from .samples import Edit, Make, Sample, TimeUp
from .subjects import LossFunction
from .subjects import Pair as Functions


def maker(pair: Pair) -> Make:
    """What makes a subject of a pair at arguments, and of a cache that is edited on its way to backward."""

    def make(arguments: tuple[Any, ...], edit: Edit | None) -> Any:
        forward, backward = pair.functions()
        if backward is None:
            return LossFunction(forward, arguments, None)

        def edited(*given: Any) -> Any:
            *outs, cache = forward(*given)
            return (*outs, edit(cache) if edit else cache)

        return Functions(_named(edited, forward), backward, arguments, None)

    return make


def forward_judge(pair: Pair, seed: int) -> Callable[[Setting, Sequence[Any]], bool] | None:
    """Whether outputs at a setting are those of the course's forward; None where there is none."""
    known = family(pair)
    difference = known.difference if known else None
    if difference is None:
        return None
    return lambda setting, outs: not difference(setting.draw(np.random.default_rng(seed)), tuple(outs))


def _named(function: Any, like: Any) -> Any:
    """The function under the other's name and signature."""
    function.__wrapped__, function.__name__ = like, like.__name__
    return function


def reference_of(pair: Pair, settings: Sequence[Setting]) -> Any:
    """What makes, of a sample, one of what the course's forward computes; None where that is what it has computed."""
    known = family(pair)
    difference = known.difference if known else None
    compute = getattr(difference, "reference", None)
    draws = {setting.text: setting.draw for setting in settings}
    if difference is None or compute is None:
        return None

    def of(t: Sample) -> Sample | None:
        keys = list(draws[t.text](np.random.default_rng(t.seed)))
        by_name = dict(zip(keys, t.arguments))

        def forward(*arguments: Any) -> Any:
            outs = compute({**by_name, **dict(zip(keys, arguments))})[0]
            return (*outs, None)

        def make(arguments: tuple[Any, ...], edit: Edit | None) -> Any:
            if not t.subject.takes_dout:
                return LossFunction(lambda *a: (forward(*a)[0], np.zeros_like(a[0])), arguments, None)
            return Functions(forward, lambda *_: (), arguments, None)

        try:
            if not difference(by_name, t.outs):
                return None  # of several conventions any will do
            return Sample(make, t.arguments, t.seed, t._deadline, t.text)
        except TimeUp:
            raise
        except Exception:
            return None

    return of


def right_of_reference(
    s: Sample, k: int, forward: Callable[[Sample], Sequence[np.ndarray]] | None
) -> Iterator[Reading]:
    """Right for what forward should compute: `forward` gives a sample of that."""
    if forward is not None:
        yield Reading(
            "forward-mismatch",
            f"the gradient of {s.names[k]} is right for the course's forward; this one differs",
            "correct forward: backward is right",
            lambda t: _is_of(t, k, forward),
        )


def _is_of(t: Sample, k: int, forward: Callable[[Sample], Any]) -> bool:
    there = forward(t)
    return there is not None and there.outs[0].shape == t.outs[0].shape and there.agrees(k, t.returned[k], t.douts)
