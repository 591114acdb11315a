#!/usr/bin/env python3
"""Trains the same model from the same weights on the same batches here and in PyTorch, and compares every loss and, at the end,
every weight. Exit code 1 where they part by more than rounding.

usage: agree_pytorch.py LEAN_TRAIN DATA_FOLDER [MODEL...] [-- OPTION...]      options after -- go to lean-train

DATA_FOLDER holds the folders mnist and cifar-10-batches-bin, or those of them that the models need.

Dropout is off and the order is the file's, in both. PyTorch runs in float32, as a user's would, except for `linear`: at its rate
of 1 the loss swings in the first steps and blows rounding up, and PyTorch's float32, whose sums over 60,000 samples depend on its
threads, ends 4.5e-3 away from its own float64 (measured, 20 steps, two threads). Needs torch, numpy, safetensors.
"""
import json, os, subprocess, sys, tempfile

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import models

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
}


def read_mnist(folder):
    x = np.fromfile(os.path.join(folder, "mnist/train-images-idx3-ubyte"), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    return x, np.fromfile(os.path.join(folder, "mnist/train-labels-idx1-ubyte"), np.uint8, offset=8)


def read_cifar10(folder):
    """The first batch: more than the steps take."""
    records = np.fromfile(os.path.join(folder, "cifar-10-batches-bin/data_batch_1.bin"), np.uint8).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32).copy(), records[:, 0].copy()


def train_pytorch(name, steps, dtype, x, labels, weights):
    about = models.MODELS[name]
    torch.manual_seed(5)
    model = about.network()
    model.eval()  # dropout off; these models have nothing else that training changes
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, weights)
    model, x = model.to(dtype), x.to(dtype)
    optimizer, losses = about.optimizer(model.parameters()), []
    for step in range(steps):
        rows = slice(None) if about.batch == 0 else slice(step * about.batch, (step + 1) * about.batch)
        loss = F.cross_entropy(model((x[rows] - about.mean) / about.deviation), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, model.state_dict()


def train_here(program, folder, name, steps, weights, options, out):
    log, saved = os.path.join(out, "run.jsonl"), os.path.join(out, "saved.safetensors")
    subprocess.run([program, *models.MODELS[name].command, "--data", folder, "--weights", weights, "--no-shuffle", "--no-dropout", "--steps",
                    str(steps), "--log", log, "--log-every", "1", "--save", saved, "--quiet", *options], check=True, stdout=subprocess.DEVNULL)
    records = [json.loads(line) for line in open(log)]
    return records[0], [record["loss"] for record in records if record["type"] == "step"], load_file(saved)


def compare(program, folder, name, options):
    bounds = BOUNDS[name]
    x, labels = read_cifar10(folder) if name == "cifar10" else read_mnist(folder)
    x, labels = torch.from_numpy(x).double() / 255, torch.from_numpy(labels).long()
    with tempfile.TemporaryDirectory() as out:
        weights = os.path.join(out, "initial.safetensors")
        expected, final = train_pytorch(name, bounds["steps"], bounds.get("dtype", torch.float32), x, labels, weights)
        run, losses, saved = train_here(program, folder, name, bounds["steps"], weights, options, out)
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
    found = []
    if apart[worst] > bounds["loss"]:
        found.append(f"{name}: loss of step {worst + 1} is {losses[worst]:.8f}, PyTorch's is {expected[worst]:.8f}; bound {bounds['loss']}")
    if beyond > bounds["share"] * total: found.append(f"{name}: {beyond} of {total} weights are more than {bounds['weight']} apart")
    return found


def main():
    arguments, options = sys.argv[1:], []
    if "--" in arguments: arguments, options = arguments[:arguments.index("--")], arguments[arguments.index("--") + 1:]
    program, folder, *names = arguments
    found = [line for name in names or BOUNDS for line in compare(program, folder, name, options)]
    print("\n".join(found) or "all agree")
    sys.exit(1 if found else 0)


main()
