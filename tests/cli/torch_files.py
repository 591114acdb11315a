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

    def test_outputs_are_the_same(self):
        path, x, model = self.path("F"), self.images(40), self.model()
        self.ok(run("mnist", "--model", "nn", "--steps", "20", "--save", path))
        tensors = self.load(path)
        model.load_state_dict({new + part: tensors[old + part] for new, old in (("1", "fc1"), ("3", "fc2")) for part in (".weight", ".bias")})
        with torch.no_grad(): expected = torch.softmax(model(x), 1)
        torch.testing.assert_close(self.probabilities(path), expected, rtol=1e-4, atol=1e-6)

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
