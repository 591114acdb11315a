#!/usr/bin/env python3
"""Step times of a benchmark model in PyTorch, eager or through torch.compile, in channels-last. Prints one JSON line.

usage: pytorch_bench.py MODEL --data DIR [--form eager|compiled] [--steps N] [--threads N] [--precision fp32|bf16]

bf16 is autocast. Needs torch, and a C++ compiler where it is compiled.
"""
import os, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")]
import common

options = common.arguments(["eager", "compiled"])

import torch

import models

if options.threads: torch.set_num_threads(options.threads)
# Gradients that fade through a thousand steps become denormals, which processors compute many times slower: as fast as it goes.
torch.set_flush_denormal(True)
torch.manual_seed(1)
about = models.MODELS[options.model]


def tensors(x, labels):
    """Pictures come as [sample][row][column][channel], which is what channels-last means."""
    x = torch.from_numpy(x)
    return x.permute(0, 3, 1, 2) if x.dim() == 4 else x, torch.from_numpy(labels).long()


data = [tensors(*batch) for batch in common.batches(common.SPECS[options.model], options.data)]
model = about.network() if about.toy or about.words else about.network().to(memory_format=torch.channels_last)
run = torch.compile(model) if options.form == "compiled" else model
if about.inference: model.eval()
optimizer = about.optimizer(model.parameters())


def features(i):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
        return run(data[i % len(data)][0]).float().sum()


def step(i):
    if about.inference: return features(i)
    x, labels = data[i % len(data)]
    with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
        logits = run(x)
    loss = about.loss(logits.float(), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


common.measure("pytorch", torch.__version__, options, step, sum(weight.numel() for weight in model.parameters()))
