"""The benchmark models in PyTorch, named like the built-in recipes, with PyTorch's initial weights and their optimizers."""
from typing import Callable, NamedTuple

import torch
from torch import nn
import torch.nn.functional as F


class CnnSame(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
        self.fc1, self.fc2 = nn.Linear(3136, 1024), nn.Linear(1024, 10, bias=False)
        self.dropout = nn.Dropout(0.4)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        return self.fc2(self.dropout(F.relu(self.fc1(x.flatten(1)))))


class CnnValid(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5), nn.Conv2d(32, 64, 5)
        self.fc1, self.fc2 = nn.Linear(1024, 1024), nn.Linear(1024, 10)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 2)
        x = F.max_pool2d(self.conv2(x), 2)
        return self.fc2(self.dropout(F.relu(self.fc1(x.flatten(1)))))


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        return self.fc(x.flatten(1))


class Nn(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(784, 128), nn.Linear(128, 10)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class Cifar10(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 50, 3, padding=1), nn.Conv2d(50, 50, 3, padding=1)
        self.conv3, self.conv4 = nn.Conv2d(50, 100, 3, padding=1), nn.Conv2d(100, 100, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(6400, 512), nn.Linear(512, 10)
        self.dropout, self.dropout_wide = nn.Dropout(0.25), nn.Dropout(0.5)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv2(F.relu(self.conv1(x))), 2))
        x = self.dropout(x)
        x = F.relu(F.max_pool2d(self.conv4(F.relu(self.conv3(x))), 2))
        x = self.dropout(x)
        return self.fc2(self.dropout_wide(F.relu(self.fc1(x.flatten(1)))))


class Model(NamedTuple):
    command: list[str]  # of lean-train
    network: type
    optimizer: Callable  # of the parameters, and PyTorch's own options such as fused
    batch: int = 0  # samples a step; 0: all of them
    shape: tuple[int, int, int] = (1, 28, 28)
    mean: float = 0.0  # of the input after its division by 255
    deviation: float = 1.0


def sgd(lr, momentum=0.0):
    return lambda parameters, **options: torch.optim.SGD(parameters, lr, momentum=momentum, **options)


def adam(lr):
    return lambda parameters, **options: torch.optim.Adam(parameters, lr, **options)


MODELS = {
    "cnn-same": Model(["mnist", "--model", "cnn-same"], CnnSame, sgd(0.01), 64, mean=0.1307, deviation=0.3081),
    "cnn-valid": Model(["mnist", "--model", "cnn-valid"], CnnValid, adam(3e-4), 256),
    "linear": Model(["mnist", "--model", "linear"], Linear, sgd(1.0)),
    "nn": Model(["mnist", "--model", "nn"], Nn, adam(1e-3)),
    "cifar10": Model(["cifar10"], Cifar10, sgd(0.01, 0.9), 64, (3, 32, 32)),
}
