#!/usr/bin/env python3
"""Trains a benchmark model on its real data in PyTorch, as its recipe says (shuffled, with dropout, complete batches only for
cifar10), and prints the test accuracy after every epoch, one JSON line each: what lean-train's accuracy is held against.

usage: accuracy_pytorch.py MODEL DATA_FOLDER [--epochs N] [--seed N] [--threads N]      MODEL: cnn-same, cnn-valid, cifar10

DATA_FOLDER holds the folder mnist or cifar-10-batches-bin. lean-train's side, with its own seeds:
    lean-train cifar10 --data DATA_FOLDER --seed N --log run.jsonl
Needs torch and numpy.
"""
import argparse, json, os, time

import numpy as np
import torch
import torch.nn.functional as F

import models


def read_mnist(folder, part):
    x = np.fromfile(os.path.join(folder, f"mnist/{part}-images-idx3-ubyte"), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    return x, np.fromfile(os.path.join(folder, f"mnist/{part}-labels-idx1-ubyte"), np.uint8, offset=8)


def read_cifar10(folder, names):
    records = np.concatenate([np.fromfile(os.path.join(folder, "cifar-10-batches-bin", name), np.uint8).reshape(-1, 3073) for name in names])
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def read(model, folder):
    if model == "cifar10":
        return read_cifar10(folder, [f"data_batch_{i}.bin" for i in range(1, 6)]), read_cifar10(folder, ["test_batch.bin"])
    return read_mnist(folder, "train"), read_mnist(folder, "t10k")


def tensors(about, x, labels):
    x = (torch.from_numpy(x.copy()).float() / 255 - about.mean) / about.deviation
    return x.contiguous(memory_format=torch.channels_last), torch.from_numpy(labels.copy()).long()


def evaluate(model, x, labels):
    model.eval()
    with torch.no_grad():
        right = sum(int((model(a).argmax(1) == b).sum()) for a, b in zip(x.split(500), labels.split(500)))
    model.train()
    return right / len(labels)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=["cnn-same", "cnn-valid", "cifar10"])
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    options = parser.parse_args()
    if options.threads: torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)

    about = models.MODELS[options.model]
    (x, labels), (test_x, test_labels) = [tensors(about, *part) for part in read(options.model, options.data)]
    model = about.network().to(memory_format=torch.channels_last)
    optimizer = about.optimizer(model.parameters())
    for epoch in range(1, options.epochs + 1):
        begun, losses = time.perf_counter(), []
        batches = torch.randperm(len(x)).split(about.batch)
        if options.model == "cifar10": batches = [rows for rows in batches if len(rows) == about.batch]
        for rows in batches:
            loss = F.cross_entropy(model(x[rows].contiguous(memory_format=torch.channels_last)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(json.dumps({"peer": "pytorch", "version": torch.__version__, "model": options.model, "seed": options.seed, "epoch": epoch,
                          "train_loss": sum(losses) / len(losses), "test_accuracy": evaluate(model, test_x, test_labels),
                          "seconds": time.perf_counter() - begun}), flush=True)


main()
