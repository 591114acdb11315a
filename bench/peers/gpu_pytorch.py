#!/usr/bin/env python3
"""Epochs of the benchmark models in PyTorch on a GPU. Answers requests, one JSON object a line on stdin, with one on stdout each, so
that PyTorch starts once and others can take turns with it.

request: {"model": "cnn-same", "precision": "fp32", "mode": "graph", "samples": 60000, "epochs": 1, "repeats": 1, "warm": 1}
         "batch": samples a step, where not the model's own
         modes: eager; graph: a whole step is captured as a CUDA graph and replayed; compiled: torch.compile, mode reduce-overhead
answer:  {"samples": [seconds of `epochs` epochs, ...], "setup_seconds": ..., "loss": ...}, or {"error": "..."}

PyTorch at its best: pictures as bytes in the GPU's memory, gathered and widened there in an order drawn there; channels-last, fused
optimizers, cuDNN's own search for algorithms; losses stay on the GPU until the end. fp32 is without tf32, bf16 is autocast. Recurrent
networks are cuDNN's, on the one batch of sequences; with CTC they run over all steps, as packed sequences take far longer. Models for
inference have their batch norms folded, weights of the precision itself instead of autocast, and outputs that stay on the GPU. Needs torch.

usage: gpu_pytorch.py [--device cuda|cpu]
"""
import argparse, json, os, sys, time

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import models


def fold_batch_norms(network):
    """Of each pair conv, bn by name (conv1, bn1; a sequence's 0, 1): the norm becomes part of the convolution."""
    for module in network.modules():
        children = dict(module.named_children())
        for name, child in children.items():
            norm = name.replace("conv", "bn") if name.startswith("conv") else str(int(name) + 1) if name.isdigit() else None
            if isinstance(child, torch.nn.Conv2d) and isinstance(children.get(norm), torch.nn.BatchNorm2d):
                setattr(module, name, torch.nn.utils.fuse_conv_bn_eval(child, children[norm]))
                setattr(module, norm, torch.nn.Identity())


class Trainer:
    """One model in one precision and mode, with its data; a short batch at the end of an epoch is always taken eagerly."""

    def __init__(self, device, model, precision, mode, samples, batch):
        self.device, self.about, self.mode, self.bf16 = device, models.MODELS[model], mode, precision == "bf16"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.benchmark = True
        torch.manual_seed(1)
        self.batch = 0 if self.about.toy else batch or self.about.batch  # 0: all samples
        if self.about.toy:
            self.x, self.labels = (part.to(device) for part in models.toy_batch(self.about.loss is models.ctc_loss))
        elif self.about.words:
            self.x = torch.randint(0, 30000, (samples, *self.about.shape), device=device)
            self.labels = torch.randint(0, 2, (samples,), device=device)
        else:
            self.x = torch.randint(0, 256, (samples, *self.about.shape), dtype=torch.uint8, device=device)
            self.labels = torch.randint(0, 10, (samples,), device=device)
        self.pictures = not self.about.toy and not self.about.words
        self.network = self.about.network().to(device, **({"memory_format": torch.channels_last} if self.pictures else {}))
        if self.about.inference:
            self.network.eval().requires_grad_(False)
            fold_batch_norms(self.network)
            if self.bf16: self.network.bfloat16()
        self.forward = torch.compile(self.network, mode="reduce-overhead") if mode == "compiled" else self.network
        # In a graph the optimizer's count of steps lies on the device; of the two, Adam alone has one.
        counted = {"capturable": True} if mode == "graph" and self.about.optimizer(self.network.parameters()).__class__ is torch.optim.Adam else {}
        self.optimizer = self.about.optimizer(self.network.parameters(), **({"fused": True, **counted} if device.type == "cuda" else {}))
        self.loss = torch.zeros((), device=device)
        self.graph = None
        if mode == "graph": self.capture()

    def compute(self, index):
        x = self.x if index is None else self.x[index]
        x = ((x.float() / 255 - self.about.mean) / self.about.deviation).to(dtype=next(self.network.parameters()).dtype, memory_format=torch.channels_last)
        with torch.no_grad(): return self.forward(x).float()

    def step(self, index):
        if self.about.inference: return self.compute(index)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            x = self.x if index is None else self.x[index]
            if self.pictures:
                x = ((x.float() / 255 - self.about.mean) / self.about.deviation).contiguous(memory_format=torch.channels_last)
            y = self.forward(x)
        loss = self.about.loss(y.float(), self.labels if index is None else self.labels[index])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def capture(self):
        self.index = torch.arange(self.batch, device=self.device) if self.batch else None
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3): self.step(self.index)
        torch.cuda.current_stream().wait_stream(side)
        self.optimizer.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.loss = self.step(self.index)
        self.gradients = [parameter.grad for parameter in self.network.parameters()]  # the graph writes to them

    def epoch(self):
        count = len(self.labels)
        if not self.batch:
            if self.graph: self.graph.replay()
            else: self.loss = self.step(None)
            return
        order = (torch.arange if self.about.inference else torch.randperm)(count, device=self.device)
        if self.about.words: count -= count % self.batch  # whole batches alone, as our recipe says
        for first in range(0, count, self.batch):
            index = order[first:first + self.batch]
            if self.graph and len(index) == self.batch:
                self.index.copy_(index)
                self.graph.replay()
            else:
                if self.mode == "compiled": torch.compiler.cudagraph_mark_step_begin()
                self.loss = self.step(index)

    def finish(self):
        if self.device.type == "cuda": torch.cuda.synchronize()

    def time(self, epochs):
        self.finish()
        begun = time.perf_counter()
        for _ in range(epochs): self.epoch()
        self.finish()
        return time.perf_counter() - begun


def answer(device, request, held):
    key = *(request[name] for name in ("model", "precision", "mode", "samples")), request.get("batch", 0)
    if request["mode"] == "graph" and device.type != "cuda": return {"error": "graphs need CUDA"}
    begun = time.perf_counter()
    if key not in held:
        # Another model's memory and compiled code are not needed again.
        if any(other[:2] != key[:2] for other in held): held.clear()
        held[key] = Trainer(device, *key)
        held[key].time(request["warm"])
    setup = time.perf_counter() - begun
    trainer = held[key]
    samples = [trainer.time(request["epochs"]) for _ in range(request["repeats"])]
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    return {"samples": samples, "setup_seconds": setup, "loss": trainer.loss.mean().item(), "peak_device_bytes": peak}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    device = torch.device(parser.parse_args().device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(), "device": name}), flush=True)
    held = {}
    for line in sys.stdin:
        try:
            result = answer(device, json.loads(line), held)
        except Exception as error:  # told to whoever asked, who goes on with the next model
            held.clear()
            result = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        print(json.dumps(result), flush=True)


main()
