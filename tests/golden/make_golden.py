#!/usr/bin/env python3
"""Makes the golden files: small versions of the built-in models, trained for a few steps by PyTorch in float64.

usage: make_golden.py [FOLDER]      needs torch, numpy and safetensors; the files are kept in the tree, so a build needs none

One safetensors file a model. Metadata: `recipe` (TOML). Tensors; the steps take the samples in order and begin again where they end:
  x U8 [samples][channel][row][column], or [samples][time][feature] · labels U8 [samples] · steps I32 [steps], samples of each step · losses F64 [steps]
  probabilities F32 [samples of step 1][classes], from the initial weights
  initial/NAME, gradient/NAME (of step 1), final/NAME F32, in PyTorch's shapes and names
Odd and unequal sizes are chosen on purpose: they show a row taken for a column, or a channel for a pixel.
"""
import os, sys

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
import torch.nn.functional as F

FOLDER = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
CLASSES, STEPS = 5, 12
MEAN, DEVIATION = [0.25, 0.5], [0.125, 0.25]  # exact in float32


class CnnSame(nn.Module):
    full_batch = False
    shape, sizes, optimizer, normalised = (2, 12, 10), [8] * (STEPS - 1) + [5], ("sgd", 0.25, 0), True
    layers = [("conv2d", "conv1", 4, 5, 2), ("max_pool", 2), ("relu",), ("conv2d", "conv2", 6, 5, 2), ("max_pool", 2), ("relu",),
              ("linear", "fc1", 16, True), ("relu",), ("dropout", 0.4), ("linear", "fc2", CLASSES, False)]

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 4, 5, padding=2), nn.Conv2d(4, 6, 5, padding=2)
        self.fc1, self.fc2 = nn.Linear(6 * 3 * 2, 16), nn.Linear(16, CLASSES, bias=False)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class CnnSameMomentum(CnnSame):
    optimizer = ("momentum", 0.05, 0.9)


class CnnValid(nn.Module):
    full_batch = False
    shape, sizes, optimizer, normalised = (2, 18, 16), [7] * (STEPS - 1) + [3], ("adam", 3e-3, 0), False
    layers = [("conv2d", "conv1", 5, 5, 0), ("max_pool", 2), ("conv2d", "conv2", 7, 5, 0), ("max_pool", 2),
              ("linear", "fc1", 17, True), ("relu",), ("dropout", 0.5), ("linear", "fc2", CLASSES, True)]

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 5, 5), nn.Conv2d(5, 7, 5)
        self.fc1, self.fc2 = nn.Linear(7, 17), nn.Linear(17, CLASSES)

    def forward(self, x):
        x = F.max_pool2d(self.conv2(F.max_pool2d(self.conv1(x), 2)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class Cifar10(nn.Module):
    full_batch = False
    shape, sizes, optimizer, normalised = (3, 12, 8), [8] * STEPS, ("momentum", 0.2, 0.9), False
    layers = [("conv2d", "conv1", 17, 3, 1), ("relu",), ("conv2d", "conv2", 17, 3, 1), ("max_pool", 2), ("relu",), ("dropout", 0.25),
              ("conv2d", "conv3", 9, 3, 1), ("relu",), ("conv2d", "conv4", 9, 3, 1), ("max_pool", 2), ("relu",), ("dropout", 0.25),
              ("linear", "fc1", 17, True), ("relu",), ("dropout", 0.5), ("linear", "fc2", CLASSES, True)]

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 17, 3, padding=1), nn.Conv2d(17, 17, 3, padding=1)
        self.conv3, self.conv4 = nn.Conv2d(17, 9, 3, padding=1), nn.Conv2d(9, 9, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(9 * 3 * 2, 17), nn.Linear(17, CLASSES)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv2(F.relu(self.conv1(x))), 2))
        x = F.relu(F.max_pool2d(self.conv4(F.relu(self.conv3(x))), 2))
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class Linear(nn.Module):
    full_batch = True
    shape, sizes, optimizer, normalised = (2, 5, 7), [60] * STEPS, ("sgd", 0.5, 0), False
    layers = [("linear", "fc", CLASSES, True)]

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(70, CLASSES)
        for parameter in self.parameters(): nn.init.zeros_(parameter)

    def forward(self, x):
        return self.fc(x.flatten(1))


class Nn(nn.Module):
    full_batch = True
    shape, sizes, optimizer, normalised = (2, 5, 7), [60] * STEPS, ("adam", 1e-2, 0), False
    layers = [("linear", "fc1", 19, True), ("relu",), ("linear", "fc2", CLASSES, True)]

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(70, 19), nn.Linear(19, CLASSES)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class Gru(nn.Module):
    full_batch = False
    shape, sizes, optimizer, normalised = (9, 11), [8] * (STEPS - 1) + [5], ("adam", 1e-2, 0), False
    layers = [("gru", "rnn", 13, 1, False), ("last_step",), ("linear", "fc", CLASSES, False)]

    def __init__(self):
        super().__init__()
        self.rnn, self.fc = nn.GRU(11, 13, batch_first=True), nn.Linear(13, CLASSES, bias=False)

    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, -1])


class BiGru(Gru):
    layers = [("gru", "rnn", 7, 2, True), ("last_step",), ("linear", "fc", CLASSES, True)]

    def __init__(self):
        nn.Module.__init__(self)
        self.rnn, self.fc = nn.GRU(11, 7, 2, batch_first=True, bidirectional=True), nn.Linear(14, CLASSES)


class BiLstm(Gru):
    optimizer = ("adam", 2e-2, 0)
    layers = [("lstm", "rnn", 9, 3, True), ("last_step",), ("linear", "fc", CLASSES, False)]

    def __init__(self):
        nn.Module.__init__(self)
        self.rnn, self.fc = nn.LSTM(11, 9, 3, batch_first=True, bidirectional=True), nn.Linear(18, CLASSES, bias=False)


def recipe(name, model):
    kind, lr, momentum = model.optimizer
    shape = [f"shape = {list(model.shape)}"] if len(model.shape) == 3 else [f"steps = {model.shape[0]}", f"features = {model.shape[1]}"]
    lines = [f'name = "golden/{name}"', "", "[input]", *shape, 'type = "u8"', f"scale = {1 / 255!r}"]
    if model.normalised: lines += [f"mean = {MEAN}", f"deviation = {DEVIATION}"]
    lines += ["", "[training]", 'batch = "all"' if model.full_batch else f"batch = {model.sizes[0]}", "epochs = 1", f'optimizer = "{kind}"', f"lr = {lr}"]
    if momentum: lines.append(f"momentum = {momentum}")
    for layer in model.layers:
        lines += ["", "[[layer]]", f'type = "{layer[0]}"']
        if layer[0] == "conv2d":
            lines += [f'name = "{layer[1]}"', f"out_channels = {layer[2]}", f"kernel = {layer[3]}", f"padding = {layer[4]}"]
        if layer[0] in ("gru", "lstm"):
            lines += [f'name = "{layer[1]}"', f"units = {layer[2]}", f"layers = {layer[3]}", f"bidirectional = {str(layer[4]).lower()}"]
        if layer[0] == "linear": lines += [f'name = "{layer[1]}"', f"out_features = {layer[2]}", f"bias = {str(layer[3]).lower()}"]
        if layer[0] == "max_pool": lines.append(f"kernel = {layer[1]}")
        if layer[0] == "dropout": lines.append(f"rate = {layer[1]}")
    return "\n".join(lines) + "\n"


def samples(model, generator):
    """Bytes with something to learn in them: each class has a pattern, a quarter of every sample is noise. Three batches,
    or the one full batch, come again and again."""
    count = model.sizes[0] * (1 if model.full_batch else 3)
    patterns = generator.integers(0, 256, (CLASSES, *model.shape))
    labels = generator.integers(0, CLASSES, count)
    noise = generator.integers(0, 256, (count, *model.shape))
    return ((3 * patterns[labels] + noise) // 4).astype(np.uint8), labels.astype(np.uint8)


def train(name, make_model, seed):
    torch.manual_seed(seed)
    model = make_model()  # float32 weights, trained in float64: the figures are the exact ones to nine digits
    tensors = {f"initial/{key}": value.detach().numpy().copy() for key, value in model.named_parameters()}
    model = model.double()
    kind, lr, momentum = model.optimizer
    optimizer = torch.optim.Adam(model.parameters(), lr) if kind == "adam" else torch.optim.SGD(model.parameters(), lr, momentum=momentum)
    x, labels = samples(model, np.random.default_rng(seed))
    seen = torch.tensor(x).double() / 255
    if model.normalised:
        seen = (seen - torch.tensor(MEAN, dtype=torch.double).view(-1, 1, 1)) / torch.tensor(DEVIATION, dtype=torch.double).view(-1, 1, 1)
    targets, losses, first = torch.tensor(labels).long(), [], 0
    for step, n in enumerate(model.sizes):
        if first + n > len(seen): first = 0
        logits = model(seen[first:first + n])
        loss = F.cross_entropy(logits, targets[first:first + n])
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            tensors["probabilities"] = logits.softmax(1).detach().float().numpy()
            tensors.update({f"gradient/{key}": value.grad.float().numpy() for key, value in model.named_parameters()})
        optimizer.step()
        losses.append(loss.item())
        first += n
    tensors.update({f"final/{key}": value.detach().float().numpy() for key, value in model.named_parameters()})
    tensors.update(x=x, labels=labels, steps=np.array(model.sizes, np.int32), losses=np.array(losses))
    assert losses[-1] < losses[0], name
    path = os.path.join(FOLDER, name + ".safetensors")
    save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, path,
              {"recipe": recipe(name, model), "made_by": f"PyTorch {torch.__version__.split('+')[0]}, float64"})
    print(f"{path}: {os.path.getsize(path)} bytes, loss {losses[0]:.4f} to {losses[-1]:.4f}")


class Bottleneck(nn.Module):
    def __init__(self, channels, width, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)
        self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)) if stride != 1 or channels != out else nn.Identity()

    def forward(self, x):
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class SmallResNet(nn.Module):
    """torchvision's resnet50 with fewer and narrower blocks, up to the average pool; `fc` is there to be ignored."""
    shape = (3, 45, 37)
    rows = [("layer1", 8, 32, 2, 1), ("layer2", 12, 64, 2, 2)]

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16)
        channels = 16
        for name, width, out, blocks, stride in self.rows:
            setattr(self, name, nn.Sequential(*(Bottleneck(channels if i == 0 else out, width, out, stride if i == 0 else 1) for i in range(blocks))))
            channels = out
        self.fc = nn.Linear(64, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer2(self.layer1(x)).mean((2, 3))


def feature_recipe(model):
    lines = ['name = "golden/resnet"', "[input]", f"shape = {list(model.shape)}", f"scale = {1 / 255!r}", "[inference]", "batch = 9", "[[layer]]", 'type = "conv2d"', 'name = "conv1"',
             "out_channels = 16", "kernel = 7", "stride = 2", "padding = 3", "bias = false", "[[layer]]", 'type = "batch_norm"', 'name = "bn1"',
             "[[layer]]", 'type = "relu"', "[[layer]]", 'type = "max_pool"', "kernel = 3", "stride = 2", "padding = 1"]
    for name, width, out, blocks, stride in model.rows:
        lines += ["[[layer]]", 'type = "bottleneck"', f'name = "{name}"', f"width = {width}", f"out_channels = {out}", f"blocks = {blocks}", f"stride = {stride}"]
    return "\n".join([*lines, "[[layer]]", 'type = "average_pool"']) + "\n"


def features(seed):
    """x U8 and features F32 [samples][64] beside a state dict as torchvision has it, of norms that are not trivial."""
    torch.manual_seed(seed)
    model = SmallResNet().eval()
    for norm in model.modules():
        if not isinstance(norm, nn.BatchNorm2d): continue
        nn.init.uniform_(norm.weight, 0.5, 1.5), nn.init.uniform_(norm.bias, -0.3, 0.3)
        nn.init.uniform_(norm.running_mean, -0.5, 0.5), nn.init.uniform_(norm.running_var, 0.25, 2)
    tensors = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    x = np.random.default_rng(seed).integers(0, 256, (10, *model.shape)).astype(np.uint8)
    with torch.no_grad():
        found = model.double()(torch.tensor(x).double() / 255)
    path = os.path.join(FOLDER, "resnet.safetensors")
    save_file({**tensors, "x": x, "features": found.float().numpy()}, path,
              {"recipe": feature_recipe(model), "made_by": f"PyTorch {torch.__version__.split('+')[0]}, float64"})
    print(f"{path}: {os.path.getsize(path)} bytes")


features(10)
for seed, (name, make_model) in enumerate({"cnn-same": CnnSame, "cnn-same-momentum": CnnSameMomentum, "cnn-valid": CnnValid, "linear": Linear,
                                           "nn": Nn, "cifar10": Cifar10, "gru": Gru, "bigru": BiGru, "bilstm": BiLstm}.items(), 1):
    train(name, make_model, seed)
