"""The benchmark models in PyTorch, named like the built-in recipes, with PyTorch's initial weights and their optimizers."""
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


def sgd(parameters):
    return torch.optim.SGD(parameters, 0.01)


# Name: model, optimizer, samples a step (0: all of them), mean and deviation of the input after its division by 255.
MNIST = {
    "cnn-same": (CnnSame, sgd, 64, (0.1307, 0.3081)),
    "cnn-valid": (CnnValid, lambda parameters: torch.optim.Adam(parameters, 3e-4), 256, (0.0, 1.0)),
    "linear": (Linear, lambda parameters: torch.optim.SGD(parameters, 1.0), 0, (0.0, 1.0)),
    "nn": (Nn, lambda parameters: torch.optim.Adam(parameters, 1e-3), 0, (0.0, 1.0)),
}
