import numpy as np
import pytest

from layers import Affine, Dropout, L2Penalty, Layer, MSELoss, ReLU, SoftmaxLoss
from models import MLP, Diverged, LinearRegression, Sequential, Solver, accuracy, r2
from optim import EMA, LBFGS, SGD, Adam, Plateau


def problem(n=120, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 4)).astype(np.float32)
    return X, (X @ rng.standard_normal((4, 3))).argmax(axis=1)


def make(model=None, rate=0.05, **options):
    model = model or MLP(4, [8], 3, rng=0)
    return Solver(model, SoftmaxLoss(), SGD(model.parameters(), learning_rate=rate, momentum=0.9), **options)


def weights(solver):
    return np.concatenate([p.value.ravel() for p in solver.model.parameters().values()])


def test_training_learns_a_separable_problem():
    X, y = problem()
    solver = make(epochs=60, batch_size=16)
    solver.fit(X[:90], y[:90], X[90:], y[90:])
    assert solver.best["val_accuracy"] >= 0.9
    assert solver.history[-1]["train_loss"] < 0.1


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    X, y = problem()
    runs = [make(epochs=3, batch_size=16, seed=seed) for seed in (1, 1, 2)]
    for solver in runs:
        solver.fit(X, y)
    np.testing.assert_array_equal(weights(runs[0]), weights(runs[1]))
    assert not np.array_equal(weights(runs[0]), weights(runs[2]))


def test_dropout_depends_on_seed_epoch_and_batch_and_not_on_what_was_drawn_before():
    X, y = problem()
    runs = []
    for drawn in (0, 5):
        model = Sequential(Affine(4, 8, rng=0), ReLU(), Dropout(0.5, rng=9), Affine(8, 3, rng=1))
        for _ in range(drawn):
            model.forward(X)
        runs.append(make(model, epochs=2, batch_size=16))
        runs[-1].fit(X, y)
    np.testing.assert_array_equal(weights(runs[0]), weights(runs[1]))


def test_the_first_loss_of_the_history_is_the_mean_over_the_examples_seen():
    X, y = problem(n=10)
    solver = make(epochs=1, batch_size=4, rate=0.0)  # batches of 4, 4 and 2 count by their examples
    expected = SoftmaxLoss().forward(solver.model.forward(X), y)
    assert solver.fit(X, y)[0]["train_loss"] == pytest.approx(expected, rel=1e-5)


def test_the_model_ends_with_the_weights_of_the_best_epoch():
    X, y = problem()
    seen = []

    def disturb(solver):
        seen.append(weights(solver).copy())
        if len(seen) == 3:  # all later epochs start from nonsense and cannot be best
            for parameter in solver.model.parameters().values():
                parameter.value = parameter.value * 0

    solver = make(epochs=4, batch_size=16, monitor="val_loss", callbacks=[disturb], rate=0.01)
    solver.fit(X[:90], y[:90], X[90:], y[90:])
    best = int(solver.best["epoch"]) - 1
    assert solver.best is min(solver.history, key=lambda row: row["val_loss"])
    np.testing.assert_array_equal(weights(solver), seen[best])


def test_best_weights_are_kept_although_no_prediction_is_ever_right():
    X, y = problem(n=20)
    solver = make(epochs=2, batch_size=5, metric=lambda out, labels: 0.0)
    solver.fit(X, y, X, y)
    assert solver.best is not None


def test_training_stops_after_patience_epochs_without_a_better_one():
    X, y = problem()
    solver = make(epochs=50, batch_size=16, rate=0.0, patience=3)
    solver.fit(X[:90], y[:90], X[90:], y[90:])
    assert [row["epoch"] for row in solver.history] == [1, 2, 3, 4]


def test_a_callback_can_stop_the_training():
    X, y = problem()

    def stop(solver):
        solver.stop = solver.epoch == 2

    solver = make(epochs=9, batch_size=16, callbacks=[stop])
    assert len(solver.fit(X, y)) == 2


def test_the_schedule_multiplies_the_base_rate_at_each_step():
    X, y = problem(n=8)
    solver = make(epochs=2, batch_size=4, rate=0.5, schedule=lambda step: 0.1**step)
    solver.fit(X, y)
    assert [row["learning_rate"] for row in solver.history] == pytest.approx([0.05, 0.0005])


def test_a_plateau_is_told_the_validation_loss():
    X, y = problem()
    schedule = Plateau(factor=0.5, patience=0)
    solver = make(epochs=4, batch_size=90, rate=0.0, schedule=schedule)
    solver.fit(X[:90], y[:90], X[90:], y[90:])
    assert schedule(0) == 0.125  # no better loss after the first epoch: three drops


def test_clipping_bounds_what_one_step_changes():
    X, y = problem()
    model = MLP(4, [8], 3, rng=0)
    solver = Solver(model, SoftmaxLoss(), SGD(model.parameters(), learning_rate=1.0), clip_norm=1e-3)
    before = weights(solver).copy()
    solver.step(X, y)
    assert np.linalg.norm(weights(solver) - before) == pytest.approx(1e-3, rel=1e-3)


def test_a_penalty_pulls_the_weights_towards_zero_and_leaves_the_biases():
    X, y = np.zeros((8, 4), np.float32), np.zeros(8, int)
    model = LinearRegression(4, 1, rng=0)
    optimizer = SGD(model.parameters(), learning_rate=0.1)
    solver = Solver(model, MSELoss(), optimizer, penalty=L2Penalty(model.parameters(), 0.5))
    W, b = model[0].W.value.copy(), model[0].b.value.copy()
    solver.step(X, y.reshape(8, 1).astype(np.float32))
    np.testing.assert_allclose(model[0].W.value, W * (1 - 0.1 * 0.5), rtol=1e-6)
    np.testing.assert_array_equal(model[0].b.value, b)


def test_validation_and_the_final_model_use_the_averaged_weights():
    X, y = problem()
    model = MLP(4, [8], 3, rng=0)
    optimizer = Adam(model.parameters(), learning_rate=0.01)
    solver = Solver(model, SoftmaxLoss(), optimizer, average=EMA(model.parameters(), 0.9), epochs=3)
    solver.fit(X[:90], y[:90], X[90:], y[90:])
    assert solver.evaluate(X[90:], y[90:])["val_loss"] == pytest.approx(solver.best["val_loss"], rel=1e-6)


def test_lbfgs_trains_on_the_whole_data():
    X, y = problem()
    model = MLP(4, [8], 3, activation="tanh", rng=0)
    solver = Solver(model, SoftmaxLoss(), LBFGS(model.parameters()), epochs=5, batch_size=len(X))
    history = solver.fit(X, y)
    assert history[-1]["train_loss"] < 0.05


def test_divergence_names_the_step_and_the_layer():
    class Broken(Layer):
        def forward(self, x):
            return x * np.float32(np.inf)

        def backward(self, dout):
            return dout

    X, y = problem()
    model = Sequential(Affine(4, 3, rng=0), Broken())
    message = r"step 1 \(epoch 1\).*output of layer 1, Broken"
    with pytest.raises(Diverged, match=message), np.errstate(invalid="ignore"):
        make(model).fit(X, y)


def test_a_batch_with_nan_is_named_as_the_culprit():
    X, y = problem()
    X[5, 1] = np.nan
    with pytest.raises(Diverged, match="the input batch"):
        make(batch_size=120).fit(X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "epochs must be 0 or more"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"metric": "acuracy"}, "metric must be one of accuracy, r2"),
        ({"monitor": "val_f1"}, "monitor must be one of train_loss, val_loss, val_accuracy"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_monitoring_validation_without_validation_data_is_refused():
    with pytest.raises(ValueError, match="pass X_val and y_val"):
        make(monitor="val_loss").fit(*problem())


def test_labels_of_another_length_are_refused():
    X, y = problem()
    with pytest.raises(ValueError, match="120 examples of X; got 119"):
        make().fit(X, y[:-1])


def test_accuracy_and_r2_by_hand():
    assert accuracy(np.array([[0.0, 1.0], [2.0, 1.0], [0.0, 1.0]]), np.array([1, 0, 0])) == pytest.approx(2 / 3)
    assert accuracy(np.eye(3)[[[0, 2, 1], [1, 0, 2]]], np.array([[0, 2, 2], [1, 1, 2]])) == pytest.approx(4 / 6)
    with pytest.raises(ValueError, match=r"y must have shape \(2,\), one label a row of scores; got \(3,\)"):
        accuracy(np.zeros((2, 3)), np.zeros(3))
    assert r2(np.array([1.0, 2.0, 6.0]), np.array([0.0, 3.0, 6.0])) == pytest.approx(1 - 2 / 18)
    assert r2(np.array([[3.0], [3.0]]), np.array([1.0, 5.0])) == 0.0
