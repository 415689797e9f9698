"""A transformer learns to reverse a string and to add two numbers, written out character by character; an encoder and a
decoder learn to sort up to eight digits.

python examples/transformer_tasks.py [reverse|add|sort]
"""

import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from layers import TemporalSoftmaxLoss
from models import EncoderDecoder, TransformerLM
from optim import Adam, CosineDecay, Warmup, clip_by_global_norm

LETTERS = "0123456789+="


def reverse(rng, n):
    """Questions such as "40172=" and answers such as "27104"."""
    digits = rng.integers(0, 10, (n, 6))
    return np.concatenate([digits, np.full((n, 1), 11)], axis=1), digits[:, ::-1]


def add(rng, n):
    """Questions such as "274+085=" and answers with the last digit first, "9530", as one adds on paper."""
    a, b = rng.integers(0, 1000, (2, n, 1))
    places = 10 ** np.arange(4)
    question = [a // places[2::-1] % 10, np.full((n, 1), 10), b // places[2::-1] % 10, np.full((n, 1), 11)]
    return np.concatenate(question, axis=1), (a + b) // places % 10


def complete(model, question, length):
    """The likeliest answer, a token at a time."""
    tokens = question
    for _ in range(length):
        tokens = np.concatenate([tokens, model.forward(tokens)[:, -1:].argmax(axis=2)], axis=1)
    return tokens[:, -length:]


def train(model, batch, steps):
    """So many batches: `batch()` gives inputs, labels and which of these count."""
    loss, optimizer = TemporalSoftmaxLoss(), Adam(model.parameters(), learning_rate=2e-3)
    schedule = Warmup(100, CosineDecay(steps))
    for step in range(steps):
        inputs, labels, counts = batch()
        optimizer.zero_grad()
        value = loss.forward(model.forward(*inputs), labels, counts)
        model.add_grads(loss.backward())
        clip_by_global_norm(optimizer, 1.0)
        optimizer.learning_rate = 2e-3 * schedule(step)
        optimizer.step()
        if step % 500 == 0:
            print(f"  step {step:5}: loss {value:.4f}")


def learn(task, steps, seed=0):
    """Exact answers among 1000 questions after so many batches of 64."""
    rng = np.random.default_rng(seed)
    width = sum(part.shape[1] for part in task(rng, 1))
    model = TransformerLM(len(LETTERS), max_len=width, embed_dim=64, num_heads=4, num_layers=2, rng=seed)

    def batch():
        question, answer = task(rng, 64)
        tokens = np.concatenate([question, answer], axis=1)
        graded = np.arange(width - 1) >= question.shape[1] - 1  # only the answer counts
        return (tokens[:, :-1],), tokens[:, 1:], np.broadcast_to(graded, (64, width - 1))

    train(model, batch, steps)
    question, answer = task(np.random.default_rng(seed + 1), 1000)
    return float((complete(model.eval(), question, answer.shape[1]) == answer).all(axis=1).mean())


LONGEST, START = 8, 10


def unsorted(rng, n):
    """One to eight digits, which of them are real, and the same from a start to the largest; zeros fill up."""
    real = np.arange(LONGEST) < rng.integers(1, LONGEST + 1, (n, 1))
    digits = rng.integers(0, 10, (n, LONGEST))
    target = np.sort(np.where(real, digits, 99), axis=1)  # what is not real goes to the end
    return np.where(real, digits, 0), real, np.concatenate([np.full((n, 1), START), np.where(real, target, 0)], axis=1)


def sort(steps, seed=0):
    """The same for an encoder, which is told what is real, and a decoder, which is told how long the answer is."""
    rng = np.random.default_rng(seed)
    model = EncoderDecoder(10, 11, max_len=LONGEST + 1, num_layers=2, rng=seed)

    def batch():
        source, real, target = unsorted(rng, 64)
        return (source, target[:, :-1], real), target[:, 1:], real

    train(model, batch, steps)
    source, real, target = unsorted(np.random.default_rng(seed + 1), 1000)
    written = model.translate(source, START, LONGEST, real)
    return float(((written == target[:, 1:]) | ~real).all(axis=1).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="?", choices=["reverse", "add", "sort"])
    options = parser.parse_args()
    for name, right in (
        ("reverse", lambda: learn(reverse, 1500)),
        ("add", lambda: learn(add, 4000)),
        ("sort", lambda: sort(1500)),
    ):
        if options.task in (None, name):
            print(name)
            print(f"  {right():.1%} of 1000 new questions answered without a mistake")


if __name__ == "__main__":
    main()
