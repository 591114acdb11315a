#!/usr/bin/env python3
"""Step times of a benchmark model in PyTorch. Prints one JSON line.

usage: pytorch_bench.py MODEL [--steps N] [--threads N] [--contiguous] [--compile] [--bf16]
MODEL: cnn-same, cnn-valid, linear, nn, cifar10, resnet50 (features, nothing is trained), gru-1x320, lstm-1x320, bilstm-4x320, bilstm-4x320-ctc

Inputs are floats that lie in memory before the first step, channels-last unless told otherwise, so that nothing but the step
is timed. This flatters PyTorch: its users pay for a DataLoader too. --compile runs the model through torch.compile, --bf16 under
autocast to bfloat16. Needs torch, and a C++ compiler for --compile.
"""
import argparse, json, os, resource, sys, time

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import models

parser = argparse.ArgumentParser()
parser.add_argument("model", choices=sorted(models.MODELS))
parser.add_argument("--steps", type=int, default=60)
parser.add_argument("--warm-steps", type=int, default=3)
parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
parser.add_argument("--contiguous", action="store_true", help="PyTorch's default layout instead of channels-last")
parser.add_argument("--compile", action="store_true")
parser.add_argument("--bf16", action="store_true")
options = parser.parse_args()
if options.threads: torch.set_num_threads(options.threads)
# Gradients that fade through a thousand steps become denormals, which processors compute many times slower: as fast as it goes.
torch.set_flush_denormal(True)
torch.manual_seed(1)

about = models.MODELS[options.model]
samples, batches = (about.batch, 8) if about.batch else (60000, 1)
layout = torch.contiguous_format if options.contiguous else torch.channels_last
model = about.network() if about.toy or about.words else about.network().to(memory_format=layout)
if about.inference: model.eval()
run = torch.compile(model) if options.compile else model
optimizer = about.optimizer(model.parameters())
if about.toy:
    x, labels = models.toy_batch(about.loss is models.ctc_loss)
    batches, inputs, targets = 1, [x], [labels]
elif about.words:
    inputs = [torch.randint(0, 30000, (samples, *about.shape)) for _ in range(batches)]
    targets = [torch.randint(0, 2, (samples,)) for _ in range(batches)]
else:
    inputs = [torch.randn(samples, *about.shape).contiguous(memory_format=layout) for _ in range(batches)]
    targets = [torch.randint(0, 10, (samples,)) for _ in range(batches)]

seconds = []
for step in range(options.warm_steps + options.steps):
    begun = time.perf_counter()
    with torch.set_grad_enabled(not about.inference), torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
        logits = run(inputs[step % batches])
    if not about.inference:
        loss = about.loss(logits.float(), targets[step % batches])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    seconds.append(time.perf_counter() - begun)
seconds = sorted(seconds[options.warm_steps:])
median = seconds[len(seconds) // 2]
print(json.dumps({"peer": "pytorch", "version": torch.__version__, "model": options.model, "threads": torch.get_num_threads(),
                  "layout": "contiguous" if options.contiguous else "channels_last", "compiled": options.compile,
                  "precision": "bf16" if options.bf16 else "fp32", "batch": samples, "steps": options.steps,
                  "median_step_seconds": median, "min_step_seconds": seconds[0], "samples_per_second": samples / median,
                  "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
