#!/usr/bin/env python3
"""lean-train predict and inspect: what a checkpoint's model says of samples, and what the file holds.

usage: predict.py LEAN_TRAIN [TestCase.test ...]
"""
import csv, io, json, os, random, unittest

from case import Case, run


class Predict(Case):
    def setUp(self):
        super().setUp()
        self.saved = self.path("F")

    def train(self, *options): self.ok(run("mnist", "--model", "linear", "--save", self.saved, "--quiet", *options))

    def digits(self, count, labels=True):
        """IDX files of random images; their labels."""
        numbers = random.Random(4)
        marks = [numbers.randrange(10) for _ in range(count)]
        with open(self.path("t10k-images-idx3-ubyte"), "wb") as file:
            for number in (0x803, count, 28, 28): file.write(number.to_bytes(4, "big"))
            file.write(numbers.randbytes(count * 784))
        if labels:
            with open(self.path("t10k-labels-idx1-ubyte"), "wb") as file:
                for number in (0x801, count): file.write(number.to_bytes(4, "big"))
                file.write(bytes(marks))
        return marks

    def test_accuracy_is_that_of_the_training(self):
        done = self.ok(run("mnist", "--model", "linear", "--epochs", "20", "--save", self.saved, "--json", "--quiet"))
        accuracy = json.loads(done.stdout)["test_accuracy"]
        rows = list(csv.DictReader(io.StringIO(self.ok(run("predict", self.saved, "--quiet")).stdout)))
        self.assertEqual(sum(row["label"] == row["predicted"] for row in rows) / len(rows), accuracy)
        for row in rows[:50]:
            probabilities = [float(row[f"p{c}"]) for c in range(10)]
            self.assertAlmostEqual(sum(probabilities), 1, places=5)
            self.assertEqual(probabilities.index(max(probabilities)), int(row["predicted"]))
        summed = json.loads(self.ok(run("predict", self.saved, "--quiet", "--confusion", "--json")).stdout)
        self.assertEqual(summed["accuracy"], accuracy)
        counts = summed["counts"]
        for c in range(10):
            self.assertEqual(sum(counts[c]), sum(int(row["label"]) == c for row in rows))
            self.assertAlmostEqual(summed["recall"][c], counts[c][c] / sum(counts[c]))
            predicted = sum(row[c] for row in counts)
            if predicted: self.assertAlmostEqual(summed["precision"][c], counts[c][c] / predicted)
            else: self.assertIsNone(summed["precision"][c], "nothing is known of a class that was never said")
        text = self.ok(run("predict", self.saved, "--quiet", "--confusion")).stdout
        self.assertIn("true \\ predicted", text)
        self.assertIn(f"accuracy {100 * accuracy:.2f}%", text)

    def test_a_file_with_and_without_labels(self):
        self.train("--steps", "3")
        marks = self.digits(300)
        images = self.path("t10k-images-idx3-ubyte")
        lines = [json.loads(line) for line in self.ok(run("predict", self.saved, "--data", images, "--json", "--quiet")).stdout.splitlines()]
        self.assertEqual([line["label"] for line in lines], marks)
        self.assertEqual([line["index"] for line in lines], list(range(300)))
        self.digits(300, labels=False)
        os.remove(self.path("t10k-labels-idx1-ubyte"))
        done = self.ok(run("predict", self.saved, "--data", images, "--json"))
        bare = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(bare, [{name: value for name, value in line.items() if name != "label"} for line in lines])
        self.assertIn("without labels, 300 samples", done.stderr)
        self.refused(3, ["has no labels"], "predict", self.saved, "--data", images, "--confusion")

    def test_cifar_files(self):
        with open(self.path("batch.bin"), "wb") as file: file.write(b"".join(bytes([i % 10]) + random.Random(i).randbytes(3072) for i in range(5)))
        self.ok(run("cifar10", "--steps", "1", "--save", self.saved, "--quiet"))
        lines = self.ok(run("predict", self.saved, "--data", self.path("batch.bin"), "--quiet")).stdout.splitlines()
        self.assertEqual([line.split(",")[1] for line in lines[1:]], ["0", "1", "2", "3", "4"])

    def test_refusals(self):
        self.train("--steps", "1")
        self.refused(7, ["No such file"], "predict", self.path("none"))
        self.refused(3, ["there is no such folder"], "predict", self.saved, "--quiet", "--data", self.path("none"))
        with open(self.path("bare"), "wb") as file:
            text = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
            file.write(len(text).to_bytes(8, "little") + text + b"1234")
        self.refused(7, ["is not a checkpoint"], "predict", self.path("bare"))
        with open(self.path("short"), "wb") as file: file.write(b"12345")
        self.refused(3, ["short"], "predict", self.saved, "--data", self.path("short"))


class Inspect(Case):
    def test_table_and_json(self):
        saved = self.path("F")
        self.ok(run("mnist", "--model", "nn", "--steps", "2", "--save", saved))
        text = self.ok(run("inspect", saved)).stdout
        for words in ("fc1.weight", "[128 x 784]", "optimizer.fc2.bias.exp_avg_sq", "step: 2\n", "12 tensors", "checksum holds", "  lr = 0.001\n"):
            self.assertIn(words, text)
        told = json.loads(self.ok(run("inspect", saved, "--json")).stdout)
        self.assertEqual(told["checksum"], "holds")
        self.assertEqual(told["metadata"]["model"], "mnist/nn")
        self.assertEqual([tensor["name"] for tensor in told["tensors"]][:2], ["fc1.weight", "fc1.bias"])
        with open(saved, "rb") as file: data = file.read()
        for tensor in told["tensors"]: self.assertLessEqual(tensor["offset"] + tensor["bytes"], len(data))
        with open(saved, "wb") as file: file.write(data[:-1] + bytes([data[-1] ^ 1]))
        done = run("inspect", saved)
        self.assertEqual(done.returncode, 7)
        self.assertIn("checksum FAILS", done.stdout)
        self.refused(7, ["not a safetensors file"], "inspect", __file__)


if __name__ == "__main__":
    unittest.main(verbosity=1)
