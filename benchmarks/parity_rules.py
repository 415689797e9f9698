"""Update rules, clipping, averaging and schedules and their equals in PyTorch, over 50 steps; see `parity_torch.py`.

Both libraries start from the same weights and take their gradients from the same function, each at its own weights.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch

import layers
import optim
from benchmarks.parity_cases import Draw

STEPS = 50
SHAPES = {"W": (5, 4), "b": (4,)}
Pairs = Iterator[tuple[str, np.ndarray, torch.Tensor]]
Rule = Callable[[Draw, type, type], Pairs]  # by our dtype and PyTorch's


class Race:
    """Our parameters and PyTorch's, and gradients of a convex function with noise, a descent as in training."""

    def __init__(self, draw, dtype, torch_dtype):
        self.rng, self.dtype, self.torch_dtype = draw.rng, dtype, torch_dtype
        start = {name: self.draw_like(name) for name in SHAPES}
        self.ours = {name: layers.Parameter(w.copy(), decay=name == "W") for name, w in start.items()}
        self.theirs = {name: torch.tensor(w.astype(torch_dtype), requires_grad=True) for name, w in start.items()}
        self.A = {name: (draw.normal(*w.shape[:1] * 2) / 2).astype(dtype) for name, w in start.items()}

    def draw_like(self, name):
        return self.rng.standard_normal(SHAPES[name]).astype(self.dtype)

    def add_gradients(self):
        """Of sum(log(cosh(A w))) plus noise, each library's at its own weights."""
        for name, A in self.A.items():
            noise, w, twin = self.draw_like(name) / 3, self.ours[name], self.theirs[name]
            w.grad = A.T @ np.tanh(A @ w.value) + noise
            A, noise = A.astype(self.torch_dtype), noise.astype(self.torch_dtype)
            twin.grad = torch.from_numpy(A.T @ np.tanh(A @ twin.detach().numpy()) + noise)

    def weights(self) -> Pairs:
        for name, w in self.ours.items():
            yield name, w.value.copy(), self.theirs[name].detach().clone()


def descent(make: Callable) -> Rule:
    """Weights after each step of ``make(draw, ours, theirs) -> (our optimizer, theirs[, what precedes a step])``."""

    def run(draw, dtype, torch_dtype):
        race = Race(draw, dtype, torch_dtype)
        ours, theirs, *before = make(draw, race.ours, race.theirs)
        for _ in range(STEPS):
            race.add_gradients()
            for action in before:
                action()
            ours.step()
            theirs.step()
            yield from race.weights()

    return run


def penalised(draw, ours, theirs):
    """PyTorch's parameters with its weight_decay, and the call that adds the same, our penalty, to our gradients."""
    reg = draw.choice("L2", 0.0, 0.1)
    penalty = layers.L2Penalty(ours, reg)

    def add_penalty():
        penalty.forward()
        penalty.backward()

    groups = [{"params": [theirs["W"]], "weight_decay": reg}, {"params": [theirs["b"]], "weight_decay": 0.0}]
    return groups, add_penalty


def shrink(theirs, rate, decay):
    """Decoupled decay for a rule of PyTorch that has none."""

    def action():
        with torch.no_grad():
            theirs["W"] *= 1 - rate * decay

    return action


def sgd(draw, ours, theirs):
    rate, momentum = draw.number("rate", 0.001, 0.1), draw.choice("momentum", 0.0, 0.5, 0.9)
    nesterov = momentum > 0 and draw.flag("nesterov")
    groups, add_penalty = penalised(draw, ours, theirs)
    twin = torch.optim.SGD(groups, rate, momentum=momentum, nesterov=nesterov)
    return optim.SGD(ours, learning_rate=rate, momentum=momentum, nesterov=nesterov), twin, add_penalty


def decoupled_sgd(draw, ours, theirs):
    rate, momentum, decay = draw.number("rate", 0.001, 0.1), draw.choice("momentum", 0.0, 0.9), 0.1
    twin = torch.optim.SGD(theirs.values(), rate, momentum=momentum)
    mine = optim.SGD(ours, learning_rate=rate, momentum=momentum, weight_decay=decay)
    return mine, twin, shrink(theirs, rate, decay)


def adagrad(draw, ours, theirs):
    rate, eps = draw.number("rate", 0.01, 0.3), draw.choice("eps", 1e-10, 1e-4)
    groups, add_penalty = penalised(draw, ours, theirs)
    return optim.Adagrad(ours, learning_rate=rate, eps=eps), torch.optim.Adagrad(groups, rate, eps=eps), add_penalty


def rmsprop(draw, ours, theirs):
    rate, decay = draw.number("rate", 0.001, 0.1), draw.choice("decay", 0.5, 0.9, 0.99)
    eps = draw.choice("eps", 1e-8, 1e-4)
    groups, add_penalty = penalised(draw, ours, theirs)
    twin = torch.optim.RMSprop(groups, rate, alpha=decay, eps=eps)
    return optim.RMSProp(ours, learning_rate=rate, decay=decay, eps=eps), twin, add_penalty


def adam(draw, ours, theirs):
    options = {"betas": draw.choice("betas", (0.9, 0.999), (0.5, 0.9), (0.0, 0.99)), "eps": 1e-8}
    rate = draw.number("rate", 0.001, 0.1)
    groups, add_penalty = penalised(draw, ours, theirs)
    return optim.Adam(ours, learning_rate=rate, **options), torch.optim.Adam(groups, rate, **options), add_penalty


def adamw(draw, ours, theirs):
    options = {"betas": draw.choice("betas", (0.9, 0.999), (0.5, 0.9)), "eps": draw.choice("eps", 1e-8, 1e-4)}
    rate, decay = draw.number("rate", 0.001, 0.1), draw.choice("weight_decay", 0.0, 0.01, 0.5)
    groups = [{"params": [theirs["W"]]}, {"params": [theirs["b"]], "weight_decay": 0.0}]
    twin = torch.optim.AdamW(groups, rate, weight_decay=decay, **options)
    return optim.AdamW(ours, learning_rate=rate, weight_decay=decay, **options), twin


def lbfgs(draw, dtype, torch_dtype):
    """The least loss of a convex function, which is 1: the line searches go other ways and end at the same loss.

    The weights there agree to nine digits: PyTorch's line search does not go on once a step is shorter than 1e-9.
    """
    race = Race(draw, dtype, torch_dtype)
    target = {name: race.draw_like(name) for name in SHAPES}
    options = {"max_iter": 100, "history_size": draw.size("history_size", 3, 20)}
    tolerances = {"tolerance_grad": 1e-12, "tolerance_change": 0.0}
    mine = optim.LBFGS(race.ours, **options, **tolerances)
    twin = torch.optim.LBFGS(race.theirs.values(), **options, **tolerances, line_search_fn="strong_wolfe")

    def closure():
        loss = 1.0
        for name, w in race.ours.items():
            diff = w.value - target[name]
            total = float(diff.sum())
            w.grad = 2 * diff + diff**3 + 2 * total
            loss += float((diff**2 + diff**4 / 4).sum()) + total**2
        return loss

    def twin_closure():
        diffs = [w - torch.from_numpy(target[name]).to(w) for name, w in race.theirs.items()]
        loss = 1.0 + sum((diff**2 + diff**4 / 4).sum() + diff.sum() ** 2 for diff in diffs)
        twin.zero_grad()
        loss.backward()
        return loss

    mine.step(closure)
    twin.step(twin_closure)
    yield "least loss", closure(), twin_closure()


def ema(draw, dtype, torch_dtype):
    race, decay, warmup = Race(draw, dtype, torch_dtype), draw.choice("decay", 0.5, 0.9, 0.999), draw.flag("warmup")
    average = optim.EMA(race.ours, decay, warmup=warmup)

    def average_them(old, new, count):
        t = float(count) - 1
        d = min(decay, (1 + t) / (10 + t)) if warmup else decay
        return d * old + (1 - d) * new

    module = torch.nn.ParameterDict(race.theirs)
    twin = torch.optim.swa_utils.AveragedModel(module, avg_fn=average_them)
    twin.update_parameters(module)  # PyTorch's first update copies, ours starts as a copy
    for _ in range(STEPS):
        race.add_gradients()
        for name, w in race.ours.items():
            w.value = w.value - 0.1 * w.grad
            race.theirs[name].data.copy_(torch.from_numpy(w.value))
        average.update()
        twin.update_parameters(module)
        with average.applied():
            for name, w in race.ours.items():
                yield name, w.value.copy(), twin.module[name].detach().clone()


def clipping(clip, clip_theirs, name, high):
    """Gradients clipped to a drawn limit."""

    def run(draw, dtype, torch_dtype):
        race = Race(draw, dtype, torch_dtype)
        limit = draw.number(name, 0.05, high)
        for _ in range(STEPS):
            race.add_gradients()
            found, expected = clip(race.ours, limit), clip_theirs(race.theirs.values(), limit)
            if found is not None:
                yield "norm", found, expected
            for key, w in race.ours.items():
                yield f"d{key}", w.grad.copy(), race.theirs[key].grad.clone()

    return run


def clip_norm_theirs(tensors, limit):
    """PyTorch's norm, and the quotient without the 1e-6 that `clip_grad_norm_` adds to it."""
    tensors = list(tensors)
    norm = torch.nn.utils.get_total_norm([w.grad for w in tensors])
    for w in tensors:
        w.grad *= min(1.0, limit / float(norm))
    return norm


def schedule(make):
    """The rates of ``make(draw, optimizer) -> (our schedule, theirs)`` at each step."""

    def run(draw, dtype, torch_dtype):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
        ours, theirs = make(draw, optimizer)
        for t in range(STEPS):
            yield f"rate at {t}", ours(t), optimizer.param_groups[0]["lr"]
            if isinstance(ours, optim.Plateau):
                metric = float(draw.rng.random() + 5 / (1 + t))
                ours.update(metric)
                theirs.step(metric)
            else:
                optimizer.step()
                theirs.step()

    return run


torch_schedules = torch.optim.lr_scheduler


def constant(draw, optimizer):
    return optim.Constant(), torch_schedules.ConstantLR(optimizer, factor=1.0)


def step_decay(draw, optimizer):
    every, factor = draw.size("every", 1, 20), draw.number("factor", 0.1, 1)
    return optim.StepDecay(every, factor), torch_schedules.StepLR(optimizer, every, factor)


def exponential_decay(draw, optimizer):
    every, factor = draw.size("every", 1, 20), draw.number("factor", 0.1, 1)
    return optim.ExponentialDecay(every, factor), torch_schedules.ExponentialLR(optimizer, factor ** (1 / every))


def cosine_decay(draw, optimizer):
    minimum = draw.number("minimum", 0, 1)
    twin = torch_schedules.CosineAnnealingLR(optimizer, STEPS, eta_min=minimum)
    return optim.CosineDecay(STEPS, minimum), twin


def warmup(draw, optimizer):
    rise, every = draw.size("warmup_steps", 2, 20), draw.size("every", 1, 20)
    up = torch_schedules.LinearLR(optimizer, 1 / rise, total_iters=rise - 1)
    down = torch_schedules.StepLR(optimizer, every, 0.5)
    twin = torch_schedules.SequentialLR(optimizer, [up, down], [rise])
    return optim.Warmup(rise, optim.StepDecay(every, 0.5)), twin


def one_cycle(draw, optimizer):
    options = {"pct_start": draw.number("pct_start", 0.1, 0.9), "div_factor": draw.number("div_factor", 2, 50)}
    twin = torch_schedules.OneCycleLR(optimizer, 1.0, STEPS + 1, **options, final_div_factor=100.0)
    return optim.OneCycle(STEPS + 1, **options, final_div_factor=100.0), twin


def plateau(draw, optimizer):
    options = {
        "factor": draw.number("factor", 0.1, 0.9),
        "patience": draw.size("patience", 0, 5),
        "mode": draw.choice("mode", "min", "max"),
        "threshold": draw.choice("threshold", 1e-4, 0.1),
    }
    return optim.Plateau(**options), torch_schedules.ReduceLROnPlateau(optimizer, **options, eps=0.0)


RULES: list[tuple[str, str, Rule]] = [  # our name, what it is compared with, the comparison
    ("SGD", "optim.SGD, weight_decay: L2Penalty", descent(sgd)),
    ("SGD", "optim.SGD on weights decayed before", descent(decoupled_sgd)),
    ("Adagrad", "optim.Adagrad", descent(adagrad)),
    ("RMSProp", "optim.RMSprop", descent(rmsprop)),
    ("Adam", "optim.Adam, weight_decay: L2Penalty", descent(adam)),
    ("AdamW", "optim.AdamW", descent(adamw)),
    ("LBFGS", "optim.LBFGS, strong Wolfe: the least loss", lbfgs),
    ("EMA", "optim.swa_utils.AveragedModel", ema),
    (
        "clip_by_value",
        "nn.utils.clip_grad_value_",
        clipping(optim.clip_by_value, torch.nn.utils.clip_grad_value_, "limit", 2),
    ),
    (
        "clip_by_global_norm",
        "nn.utils.get_total_norm",
        clipping(optim.clip_by_global_norm, clip_norm_theirs, "max_norm", 9),
    ),
    ("Constant", "optim.lr_scheduler.ConstantLR", schedule(constant)),
    ("StepDecay", "optim.lr_scheduler.StepLR", schedule(step_decay)),
    ("ExponentialDecay", "optim.lr_scheduler.ExponentialLR", schedule(exponential_decay)),
    ("CosineDecay", "optim.lr_scheduler.CosineAnnealingLR", schedule(cosine_decay)),
    ("Warmup", "optim.lr_scheduler.LinearLR, SequentialLR", schedule(warmup)),
    ("OneCycle", "optim.lr_scheduler.OneCycleLR", schedule(one_cycle)),
    ("Plateau", "optim.lr_scheduler.ReduceLROnPlateau", schedule(plateau)),
]
