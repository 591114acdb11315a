#!/usr/bin/env python3
"""Trains the same model from the same weights on the same batches here and in PyTorch, and compares every loss and, at the end,
every weight. Exit code 1 where they part by more than rounding.

usage: agree_pytorch.py LEAN_TRAIN DATA_FOLDER [MODEL...] [-- OPTION...]      options after -- go to lean-train

DATA_FOLDER holds the folders mnist, cifar-10-batches-bin and aclImdb (prepared), or those of them that the models need; the other
recurrent networks need none.

Dropout is off and the order is the file's, in both; reviews, of which a file has the positive ones first, are shuffled in both. PyTorch runs in float32, as a user's would, except for `linear`: at its rate
of 1 the loss swings in the first steps and blows rounding up, and PyTorch's float32, whose sums over 60,000 samples depend on its
threads, ends 4.5e-3 away from its own float64 (measured, 20 steps, two threads). Needs torch, numpy, safetensors.
"""
import json, os, subprocess, sys, tempfile

import numpy as np
import torch
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file, save_file

import models

# As here: gradients that fade through a thousand steps take forever else. In front of PyTorch's threads, which inherit it.
torch.set_flush_denormal(True)

# Steps, bound of the relative difference of a loss, bound of the absolute difference of a weight. Plain SGD carries rounding
# on as it is; Adam divides by the gradient's size, so that weights with a gradient close to nothing take up its noise: one step
# of the learning rate the other way, at worst, on a few of them; `share` of them may be beyond the bound.
# `cifar10` leaves a plateau in these steps, where momentum blows rounding up: PyTorch's float32 is itself 1e-5 in the loss and 4e-4
# in a few weights away from its own float64 (measured over 60 to 80 steps).
BOUNDS = {
    "cnn-same": dict(steps=40, loss=2e-4, weight=2e-4, share=0),
    "cnn-valid": dict(steps=20, loss=1e-3, weight=3e-4, share=1e-4),
    "linear": dict(steps=20, loss=1e-4, weight=2e-4, share=0, dtype=torch.float64),
    "nn": dict(steps=20, loss=1e-3, weight=1e-3, share=1e-4),
    "cifar10": dict(steps=60, loss=1e-4, weight=2e-4, share=1e-5),
    # Rare words have gradients close to nothing, which Adam divides by their size.
    "imdb": dict(steps=50, loss=2e-4, weight=1e-3, share=1e-3, gradient=1e-4),
    # `gradient`: bound of the relative norm of the difference of each parameter's gradient in the first step.
    "gru-1x320": dict(steps=10, loss=2e-4, weight=1e-3, share=1e-3, gradient=1e-4),
    "lstm-1x320": dict(steps=10, loss=2e-4, weight=1e-3, share=1e-3, gradient=1e-4),
    "bilstm-4x320": dict(steps=10, loss=2e-4, weight=1e-3, share=1e-3, gradient=1e-4),
    # PyTorch's CTC in float32 is itself 5e-5 away from its own float64 in every gradient, 3.6e-4 in the first layer's; ours 3e-7.
    "bilstm-4x320-ctc own": dict(steps=10, loss=2e-4, weight=1e-3, share=1e-3, gradient=1e-4, gradient_dtype=torch.float64),
    "bilstm-4x320-ctc full": dict(steps=10, loss=2e-4, weight=1e-3, share=1e-3, gradient=1e-4, gradient_dtype=torch.float64),
}
# A rate that makes of a step of SGD the gradient, with next to none of the weight's rounding, which of a gradient of 1e-8 has
# to be less than 1e-12 of the weight; a power of two.
GRADIENT_RATE = 2 ** 20


def read_mnist(folder):
    x = np.fromfile(os.path.join(folder, "mnist/train-images-idx3-ubyte"), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    return x, np.fromfile(os.path.join(folder, "mnist/train-labels-idx1-ubyte"), np.uint8, offset=8)


def read_cifar10(folder):
    """The first batch: more than the steps take."""
    records = np.fromfile(os.path.join(folder, "cifar-10-batches-bin/data_batch_1.bin"), np.uint8).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32).copy(), records[:, 0].copy()


def philox(counter, key):
    """Philox4x32-10, Salmon et al. 2011."""
    c, k, mask = list(counter), [key & 0xFFFFFFFF, key >> 32], 0xFFFFFFFF
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & mask, (a >> 32) ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


def shuffled(position, count, seed=1, epoch=1):
    """Where lean-train finds the sample of a position: a Feistel network over the indices, walked until one is below `count`."""
    bits = next(bits for bits in range(1, 17) if bits == 16 or 1 << 2 * bits >= count)
    mask, index = (1 << bits) - 1, position
    while True:
        left, right = index >> bits, index & mask
        for turn in range(4):
            left, right = right, left ^ philox((right, 0, epoch, turn << 8 | 2), seed)[0] & mask
        index = left << bits | right
        if index < count: return index


def read_reviews(folder, count):
    """The first `count` of the first epoch."""
    arrays = load_numpy(os.path.join(folder, "aclImdb/imdb-words.safetensors"))
    offsets, words, labels = (arrays["train." + name] for name in ("offsets", "words", "labels"))
    order = [shuffled(position, len(labels)) for position in range(count)]
    x = np.zeros((count, 150), np.int64)
    for row, review in enumerate(order):
        last = words[offsets[review]:offsets[review + 1]][-150:]
        x[row, :len(last)] = last
    return torch.from_numpy(x), torch.from_numpy(labels[order]).long()


def read_data(folder, name):
    if models.MODELS[name].words: return read_reviews(folder, BOUNDS[name]["steps"] * models.MODELS[name].batch)
    if models.MODELS[name].toy:
        x, labels = models.toy_batch(models.MODELS[name].loss is not models.F.cross_entropy)
        return x.double(), labels
    x, labels = read_cifar10(folder) if name == "cifar10" else read_mnist(folder)
    return torch.from_numpy(x).double() / 255, torch.from_numpy(labels).long()


def first_gradients(name, weights, dtype, x, labels):
    about = models.MODELS[name]
    model = about.network().to(dtype)
    model.load_state_dict(load_file(weights))
    model.eval()
    about.loss(model(x.to(dtype)), labels).backward()
    return {key: value.grad for key, value in model.named_parameters()}


def train_pytorch(name, steps, dtype, x, labels, weights):
    about = models.MODELS[name]
    torch.manual_seed(5)
    model = about.network()
    model.eval()  # dropout off; these models have nothing else that training changes
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, weights)
    model, x = model.to(dtype), x if about.words else x.to(dtype)
    optimizer, losses, gradients = about.optimizer(model.parameters()), [], {}
    for step in range(steps):
        rows = slice(None) if about.batch == 0 or about.toy else slice(step * about.batch, (step + 1) * about.batch)
        loss = about.loss(model(x[rows] if about.words else (x[rows] - about.mean) / about.deviation), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        if step == 0: gradients = {key: value.grad.clone() for key, value in model.named_parameters()}
        optimizer.step()
        losses.append(loss.item())
    return losses, gradients, model.state_dict()


def compare_gradients(program, folder, name, bound, weights, gradients, options, out):
    """A line for each parameter whose first gradient is further from PyTorch's than the bound."""
    _, _, after = train_here(program, folder, name, 1, weights, [*options, "--optimizer", "sgd", "--lr", str(GRADIENT_RATE)], out)
    before = load_file(weights)
    apart = {}
    for key, expected in gradients.items():
        found = (before[key].double() - after[key].double()) / GRADIENT_RATE
        apart[key] = ((found - expected.double()).norm() / expected.double().norm()).item()
    worst = max(apart, key=apart.get)
    print(f"{name}: gradients of {len(apart)} parameters in the first step; largest relative norm of a difference {apart[worst]:.2e} ({worst})")
    return [f"{name}: the gradient of {key} is {value:.2e} apart, bound {bound}" for key, value in apart.items() if value > bound]


def train_here(program, folder, name, steps, weights, options, out):
    log, saved = os.path.join(out, "run.jsonl"), os.path.join(out, "saved.safetensors")
    subprocess.run([program, *models.MODELS[name].command, "--data", folder, "--weights", weights, *([] if models.MODELS[name].words else ["--no-shuffle"]), "--no-dropout", "--steps",
                    str(steps), "--log", log, "--log-every", "1", "--save", saved, "--quiet", *options], check=True, stdout=subprocess.DEVNULL)
    records = [json.loads(line) for line in open(log)]
    return records[0], [record["loss"] for record in records if record["type"] == "step"], load_file(saved)


def compare(program, folder, name, options):
    bounds = BOUNDS[name]
    x, labels = read_data(folder, name)
    found = []
    with tempfile.TemporaryDirectory() as out:
        weights = os.path.join(out, "initial.safetensors")
        expected, gradients, final = train_pytorch(name, bounds["steps"], bounds.get("dtype", torch.float32), x, labels, weights)
        run, losses, saved = train_here(program, folder, name, bounds["steps"], weights, options, out)
        if "gradient_dtype" in bounds: gradients = first_gradients(name, weights, bounds["gradient_dtype"], x, labels)
        if "gradient" in bounds: found += compare_gradients(program, folder, name, bounds["gradient"], weights, gradients, options, out)
    if len(losses) != len(expected): return [f"{name}: {len(losses)} step records, expected {len(expected)}"]
    # A loss near zero has no relative error worth the name: differences count from a thousandth up.
    apart = [abs(a - b) / max(b, 1e-3) for a, b in zip(losses, expected)]
    worst = max(range(len(apart)), key=apart.__getitem__)
    distances = {key: (saved[key].to(value.dtype) - value).abs() for key, value in final.items()}
    total = sum(distance.numel() for distance in distances.values())
    beyond = sum(int((distance > bounds["weight"]).sum()) for distance in distances.values())
    print(f"{name}: {run['device']}, {run['kernels']}: {len(losses)} losses from {losses[0]:.6f} to {losses[-1]:.6f}; largest relative "
          f"difference {apart[worst]:.2e} (step {worst + 1}); largest difference of {total} weights "
          f"{max(distance.max().item() for distance in distances.values()):.2e}, {beyond} beyond {bounds['weight']}")
    if apart[worst] > bounds["loss"]:
        found.append(f"{name}: loss of step {worst + 1} is {losses[worst]:.8f}, PyTorch's is {expected[worst]:.8f}; bound {bounds['loss']}")
    if beyond > bounds["share"] * total: found.append(f"{name}: {beyond} of {total} weights are more than {bounds['weight']} apart")
    return found


def main():
    arguments, options = sys.argv[1:], []
    if "--" in arguments: arguments, options = arguments[:arguments.index("--")], arguments[arguments.index("--") + 1:]
    if len(arguments) < 2: sys.exit(__doc__)
    program, folder, *names = arguments
    for name in names:
        if name not in BOUNDS: sys.exit(f"agree_pytorch.py: no model {name!r}; there are {', '.join(map(repr, BOUNDS))}")
    found = [line for name in names or BOUNDS for line in compare(program, folder, name, options)]
    print("\n".join(found) or "all agree")
    sys.exit(1 if found else 0)


main()
