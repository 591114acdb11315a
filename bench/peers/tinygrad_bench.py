#!/usr/bin/env python3
"""Step times of a benchmark model in tinygrad on the CPU, the step under TinyJit as in its own examples. Prints one JSON line.
tinygrad has no recurrent layers: the models that need them are refused.

usage: tinygrad_bench.py MODEL --data DIR [--form jit|beam] [--steps N] [--threads N]

beam searches for the fastest kernels first (BEAM=2), and keeps what it finds in a cache of tinygrad's own. Needs clang.
"""
import os, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import common

options = common.arguments(["jit", "beam"])
spec = common.SPECS[options.model]
if spec.recurrent: sys.exit("tinygrad has no recurrent layers")
if options.precision != "fp32": sys.exit("measured in fp32 alone")
if options.threads: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:options.threads])
os.environ["DEV"] = "CPU"
if options.form == "beam": os.environ["BEAM"] = "2"

import importlib.metadata

from tinygrad import Tensor, TinyJit, nn
from tinygrad.helpers import TRAINING

Tensor.manual_seed(1)
TRAINING.value = 1


class Network:
    def __init__(self):
        shape, self.layers = common.SHAPES[spec.data], []
        for kind, *about in spec.layers:
            if kind == "conv":
                channels, kernel, padding = about
                self.layers.append(nn.Conv2d(shape[0], channels, kernel, padding=padding))
                shape = (channels, *(size + 2 * padding - kernel + 1 for size in shape[1:]))
            elif kind == "pool":
                self.layers.append(lambda x: x.max_pool2d(2))
                shape = (shape[0], shape[1] // 2, shape[2] // 2)
            elif kind == "relu": self.layers.append(Tensor.relu)
            elif kind == "flatten":
                self.layers.append(lambda x: x.flatten(1))
                shape = (shape[0] * shape[1] * shape[2],)
            elif kind == "dropout": self.layers.append(lambda x, rate=about[0]: x.dropout(rate))
            else:
                self.layers.append(nn.Linear(shape[0], about[0], bias=about[1]))
                shape = (about[0],)

    def __call__(self, x): return x.sequential(self.layers)


network = Network()
weights = nn.state.get_parameters(network)
name, rate, *momentum = spec.optimizer
optimizer = nn.optim.Adam(weights, rate) if name == "adam" else nn.optim.SGD(weights, rate, momentum=momentum[0])
data = [(Tensor(x.transpose(0, 3, 1, 2).copy()).realize(), Tensor(labels).realize()) for x, labels in common.batches(spec, options.data)]


@TinyJit
def trained(x, labels):
    optimizer.zero_grad()
    loss = network(x).sparse_categorical_crossentropy(labels).backward()
    return loss.realize(*optimizer.schedule_step())


# TinyJit runs a step as it stands, then records one: the third is the first of the fast ones.
common.measure("tinygrad", importlib.metadata.version("tinygrad"), options, lambda i: trained(*data[i % len(data)]).item(),
               sum(weight.numel() for weight in weights))
