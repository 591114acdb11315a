#!/usr/bin/env python3
"""Models of words as users meet them: the recipe imdb, built-in reviews, raw reviews that are prepared when they are first
used, and what a model says of a text.

usage: reviews.py LEAN_TRAIN [TestCase.test ...]
"""
import json, os, struct, unittest

import case
from case import Case, run

case.PATIENCE_SECONDS = 240
RECIPE = """
name = "words"
data = "DATA"
[input]
steps = 150
vocabulary = 30000
lengths = LENGTHS
[training]
batch = BATCH
last_batch = "drop"
epochs = 1
optimizer = "OPTIMIZER"
lr = 0.01
[[layer]]
type = "embedding"
name = "embedding"
features = 6
[[layer]]
type = "gru"
name = "rnn"
units = 5
[[layer]]
type = "last_step"
[[layer]]
type = "linear"
name = "fc"
out_features = 2
"""


def read(path):
    with open(path) as file:
        return file.read()


def tensors(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    return {name: (about["shape"], data[slice(*about["data_offsets"])]) for name, about in header.items() if name != "__metadata__"}


class Reviews(Case):
    def recipe(self, data="synthetic-reviews", lengths="false", batch=16, optimizer="adam"):
        text = RECIPE
        for name, value in (("DATA", data), ("LENGTHS", lengths), ("BATCH", str(batch)), ("OPTIMIZER", optimizer)):
            text = text.replace(name, value)
        with open(self.path("words.toml"), "w") as file:
            file.write(text)
        return self.path("words.toml")

    def write_reviews(self, count):
        for split in ("train", "test"):
            for label, word in (("pos", "superb"), ("neg", "dull")):
                os.makedirs(self.path(f"aclImdb/{split}/{label}"))
                for i in range(count):
                    with open(self.path(f"aclImdb/{split}/{label}/{i}_{9 if label == 'pos' else 2}.txt"), "w") as file:
                        file.write(f"A {word} film, number {i}.")

    def test_imdb_has_the_published_size_and_pytorchs_names(self):
        for arguments, name in (([], "imdb"), (["--padding", "none"], "imdb/padding-none")):
            text = self.ok(run("imdb", *arguments, "--device", "reference", "--print-recipe")).stdout
            self.assertIn(f'name = "{name}"\n', text)
            self.assertIn("vocabulary = 30000\n", text)
        weights = 30000 * 125 + 300 * (125 + 100) + 600 + 202
        self.assertEqual(weights, 3818302)
        plan = json.loads(self.ok(run("imdb", "--device", "reference", "--plan", "--json")).stdout)
        self.assertIn('"embedding.last_steps"', json.dumps(plan))

    def test_padding_has_two_ways(self):
        self.refused(2, ["--padding"], "imdb", "--padding", "some")

    def test_updates_that_are_put_off_change_nothing(self):
        """Micro-batches sum a gradient of all rows, and the update goes over all: the same up to rounding."""
        saved = {}
        for name, more in (("whole", []), ("parts", ["--memory", "4200KiB"])):
            self.ok(run("train", self.recipe(), "--device", "reference", "--steps", "5", "--save", self.path(name), *more))
            saved[name] = {name: about for name, about in tensors(self.path(name)).items() if not name.startswith("optimizer.")}
        self.assertEqual(sorted(saved["whole"]), ["embedding.weight", "fc.bias", "fc.weight", "rnn.bias_hh_l0", "rnn.bias_ih_l0",
                                                  "rnn.weight_hh_l0", "rnn.weight_ih_l0"])
        self.assertEqual(saved["whole"]["embedding.weight"][0], [30000, 6])
        for name, (shape, data) in saved["whole"].items():
            other = struct.unpack(f"<{len(data) // 4}f", saved["parts"][name][1])
            for one, two in zip(struct.unpack(f"<{len(data) // 4}f", data), other):
                self.assertLess(abs(one - two), 2e-4, name)

    def test_lengths_matter(self):
        losses = []
        for lengths in ("false", "true"):
            end = json.loads(self.ok(run("train", self.recipe(lengths=lengths), "--device", "reference", "--steps", "3",
                                         "--log", self.path("log"), "--log-every", "1", "--json")).stdout)
            self.assertEqual(end["status"], "ok")
            losses.append([json.loads(line)["loss"] for line in read(self.path("log")).splitlines() if '"type":"step"' in line])
        self.assertNotEqual(*losses)

    def test_raw_reviews_are_prepared_once(self):
        self.write_reviews(6)
        arguments = ("train", self.recipe(data="imdb", batch=4), "--device", "reference", "--data", self.folder, "--steps", "2")
        first = self.ok(run(*arguments))
        self.assertIn("24 reviews", first.stderr)
        made = os.stat(self.path("aclImdb/imdb-words.safetensors"))
        second = self.ok(run(*arguments))
        self.assertNotIn("24 reviews", second.stderr)
        self.assertEqual(made.st_mtime_ns, os.stat(self.path("aclImdb/imdb-words.safetensors")).st_mtime_ns)
        os.remove(self.path("aclImdb/imdb-words.safetensors"))
        self.assertEqual(self.ok(run(*arguments, "--quiet")).stderr, "")

    def test_layers_of_words_come_first(self):
        text = read(self.recipe())
        for wrong, why in ((text.replace('type = "embedding"\nname = "embedding"\nfeatures = 6\n[[layer]]\n', ""), "begin with embedding"),
                           (text.replace("vocabulary = 30000", "features = 4"), "takes words"),
                           (text.replace("vocabulary = 30000", "vocabulary = 70000"), "65536"),
                           (text.replace("lengths = false", 'type = "f32"'), "words")):
            with open(self.path("wrong.toml"), "w") as file:
                file.write(wrong)
            self.refused(2, [why], "train", self.path("wrong.toml"), "--device", "reference")

    def test_smaller_vocabulary_is_a_mismatch(self):
        text = read(self.recipe()).replace("vocabulary = 30000", "vocabulary = 29999")
        with open(self.path("small.toml"), "w") as file:
            file.write(text)
        self.refused(3, ["30000"], "train", self.path("small.toml"), "--device", "reference")

    def test_predict_says_what_is_missing(self):
        with open(self.path("none"), "w") as file:
            file.write("nothing")
        self.refused(7, ["safetensors"], "predict", self.path("none"), "--data", "-", input="fine")

    def test_predict_takes_texts(self):
        self.write_reviews(32)
        data = self.path("aclImdb")
        self.ok(run("imdb", "--device", "reference", "--data", data, "--steps", "1", "--save", self.path("weights")))
        self.assertEqual(read(self.path("weights.words.txt")), read(data + "/imdb-words.txt"))
        beside = self.ok(run("predict", self.path("weights"), "--data", "-", "--device", "reference", input="A superb film, unheardof.")).stdout
        os.link(self.path("weights"), self.path("weights.2"))  # as --keep leaves an older one
        older = self.ok(run("predict", self.path("weights.2"), "--data", "-", "--device", "reference", input="A superb film, unheardof.")).stdout
        self.assertEqual(older, beside)
        os.remove(self.path("weights.words.txt"))
        result = run("predict", self.path("weights"), "--data", "-", "--device", "reference", input="a superb film")
        self.assertEqual(result.returncode, 3)
        self.assertIn("--vocabulary", result.stderr)
        arguments = ("predict", self.path("weights"), "--vocabulary", data + "/imdb-words.txt", "--device", "reference", "--data")
        said = self.ok(run(*arguments, "-", input="A superb film, unheardof.")).stdout
        self.assertEqual(said, beside)
        self.assertRegex(said, r"^(positive|negative) (0\.[5-9]\d{3}|1\.0000)\n$")
        with open(self.path("text"), "w") as file:
            file.write("A superb film, unheardof.")
        self.assertEqual(said, self.ok(run(*arguments, self.path("text"))).stdout)
        about = json.loads(self.ok(run(*arguments, "-", "--json", input="A superb film, unheardof.")).stdout)
        self.assertEqual((about["words"], about["unknown_words"]), (4, 1))
        self.assertEqual(run(*arguments, "-", input=" .. ").returncode, 3)
        self.assertEqual(run(*arguments, self.path("nowhere")).returncode, 3)

    def test_reviews_that_are_cut_are_counted(self):
        self.write_reviews(32)
        data = self.path("aclImdb")
        with open(data + "/train/pos/0_9.txt", "w") as file: file.write("a superb film " * 60)
        done = self.ok(run("imdb", "--device", "reference", "--data", data, "--steps", "1", "--log", self.path("run.jsonl")))
        self.assertIn("data: the last 150 time steps of samples that have more: of 1 sample of training, 0 samples of testing\n", done.stderr)
        start = json.loads(read(self.path("run.jsonl")).splitlines()[0])
        self.assertEqual(start["cut_train_samples"], 1)
        self.assertNotIn("cut_test_samples", start)

    def test_words_of_another_vocabulary_are_refused(self):
        self.write_reviews(32)
        data = self.path("aclImdb")
        self.ok(run("imdb", "--device", "reference", "--data", data, "--steps", "1", "--save", self.path("weights")))
        texts = json.loads(self.ok(run("inspect", self.path("weights"), "--json")).stdout)["metadata"]
        self.assertRegex(texts["vocabulary_hash"], "^[0-9a-f]{32}$")
        other = self.path("other.txt")
        with open(other, "w") as file: file.write(read(data + "/imdb-words.txt").replace("superb", "tedious"))
        arguments = ("predict", self.path("weights"), "--device", "reference", "--data", "-")
        result = run(*arguments, "--vocabulary", other, input="a superb film")
        self.assertEqual(result.returncode, 3)
        for word in (other, self.path("weights"), texts["vocabulary_hash"]): self.assertIn(word, result.stderr)
        # One that came to lie beside the checkpoint is no other.
        os.replace(other, self.path("weights.words.txt"))
        result = run(*arguments, input="a superb film")
        self.assertEqual(result.returncode, 3)
        self.assertIn("weights.words.txt: is another vocabulary", result.stderr)
        # The next training puts its own there.
        self.ok(run("imdb", "--device", "reference", "--data", data, "--resume", self.path("weights"), "--steps", "2", "--save", self.path("weights")))
        self.ok(run(*arguments, input="a superb film"))

    def test_files_prepared_before_there_was_a_hash(self):
        self.write_reviews(32)
        data = self.path("aclImdb")
        self.ok(run("data", "prepare", "imdb", data))
        with open(data + "/imdb-words.safetensors", "rb") as file: content = file.read()
        at = content.index(b',"vocabulary_hash"')
        end = content.index(b'"}', at) + 1
        with open(data + "/imdb-words.safetensors", "wb") as file: file.write(content[:at] + b" " * (end - at) + content[end:])
        self.ok(run("imdb", "--device", "reference", "--data", data, "--steps", "1", "--save", self.path("weights")))
        self.assertFalse(os.path.exists(self.path("weights.words.txt")))
        result = self.ok(run("predict", self.path("weights"), "--vocabulary", data + "/imdb-words.txt", "--device", "reference", "--data", "-", input="fine"))
        self.assertIn("does not say which words", result.stderr)

    def test_built_in_reviews_have_no_words(self):
        self.ok(run("imdb", "--device", "reference", "--steps", "1", "--save", self.path("weights")))
        result = run("predict", self.path("weights"), "--data", "-", input="fine")
        self.assertEqual(result.returncode, 3)
        self.assertIn("built-in reviews", result.stderr)


if __name__ == "__main__":
    unittest.main()
