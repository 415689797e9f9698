import numpy as np
import pytest

from gradcheck import assert_gradients
from layers import TemporalSoftmaxLoss
from models import RecurrentLM, Solver, TransformerLM, generate
from optim import Adam

TOKENS = np.random.default_rng(0).integers(0, 5, (3, 6))


@pytest.mark.parametrize(
    "make",
    [
        *(
            lambda cell=cell: RecurrentLM(5, embed_dim=3, hidden_size=4, cell=cell, rng=0)
            for cell in ("rnn", "lstm", "gru")
        ),
        lambda: TransformerLM(5, max_len=6, embed_dim=4, num_heads=2, num_layers=2, rng=0),
    ],
    ids=["rnn", "lstm", "gru", "transformer"],
)
class TestEveryLanguageModel:
    def test_its_gradients_are_right(self, make):
        assert_gradients(make(), TOKENS)

    def test_no_score_depends_on_a_later_token(self, make):
        model, changed = make(), TOKENS.copy()
        before = model.forward(TOKENS)
        changed[:, 4:] = (changed[:, 4:] + 1) % 5
        np.testing.assert_allclose(model.forward(changed)[:, :4], before[:, :4], rtol=1e-6)

    def test_it_learns_a_cycle_and_goes_on_with_it(self, make):
        cycle = np.tile(np.arange(5), 20)
        x, y = (np.stack([cycle[i + shift : i + shift + 6] for i in range(60)]) for shift in (0, 1))
        model = make()
        optimizer = Adam(model.parameters(), learning_rate=0.01)
        solver = Solver(model, TemporalSoftmaxLoss(), optimizer, epochs=100, batch_size=20)
        assert solver.fit(x, y)[-1]["train_loss"] < 0.1
        assert solver.evaluate(x, y)["val_accuracy"] == 1
        assert generate(model, [2], 6, context=6, temperature=0).tolist() == [2, 3, 4, 0, 1, 2, 3]


def test_generation_follows_the_distribution_and_its_temperature():
    model = RecurrentLM(3, embed_dim=2, hidden_size=2, rng=0)
    for parameter in model.parameters().values():
        parameter.value = parameter.value * 0
    model[2].b.value = np.log([0.5, 0.3, 0.2])
    drawn = generate(model, [0], 2000, context=1, rng=0)[1:]
    np.testing.assert_allclose(np.bincount(drawn) / 2000, [0.5, 0.3, 0.2], atol=0.04)
    cold = generate(model, [0], 300, context=1, temperature=0.1, rng=0)[1:]
    assert np.mean(cold == 0) > 0.95  # odds 0.5 : 0.3 to the tenth power


def test_generation_is_decided_by_the_seed():
    model = RecurrentLM(5, rng=0)
    np.testing.assert_array_equal(generate(model, [1], 20, rng=3), generate(model, [1], 20, rng=3))


def test_an_unknown_cell_is_refused():
    with pytest.raises(ValueError, match="cell must be one of rnn, lstm, gru; got 'lsmt'"):
        RecurrentLM(5, cell="lsmt")


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_recurrent_model_goes_on_in_steps_as_if_it_read_all_again(cell):
    model = RecurrentLM(5, embed_dim=3, hidden_size=8, cell=cell, num_layers=2, rng=0)
    again = generate(model, [1, 4, 2], 30, context=100, rng=3)
    np.testing.assert_array_equal(generate(model, [1, 4, 2], 30, rng=3), again)


def test_a_transformer_goes_on_beyond_its_length_with_its_last_tokens():
    model = TransformerLM(5, max_len=4, embed_dim=4, num_heads=2, rng=0)
    np.testing.assert_array_equal(generate(model, [1], 9, rng=3), generate(model, [1], 9, context=4, rng=3))


def test_generation_leaves_the_mode():
    model = TransformerLM(5, max_len=4, embed_dim=4, num_heads=2, dropout=0.5, rng=0)
    assert generate(model, 1, 3, temperature=0).tolist() == generate(model, [1], 3, temperature=0).tolist()
    assert model.training


@pytest.mark.parametrize(
    ("start", "options", "error", "message"),
    [
        ([], {}, ValueError, "start must hold at least one token"),
        ([[1, 2]], {}, ValueError, r"start must hold at least one token, shape \(T,\); got \(1, 2\)"),
        ([1.5], {}, TypeError, "start must hold integers, the numbers of tokens; got dtype float64"),
        ("ab", {}, TypeError, "start must hold integers, .*Encode text first"),
        ([9], {}, ValueError, r"x must hold integers 0..4; got 9..9"),
        ([1], {"length": -1}, ValueError, "length must be a whole number of at least 0; got -1"),
        ([1], {"context": 0}, ValueError, "context must be a whole number of at least 1; got 0"),
        ([1], {"temperature": -1}, ValueError, r"temperature must be a number in \[0, inf\); got -1"),
    ],
)
def test_what_cannot_be_gone_on_from_is_refused(start, options, error, message):
    model = TransformerLM(5, max_len=4, embed_dim=4, num_heads=2, rng=0)
    with pytest.raises(error, match=message):
        generate(model, start, **{"length": 3, **options})


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match="num_layers must be a whole number of at least 1; got 0"):
        TransformerLM(5, max_len=4, num_layers=0)
