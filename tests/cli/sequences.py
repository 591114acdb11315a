#!/usr/bin/env python3
"""Recurrent networks as users meet them: sequences of their own in NPY files, and the command rnn.

usage: sequences.py LEAN_TRAIN [TestCase.test ...]
"""
import array, json, os, random, struct, unittest

from case import Case, run

STEPS, FEATURES = 10, 3
RECIPE = """
name = "ends"
data = "sequences"
[input]
steps = 10
features = 3
type = "f32"
[training]
batch = 16
epochs = 12
optimizer = "adam"
lr = 0.02
[[layer]]
type = "KIND"
name = "rnn"
units = 12
bidirectional = true
[[layer]]
type = "last_step"
[[layer]]
type = "linear"
name = "fc"
out_features = 4
"""


def write_npy(path, code, descr, shape, values):
    header = str({"descr": descr, "fortran_order": False, "shape": tuple(shape)}).ljust(117) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        array.array(code, values).tofile(file)


class Sequences(Case):
    def write_split(self, split, count, padding, seed):
        """The class says whether the first two features are above zero in the last of each sample's own steps."""
        draw = random.Random(seed)
        values, lengths, labels = [], [], []
        for _ in range(count):
            length = draw.randint(2, STEPS)
            sample = [[draw.uniform(-1, 1) for _ in range(FEATURES)] for _ in range(length)]
            labels.append((sample[-1][0] > 0) + 2 * (sample[-1][1] > 0))
            lengths.append(length)
            values += [number for step in sample for number in step] + [padding] * ((STEPS - length) * FEATURES)
        write_npy(self.path(f"{split}-sequences.npy"), "f", "<f4", (count, STEPS, FEATURES), values)
        write_npy(self.path(f"{split}-labels.npy"), "i", "<i4", (count,), labels)
        write_npy(self.path(f"{split}-lengths.npy"), "i", "<i4", (count,), lengths)

    def write(self, padding=0.0):
        self.write_split("train", 320, padding, 1)
        self.write_split("test", 100, padding, 2)

    def train(self, kind="gru", device="reference", *more):
        with open(self.path("recipe.toml"), "w") as file: file.write(RECIPE.replace("KIND", kind))
        self.ok(run("train", self.path("recipe.toml"), "--data", self.folder, "--device", device, "--log", self.path("run.jsonl"), *more))
        return self.records()

    def losses(self, records):
        return [record["train_loss"] for record in records if record["type"] == "epoch"]

    def test_of_ones_own_are_learned(self):
        self.write()
        for kind in ("gru", "lstm"):
            end = self.train(kind, "reference", "--epochs", "30")[-1]
            self.assertGreater(end["best_test_accuracy"], 0.7, kind)  # guessing gives 0.25

    def test_padding_does_not_count(self):
        self.write()
        losses = self.losses(self.train())
        self.write(padding=1000.0)
        self.assertEqual(self.losses(self.train()), losses)
        self.assertNotEqual(self.losses(self.train()), self.losses(self.train("gru", "reference", "--seed", "2")))

    def test_lengths_are_those_of_the_files(self):
        """With every sample's length written as 10 it has other ends, and other losses; `predict` is as right as the evaluation."""
        self.write()
        records = self.train("gru", "reference", "--save", self.path("F"))
        done = run("predict", self.path("F"), "--data", self.folder, "--device", "reference", "--quiet")
        rows = [line.split(",") for line in done.stdout.splitlines()[1:]]
        self.assertAlmostEqual(sum(row[1] == row[2] for row in rows) / len(rows), records[-1]["test_accuracy"])
        for split in ("train", "test"): os.remove(self.path(f"{split}-lengths.npy"))
        self.assertNotEqual(self.losses(self.train()), self.losses(records))

    def test_a_batch_in_parts_is_the_batch(self):
        self.write()
        whole = self.train()
        plan = json.loads(run("train", self.path("recipe.toml"), "--device", "reference", "--plan", "--json").stdout)
        parts = self.train("gru", "reference", "--memory", str(plan["arena_bytes"] - 16384))
        self.assertLess(parts[0]["arena_bytes"], whole[0]["arena_bytes"])
        for a, b in zip(self.losses(parts), self.losses(whole)): self.assertAlmostEqual(a, b, delta=2e-4)

    def write_labelled(self, bad):
        """Forty samples a split, each with one label of ctc; `bad` ones have the blank, or, None, are not there at all."""
        for split, seed in (("train", 1), ("test", 2)):
            draw = random.Random(seed)
            samples = [([draw.uniform(-1, 1) for _ in range(STEPS * FEATURES)], 1 + draw.randrange(3)) for _ in range(40)]
            if bad is not None: samples = [(values, 0 if number % 7 == 3 else label) for number, (values, label) in enumerate(samples)]
            else: samples = [sample for number, sample in enumerate(samples) if number % 7 != 3]
            write_npy(self.path(f"{split}-sequences.npy"), "f", "<f4", (len(samples), STEPS, FEATURES), [v for values, _ in samples for v in values])
            write_npy(self.path(f"{split}-labels.npy"), "i", "<i4", (len(samples),), [label for _, label in samples])

    def test_impossible_samples_are_left_out_on_demand(self):
        recipe = RECIPE.replace("KIND", "gru").replace('[[layer]]\ntype = "last_step"\n', "").replace("batch = 16", 'batch = 16\nloss = "ctc"\nlabels = 1')
        with open(self.path("recipe.toml"), "w") as file: file.write(recipe.replace("features = 4", "features = 5"))
        options = ["train", self.path("recipe.toml"), "--data", self.folder, "--device", "cpu", "--epochs", "2", "--log", self.path("run.jsonl")]

        def trained(*more):
            done = run(*options, *more)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(self.path("run.jsonl")) as log: return done, [json.loads(line) for line in log]

        self.write_labelled(bad=None)
        _, without = trained()
        self.write_labelled(bad=0)
        done = run(*options, "--no-shuffle")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("label 0 of sample 3 is 0", done.stderr)
        done, records = trained("--skip-bad", "--save", self.path("whole"))
        self.assertIn("6 samples of the training set left out, the first one number 3", done.stderr)
        self.assertIn("6 samples of training, 6 samples of testing", done.stdout)
        about = next(record for record in records if record["type"] == "run")
        self.assertEqual([about[name] for name in ("train_samples", "skipped_train_samples", "skipped_test_samples")], [34, 6, 6])
        self.assertEqual(self.losses(records), self.losses(without))
        # A checkpoint knows it, and none of a training that left nothing out goes on so.
        trained("--skip-bad", "--steps", "2", "--save", self.path("part"))
        resumed = run("train", "--resume", self.path("part"), "--data", self.folder, "--epochs", "2", "--save", self.path("part"))
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        with open(self.path("part"), "rb") as part, open(self.path("whole"), "rb") as whole: self.assertEqual(part.read(), whole.read())
        self.write_labelled(bad=None)
        trained("--steps", "1", "--save", self.path("all"))
        refused = run("train", "--resume", self.path("all"), "--data", self.folder, "--epochs", "2", "--skip-bad")
        self.assertEqual(refused.returncode, 7, refused.stderr)
        self.assertIn("differs in skip_bad", refused.stderr)

    def test_that_do_not_fit_are_refused(self):
        self.write()
        self.train()
        for old, new, words in (("steps = 10", "steps = 11", ("10 x 3", "11 x 3 (steps x features)")),
                                ('type = "f32"', 'type = "u8"', ("samples of f32", "takes u8")),
                                ("out_features = 4", "out_features = 3", ("4 classes", "3 outputs"))):
            with open(self.path("recipe.toml"), "w") as file: file.write(RECIPE.replace("KIND", "gru").replace(old, new))
            self.refused(3, words, "train", self.path("recipe.toml"), "--data", self.folder, "--device", "reference")


class Rnn(Case):
    def test_plans_have_the_parameters_of_the_benchmarks(self):
        for model, count in (("gru-1x320", 435200), ("lstm-1x320", 577600), ("bilstm-4x320", 8543360), ("bilstm-4x320-ctc", 8565120)):
            done = self.ok(run("rnn", "--model", model, "--device", "reference", "--plan", "--json"))
            self.assertEqual(json.loads(done.stdout)["parameters"], count)

    def test_runs_ten_steps_unless_told(self):
        recipe = run("rnn", "--print-recipe", "--device", "reference").stdout
        self.assertIn("epochs = 10", recipe)
        self.assertIn("batch = 25", recipe)
        self.assertIn("lr = 0.001", recipe)
        self.assertIn("epochs = 25", run("rnn", "--steps", "25", "--print-recipe", "--device", "reference").stdout)
        self.assertIn("lengths = false", run("rnn", "--lengths", "full", "--print-recipe", "--device", "reference").stdout)

    def test_words_that_are_none_are_refused(self):
        for arguments, word in ((("--model", "gru-2x320"), "one of bilstm-4x320"), (("--lengths", "half"), "own, full")):
            self.refused(2, [word], "rnn", *arguments)


if __name__ == "__main__":
    unittest.main(verbosity=1)
