#!/usr/bin/env python3
"""lean-train export: every model's ONNX file is well-formed, and onnxruntime computes by it what `predict` computes.

usage: onnx_files.py LEAN_TRAIN [TestCase.test ...]
"""
import csv, io, json, os, unittest

from packages import need

need("onnx", "onnxruntime", "numpy")
import numpy, onnx, onnxruntime

from case import Case, run

TOLERANCE = 1e-4  # of probabilities
# What makes of rnn's recipes some on sequences of one's own, shorter and narrower.
NARROW = {"units = 320": "units = 9"}
OWN = {'data = "toy-sequences"': 'data = "sequences"'}
SMALL = {**OWN, **NARROW, "steps = 1000": "steps = 12", "features = 123": "features = 7"}


def write_idx(path, numbers):
    with open(path, "wb") as file:
        for number in (0x800 + numbers.ndim, *numbers.shape): file.write(number.to_bytes(4, "big"))
        file.write(numbers.tobytes())


def tensors(path):
    """Of a safetensors file."""
    with open(path, "rb") as file: data = file.read()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    types = {"F32": numpy.float32, "I64": numpy.int64, "U16": numpy.uint16, "U8": numpy.uint8}
    return {name: numpy.frombuffer(data[end:][slice(*about["data_offsets"])], types[about["dtype"]]).reshape(about["shape"])
            for name, about in header.items() if name != "__metadata__"}


class Onnx(Case):
    def setUp(self):
        super().setUp()
        self.saved, self.onnx, self.numbers = self.path("F"), self.path("model.onnx"), numpy.random.default_rng(3)

    def train(self, *arguments):
        self.ok(run(*arguments, "--save", self.saved, "--quiet"))

    def export(self):
        """The exported model, checked, ready to run."""
        self.ok(run("export", self.saved, "-o", self.onnx, "--quiet"))
        model = onnx.load(self.onnx)
        onnx.checker.check_model(model, full_check=True)
        self.assertGreaterEqual(model.opset_import[0].version, 17)
        # Shapes that are inferred are those that are said; the number of samples alone is open.
        for value in (*model.graph.input, *model.graph.output):
            dimensions = value.type.tensor_type.shape.dim
            self.assertEqual([value.name, [dimension.dim_param for dimension in dimensions]], [value.name, ["N"] + [""] * (len(dimensions) - 1)])
        return onnxruntime.InferenceSession(self.onnx, providers=["CPUExecutionProvider"])

    def predicted(self, *arguments):
        rows = list(csv.DictReader(io.StringIO(self.ok(run("predict", self.saved, "--quiet", *arguments)).stdout)))
        return numpy.array([[float(row[name]) for name in row if name[0] == "p" and name != "predicted"] for row in rows])

    def agree(self, session, x, expected, **more):
        probabilities, logits = session.run(["probabilities", "logits"], {"input": x, **more})
        numpy.testing.assert_allclose(probabilities, expected, rtol=0, atol=TOLERANCE)
        self.assertGreater(numpy.ptp(expected, axis=0).max(), 10 * TOLERANCE, "samples that are told apart")
        powers = numpy.exp(logits - logits.max(-1, keepdims=True))
        numpy.testing.assert_allclose(probabilities, powers / powers.sum(-1, keepdims=True), rtol=1e-4, atol=1e-6)
        one = session.run(["probabilities"], {"input": x[:1], **{name: value[:1] for name, value in more.items()}})[0]
        numpy.testing.assert_allclose(one, probabilities[:1], rtol=0, atol=1e-5)

    def images(self, model):
        x = self.numbers.integers(0, 256, (6, 28, 28), dtype=numpy.uint8)
        write_idx(self.path("x-images-idx3-ubyte"), x)
        self.train("mnist", "--model", model, "--steps", "4")
        self.agree(self.export(), x[:, None], self.predicted("--data", self.path("x-images-idx3-ubyte")))

    def test_mnist_cnn_same(self): self.images("cnn-same")
    def test_mnist_cnn_valid(self): self.images("cnn-valid")
    def test_mnist_linear(self): self.images("linear")
    def test_mnist_nn(self): self.images("nn")

    def test_a_stride_and_a_padding(self):
        """And windows that do not fill the image."""
        with open(self.path("strided.toml"), "w") as file:
            file.write(self.ok(run("mnist", "--print-recipe", "--device", "reference")).stdout
                       .replace("padding = 2", "padding = 1", 1).replace("stride = 1", "stride = 2", 1).replace("kernel = 2", "kernel = 3", 1))
        x = self.numbers.integers(0, 256, (6, 28, 28), dtype=numpy.uint8)
        write_idx(self.path("x-images-idx3-ubyte"), x)
        self.train("train", self.path("strided.toml"), "--steps", "2")
        self.agree(self.export(), x[:, None], self.predicted("--data", self.path("x-images-idx3-ubyte")))

    def test_cifar10(self):
        x = self.numbers.integers(0, 256, (5, 3, 32, 32), dtype=numpy.uint8)
        for i, image in enumerate(x): image[i % 3] //= 1 + i  # of noise alone the averages are the same
        with open(self.path("batch.bin"), "wb") as file: file.write(b"".join(bytes([i]) + image.tobytes() for i, image in enumerate(x)))
        self.train("cifar10", "--steps", "30", "--lr", "0.03")
        self.agree(self.export(), x, self.predicted("--data", self.path("batch.bin")))

    def test_imdb(self):
        """Reviews of lengths of their own; with --padding none the graph finds out where each ends."""
        for split in ("train", "test"):
            for label, word in (("pos", "superb"), ("neg", "dull")):
                os.makedirs(self.path(f"aclImdb/{split}/{label}"))
                for i in range(32):
                    with open(self.path(f"aclImdb/{split}/{label}/{i}_{9 if label == 'pos' else 2}.txt"), "w") as file:
                        file.write(" ".join([f"a {word} film"] * (1 + i * 2) + [f"number {i}"]))
        for padding in ("keras", "none"):
            self.train("imdb", "--padding", padding, "--data", self.path("aclImdb"), "--steps", "2")
            read = tensors(self.path("aclImdb/imdb-words.safetensors"))
            offsets, x = read["test.offsets"], numpy.zeros((64, 150), numpy.int32)
            for i in range(64):
                words = read["test.words"][offsets[i]:offsets[i + 1]][-150:]
                x[i, :len(words)] = words
            self.agree(self.export(), x, self.predicted("--data", self.path("aclImdb")))

    def recipe(self, model, changes=SMALL):
        """A built-in recipe, changed: its path."""
        text = self.ok(run("rnn", "--model", model, "--print-recipe", "--device", "reference")).stdout
        for old, new in changes.items():
            self.assertIn(old, text)
            text = text.replace(old, new)
        with open(self.path("recipe.toml"), "w") as file: file.write(text)
        return self.path("recipe.toml")

    def sequences(self, shortest=12):
        """A folder's data set; the test set's samples, labels and lengths."""
        for split in ("train", "test"):
            x = self.numbers.normal(size=(40, 12, 7)).astype(numpy.float32)
            labels = self.numbers.integers(0, 25, 40, dtype=numpy.int32)
            lengths = self.numbers.integers(shortest, 13, 40, dtype=numpy.int32)
            for name, array in (("sequences", x), ("labels", labels), ("lengths", lengths)): numpy.save(self.path(f"{split}-{name}.npy"), array)
        return x, labels, lengths

    def test_rnn(self):
        x, _, lengths = self.sequences()
        for model in ("gru-1x320", "lstm-1x320", "bilstm-4x320"):
            self.train("train", self.recipe(model), "--data", self.folder, "--steps", "3", "--lr", "0.05")
            self.agree(self.export(), x, self.predicted("--data", self.folder), lengths=lengths)

    def test_without_lengths_or_biases(self):
        x, _, _ = self.sequences()
        recipe = self.recipe("gru-1x320", {**SMALL, "lengths = true": "lengths = false",
                                           "layers = 1": "layers = 2", "bias = true": "bias = false",
                                           "bidirectional = false": "bidirectional = true"})
        self.train("train", recipe, "--data", self.folder, "--steps", "3", "--lr", "0.05")
        self.agree(self.export(), x, self.predicted("--data", self.folder))

    def test_shorter_sequences(self):
        """The loss of the test set, from the outputs at the lengths of its samples, is that of the training's evaluation; what stands
        behind them does not count."""
        for model in ("gru-1x320", "bilstm-4x320"):
            x, labels, lengths = self.sequences(shortest=1)
            done = self.ok(run("train", self.recipe(model), "--data", self.folder, "--epochs", "2", "--lr", "0.05", "--save", self.saved, "--log", self.path("log")))
            loss = [record["test_loss"] for record in self.records("log") if record["type"] == "epoch"][-1]
            session = self.export()
            probabilities = session.run(["probabilities"], {"input": x, "lengths": lengths})[0]
            self.assertAlmostEqual(-numpy.log(probabilities[numpy.arange(40), labels]).mean(), loss, delta=TOLERANCE)
            numpy.testing.assert_allclose(probabilities, self.predicted("--data", self.folder), rtol=0, atol=TOLERANCE)
            x[numpy.arange(12)[None, :] >= lengths[:, None]] = 1000
            numpy.testing.assert_allclose(session.run(["probabilities"], {"input": x, "lengths": lengths})[0], probabilities, atol=1e-6)

    def test_ctc_classifies_every_step(self):
        """Its last step is what the same weights give with last_step, which `predict` can be asked about."""
        weights = self.saved = self.path("W")
        self.train("train", self.recipe("bilstm-4x320-ctc", NARROW), "--steps", "1", "--batch", "2")
        session = self.export()
        long = self.numbers.normal(size=(3, 1000, 123)).astype(numpy.float32)
        outputs = session.run(["probabilities"], {"input": long, "lengths": numpy.full(3, 1000, numpy.int32)})[0]
        self.assertEqual(outputs.shape, (3, 1000, 59))
        for split in ("train", "test"):
            for name, array in (("sequences", long), ("labels", numpy.array([0, 1, 58], numpy.int32))): numpy.save(self.path(f"{split}-{name}.npy"), array)
        recipe = self.recipe("bilstm-4x320", {**OWN, **NARROW, "out_features = 25": "out_features = 59"})
        self.saved = self.path("F")
        self.train("train", recipe, "--data", self.folder, "--weights", weights, "--lr", "0", "--steps", "1")
        numpy.testing.assert_allclose(outputs[:, -1], self.predicted("--data", self.folder), rtol=0, atol=TOLERANCE)
        numpy.testing.assert_allclose(outputs.sum(-1), 1, atol=1e-5)

    def test_features_of_a_state_dict(self):
        """Batch norms, blocks with a sum, both pools: a small ResNet's weights as torchvision names them, and what PyTorch computed."""
        golden = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden/resnet.safetensors")
        with open(golden, "rb") as file: header = file.read()
        recipe = json.loads(header[8:8 + int.from_bytes(header[:8], "little")])["__metadata__"]["recipe"]
        with open(self.path("resnet.toml"), "w") as file: file.write(recipe)
        self.refused(7, ["--model"], "export", golden, "-o", self.onnx)
        self.refused(2, ["alexnet"], "export", golden, "-o", self.onnx, "--model", "alexnet")
        done = self.ok(run("export", golden, "--model", self.path("resnet.toml"), "-o", self.onnx))
        self.assertIn("left out: 19 tensors", done.stderr)
        model = onnx.load(self.onnx)
        onnx.checker.check_model(model, full_check=True)
        self.assertLessEqual({"Conv", "Relu", "Add", "MaxPool", "GlobalAveragePool"}, {node.op_type for node in model.graph.node})
        about = tensors(golden)
        features = onnxruntime.InferenceSession(self.onnx, providers=["CPUExecutionProvider"]).run(["features"], {"input": about["x"]})[0]
        numpy.testing.assert_allclose(features, about["features"], rtol=0, atol=1e-4 * numpy.abs(about["features"]).max())

    def test_what_it_says_of_itself(self):
        self.train("mnist", "--model", "nn", "--steps", "4", "--precision", "bf16")
        self.export()
        model = onnx.load(self.onnx)
        self.assertEqual(model.producer_name, "lean-train")
        self.assertIn("uint8 [N, 1, 28, 28]", model.doc_string)
        texts = {entry.key: entry.value for entry in model.metadata_props}
        self.assertEqual((texts["model"], texts["step"], texts["precision"]), ("mnist/nn", "4", "bf16"))
        self.assertIn('optimizer = "adam"', texts["recipe"])
        weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        numpy.testing.assert_array_equal(weights["fc1.weight"], tensors(self.saved)["fc1.weight"])
        with open(self.onnx, "rb") as file: before = file.read()
        done = self.ok(run("export", self.saved, "--out", self.onnx))
        self.assertIn("model mnist/nn", done.stderr)
        with open(self.onnx, "rb") as file: self.assertEqual(file.read(), before)

    def test_refusals(self):
        self.train("mnist", "--model", "linear", "--steps", "1")
        self.refused(2, ["--out"], "export", self.saved)
        self.refused(7, ["No such file"], "export", self.path("none"), "-o", self.onnx)
        self.refused(8, ["none"], "export", self.saved, "-o", self.path("none/model.onnx"))
        with open(self.saved, "rb") as file: data = bytearray(file.read())
        data[-1] ^= 1
        with open(self.path("broken"), "wb") as file: file.write(data)
        self.refused(7, ["not those that were written"], "export", self.path("broken"), "-o", self.onnx)
        self.assertEqual(sorted(os.listdir(self.folder)), ["F", "broken"], "nothing was left")


if __name__ == "__main__":
    unittest.main(verbosity=1)
