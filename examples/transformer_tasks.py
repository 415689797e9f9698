"""A transformer learns to reverse a string and to add two numbers, written out character by character.

python examples/transformer_tasks.py [reverse|add]
"""

import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from layers import TemporalSoftmaxLoss
from models import TransformerLM
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


def learn(task, steps, seed=0):
    """Exact answers among 1000 questions after so many batches of 64."""
    rng = np.random.default_rng(seed)
    width = sum(part.shape[1] for part in task(rng, 1))
    model = TransformerLM(len(LETTERS), max_len=width, embed_dim=64, num_heads=4, num_layers=2, rng=seed)
    loss, optimizer = TemporalSoftmaxLoss(), Adam(model.parameters(), learning_rate=2e-3)
    schedule = Warmup(100, CosineDecay(steps))
    for step in range(steps):
        question, answer = task(rng, 64)
        tokens = np.concatenate([question, answer], axis=1)
        graded = np.arange(width - 1) >= question.shape[1] - 1  # only the answer counts
        optimizer.zero_grad()
        value = loss.forward(model.forward(tokens[:, :-1]), tokens[:, 1:], np.broadcast_to(graded, (64, width - 1)))
        model.add_grads(loss.backward())
        clip_by_global_norm(optimizer, 1.0)
        optimizer.learning_rate = 2e-3 * schedule(step)
        optimizer.step()
        if step % 500 == 0:
            print(f"  step {step:5}: loss {value:.4f}")
    question, answer = task(np.random.default_rng(seed + 1), 1000)
    return float((complete(model.eval(), question, answer.shape[1]) == answer).all(axis=1).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="?", choices=["reverse", "add"])
    options = parser.parse_args()
    for task, steps in ((reverse, 1500), (add, 4000)):
        if options.task in (None, task.__name__):
            print(task.__name__)
            print(f"  {learn(task, steps):.1%} of 1000 new questions answered without a mistake")


if __name__ == "__main__":
    main()
