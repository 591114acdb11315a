#!/usr/bin/env python3
"""Checkpoints as users meet them: stopped, killed and resumed trainings, the run log across them, refusals, other writers.

usage: checkpoints.py LEAN_TRAIN [TestCase.test ...]

LEAN_TRAIN_KILLS says how often a training is killed (12).
"""
import json, os, random, re, resource, shlex, signal, subprocess, time, unittest

from case import PATIENCE_SECONDS, PROGRAM, Case, environment, numbers, run

KILLS = int(os.environ.get("LEAN_TRAIN_KILLS", "12"))
# A model of digits whose step takes no time, so that most of a training is saving.
TINY = """name = "tiny"
data = "mnist"
[input]
shape = [1, 28, 28]
type = "u8"
[training]
batch = 8
epochs = 2
optimizer = "momentum"
lr = 0.0001
[[layer]]
type = "max_pool"
kernel = 7
stride = 7
[[layer]]
type = "linear"
name = "fc1"
out_features = 16
[[layer]]
type = "dropout"
rate = 0.25
[[layer]]
type = "linear"
name = "fc2"
out_features = 10
"""


class Checkpoints(Case):
    def setUp(self):
        super().setUp()
        self.recipe = self.path("tiny.toml")
        with open(self.recipe, "w") as file: file.write(TINY)

    def read(self, name):
        with open(self.path(name), "rb") as file: return file.read()

    def kind(self, kind, name="run.jsonl"):
        return [record for record in self.records(name) if record["type"] == kind]

    def does(self, *arguments): return self.ok(run(*arguments))

    def steps_of(self, name):
        data = self.read(name)
        header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
        return int(header["__metadata__"]["step"])

    def start(self, *arguments):
        process = subprocess.Popen([PROGRAM, "train", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, condition):
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.005)

    def test_resumed_training_ends_with_the_same_bytes(self):
        """Options not given come from the file; the epoch's record is the same but for its times."""
        options = ["--precision", "bf16", "--seed", "5", "--optimizer", "adam", "--lr", "0.01", "--batch", "48"]
        self.does("mnist", "--model", "nn", *options, "--epochs", "2", "--save", self.path("whole"), "--log", self.path("whole.jsonl"))
        self.does("mnist", "--model", "nn", *options, "--steps", "100", "--save", self.path("part"), "--log", self.path("run.jsonl"))
        done = self.does("mnist", "--resume", self.path("part"), "--epochs", "2", "--save", self.path("part"), "--log", self.path("run.jsonl"))
        self.assertIn("after step 100 (epoch 1, step 100 of 167)", done.stderr)
        self.assertEqual(self.read("whole"), self.read("part"))
        runs = self.kind("run")
        self.assertEqual(len(runs), 2, "the log was appended to")
        self.assertEqual(runs[1]["resumed_step"], 100)
        self.assertEqual(runs[1]["data_hash"], self.kind("run", "whole.jsonl")[0]["data_hash"])
        figures = [[{name: record[name] for name in ("epoch", "steps", "train_loss", "train_accuracy", "test_loss", "test_accuracy")}
                    for record in self.kind("epoch", name)] for name in ("run.jsonl", "whole.jsonl")]
        self.assertEqual(*figures)
        # Steps and epochs count from the beginning: nothing is left.
        self.assertIn("nothing is left to do", self.does("mnist", "--resume", self.path("part"), "--epochs", "2").stderr)
        self.assertIn("nothing is left to do", self.does("mnist", "--resume", self.path("part"), "--steps", "5").stderr)

    def test_a_batch_of_all_samples_has_no_order(self):
        with open(self.recipe, "w") as file: file.write(TINY.replace("batch = 8", 'batch = "all"'))
        for name, more in (("shuffled", ()), ("plain", ("--no-shuffle",))):
            self.does("train", self.recipe, "--steps", "2", "--save", self.path(name), "--quiet", *more)
        self.assertEqual(numbers(self.path("shuffled")), numbers(self.path("plain")))
        for name, more in (("shuffled", ()), ("plain", ("--no-shuffle",))):
            self.does("train", self.recipe, "--steps", "2", "--batch", "64", "--save", self.path(name), "--quiet", *more)
        self.assertNotEqual(numbers(self.path("shuffled")), numbers(self.path("plain")), "smaller ones have one")

    def test_the_best_accuracy_is_that_of_the_whole_training(self):
        """And not of what was done since the last --resume."""
        saved = self.path("F")
        self.does("mnist", "--model", "nn", "--epochs", "5", "--save", saved, "--log", self.path("one.jsonl"), "--quiet")
        first = self.kind("end", "one.jsonl")[0]
        self.assertEqual(first["best_test_accuracy"], max(record["test_accuracy"] for record in self.kind("epoch", "one.jsonl")))
        # Nothing is left to train: the best of the resumed part alone would be none.
        done = self.does("mnist", "--resume", saved, "--epochs", "5", "--json", "--quiet")
        end = json.loads(done.stdout)
        self.assertEqual((end["best_test_accuracy"], end["best_epoch"]), (first["best_test_accuracy"], first["best_epoch"]))

    def test_stop_prints_the_line_that_goes_on(self):
        self.does("train", self.recipe, "--epochs", "20", "--save", self.path("whole"), "--quiet")
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            saved, log = self.path(f"with space {code}"), self.path("run.jsonl")
            process = self.start(self.recipe, "--save", saved, "--save-every", "100", "--log", log, "--epochs", "20")
            self.wait_for(lambda: os.path.exists(saved))
            process.send_signal(number)
            err = process.stderr.read()
            self.assertEqual(process.wait(), code, err)
            step = self.steps_of(saved)
            self.assertIn(f"after step {step}; the state is in {saved}", err)
            line = shlex.split(re.search(r"to go on: (.*)", err).group(1))
            self.assertEqual(line[:2], ["lean-train", "train"])
            self.does(*line[1:], "--quiet")
            self.assertEqual(self.steps_of(saved), 20000)
            self.assertEqual(self.read(saved), self.read("whole"))

    def test_a_stop_at_an_epochs_end_is_evaluated_by_the_next(self):
        """Where each step is an epoch a stop leaves one without its record: the resumed training writes it."""
        saved, log = self.path("F"), self.path("run.jsonl")
        process = subprocess.Popen([PROGRAM, "mnist", "--model", "linear", "--epochs", "60", "--save", saved, "--log", log],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(process.stderr.close)
        self.wait_for(lambda: os.path.exists(log) and len(self.kind("epoch")) > 3)
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
        self.assertEqual(process.wait(), 130, err)
        self.does("mnist", "--resume", saved, "--epochs", "60", "--log", log, "--quiet")
        self.assertEqual([record["epoch"] for record in self.kind("epoch")], list(range(1, 61)))

    def test_killed_at_any_moment_leaves_a_whole_checkpoint(self):
        """kill -9 with --save-every 1: each time what is there is whole, not older than it was, and the training goes on from it;
        it ends with the bytes of one that was never killed."""
        moments = random.Random(7)
        saved = self.path("F")
        self.does("train", self.recipe, "--steps", "1", "--save", saved, "--quiet")
        steps, kills = 1, 0
        while kills < KILLS:
            process = self.start("--resume", saved, "--steps", "100000", "--epochs", "100000", "--save", saved, "--save-every", "1", "--keep", "1", "--quiet")
            # From the first moments of a run to some saves later.
            if moments.random() < 0.8: self.wait_for(lambda: self.steps_of("F") > steps or process.poll() is not None)
            time.sleep(moments.random() * 0.02)
            process.send_signal(signal.SIGKILL)
            self.assertEqual(process.wait(), -signal.SIGKILL, process.stderr.read())
            kills += 1
            self.assertGreaterEqual(self.steps_of("F"), steps)
            steps = self.steps_of("F")
            self.assertIn("checksum holds", self.does("inspect", saved).stdout)
        self.does("train", "--resume", saved, "--steps", str(steps + 3), "--save", saved, "--quiet")
        # The older checkpoint is missing where the last kill came between its going and its successor's coming.
        left = set(os.listdir(self.folder)) - {"F.1"}
        self.assertEqual(sorted(left), ["F", "tiny.toml"], "what killed processes left is gone")
        self.does("train", self.recipe, "--steps", str(steps + 3), "--epochs", "100000", "--save", self.path("whole"), "--quiet")
        self.assertEqual(self.read("F"), self.read("whole"))

    def test_contradictions_are_refused(self):
        saved = self.path("F")
        self.does("mnist", "--model", "linear", "--steps", "2", "--save", saved)
        before = self.read("F")
        for words, options in ((["differs in model", "mnist/linear", "mnist/nn"], ["mnist", "--model", "nn"]), (["differs in model"], ["cifar10"]),
                               (["differs in precision"], ["mnist", "--precision", "bf16"]), (["differs in seed"], ["mnist", "--seed", "2"]),
                               (["differs in lr", "0.5"], ["mnist", "--lr", "0.5"]), (["differs in optimizer"], ["mnist", "--optimizer", "adam"]),
                               (["differs in batch"], ["mnist", "--batch", "7"]), (["differs in shuffle"], ["mnist", "--no-shuffle"]),
                               (["differs in dropout"], ["mnist", "--no-dropout"]), (["differs in model"], ["train", self.recipe])):
            self.refused(7, words, *options, "--resume", saved, "--save", saved, "--quiet")
        self.refused(2, ["excludes"], "mnist", "--resume", saved, "--weights", saved)
        self.refused(2, ["--save"], "mnist", "--save-every", "2")
        self.refused(7, ["No such file"], "mnist", "--resume", self.path("none"))
        self.assertEqual(self.read("F"), before)

    def test_a_user_recipe_needs_an_end(self):
        saved = self.path("F")
        self.does("train", self.recipe, "--steps", "2", "--save", saved)
        self.refused(2, ["give --epochs or --steps"], "train", "--resume", saved)
        self.does("train", "--resume", saved, "--steps", "3", "--save", saved)
        self.assertEqual(self.steps_of("F"), 3)
        self.does("train", self.recipe, "--resume", saved, "--steps", "4", "--save", saved)
        self.assertEqual(self.steps_of("F"), 4)
        with open(self.recipe, "w") as file: file.write(TINY.replace("features = 16", "features = 17"))
        self.refused(7, ["differs in out_features of \"fc1\""], "train", self.recipe, "--resume", saved)

    def test_a_broken_checkpoint_offers_the_one_before(self):
        saved = self.path("F")
        self.does("train", self.recipe, "--steps", "4", "--save", saved, "--save-every", "1", "--keep", "2")
        data = bytearray(self.read("F"))
        data[len(data) // 2] ^= 4
        with open(saved, "wb") as file: file.write(data)
        done = run("train", "--resume", saved, "--steps", "5")
        self.assertEqual(done.returncode, 7, done.stderr)
        for words in ("not those that were written", f"the checkpoint before it is {saved}.1"): self.assertIn(words, done.stderr)
        self.does("train", "--resume", saved + ".1", "--steps", "5")

    def test_a_second_writer_is_refused(self):
        saved = self.path("F")
        process = self.start(self.recipe, "--save", saved, "--save-every", "1", "--epochs", "100000")
        self.wait_for(lambda: os.path.exists(saved))
        self.refused(8, ["another training saves there"], "train", self.recipe, "--save", saved, "--steps", "1", "--quiet")
        process.kill()
        process.wait()
        self.does("train", self.recipe, "--save", saved, "--steps", "1", "--quiet")

    def test_a_full_disk_keeps_the_checkpoint(self):
        saved = self.path("F")
        self.does("train", self.recipe, "--steps", "2", "--save", saved)
        before = self.read("F")

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

        done = run("train", "--resume", saved, "--steps", "4", "--save", saved, "--save-every", "1", "--quiet", preexec_fn=limit)
        self.assertEqual(done.returncode, 8, done.stderr)
        self.assertIn("the file is as it was before", done.stderr)
        self.assertEqual(self.read("F"), before)
        self.assertEqual(sorted(os.listdir(self.folder)), ["F", "tiny.toml"])
        if os.geteuid() != 0:
            os.chmod(self.folder, 0o555)
            self.addCleanup(os.chmod, self.folder, 0o755)
            self.refused(8, ["cannot be written"], "train", "--resume", saved, "--steps", "4", "--save", saved)



if __name__ == "__main__":
    unittest.main(verbosity=1)
