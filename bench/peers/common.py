"""What the peers' scripts share: the benchmark models as lists of layers, their data, the loop that is timed, the record that is
printed. Needs numpy alone, so that each peer's folder holds nothing but what the peer itself asks for.

A peer's inputs lie in memory as floats before the first step, of the first batches of the real files, so that nothing but the step is
timed. This flatters the peers: their users gather, shuffle and widen samples too, as lean-train does within its step.
"""
import argparse, json, os, resource, time
from typing import NamedTuple

import numpy as np

BEGUN = float(os.environ.get("PEER_BEGUN", time.monotonic()))  # of the process, by the clock of the one that started it
BATCHES = 8  # different ones, which take turns


class Spec(NamedTuple):
    layers: list
    optimizer: tuple  # ("sgd", lr, momentum) or ("adam", lr)
    data: str
    batch: int = 0  # samples a step; 0: all of them
    mean: float = 0.0  # of the input after its division by 255
    deviation: float = 1.0
    every_step: bool = False  # CTC, of every step's classes

    @property
    def recurrent(self): return self.data in ("toy", "imdb")


def digits(padding, dropout, relu, bias):
    """Two 5x5 convolutions with a max-pool each, and two linear layers."""
    rest = [("relu",)] if relu else []
    return [("conv", 32, 5, padding), ("pool",), *rest, ("conv", 64, 5, padding), ("pool",), *rest, ("flatten",), ("linear", 1024, True),
            ("relu",), ("dropout", dropout), ("linear", 10, bias)]


def pictures(channels):
    return [("conv", channels, 3, 1), ("relu",), ("conv", channels, 3, 1), ("pool",), ("relu",), ("dropout", 0.25)]


def sequences(cell, layers, both_ways, outputs, every_step=False):
    last = [] if every_step else [("last",)]
    return Spec([(cell, 320, layers, both_ways), *last, ("linear", outputs, False)], ("adam", 1e-3), "toy", 25, every_step=every_step)


SPECS = {
    "cnn-same": Spec(digits(2, 0.4, True, False), ("sgd", 0.01, 0.0), "mnist", 64, 0.1307, 0.3081),
    "cnn-valid": Spec(digits(0, 0.5, False, True), ("adam", 3e-4), "mnist", 256),
    "linear": Spec([("flatten",), ("linear", 10, True)], ("sgd", 1.0, 0.0), "mnist"),
    "nn": Spec([("flatten",), ("linear", 128, True), ("relu",), ("linear", 10, True)], ("adam", 1e-3), "mnist"),
    "cifar10": Spec([*pictures(50), *pictures(100), ("flatten",), ("linear", 512, True), ("relu",), ("dropout", 0.5), ("linear", 10, True)],
                    ("sgd", 0.01, 0.9), "cifar10", 64),
    # Features alone; nothing is trained.
    "resnet50": Spec([("resnet50",)], ("sgd", 0.0, 0.0), "noise", 32),
    "imdb": Spec([("embedding", 30000, 125), ("gru", 100, 1, False), ("last",), ("linear", 2, True)], ("adam", 1e-3), "imdb", 64),
    "gru-1x320": sequences("gru", 1, False, 25),
    "lstm-1x320": sequences("lstm", 1, False, 25),
    "bilstm-4x320": sequences("lstm", 4, True, 25),
    "bilstm-4x320-ctc": sequences("lstm", 4, True, 59, every_step=True),
}
SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32), "noise": (3, 224, 224)}  # of a sample: channels, rows, columns
# The one batch that the speed of recurrent networks is measured on.
CTC_LENGTHS = [500 + 500 * sample // 24 for sample in range(25)]
CTC_LABELS = 100


def read_mnist(folder, samples):
    x = np.fromfile(os.path.join(folder, "mnist/train-images-idx3-ubyte"), np.uint8, samples * 784, offset=16).reshape(-1, 28, 28, 1)
    return x, np.fromfile(os.path.join(folder, "mnist/train-labels-idx1-ubyte"), np.uint8, samples, offset=8)


def read_cifar10(folder, samples):
    records = np.fromfile(os.path.join(folder, "cifar-10-batches-bin/data_batch_1.bin"), np.uint8, samples * 3073).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]


def read_imdb(folder, samples):
    """Every n-th of the prepared reviews, whose file has the positive ones first: the last 150 words of each."""
    with open(os.path.join(folder, "aclImdb/imdb-words.safetensors"), "rb") as file: bytes_ = file.read()
    size = int.from_bytes(bytes_[:8], "little")
    header, types = json.loads(bytes_[8:8 + size]), {"I64": np.int64, "U64": np.uint64, "I32": np.int32, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8}

    def array(name):
        about = header["train." + name]
        return np.frombuffer(bytes_, types[about["dtype"]], offset=8 + size + about["data_offsets"][0], count=int(np.prod(about["shape"])))

    offsets, words, labels = array("offsets"), array("words"), array("labels")
    chosen = np.arange(samples) * (len(labels) // samples)
    x = np.zeros((samples, 150), np.int32)
    for row, review in enumerate(chosen):
        last = words[int(offsets[review]):int(offsets[review + 1])][-150:]
        x[row, :len(last)] = last
    return x, labels[chosen]


def toy_batch(ctc):
    draw = np.random.RandomState(11)
    x = draw.uniform(-1, 1, (25, 1000, 123)).astype(np.float32)
    return x, draw.randint(1, 58, 25 * CTC_LABELS).reshape(25, -1) if ctc else draw.randint(0, 24, 25)


def batches(spec, folder):
    """[(x, labels)]: pictures are NHWC floats, labels int32."""
    if spec.data == "toy":
        x, labels = toy_batch(spec.every_step)
        return [(x, labels.astype(np.int32))]
    if spec.data == "noise":
        draw = np.random.RandomState(11)
        return [(draw.standard_normal((spec.batch, 224, 224, 3)).astype(np.float32), np.zeros(spec.batch, np.int32)) for _ in range(2)]
    count = BATCHES * spec.batch if spec.batch else 60000
    x, labels = {"mnist": read_mnist, "cifar10": read_cifar10, "imdb": read_imdb}[spec.data](folder, count)
    if spec.data != "imdb": x = (x.astype(np.float32) / 255 - np.float32(spec.mean)) / np.float32(spec.deviation)
    labels, size = labels.astype(np.int32), spec.batch or count
    return [(np.ascontiguousarray(x[at:at + size]), labels[at:at + size].copy()) for at in range(0, count, size)]


def arguments(forms):
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=sorted(SPECS))
    parser.add_argument("--data", required=True, help="the folder of mnist, cifar-10-batches-bin and aclImdb (prepared)")
    parser.add_argument("--form", choices=forms, default=forms[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warm-steps", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60, help="of timed steps at most")
    parser.add_argument("--threads", type=int, default=0, help="0: the peer's own choice")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    return parser.parse_args()


def anonymous_bytes():
    """Private memory: what is mapped from files is not in it."""
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Anonymous:"))


def measure(peer, version, options, step, parameters):
    """`step(i)` trains on batch i and returns its loss when all is computed. Prints the record."""
    seconds, losses, private = [], [], 0
    for i in range(options.warm_steps + options.steps):
        begun = time.perf_counter()
        losses.append(float(step(i)))  # which waits for the step's end
        seconds.append(time.perf_counter() - begun)
        if i == 0: first_step_seconds = time.monotonic() - BEGUN
        # Between steps: what a step frees at once is not seen, which flatters the peers.
        if i < 4: private = max(private, anonymous_bytes())
        if i > options.warm_steps and sum(seconds[options.warm_steps:]) > options.seconds: break
    private = max(private, anonymous_bytes())
    timed = sorted(seconds[options.warm_steps:])
    median = (timed[(len(timed) - 1) // 2] + timed[len(timed) // 2]) / 2
    print(json.dumps({"peer": peer, "version": version, "model": options.model, "form": options.form, "precision": options.precision,
                      "batch": SPECS[options.model].batch or 60000, "steps": len(timed), "first_loss": losses[0], "last_loss": losses[-1],
                      "median_step_seconds": median, "min_step_seconds": timed[0], "step_seconds": seconds[options.warm_steps:],
                      "first_step_seconds": first_step_seconds, "parameters": parameters,
                      "peak_anonymous_bytes": private, "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
