#!/usr/bin/env python3
"""Weights between lean-train and PyTorch: a file written here gives PyTorch the same outputs, one of PyTorch's trains on here.
Where torch or safetensors cannot be imported the format alone is checked, by Python's own means.

usage: torch_files.py LEAN_TRAIN [TestCase.test ...]
"""
import csv, io, json, os, subprocess, sys, unittest

from case import Case, run

try:
    import torch
except ImportError:
    torch = None
try:
    import safetensors.torch
except ImportError:
    safetensors = None

CONVERTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "torch_to_safetensors.py")


SEQUENCES = """name = "sequences"
data = "sequences"
[input]
steps = 12
features = 7
type = "f32"
[training]
batch = 10
epochs = 5
optimizer = "adam"
lr = 0.05
[[layer]]
type = "{kind}"
name = "rnn"
units = 9
layers = {layers}
bidirectional = {both}
[[layer]]
type = "last_step"
[[layer]]
type = "linear"
name = "fc"
out_features = 3
"""


def write_npy(path, type_, tensor):
    header = str({"descr": type_, "fortran_order": False, "shape": tuple(tensor.shape)}).ljust(117) + "\n"
    with open(path, "wb") as file: file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + tensor.numpy().tobytes())


def read_header(path):
    with open(path, "rb") as file: data = file.read()
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


class Format(Case):
    def test_offsets_tile_the_file(self):
        path = self.path("F")
        self.ok(run("mnist", "--model", "nn", "--steps", "1", "--save", path))
        header, data = read_header(path)
        texts = header.pop("__metadata__")
        self.assertTrue(all(isinstance(text, str) for text in texts.values()))
        at = 0
        for tensor in sorted(header.values(), key=lambda tensor: tensor["data_offsets"]):
            elements = 1
            for dimension in tensor["shape"]: elements *= dimension
            self.assertEqual(tensor["data_offsets"], [at, at + 4 * elements])
            at += 4 * elements
        self.assertEqual(at, len(data))
        self.assertEqual(header["fc1.weight"]["shape"], [128, 784])


@unittest.skipIf(torch is None, "torch cannot be imported")
class Torch(Case):
    def images(self, count):
        """Images of MNIST's format, and their file."""
        generator = torch.Generator().manual_seed(3)
        x = torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8, generator=generator)
        with open(self.path("x-images-idx3-ubyte"), "wb") as file:
            for number in (0x803, count, 28, 28): file.write(number.to_bytes(4, "big"))
            file.write(x.numpy().tobytes())
        return x.float()[:, None] / 255

    def model(self):
        net = torch.nn
        return net.Sequential(net.Flatten(), net.Linear(784, 128), net.ReLU(), net.Linear(128, 10))

    def probabilities(self, path):
        done = self.ok(run("predict", path, "--data", self.path("x-images-idx3-ubyte"), "--quiet"))
        rows = list(csv.reader(io.StringIO(done.stdout)))
        self.assertEqual(rows[0], ["index", "predicted"] + [f"p{c}" for c in range(10)])
        return torch.tensor([[float(number) for number in row[2:]] for row in rows[1:]])

    def load(self, path):
        if safetensors is not None: return safetensors.torch.load_file(path)
        header, data = read_header(path)
        return {name: torch.frombuffer(bytearray(data[slice(*tensor["data_offsets"])]), dtype=torch.float32).reshape(tensor["shape"])
                for name, tensor in header.items() if name != "__metadata__"}

    def weights(self, path):
        return {name: tensor for name, tensor in self.load(path).items() if not name.startswith("optimizer.")}

    def test_outputs_are_the_same(self):
        path, x, model = self.path("F"), self.images(40), self.model()
        self.ok(run("mnist", "--model", "nn", "--steps", "20", "--save", path))
        tensors = self.load(path)
        model.load_state_dict({new + part: tensors[old + part] for new, old in (("1", "fc1"), ("3", "fc2")) for part in (".weight", ".bias")})
        with torch.no_grad(): expected = torch.softmax(model(x), 1)
        torch.testing.assert_close(self.probabilities(path), expected, rtol=1e-4, atol=1e-6)

    def test_a_cnns_outputs_are_the_same(self):
        """By PyTorch's own names: the file is the module's state dict, the optimizer's state apart."""
        net = torch.nn

        class Cnn(net.Module):
            def __init__(self):
                super().__init__()
                self.conv1, self.conv2 = net.Conv2d(1, 32, 5, padding=2), net.Conv2d(32, 64, 5, padding=2)
                self.fc1, self.fc2 = net.Linear(3136, 1024), net.Linear(1024, 10, bias=False)

            def forward(self, x):
                for conv in (self.conv1, self.conv2): x = torch.relu(torch.max_pool2d(conv(x), 2))
                return self.fc2(torch.relu(self.fc1(x.flatten(1))))

        path, x, model = self.path("F"), self.images(10), Cnn()
        self.ok(run("mnist", "--steps", "20", "--save", path))
        model.load_state_dict(self.weights(path))
        with torch.no_grad(): expected = torch.softmax(model((x - 0.1307) / 0.3081), 1)
        torch.testing.assert_close(self.probabilities(path), expected, rtol=1e-4, atol=1e-5)

    def test_recurrent_layers_outputs_are_the_same(self):
        """Of one direction, and of two stacked layers in both; each sample has all steps."""
        net, x = torch.nn, torch.randn(40, 12, 7, generator=torch.Generator().manual_seed(3))
        for split in ("train", "test"):
            write_npy(self.path(f"{split}-sequences.npy"), "<f4", x)
            write_npy(self.path(f"{split}-labels.npy"), "<i4", torch.arange(40, dtype=torch.int32) % 3)
        for kind, layers, both in (("gru", 1, False), ("lstm", 1, False), ("gru", 2, True), ("lstm", 2, True)):
            with open(self.path("recipe.toml"), "w") as file:
                file.write(SEQUENCES.format(kind=kind, layers=layers, both=str(both).lower()))
            path = self.path("F")
            self.ok(run("train", self.path("recipe.toml"), "--data", self.folder, "--steps", "5", "--save", path))

            class Network(net.Module):
                def __init__(self):
                    super().__init__()
                    self.rnn = {"gru": net.GRU, "lstm": net.LSTM}[kind](7, 9, layers, batch_first=True, bidirectional=both)
                    self.fc = net.Linear(18 if both else 9, 3)

                def forward(self, x): return self.fc(self.rnn(x)[0][:, -1])

            model = Network()
            model.load_state_dict(self.weights(path))
            with torch.no_grad(): expected = torch.softmax(model(x), 1)
            rows = list(csv.DictReader(io.StringIO(self.ok(run("predict", path, "--data", self.folder, "--quiet")).stdout)))
            found = torch.tensor([[float(row[f"p{c}"]) for c in range(3)] for row in rows])
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)

    def test_pytorchs_weights_train_on_here(self):
        torch.manual_seed(5)
        x, model = self.images(40), self.model()
        torch.save({"epoch": 3, "state_dict": {"module." + name: value for name, value in model.state_dict().items()}}, self.path("model.pth"))
        done = subprocess.run([sys.executable, CONVERTER, self.path("model.pth"), self.path("W"), "--rename", "fc1=1", "--rename", "fc2=3"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.ok(run("mnist", "--model", "nn", "--steps", "1", "--lr", "0", "--weights", self.path("W"), "--save", self.path("F")))
        with torch.no_grad(): expected = torch.softmax(model(x), 1)
        torch.testing.assert_close(self.probabilities(self.path("F")), expected, rtol=1e-4, atol=1e-6)
        self.ok(run("mnist", "--model", "nn", "--steps", "3", "--weights", self.path("W"), "--save", self.path("F")))


if __name__ == "__main__":
    unittest.main(verbosity=1)
