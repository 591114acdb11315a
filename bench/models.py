"""The benchmark models in PyTorch, named like the built-in recipes, with PyTorch's initial weights and their optimizers."""
from typing import Callable, NamedTuple

import numpy as np
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


class Recurrent(nn.Module):
    """A stack of GRU or LSTM layers over sequences; the last step, or every one, to a linear layer without a bias."""

    def __init__(self, cell, layers, both_ways, outputs, every_step=False, features=123, units=320):
        super().__init__()
        self.rnn = cell(features, units, layers, batch_first=True, bidirectional=both_ways)
        self.fc = nn.Linear(units * (2 if both_ways else 1), outputs, bias=False)
        self.every_step = every_step

    def forward(self, x):
        y = self.rnn(x)[0]
        return self.fc(y if self.every_step else y[:, -1])


class MaskedRecurrent(Recurrent):
    """The same with samples of lengths of their own, nothing of whose padding counts: the other direction starts at each
    sample's last step. What a packed sequence gives, at the speed of whole ones."""

    def __init__(self, *arguments, lengths, **more):
        super().__init__(*arguments, **more)
        self.lengths = lengths

    def one_way(self, x, layer, suffix):
        weights = [getattr(self.rnn, f"{name}_l{layer}{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        start = x.new_zeros(1, len(x), self.rnn.hidden_size)
        return torch.lstm(x, (start, start), weights, True, 1, 0.0, False, False, True)[0]

    def forward(self, x):
        steps, lengths = torch.arange(x.shape[1]), torch.tensor(self.lengths)[:, None]
        turned = torch.where(steps < lengths, lengths - 1 - steps, steps)[:, :, None]
        turn = lambda values: values.gather(1, turned.expand_as(values))
        for layer in range(self.rnn.num_layers):
            x = torch.cat([self.one_way(x, layer, ""), turn(self.one_way(turn(x), layer, "_reverse"))], 2)
        return self.fc(x)


class Imdb(nn.Module):
    """Words, zeros behind the last of a shorter review, over which the network runs too."""

    def __init__(self):
        super().__init__()
        self.embedding, self.rnn, self.fc = nn.Embedding(30000, 125), nn.GRU(125, 100, batch_first=True), nn.Linear(100, 2)

    def forward(self, x):
        return self.fc(self.rnn(self.embedding(x))[0][:, -1])


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        out = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)
        self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)) if channels != out else None

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)), inplace=True)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class ResNet50(nn.Module):
    """torchvision's, by names, shapes and initial weights, up to and including the average pool."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        channels = 64
        for number, (width, blocks, stride) in enumerate([(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)], 1):
            layer = [Bottleneck(channels if i == 0 else 4 * width, width, stride if i == 0 else 1) for i in range(blocks)]
            channels = 4 * width
            setattr(self, f"layer{number}", nn.Sequential(*layer))
        for module in self.modules():
            if isinstance(module, nn.Conv2d): nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))


# The one batch that the speed of recurrent networks is measured on.
TOY_SAMPLES, TOY_STEPS, TOY_FEATURES, TOY_CLASSES, TOY_CTC_CLASSES, TOY_CTC_LABELS = 25, 1000, 123, 25, 59, 100
TOY_CTC_LENGTHS = [500 + 500 * sample // (TOY_SAMPLES - 1) for sample in range(TOY_SAMPLES)]


def toy_batch(ctc):
    draw = np.random.RandomState(11)
    x = draw.uniform(-1, 1, (TOY_SAMPLES, TOY_STEPS, TOY_FEATURES)).astype(np.float32)
    labels = draw.randint(1, TOY_CTC_CLASSES - 1, TOY_SAMPLES * TOY_CTC_LABELS).reshape(TOY_SAMPLES, -1) if ctc else draw.randint(0, TOY_CLASSES - 1, TOY_SAMPLES)
    return torch.from_numpy(x), torch.from_numpy(labels).long()


def ctc_loss(logits, labels, lengths=TOY_CTC_LENGTHS):
    """The network may have run over all steps: PyTorch masks a step by packing the sequences, which takes minutes."""
    return F.ctc_loss(logits.log_softmax(2).transpose(0, 1), labels, torch.tensor(lengths), torch.full((len(labels),), TOY_CTC_LABELS))


def full_ctc_loss(logits, labels):
    return ctc_loss(logits, labels, [TOY_STEPS] * len(labels))


class Model(NamedTuple):
    command: list[str]  # of lean-train
    network: Callable
    optimizer: Callable  # of the parameters, and PyTorch's own options such as fused
    batch: int = 0  # samples a step; 0: all of them
    shape: tuple = (1, 28, 28)
    mean: float = 0.0  # of the input after its division by 255
    deviation: float = 1.0
    loss: Callable = F.cross_entropy  # of logits and labels
    toy: bool = False  # trained on the one toy batch
    words: bool = False  # x is numbers of words
    inference: bool = False  # computed, not trained


def sgd(lr, momentum=0.0):
    return lambda parameters, **options: torch.optim.SGD(parameters, lr, momentum=momentum, **options)


def adam(lr):
    return lambda parameters, **options: torch.optim.Adam(parameters, lr, **options)


def recurrent(name, *arguments, **more):
    loss = ctc_loss if more.get("every_step") else F.cross_entropy
    return Model(["rnn", "--model", name], lambda: Recurrent(*arguments, **more), adam(1e-3), TOY_SAMPLES, (TOY_STEPS, TOY_FEATURES), loss=loss, toy=True)


MODELS = {
    "cnn-same": Model(["mnist", "--model", "cnn-same"], CnnSame, sgd(0.01), 64, mean=0.1307, deviation=0.3081),
    "cnn-valid": Model(["mnist", "--model", "cnn-valid"], CnnValid, adam(3e-4), 256),
    "linear": Model(["mnist", "--model", "linear"], Linear, sgd(1.0)),
    "nn": Model(["mnist", "--model", "nn"], Nn, adam(1e-3)),
    "cifar10": Model(["cifar10"], Cifar10, sgd(0.01, 0.9), 64, (3, 32, 32)),
    "imdb": Model(["imdb"], Imdb, adam(1e-3), 64, (150,), words=True),
    "resnet50": Model(["resnet50"], ResNet50, sgd(0.0), 32, (3, 224, 224), inference=True),
    "gru-1x320": recurrent("gru-1x320", nn.GRU, 1, False, TOY_CLASSES),
    "lstm-1x320": recurrent("lstm-1x320", nn.LSTM, 1, False, TOY_CLASSES),
    "bilstm-4x320": recurrent("bilstm-4x320", nn.LSTM, 4, True, TOY_CLASSES),
    # For agreement alone: with every sample's own steps, as ours computes it, and with all steps in both.
    "bilstm-4x320-ctc own": Model(["rnn", "--model", "bilstm-4x320-ctc"], lambda: MaskedRecurrent(nn.LSTM, 4, True, TOY_CTC_CLASSES, every_step=True, lengths=TOY_CTC_LENGTHS),
                                  adam(1e-3), TOY_SAMPLES, (TOY_STEPS, TOY_FEATURES), loss=ctc_loss, toy=True),
    "bilstm-4x320-ctc full": Model(["rnn", "--model", "bilstm-4x320-ctc", "--lengths", "full"], lambda: Recurrent(nn.LSTM, 4, True, TOY_CTC_CLASSES, every_step=True),
                                   adam(1e-3), TOY_SAMPLES, (TOY_STEPS, TOY_FEATURES), loss=full_ctc_loss, toy=True),
    "bilstm-4x320-ctc": recurrent("bilstm-4x320-ctc", nn.LSTM, 4, True, TOY_CTC_CLASSES, every_step=True),
}
