"""Why a backward pass is wrong: readings of its gradients, the cheapest first, each confirmed before it is named."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import contributions, factors, local, moments, probes, residuals, supports, transforms
from .examine import Options, examine
from .inputs import Setting
from .pairs import Pair
from .raised import describe
from .reading import Reading, is_confirmed
from .regimes import telling
from .reruns import maker, reference_of, right_of_reference
from .samples import Deadline, Make, Sample, TimeUp
from .unreturned import nothing_returned

Draw = Callable[[int], Sequence[tuple[str, "tuple[Any, ...] | None"]]]  # seed -> settings and their arguments


class Diagnosis(NamedTuple):
    """Why a check failed.

    Attributes
    ----------
    cause : str
        A code, or "unknown".
    evidence : str
        What was seen; of what is unknown all that is known.
    suggestion : str
        The edit to make, in the reader's names; "" if none is known.
    argument : str or None
        The argument whose gradient shows it.
    """

    cause: str
    evidence: str
    suggestion: str = ""
    argument: str | None = None


def diagnose(pair: Pair, settings: Sequence[Setting], *, seed: int = 0, seconds: float = 3.0) -> Diagnosis | None:
    """Name the cause of a pair's wrong gradients.

    A cause is only named if what it implies puts the gradient right at a second draw, and at every other setting
    that fails, where sizes differ.

    Parameters
    ----------
    pair : Pair
        See `discover`.
    settings : sequence of Setting
        Those to look at, the most usual first.
    seed : int, default 0
        Of the draws.
    seconds : float, default 3
        Of the processor's time, after which the search is given up.

    Returns
    -------
    Diagnosis or None
        None if nothing is wrong at any of the settings.
    """

    def draw(at: int) -> list[tuple[str, tuple[Any, ...] | None]]:
        return [(setting.text, setting.arguments(pair, at)) for setting in settings]

    return explain(maker(pair), draw, seed=seed, seconds=seconds, reference=reference_of(pair, settings))


def explain(make: Make, draw: Draw, *, seed: int = 0, seconds: float = 3.0, reference: Any = None) -> Diagnosis | None:
    """As `diagnose`, for whatever `make` makes a subject of: functions, a layer, a loss.

    Parameters
    ----------
    make : callable
        ``make(arguments, edit) -> subject``; `edit`, unless None, is to be called with the cache before backward.
    draw : callable
        ``draw(seed) -> [(text, arguments), ...]``, the settings.
    seed, seconds
        As of `diagnose`.
    reference : callable, optional
        ``reference(sample) -> sample`` of a right forward.
    """
    search = _Search(make, draw, seed, Deadline(seconds), reference)
    try:
        return search.run()
    except TimeUp:
        return search.unknown("the search was given up after its time")


class _Search:
    """The samples, and the readings tried on them."""

    def __init__(self, make: Make, draw: Draw, seed: int, deadline: Deadline, reference: Any) -> None:
        self.make, self.draw, self.seed, self.deadline, self.reference = make, draw, seed, deadline, reference
        self.failing: list[Sample] = []
        self.passing: list[Sample] = []
        self.refused: list[tuple[str, Exception]] = []

    def run(self) -> Diagnosis | None:
        for text, arguments in self.draw(self.seed):
            sample = self._sample(text, arguments, self.seed)
            if sample is not None:
                (self.failing if sample.failed else self.passing).append(sample)
        if not self.failing:
            if self.passing:
                return self._state()
            return self._of_forward()
        s = next((t for t in self.failing if t.error is None and self.passing), self.failing[0])
        if s.error is not None:
            return self._of_error(s)
        whole = self._of_count(s) or self._of_another_forward(s)
        if whole is not None:
            return whole
        found = None
        for k in s.wrong:
            found = self._of_argument(s, k)
            if found is not None:
                return found
        raising = next((t for t in self.failing if t.error is not None), None)
        return self._of_settings() or (self._of_error(raising) if raising else self.unknown())

    def _sample(self, text: str, arguments: tuple[Any, ...] | None, seed: int) -> Sample | None:
        if arguments is None:
            return None
        try:
            found = Sample(self.make, arguments, seed, self.deadline, text)
            found.differs = self.reference is not None and self.reference(found) is not None
            return found
        except TimeUp:
            raise
        except Exception as error:
            self.refused.append((text, error))
            return None

    # --- what shows without any numbers

    def _of_forward(self) -> Diagnosis | None:
        if not self.refused:
            return None
        _, error = self.refused[0]
        _, arguments = self.draw(self.seed)[0]
        finding = describe("forward", error, self.make(arguments or (), None).functions)
        cause = finding.cause
        if isinstance(error, TypeError) and "None" in str(error):
            cause = "unfinished"
        return Diagnosis(cause, finding.text)

    def _of_count(self, s: Sample) -> Diagnosis | None:
        missing = [name for k, name in enumerate(s.names) if k >= len(s.returned) or s.returned[k] is None]
        if len(s.returned) != len(s.names) or missing:
            if len(missing) == len(s.names):
                return Diagnosis(*nothing_returned(s.subject.functions[-1], s.names)[1:3], "return it")
            text = (
                f"there is no gradient for {', '.join(missing)}"
                if missing
                else (
                    f"backward returns {len(s.returned)} gradients; expected {len(s.names)}, for {', '.join(s.names)}"
                )
            )
            zeros = all(
                contributions.close_to_nothing(s, k)
                for k in s.wrong
                if s.names[k] not in missing and s.returned[k].shape == s.x[k].shape
            ) and any(s.names[k] not in missing for k in s.wrong)
            if missing and zeros:
                return Diagnosis("unfinished", f"{text}, and the others are zero", "write it", missing[0])
            if missing and len(s.wrong) > len(missing):
                for k in s.wrong:
                    if s.names[k] not in missing:
                        found = self._of_argument(s, k)
                        if found is not None:
                            return found
            return Diagnosis(
                "missing-gradient",
                text,
                "return one gradient for each argument, in their order",
                missing[0] if missing else None,
            )
        for k in s.wrong:
            a = s.returned[k]
            if a.dtype.kind not in "fiub":
                return Diagnosis("wrong-dtype", f"the gradient of {s.names[k]} has dtype {a.dtype}", "", s.names[k])
            if a.dtype.kind == "f" and not np.isfinite(a).all():
                return Diagnosis(
                    "non-finite",
                    f"{int((~np.isfinite(a)).sum())} of {a.size} entries of the gradient of "
                    f"{s.names[k]} are NaN or infinite",
                    "",
                    s.names[k],
                )
        return None

    def _of_another_forward(self, s: Sample) -> Diagnosis | None:
        """All gradients right for what forward should compute, where it computes something else."""
        penalties = () if s.subject.takes_dout else residuals.terms(s, 0)
        if not s.differs or any(reading.holds(s) for reading in penalties):
            return None
        readings = [reading for k in range(len(s.names)) for reading in right_of_reference(s, k, self.reference)]
        if all(is_confirmed(reading, self.witnesses(s, s.wrong[0])) for reading in readings):
            first = readings[s.wrong[0]]
            return Diagnosis(first.cause, first.evidence, first.suggestion, s.names[s.wrong[0]])
        return None

    def _state(self) -> Diagnosis | None:
        """What shows in a second call, in the arguments, or for a large dout only."""
        report = examine(self.passing[0].subject, Options(rng=self.seed))
        found = next((finding for finding in report.findings if finding.cause), None)
        return Diagnosis(found.cause, found.text) if found else None

    def _of_error(self, s: Sample) -> Diagnosis:
        assert s.error is not None
        finding = describe("backward", s.error, s.subject.functions)
        if finding.cause in ("undefined-name", "unfinished"):
            return Diagnosis(finding.cause, finding.text)
        raising = [t for t in self.failing if t.error is not None]
        where = telling(raising, [*self.passing, *(t for t in self.failing if t.error is None)])
        everywhere = not self.passing and len(raising) == len(self.failing)
        if where == "pad = 0" or finding.cause == "shape-cropped":
            return Diagnosis(
                "shape-cropped", f"{finding.text}; only where {where or 'pad = 0'}", "slice pad:pad + H, not pad:-pad"
            )
        if everywhere:
            mended = self._by_cache(s)
            return mended or Diagnosis(finding.cause, finding.text)
        if finding.cause == "wrong-cache" or not (where or self.passing):
            return Diagnosis(finding.cause, finding.text)
        cause = "shape-squeezed" if where.endswith("= 1") and _squeezes(s) else "config-hardcoded"
        only = f"only where {where}" if where else "at some settings only"
        return Diagnosis(cause, f"it raises {only}: {finding.text}", "use the sizes and settings as they come in")

    def _by_cache(self, s: Sample) -> Diagnosis | None:
        """Another cache with which it runs and all gradients are right."""
        for readings in zip(*(probes.caches(s, k) for k in range(len(s.names)))):
            if all(reading.holds(s) for reading in readings):
                return Diagnosis(readings[0].cause, readings[0].evidence, readings[0].suggestion, s.names[0])
        return None

    # --- one argument

    def _of_argument(self, s: Sample, k: int) -> Diagnosis | None:
        witnesses = self.witnesses(s, k)
        for reading in self._readings(s, k, witnesses):
            self.deadline.check()
            if reading.cause == "off-by-one" and self._of_settings():
                continue  # a loop's end is wrong at every setting
            if reading.holds(s) and is_confirmed(reading, witnesses):
                return Diagnosis(reading.cause, reading.evidence, reading.suggestion, s.names[k])
        return None

    def witnesses(self, s: Sample, k: int) -> list[Sample]:
        """The sample, a second draw of it, other settings that fail for the same argument, and one example fewer."""
        found = [s]
        again = next(((text, a) for text, a in self.draw(self.seed + 1) if text == s.text), None)
        second = self._sample(*again, self.seed + 1) if again else None
        others = [t for t in self.failing if t is not s and k < len(t.names)]
        for t in [second, *others]:
            if t is not None and t.error is None and k < len(t.returned) and t.is_wrong(k):
                found.append(t)
        if len({t.x[0].shape for t in found}) == 1:
            smaller = _smaller(s)
            if smaller is not None and smaller.error is None and smaller.is_wrong(k):
                found.append(smaller)
        return found

    def _readings(self, s: Sample, k: int, witnesses: list[Sample]) -> Iterator[Reading]:
        a = s.returned[k]
        yield from probes.ignored(s, k)
        yield from transforms.forms(s, k)
        if a.shape == s.x[k].shape:
            if contributions.close_to_nothing(s, k):
                yield Reading(
                    "unfinished",
                    f"the gradient of {s.names[k]} is zero, but for an L2 term if any",
                    "write it",
                    lambda t: contributions.is_nothing(t, k),
                )
            yield from local.filled(s, k)
            yield from probes.linearity(s, k)
            yield from probes.state(s, k)
            for found in (factors.scale(s, k, witnesses), self._scale_beside_l2(s, k, witnesses)):
                if found is not None:
                    yield found
        yield from transforms.orders(s, k)
        yield from residuals.sums(s, k)
        if a.shape == s.x[k].shape:
            yield from probes.per_channel(s, k)
            yield from residuals.terms(s, k)
            yield from probes.factors_of_dout(s, k)
            yield from contributions.outputs(s, k)
            yield from probes.other_mode(s, k)
            yield from right_of_reference(s, k, self.reference)
            yield from probes.eps(s, k)
            if len(s.names) > 1:
                yield from probes.caches(s, k)
            yield from local.elementwise(s, k)
            yield from supports.supports(s, k)
            yield from local.masks(s, k)
            yield from supports.through_scores(s, k)
            yield from moments.centring(s, k)
            yield from contributions.overwritten(s, k)
            yield from probes.corruption(s, k)
            yield from transforms.places(s, k)
        if len(s.names) == 1 or a.shape != s.x[k].shape:
            yield from probes.caches(s, k)
        if a.shape == s.x[k].shape:
            yield from contributions.slices(s, k)

    def _scale_beside_l2(self, s: Sample, k: int, witnesses: list[Sample]) -> Reading | None:
        """One factor on all but the L2 term of a loss."""
        if s.subject.takes_dout or k != 0:
            return None
        return factors.scale(s, k, witnesses, lambda t: t.x[k])

    # --- all settings

    def _of_settings(self) -> Diagnosis | None:
        """Right for some settings, wrong for others."""
        if not any(min((n for x in t.x for n in x.shape), default=1) > 1 for t in self.passing):
            return None
        failing = [t for t in self.failing if t.error is None]
        where = telling(failing, self.passing)
        if not where:
            return None
        s = failing[0]
        names = ", ".join(s.names[k] for k in s.wrong)
        cropped = [k for k in s.wrong if k < len(s.returned) and s.returned[k].shape != s.x[k].shape]
        if "pad" in where and cropped:
            k = cropped[0]
            text = f"the gradient of {s.names[k]} has shape {s.returned[k].shape} where {where}"
            return Diagnosis("shape-cropped", text, "slice pad:pad + H", s.names[k])
        return Diagnosis(
            "config-hardcoded",
            f"the gradient of {names} is wrong where {where}, right elsewhere",
            "use the sizes and settings as they come in",
            s.names[s.wrong[0]],
        )

    def unknown(self, why: str = "") -> Diagnosis:
        """What is known all the same."""
        if not self.failing or not self.failing[0].wrong or self.failing[0].error is not None:
            return Diagnosis("unknown", why)
        s = self.failing[0]
        k = s.wrong[0]
        texts = [why] if why else []
        where = telling(self.failing, self.passing)
        texts += [f"wrong where {where}"] if where else []
        with contextlib.suppress(TimeUp):
            texts += _profile(s, k)
        return Diagnosis("unknown", "; ".join(texts), "", s.names[k])


def _profile(s: Sample, k: int) -> list[str]:
    """Support, rank, and profile by axis of true - returned."""
    r, wrong = residuals.residual(s, k), residuals.differing(s, k)
    if r is None or wrong is None:
        return [f"the gradient of {s.names[k]} has shape {np.shape(s.returned[k])}, not {s.x[k].shape}"]
    texts = [f"{int(wrong.sum())} of {wrong.size} entries of the gradient of {s.names[k]} are wrong"]
    if r.ndim == 2 and min(r.shape) > 1:
        texts.append(f"true - returned has rank {np.linalg.matrix_rank(r, tol=1e-7 * np.linalg.norm(r))}")
    for axis in range(r.ndim):
        places = wrong.any(axis=tuple(i for i in range(r.ndim) if i != axis))
        if not places.all():
            texts.append(f"along axis {axis} only at {', '.join(map(str, np.flatnonzero(places)[:6]))}")
    return texts


def _smaller(s: Sample) -> Sample | None:
    """The same with one example fewer: all arrays with as many rows as the first, or the first alone."""
    rows = len(s.arguments[0]) if isinstance(s.arguments[0], np.ndarray) and s.arguments[0].ndim else 0
    if rows < 3:
        return None
    for every in (True, False):
        arguments = tuple(
            v[:-1] if isinstance(v, np.ndarray) and v.ndim and len(v) == rows and (every or i == 0) else v
            for i, v in enumerate(s.arguments)
        )
        try:
            found = s.at(arguments)
        except TimeUp:
            raise
        except Exception:
            continue
        if found.error is None:
            return found
    return None


def _squeezes(s: Sample) -> bool:
    """Whether the code takes away axes of size 1."""
    try:
        return bool(re.search(r"squeeze", inspect.getsource(inspect.unwrap(s.subject.functions[-1]))))
    except (OSError, TypeError):
        return False
