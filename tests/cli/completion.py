#!/usr/bin/env python3
"""lean-train completion: what a word can become, and that bash, and zsh and fish where they are installed, come to the same.

usage: completion.py LEAN_TRAIN [TestCase.test ...]
"""
import os, re, shlex, shutil, subprocess, unittest

from case import PATIENCE_SECONDS, PROGRAM, Case, environment, run


class Completion(Case):
    def words(self, *line):
        return self.ok(run("completion", "words", *line)).stdout.split("\n")[:-1]

    def test_commands(self):
        names = re.findall(r"(?m)^  ([a-z0-9]+)  ", self.ok(run("--help")).stdout.split("Commands:")[1].split("Examples:")[0])
        self.assertGreater(len(names), 10)
        self.assertEqual(self.words(""), names)
        self.assertEqual(self.words(), names)
        self.assertEqual(self.words("mn"), ["mnist"])
        self.assertEqual(self.words("data", ""), ["list", "get", "check", "prepare"])
        self.assertEqual(self.words("no-such"), [])

    def test_options(self):
        for command in (["mnist"], ["bench", "ops"], ["compare"], ["data", "get"]):
            shown = self.ok(run(*command, "--help")).stdout.split("Examples:")[0]
            options = [name for line in re.findall(r"(?m)^  (-\S+)", shown) for name in line.split(",") if name.startswith("--")]
            self.assertEqual(sorted(self.words(*command, "--")), sorted(options))
        self.assertEqual(self.words("mnist", "--epochs", "3", "--save-"), ["--save-every"])
        self.assertEqual(self.words("mnist", "--no-such", "--pl"), ["--plan"])

    def test_values(self):
        self.assertEqual(self.words("mnist", "--model", ""), ["cnn-same", "cnn-valid", "linear", "nn"])
        self.assertEqual(self.words("mnist", "--model", "cnn-v"), ["cnn-valid"])
        self.assertEqual(self.words("mnist", "--model=cnn-v"), ["--model=cnn-valid"])
        self.assertEqual(self.words("mnist", "--model", "=", "cnn-v"), ["cnn-valid"])  # as bash cuts it
        self.assertEqual(self.words("mnist", "--device", "="), ["auto", "cpu", "cuda", "reference"])
        self.assertEqual(self.words("mnist", "--device", "c"), ["cpu", "cuda"])
        self.assertEqual(self.words("compare", "mnist", "--device", "cpu,r"), ["cpu,reference"])
        self.assertEqual(self.words("compare", "mnist", "--precision=fp32,"), ["--precision=fp32,fp32", "--precision=fp32,tf32", "--precision=fp32,bf16"])
        self.assertEqual(self.words("mnist", "--epochs", ""), [])
        self.assertEqual(self.words("mnist", "--log", "r"), [":files"])
        self.assertEqual(self.words("mnist", "--data", ""), [":folders"])
        self.assertEqual(self.words("mnist", "--model", "--"), [])  # a value is waited for, whatever it looks like

    def test_arguments(self):
        self.assertEqual(self.words("compare", "rnn/g"), ["rnn/gru-1x320", ":files"])
        self.assertIn("mnist/linear", self.words("train", "mnist"))
        self.assertEqual(self.words("report", ""), [":files"])
        self.assertEqual(self.words("completion", ""), ["bash", "zsh", "fish"])
        self.assertEqual(self.words("mnist", ""), [])
        self.assertEqual(self.words("data", "check", ""), [":folders"])

    def test_every_word_is_taken(self):
        """What is offered for an option is not refused as a word of it."""
        for option in ("--device", "--kernels", "--precision", "--optimizer", "--model"):
            for word in self.words("mnist", option, ""):
                self.assertNotIn("expected", run("mnist", option, word, "--print-recipe").stderr.replace("expected one of: ", ""), (option, word))

    def test_what_is_refused(self):
        self.refused(2, ["SHELL"], "completion")
        self.refused(2, ["SHELL", "'tcsh'", "bash, zsh, fish"], "completion", "tcsh")

    def environment(self):
        """The program is found by its name, as a user's shell finds it."""
        os.symlink(PROGRAM, self.path("lean-train"))
        os.mkdir(self.path("home"))
        os.mkdir(self.path("logs of mine"))
        return environment(PATH=self.folder + ":" + os.environ["PATH"], HOME=self.path("home"))

    def shell(self, *command, env):
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=env, cwd=self.folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stderr)
        return sorted(done.stdout.split("\n")[:-1])

    LINES = ((("mnist", "--device", "c"), ["cpu", "cuda"]), (("compare", "--device", "cpu,r"), ["cpu,reference"]), (("mnis",), ["mnist"]),
             (("mnist", "--data", "lo"), ["logs of mine"]))

    def test_bash(self):
        env = self.environment()
        for words, expected in (*self.LINES, (("mnist", "--device", "=", "c"), ["cpu", "cuda"])):
            line = shlex.join(("lean-train", *words))
            script = (f"source <(lean-train completion bash); compopt() {{ :; }}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _lean_train; "
                      "printf '%s\\n' \"${COMPREPLY[@]}\"; complete -p lean-train")
            self.assertEqual(self.shell("bash", "--norc", "-c", script, env=env), sorted([*expected, "complete -F _lean_train lean-train"]))

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish(self):
        env = self.environment()
        for words, expected in self.LINES:
            script = f"lean-train completion fish | source; complete -C {shlex.quote('lean-train ' + ' '.join(words))}"
            found = [re.sub(r"\\(.)", r"\1", line.split("\t")[0]).rstrip("/") for line in self.shell("fish", "--no-config", "-c", script, env=env)]
            self.assertEqual(found, expected)

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh(self):
        env = self.environment()
        for words, expected in self.LINES:
            script = ("compdef() { print -r -- compdef $@ }; compadd() { shift; print -rl -- $@ }; _files() { print -r -- files $@ }; "
                      f"source <(lean-train completion zsh); words=(lean-train {shlex.join(words)}); CURRENT={len(words) + 1}; _lean_train")
            expected = ["files -/"] if "--data" in words else expected
            self.assertEqual(self.shell("zsh", "-f", "-c", script, env=env), sorted([*expected, "compdef _lean_train lean-train"]))


if __name__ == "__main__":
    unittest.main(verbosity=1)
