import math
import pickle

import pytest

from optim import Constant, CosineDecay, ExponentialDecay, OneCycle, Plateau, StepDecay, Warmup


def test_step_decay_multiplies_by_the_factor_every_so_many_steps():
    assert [StepDecay(3, factor=0.5)(t) for t in range(8)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert StepDecay(1, factor=0.1, minimum=0.05)(5) == 0.05


def test_exponential_decay_falls_by_one_ratio_a_step():
    schedule = ExponentialDecay(every=4, factor=0.5)
    assert schedule(0) == 1
    assert schedule(8) == 0.25
    ratios = [schedule(t + 1) / schedule(t) for t in range(20)]
    assert max(ratios) == pytest.approx(min(ratios), rel=1e-12)
    assert ExponentialDecay(every=4, factor=0.5, minimum=0.3)(100) == 0.3


def test_cosine_starts_at_one_is_half_way_in_the_middle_and_ends_at_the_minimum():
    schedule = CosineDecay(100, minimum=0.2)
    assert schedule(0) == 1
    assert schedule(50) == pytest.approx(0.6)
    assert schedule(25) == pytest.approx(0.2 + 0.4 * (1 + math.sqrt(0.5)))
    assert schedule(100) == schedule(1000) == pytest.approx(0.2)
    values = [schedule(t) for t in range(101)]
    assert values == sorted(values, reverse=True)


def test_warmup_rises_evenly_and_then_hands_over_from_its_first_step():
    after = StepDecay(2, factor=0.5)
    schedule = Warmup(5, after)
    assert [schedule(t) for t in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert [schedule(5 + t) for t in range(10)] == [after(t) for t in range(10)]
    assert [Warmup(0, after)(t) for t in range(10)] == [after(t) for t in range(10)]
    assert Warmup(2)(99) == Constant()(99) == 1


def test_warmup_rises_to_where_the_other_schedule_starts():
    assert Warmup(4, OneCycle(100))(1) == pytest.approx(0.5 / 25)


def test_one_cycle_passes_its_three_points_rising_and_falling_between():
    schedule = OneCycle(100, pct_start=0.3, div_factor=10, final_div_factor=100)
    values = [schedule(t) for t in range(100)]
    assert values[0] == pytest.approx(0.1)
    assert values[29] == 1
    assert values[99] == pytest.approx(0.001)
    assert values[:30] == sorted(values[:30])
    assert values[29:] == sorted(values[29:], reverse=True)
    assert schedule(100) == schedule(10_000) == pytest.approx(0.001)


@pytest.mark.parametrize("total_steps", [1, 2, 3])
@pytest.mark.parametrize("pct_start", [0.01, 0.3, 0.99])
def test_one_cycle_of_few_steps_is_finite_and_at_most_one(total_steps, pct_start):
    schedule = OneCycle(total_steps, pct_start)
    assert all(0 < schedule(t) <= 1 for t in range(total_steps + 2))


def test_plateau_drops_after_patience_epochs_without_a_better_metric():
    plateau = Plateau(factor=0.5, patience=2)
    seen = []
    for loss in [3.0, 2.0, 2.5, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]:
        plateau.update(loss)
        seen.append(plateau(0))
    assert seen == [1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_plateau_can_look_for_the_larger_and_for_negative_metrics():
    rising = Plateau(mode="max", patience=0)
    for metric in [-2.0, -1.0, 0.0, 0.5, 0.9]:
        rising.update(metric)
    assert rising(0) == 1
    rising.update(0.9)
    assert rising(0) == pytest.approx(0.1)

    slightly_worse = Plateau(mode="max", patience=0, threshold=0.01)
    for metric in [-1.0, -1.001]:
        slightly_worse.update(metric)
    assert slightly_worse(0) == pytest.approx(0.1)


def test_plateau_counts_a_gain_below_the_threshold_as_none():
    plateau = Plateau(patience=0, threshold=0.1)
    plateau.update(10.0)
    plateau.update(8.9)
    assert plateau(0) == 1
    plateau.update(8.1)
    assert plateau(0) == pytest.approx(0.1)


def test_plateau_takes_nan_for_no_better_metric_and_goes_no_lower_than_its_minimum():
    plateau = Plateau(patience=0, minimum=0.05)
    plateau.update(math.nan)
    assert plateau(0) == pytest.approx(0.1)
    plateau.update(1.0)  # the first that is a number is the best so far
    assert plateau(0) == pytest.approx(0.1)
    for _ in range(5):
        plateau.update(math.nan)
    assert plateau(0) == 0.05
    plateau.update(0.5)
    assert plateau.best == 0.5


def test_plateau_goes_on_from_a_saved_state():
    plateau, other = Plateau(patience=1), Plateau(patience=1)
    for loss in [1.0, 2.0, 2.0, 2.0]:
        plateau.update(loss)
    other.load_state_dict(plateau.state_dict())
    for p in (plateau, other):
        p.update(3.0)
    assert other == plateau
    assert other(0) == pytest.approx(0.01)
    with pytest.raises(ValueError, match="bad_epochs"):
        other.load_state_dict({"current": 1.0})


@pytest.mark.parametrize(
    "schedule", [StepDecay(3), ExponentialDecay(3), CosineDecay(9), Warmup(2, CosineDecay(7)), OneCycle(9)]
)
def test_a_schedule_gives_a_float_at_every_step_and_can_be_pickled(schedule):
    assert all(isinstance(schedule(t), float) for t in range(12))
    assert pickle.loads(pickle.dumps(schedule)) == schedule


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepDecay(0), "every"),
        (lambda: StepDecay(1, factor=0), "factor"),
        (lambda: ExponentialDecay(1, factor=1.5), "factor must be a number above 0, at most 1; got 1.5"),
        (lambda: ExponentialDecay(-1), "every"),
        (lambda: CosineDecay(0), "total_steps"),
        (lambda: CosineDecay(5, minimum=2), "minimum must be a number from 0 to 1; got 2"),
        (lambda: Warmup(-1), "warmup_steps"),
        (lambda: OneCycle(0), "total_steps"),
        (lambda: OneCycle(9, pct_start=30), "pct_start"),
        (lambda: OneCycle(9, div_factor=0.5), "div_factor"),
        (lambda: Plateau(factor=2), "factor"),
        (lambda: Plateau(patience=-1), "patience"),
        (lambda: Plateau(mode="down"), "mode"),
        (lambda: Plateau(threshold=-1), "threshold"),
    ],
)
def test_an_option_out_of_its_range_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_schedule_that_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match="after must be a schedule"):
        Warmup(3, 0.1)
    with pytest.raises(TypeError, match="total_steps must be a whole number"):
        CosineDecay(2.5)
