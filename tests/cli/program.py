#!/usr/bin/env python3
"""Drives the program as its users do: help, errors and their exit codes, the run log, signals, streams and terminals.

usage: program.py LEAN_TRAIN [TestCase.test ...]
"""
import base64, fcntl, json, os, pty, re, select, signal, struct, subprocess, termios, time, unittest

from case import PATIENCE_SECONDS, PROGRAM, Case, environment, numbers, run


class Help(Case):
    def test_version(self):
        self.assertRegex(self.ok(run("--version")).stdout, r"^lean-train \d+\.\d+\.\d+ \(.+\)\n$")

    def test_every_help_ends_in_examples(self):
        for arguments in ([], ["mnist"], ["cifar10"], ["imdb"], ["predict"], ["inspect"], ["rnn"], ["train"], ["devices"], ["compare"], ["completion"], ["bench"], ["bench", "ops"], ["report"], ["selftest"], ["data"], ["data", "get"]):
            text = self.ok(run(*arguments, "--help")).stdout
            examples = text[text.index("Examples:\n"):].splitlines()[1:]
            self.assertTrue(all(line == "" or line.startswith("  lean-train ") for line in examples), examples)
            self.assertLessEqual(max(map(len, text.splitlines())), 120)

    def test_examples_are_accepted(self):
        for command in ("mnist", "cifar10"):
            text = self.ok(run(command, "--help")).stdout
            examples = text[text.index("Examples:\n"):].splitlines()[1:]
            self.assertTrue(any(line.startswith(f"  lean-train {command}") for line in examples), examples)
            for line in examples:
                if not line.startswith(f"  lean-train {command}"): continue
                words = re.split(r"  +", line.strip())[0].split()[1:]
                if "--resume" in words:
                    self.ok(run(command, "--steps", "1", "--save", words[words.index("--resume") + 1], "--quiet", cwd=self.folder))
                # --plan ends the run before it trains and writes nothing.
                self.ok(run(*words, *([] if "--plan" in words else ["--plan"]), cwd=self.folder))

    def test_devices(self):
        self.assertRegex(self.ok(run("devices")).stdout, r"(?m)^cpu +\S")
        devices = [json.loads(line) for line in self.ok(run("devices", "--json")).stdout.splitlines()]
        self.assertIn("cpu", [device["name"] for device in devices])
        self.assertTrue(all(device["usable"] or device["why_not"] for device in devices))


class Usage(Case):
    def test_commands(self):
        self.refused(2, ["command is needed"])
        self.refused(2, ["unknown command 'mnits'", "did you mean mnist"], "mnits")
        self.refused(2, ["RECIPE"], "train")
        self.refused(2, ["list", "get", "check", "prepare"], "data")
        self.refused(2, ["unknown command 'lits'", "did you mean list"], "data", "lits")

    def test_options(self):
        for option, values in {
            "--epochs": ["0", "-1", "1.5", "x", "4294967296", "", " 1", "0x10"], "--steps": ["0", "18446744073709551616"],
            "--batch": ["0", "-64"], "--threads": ["0", "-2"], "--seed": ["-1", "1e3"], "--log-every": ["0"],
            "--lr": ["nan", "inf", "-0.1", "0,1", "1e999", ""], "--momentum": ["1", "-0.5", "nan"],
            "--memory": ["0", "-1", "32M", "1.5GiB", "MiB", "17179869184GiB"], "--device": ["gpu", "cuda:", "cuda:x", "CPU"],
            "--kernels": ["mkl", "highway avx2"], "--precision": ["fp64"], "--optimizer": ["rmsprop"], "--model": ["resnet", ""], "--data": [""],
        }.items():
            for value in values:
                with self.subTest(option=option, value=value):
                    self.refused(2, [option], "mnist", f"{option}={value}")
                    if value: self.refused(2, [option, f"'{value}'"], "mnist", option, value)

    def test_model_names_are_listed(self):
        self.refused(2, ["--model", "cnn-same", "cnn-valid", "linear", "nn"], "mnist", "--model", "alexnet")
        for kernels in ("own", "cudnn", "highway:sse9"):  # words of a GPU, or of nobody
            self.refused(2, [f"--kernels {kernels}", "auto, highway, onednn"], "mnist", "--device", "cpu", "--kernels", kernels)

    def test_shape_of_the_line(self):
        self.refused(2, ["unknown option --epoch", "did you mean --epochs"], "mnist", "--epoch", "3")
        self.refused(2, ["unknown option --colour"], "mnist", "--colour")
        self.refused(2, ["unexpected argument 'stray'"], "mnist", "stray")
        self.refused(2, ["--epochs", "more than once"], "mnist", "--epochs", "1", "--epochs", "2")
        self.refused(2, ["--epochs", "needs a value"], "mnist", "--epochs")
        self.refused(2, ["--json"], "mnist", "--json=5")
        self.refused(2, ["--plan", "--print-recipe"], "mnist", "--plan", "--print-recipe")
        self.refused(2, ["--log-every", "--log"], "mnist", "--log-every", "5")

    def test_recipes(self):
        self.refused(2, ["nothing.toml", "mnist/cnn-same"], "train", self.path("nothing.toml"))
        for name, text in {"words.toml": "not a recipe", "zero.toml": "a = 1\0", "empty.toml": ""}.items():
            with open(self.path(name), "w") as recipe: recipe.write(text)
            self.refused(2, [], "train", self.path(name))
        with open(self.path("long.toml"), "w") as recipe: recipe.write("#" * (1 << 20) + "\n#")
        self.refused(2, ["1048576"], "train", self.path("long.toml"))


class Refusals(Case):
    def test_data(self):
        self.refused(3, [self.folder], "mnist", "--data", self.folder)
        self.refused(3, ["/nonexistent"], "mnist", "--data", "/nonexistent/mnist")

    def test_device(self):
        self.refused(4, ["cuda:77"], "mnist", "--device", "cuda:77", "--steps", "1")
        self.refused(2, ["--threads 4000"], "mnist", "--device", "cpu", "--threads", "4000")
        cuda = next(d for d in map(json.loads, run("devices", "--json").stdout.splitlines()) if d["name"] == "cuda")
        if cuda["usable"]: self.skipTest("there is a GPU")
        self.refused(2, ["--threads 4000"], "mnist", "--threads", "4000")
        self.refused(4, [cuda["why_not"]], "mnist", "--device", "cuda", "--steps", "1")
        self.assertIn("auto passed over cuda: " + cuda["why_not"], self.ok(run("mnist", "--steps", "1")).stderr)

    def test_memory(self):
        self.refused(5, [], "mnist", "--memory", "100kB")

    def test_whole_batches_in_little_memory(self):
        words = "mnist", "--device", "cpu", "--threads", "1", "--memory", "20MiB"
        plan = json.loads(self.ok(run(*words, "--plan", "--json")).stdout)
        self.assertEqual((plan["micro_batch"], plan["folded_updates"]), (64, ["fc1"]))
        end = json.loads(self.ok(run(*words, "--steps", "2", "--json")).stdout)
        self.assertEqual((end["status"], end["arena_bytes"]), ("ok", plan["arena_bytes"]))
        self.assertLessEqual(end["arena_bytes"], 20 << 20)

    def test_weights(self):
        self.refused(7, ["nothing.safetensors"], "mnist", "--quiet", "--weights", self.path("nothing.safetensors"))
        with open(self.path("broken.safetensors"), "wb") as broken: broken.write(b"\xff" * 100)
        self.refused(7, ["broken.safetensors"], "mnist", "--quiet", "--weights", self.path("broken.safetensors"))

    def test_weights_of_another_model(self):
        other = self.path("linear.safetensors")
        self.ok(run("mnist", "--model", "linear", "--steps", "1", "--save", other))
        self.refused(7, ["linear.safetensors"], "mnist", "--quiet", "--weights", other)

    def test_output_paths(self):
        for option in ("--save", "--log"):
            self.refused(8, [option, "/nonexistent"], "mnist", option, "/nonexistent/file")
            self.refused(8, [option, self.folder], "mnist", option, self.folder)

    def test_numeric(self):
        done = run("mnist", "--lr", "1e30", "--steps", "30", "--quiet", "--json", "--log", self.path("run.jsonl"))
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertRegex(done.stderr, r"\Alean-train: [^\n]+\n\Z")
        end = self.records()[-1]
        self.assertEqual((end["type"], end["status"], end["exit_code"]), ("end", "numeric", 6))
        self.assertIn(end["error"], done.stderr)

    def test_failing_outputs(self):
        with open("/dev/full", "w") as full:
            done = run("mnist", "--steps", "1", "--quiet", stdout=full)
            self.assertEqual(done.returncode, 8, done.stderr)
        self.refused(8, ["/dev/full", "goes on"], "mnist", "--steps", "1", "--quiet", "--json", "--log", "/dev/full", stdout=subprocess.DEVNULL)


class RunLog(Case):
    RUN = ("type schema version commit command model parameters device device_name kernels precision threads seed batch "
           "optimizer lr data data_hash train_samples test_samples arena_bytes").split()
    STEP = "type step loss seconds".split()
    EPOCH = ("type epoch steps train_loss train_accuracy test_loss test_accuracy seconds samples_per_second "
             "data_wait_seconds").split()
    END = ("type status exit_code seconds first_step_seconds best_test_accuracy median_step_seconds arena_bytes "
           "peak_rss_bytes peak_anonymous_bytes").split()

    def has(self, record, names):
        self.assertEqual([name for name in names if name not in record], [], record)

    def test_records(self):
        with open(self.path("run.jsonl"), "w") as old: old.write("an older log\n" * 1000)
        done = self.ok(run("mnist", "--model", "linear", "--epochs", "3", "--log", self.path("run.jsonl"), "--log-every", "2",
                           "--json", "--threads", "1", "--seed", "7"))
        records = self.records()
        self.assertEqual([record["type"] for record in records], ["run", "epoch", "step", "epoch", "epoch", "end"])
        start, end = records[0], records[-1]
        for record in records: self.has(record, {"run": self.RUN, "step": self.STEP, "epoch": self.EPOCH, "end": self.END}[record["type"]])
        self.assertEqual((start["schema"], start["command"], start["model"], start["data"]), (1, "mnist", "linear", "synthetic"))
        self.assertEqual((start["threads"], start["seed"], start["parameters"]), (1, 7, 7850))
        self.assertRegex(start["data_hash"], r"^[0-9a-f]{32}$")
        self.assertEqual(end["data_hash"], start["data_hash"])
        self.assertEqual(start["batch"], start["train_samples"])
        self.assertEqual([record["epoch"] for record in records if record["type"] == "epoch"], [1, 2, 3])
        self.assertEqual((end["status"], end["exit_code"], end["steps"]), ("ok", 0, 3))
        tested = [record["test_accuracy"] for record in records if record["type"] == "epoch"]
        self.assertEqual(end["best_test_accuracy"], max(tested))
        self.assertEqual(json.loads(done.stdout), end)
        self.assertEqual(done.stdout.count("\n"), 1)
        self.assertLess(0, end["first_step_seconds"])
        self.assertLess(end["first_step_seconds"], end["seconds"])
        # Private memory that was touched lies in the resident set.
        self.assertLess(end["peak_anonymous_bytes"], end["peak_rss_bytes"])
        self.assertEqual(end["arena_bytes"], start["arena_bytes"])

    def test_unfinished_epoch_has_no_record(self):
        self.ok(run("mnist", "--steps", "5", "--batch", "16", "--log", self.path("run.jsonl"), "--log-every", "1"))
        records = self.records()
        self.assertEqual([record["type"] for record in records], ["run"] + 5 * ["step"] + ["end"])
        self.assertEqual([record["step"] for record in records[1:-1]], [1, 2, 3, 4, 5])
        self.assertIsNone(records[-1]["best_test_accuracy"])
        times = sorted(record["seconds"] for record in records[3:-1])
        self.assertAlmostEqual(records[-1]["median_step_seconds"], times[1], delta=1e-6 * times[1])

    def test_the_plan_is_in_the_log(self):
        self.ok(run("mnist", "--batch", "16", "--steps", "1", "--device", "cpu", "--log", self.path("run.jsonl")))
        records = self.records(pictured=True)
        plan = json.loads(self.ok(run("mnist", "--batch", "16", "--device", "cpu", "--plan", "--json")).stdout)
        ops = [record for record in records if record["type"] == "op"]
        self.assertEqual([(op["layer"], op["operation"], op["scratch_bytes"]) for op in ops],
                         [(op["layer"], op["operation"], op["scratch_bytes"]) for op in plan["ops"]])
        tensors = [record for record in records if record["type"] == "plan"]
        places = [(t["tensor"], t["offset"], t["bytes"], t["first_op"], t["last_op"], t.get("part_of")) for t in tensors]
        self.assertEqual(places[:-1], [(t["name"], t["offset"], t["bytes"], t["first_op"], t["last_op"], t.get("part_of")) for t in plan["tensors"]])
        self.assertEqual((tensors[-1]["tensor"], tensors[-1]["bytes"]), ("scratch", plan["scratch_bytes"]))

    def test_mistakes_are_in_the_log(self):
        log, saved = self.path("run.jsonl"), self.path("w.safetensors")
        self.ok(run("mnist", "--model", "linear", "--epochs", "1", "--log", log, "--save", saved))
        records = self.records(pictured=True)
        mistakes = [record for record in records if record["type"] == "mistakes"]
        end = records[-1]
        self.assertEqual(len(mistakes), min(32, round((1 - end["test_accuracy"]) * records[0]["test_samples"])))
        self.assertEqual(mistakes, sorted(mistakes, key=lambda mistake: -mistake["loss"]))
        for mistake in mistakes:
            self.assertNotEqual(mistake["label"], mistake["predicted"])
            self.assertEqual((mistake["channels"], mistake["height"], mistake["width"]), (1, 28, 28))
            self.assertEqual(len(base64.b64decode(mistake["pixels"])), 784)
        # A training that ends before its last epoch does not test once more.
        self.ok(run("mnist", "--model", "linear", "--epochs", "2", "--steps", "1", "--log", log))
        self.assertEqual([record for record in self.records(pictured=True) if record["type"] == "mistakes"], [])

    def test_a_pipe_takes_the_log(self):
        fifo = self.path("log")
        os.mkfifo(fifo)
        reader = subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE, text=True)
        self.ok(run("mnist", "--model", "linear", "--epochs", "2", "--log", fifo))
        records = [json.loads(line) for line in reader.communicate(timeout=PATIENCE_SECONDS)[0].splitlines()]
        records = [record for record in records if record["type"] not in ("op", "plan", "mistakes")]
        self.assertEqual([record["type"] for record in records], ["run", "epoch", "epoch", "end"])
        self.assertIsNone(records[0]["data_hash"])
        self.assertRegex(records[-1]["data_hash"], r"^[0-9a-f]{32}$")


class Training(Case):
    def test_plan(self):
        self.assertIn("conv1.weight", self.ok(run("mnist", "--plan")).stdout)
        plan = json.loads(self.ok(run("mnist", "--plan", "--json")).stdout)
        self.assertTrue(plan)

    def test_recipe_printed_is_a_recipe(self):
        text = self.ok(run("mnist", "--model", "linear", "--lr", "0.25", "--print-recipe")).stdout
        with open(self.path("mine.toml"), "w") as recipe: recipe.write(text)
        log = self.path("run.jsonl")
        self.ok(run("train", self.path("mine.toml"), "--epochs", "2", "--log", log))
        first = self.records()
        self.assertEqual((first[0]["command"], first[0]["lr"]), ("train", 0.25))
        self.ok(run("mnist", "--model", "linear", "--lr", "0.25", "--epochs", "2", "--log", log))
        self.assertEqual([record.get("test_loss") for record in self.records()], [record.get("test_loss") for record in first])

    def test_built_in_recipe_by_name(self):
        self.assertIn("model     mnist/linear", self.ok(run("train", "mnist/linear", "--steps", "1")).stdout)

    def test_synthetic_data_is_said(self):
        done = self.ok(run("mnist", "--model", "linear", "--steps", "1"))
        self.assertIn("data: synthetic digits (built in); MNIST: lean-train data get mnist\n", done.stderr)
        first = done.stderr.splitlines()[0]
        for word in ("device: cpu", "kernels: ", "precision: fp32", "threads: ", "seed: 1", "data: synthetic"):
            self.assertIn(word, first)

    def test_saved_weights_start_a_training(self):
        a, b = self.path("a.safetensors"), self.path("b.safetensors")
        self.ok(run("mnist", "--model", "linear", "--steps", "2", "--save", a))
        done = self.ok(run("mnist", "--model", "linear", "--steps", "1", "--weights", a, "--lr", "0", "--save", b))
        self.assertEqual(numbers(a), numbers(b), done.stderr)
        self.assertEqual(len(numbers(a)), 4 * 7850)

    def test_quiet(self):
        done = self.ok(run("mnist", "--model", "linear", "--epochs", "2", "--quiet"))
        self.assertEqual(done.stderr, "")
        self.assertIn("accuracy", done.stdout)

    def test_no_terminal_no_escapes(self):
        done = self.ok(run("mnist", "--model", "linear", "--epochs", "2"))
        for text in (done.stdout, done.stderr):
            self.assertNotIn("\r", text)
            self.assertNotIn("\033", text)
        self.assertEqual(len(re.findall(r"(?m)^epoch \d/2 ", done.stderr)), 2)

    def test_environment_names_the_data(self):
        done = run("mnist", "--steps", "1", env=environment(LEAN_TRAIN_DATA=self.folder))
        self.assertIn("synthetic", self.ok(done).stderr)  # nothing of the kind lies there


class Signals(Case):
    def start(self, *arguments, **more):
        """A long training, given back once its log has a step."""
        log = self.path("run.jsonl")
        if os.path.exists(log): os.remove(log)
        process = subprocess.Popen([PROGRAM, "mnist", "--epochs", "1000000", "--log", log, "--log-every", "1", *arguments],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=environment(), **more)
        self.addCleanup(self.put_away, process)
        patience = time.monotonic() + PATIENCE_SECONDS
        while not self.has_step(log):
            self.assertIsNone(process.poll(), process.stderr.read() if process.poll() is not None else "")
            self.assertLess(time.monotonic(), patience)
            time.sleep(0.01)
        return process

    def has_step(self, path):
        if not os.path.exists(path): return False
        with open(path) as log: return '"step"' in log.read()

    def put_away(self, process):
        process.kill()
        for stream in (process.stdout, process.stderr): stream.close()
        process.wait()

    def stop(self, process, number):
        process.send_signal(number)
        return process.communicate(timeout=PATIENCE_SECONDS)

    def test_stop_saves(self):
        for number, code, name in ((signal.SIGINT, 130, "SIGINT"), (signal.SIGTERM, 143, "SIGTERM")):
            saved = self.path(f"{name}.safetensors")
            process = self.start("--batch", "8", "--save", saved)
            out, err = self.stop(process, number)
            self.assertEqual(process.returncode, code, err)
            self.assertIn(f"stopped by {name}", err)
            self.assertIn(f"to go on: lean-train mnist --resume {saved} --save {saved}", err)
            self.assertIn("accuracy", out)
            end = self.records()[-1]
            self.assertEqual((end["type"], end["status"], end["exit_code"]), ("end", "stopped", code))
            self.ok(run("mnist", "--steps", "1", "--weights", saved))
            self.ok(run("mnist", "--steps", "1", "--resume", saved))

    def test_stop_without_save_says_so(self):
        process = self.start("--batch", "8", "--json")
        out, err = self.stop(process, signal.SIGINT)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("nothing was saved", err)
        self.assertEqual(json.loads(out), self.records()[-1])

    def test_second_signal_leaves_at_once(self):
        # A step of the whole set on the reference device takes so long that both signals come within it.
        with open(self.path("slow.toml"), "w") as recipe:
            recipe.write(self.ok(run("mnist", "--batch", "8000", "--device", "reference", "--print-recipe")).stdout)
        process = subprocess.Popen([PROGRAM, "train", self.path("slow.toml"), "--device", "reference", "--save", self.path("w")],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(self.put_away, process)
        said = ""
        while not said.startswith("model:"): said = process.stderr.readline()
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        self.assertIsNone(process.poll())
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_SECONDS)
        self.assertEqual(process.returncode, 130)
        self.assertLess(time.monotonic() - sent, 5)
        self.assertEqual([name for name in os.listdir(self.folder) if name not in ("slow.toml", "w.lock")], [])

    def test_reader_of_results_goes_away(self):
        process = self.start("--batch", "8")
        process.stdout.close()
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
        self.assertEqual(process.wait(timeout=PATIENCE_SECONDS), 130, err)
        self.assertEqual(self.records()[-1]["type"], "end")

    def test_closed_streams(self):
        log, saved = self.path("run.jsonl"), self.path("w.safetensors")
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            line = f'exec "$0" mnist --model linear --steps 2 --log "{log}" --save "{saved}" {closed}'
            done = subprocess.run(["sh", "-c", line, PROGRAM], capture_output=True, timeout=PATIENCE_SECONDS, env=environment())
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([record["type"] for record in self.records()][-1], "end", closed)


class Files(Case):
    def digits(self, folder, train=512, test=64):
        """Small files of MNIST's format: images of one grey, labels in turn."""
        os.mkdir(folder)
        for name, count in (("train", train), ("t10k", test)):
            with open(os.path.join(folder, f"{name}-images-idx3-ubyte"), "wb") as images:
                images.write(struct.pack(">4I", 0x803, count, 28, 28))
                for i in range(count): images.write(bytes([i % 256]) * 784)
            with open(os.path.join(folder, f"{name}-labels-idx1-ubyte"), "wb") as labels:
                labels.write(struct.pack(">2I", 0x801, count) + bytes(i % 10 for i in range(count)))

    def test_where_data_is_found(self):
        self.digits(self.path("mnist"))
        os.mkdir(self.path("lean-train"))
        self.digits(self.path("lean-train/mnist"), train=256)
        both = environment(LEAN_TRAIN_DATA=self.folder, XDG_CACHE_HOME=self.folder)
        cache = environment(XDG_CACHE_HOME=self.folder)
        for arguments, env, samples in (([], both, 512), ([], cache, 256), (["--data", self.path("lean-train/mnist")], both, 256),
                                        (["--data", self.path("lean-train")], both, 256), ([], environment(), 8000)):
            self.ok(run("mnist", "--steps", "1", "--log", self.path("run.jsonl"), *arguments, env=env))
            start = self.records()[0]
            self.assertEqual((start["train_samples"], start["data"]), (samples, "synthetic" if samples == 8000 else "mnist"))

    def test_data_of_no_use(self):
        self.digits(self.path("mnist"))
        with open(self.path("mnist/t10k-labels-idx1-ubyte"), "r+b") as labels:
            labels.seek(8)
            labels.write(b"\x0a")
        self.refused(3, ["t10k-labels-idx1-ubyte"], "mnist", "--data", self.folder)
        os.truncate(self.path("mnist/train-images-idx3-ubyte"), 1000)
        self.refused(3, ["train-images-idx3-ubyte", "1000"], "mnist", "--data", self.folder)

    def test_file_cut_while_in_use(self):
        self.digits(self.path("mnist"), train=4096)
        log, saved = self.path("run.jsonl"), self.path("w.safetensors")
        process = subprocess.Popen([PROGRAM, "mnist", "--epochs", "1000000", "--batch", "8", "--data", self.folder, "--log", log,
                                    "--log-every", "1", "--save", saved], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(process.kill)
        while not (os.path.exists(log) and os.path.getsize(log) > 1000): time.sleep(0.01)
        os.truncate(self.path("mnist/train-images-idx3-ubyte"), 16)
        err = process.communicate(timeout=PATIENCE_SECONDS)[1]
        self.assertEqual(process.returncode, 8, err)
        self.assertIn(self.folder, [line for line in err.splitlines() if line.startswith("lean-train: ")][0])


class Cifar10(Case):
    def pictures(self, folder, train=30, test=7):
        """Small files of CIFAR-10's format, five batches of `train` records: pictures of one grey, labels in turn."""
        os.mkdir(folder)
        for name, count in [*((f"data_batch_{i}", train) for i in range(1, 6)), ("test_batch", test)]:
            with open(os.path.join(folder, name + ".bin"), "wb") as batch:
                for i in range(count): batch.write(bytes([i % 10]) + bytes([i % 256]) * 3072)

    def test_plan(self):
        plan = json.loads(self.ok(run("cifar10", "--plan", "--json")).stdout)
        self.assertEqual((plan["model"], plan["parameters"], plan["batch"]), ("cifar10", 3441592, 64))
        self.assertIn('last_batch = "drop"', self.ok(run("cifar10", "--print-recipe")).stdout)

    def test_synthetic_pictures_stand_in(self):
        done = self.ok(run("cifar10", "--steps", "2", "--batch", "8", "--log", self.path("run.jsonl")))
        self.assertIn("data: synthetic images (built in); CIFAR-10: lean-train data get cifar10\n", done.stderr)
        start = self.records()[0]
        self.assertEqual((start["command"], start["model"], start["data"]), ("cifar10", "cifar10", "synthetic"))
        self.assertEqual((start["parameters"], start["optimizer"], start["lr"]), (3441592, "momentum", 0.01))

    def test_whole_batches_alone(self):
        self.pictures(self.path("cifar-10-batches-bin"))
        saved, log = self.path("w.safetensors"), self.path("run.jsonl")
        self.ok(run("cifar10", "--data", self.folder, "--batch", "40", "--epochs", "2", "--log", log, "--save", saved))
        records = self.records()
        self.assertEqual((records[0]["data"], records[0]["train_samples"], records[0]["test_samples"]), ("cifar10", 150, 7))
        self.assertEqual([record["steps"] for record in records if record["type"] == "epoch"], [3, 3])
        with open(saved, "rb") as file:
            names = set(json.loads(file.read(struct.unpack("<Q", file.read(8))[0])))
        weights = {f"{layer}.{part}" for part in ("weight", "bias") for layer in ("conv1", "conv2", "conv3", "conv4", "fc1", "fc2")}
        self.assertEqual(names - {"__metadata__"}, weights | {f"optimizer.{name}.momentum_buffer" for name in weights})
        self.refused(3, ["150 samples", "whole batches of 151"], "cifar10", "--quiet", "--data", self.folder, "--batch", "151")

    def test_data_of_no_use(self):
        self.pictures(self.path("cifar-10-batches-bin"))
        third = self.path("cifar-10-batches-bin/data_batch_3.bin")
        with open(third, "r+b") as batch:
            batch.seek(3073 * 4)
            batch.write(b"\xff")
        self.refused(3, [third, "record 4", "255"], "cifar10", "--data", self.folder)
        os.truncate(third, 3072)
        self.refused(3, [third, "3072 bytes"], "cifar10", "--data", self.folder)
        os.remove(third)
        self.refused(3, [third, "missing", "lean-train data get cifar10"], "cifar10", "--data", self.folder)
        self.refused(3, ["/nonexistent"], "cifar10", "--data", "/nonexistent/cifar10")


class Memory(Case):
    def allocations(self, *arguments):
        counter = os.environ.get("ALLOCATION_COUNTER")
        if not counter: self.skipTest("no counter for this build")
        counts = environment(LD_PRELOAD=counter, ALLOCATIONS=self.path("count"))
        self.ok(run("mnist", "--kernels", "highway", "--log", self.path("run.jsonl"), "--log-every", "1", "--tensorboard",
                    self.path("events"), *arguments, env=counts))
        with open(self.path("count")) as count: return int(count.read())

    def test_steps_do_not_allocate(self):
        few = self.allocations("--steps", "4", "--batch", "8")
        self.assertGreater(few, 100)
        self.assertEqual(self.allocations("--steps", "40", "--batch", "8"), few)

    def test_epochs_do_not_allocate(self):
        few = self.allocations("--model", "linear", "--epochs", "2")
        self.assertEqual(self.allocations("--model", "linear", "--epochs", "20"), few)


class Terminal(Case):
    def setUp(self):
        super().setUp()
        try:
            for descriptor in os.openpty(): os.close(descriptor)
        except OSError as error:  # a chroot without /dev/pts, say
            self.skipTest(f"no pseudo-terminal to be had here: {error}")

    def watch(self, *arguments, columns=100, env=None):
        """Everything that a terminal of that width is sent by both streams."""
        pid, master = pty.fork()
        if pid == 0:
            os.execve(PROGRAM, [PROGRAM, *arguments], env or environment())
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        sent = b""
        patience = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < patience:
            if not select.select([master], [], [], 1)[0]: continue
            try: part = os.read(master, 65536)
            except OSError: break  # the other side is closed
            if not part: break
            sent += part
        os.close(master)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), sent.decode()

    def test_live_line_and_digits(self):
        code, sent = self.watch("mnist", "--batch", "64", "--epochs", "1")
        self.assertEqual(code, 0, sent)
        self.assertRegex(sent, r"\repoch 1/1 \[[#-]+\] \d+/125")
        self.assertIn("ETA", sent)
        self.assertIn("\033[K", sent)
        for line in re.findall(r"\r(epoch [^\r\n\033]*)\033\[K", sent): self.assertLess(len(line), 100)
        self.assertRegex(sent, "[▀▄█]")
        self.assertGreaterEqual(len(re.findall(r"(?<!\d)\d \d+%", sent)), 10)

    def live_lines(self, sent): return re.findall(r"\r(epoch [^\r\n\033]*)\033\[K", sent)

    def test_live_line_of_any_width(self):
        """Loss with its curve, accuracy, rate and time left, in whole characters; what does not fit is left out in good order."""
        for columns, curve, bar in ((160, 24, 20), (100, 12, 10), (80, 8, 0)):
            code, sent = self.watch("mnist", "--batch", "16", "--steps", "200", "--epochs", "2", columns=columns)
            self.assertEqual(code, 0, sent)
            lines = self.live_lines(sent)
            self.assertTrue(lines, sent)
            for line in lines: self.assertLess(len(line), columns)
            drawn = re.search(r"loss [\d.]+ ([▁▂▃▄▅▆▇█]+)", lines[-1])
            self.assertTrue(drawn, lines[-1])
            self.assertLessEqual(len(drawn[1]), curve)
            self.assertEqual(len(re.sub(r"[^#-]", "", re.search(r"\[[#-]*\]|$", lines[-1])[0])), bar, lines[-1])
            self.assertRegex(lines[-1], r"acc(uracy)? [\d.]+% +\d+( samples)?/s +(ETA )?(\d+:\d\d|-:--)$")
        code, sent = self.watch("mnist", "--batch", "16", "--steps", "100", columns=30)  # cut, and still in one line
        self.assertEqual(code, 0, sent)
        for line in self.live_lines(sent): self.assertLess(len(line), 30)

    def test_plain_locale_has_no_curve(self):
        for names in ({"LC_ALL": "C"}, {"LC_ALL": "", "LANG": "", "LC_CTYPE": ""}):
            code, sent = self.watch("mnist", "--batch", "16", "--steps", "100", env=environment(**names))
            self.assertEqual(code, 0, sent)
            self.assertTrue(self.live_lines(sent))
            self.assertTrue(sent.isascii())

    def test_live_line_has_no_colour(self):
        for names in ({}, {"NO_COLOR": "1"}):
            code, sent = self.watch("mnist", "--batch", "16", "--steps", "100", env=environment(**names))
            before = sent[:sent.rindex("\repoch")]
            self.assertNotRegex(before, "\033\\[[0-9;]*m")
        code, sent = self.watch("mnist", "--batch", "16", "--steps", "100", "--quiet")
        self.assertEqual(self.live_lines(sent), [])

    def test_no_color(self):
        code, sent = self.watch("mnist", "--model", "linear", "--steps", "1", env=environment(NO_COLOR="1"))
        self.assertEqual(code, 0, sent)
        self.assertNotRegex(sent, "\033\\[[0-9;]*m")
        self.assertRegex(sent, "[▀▄█]")

    def test_dumb_terminal_and_plain_locale(self):
        code, sent = self.watch("mnist", "--model", "linear", "--epochs", "2", env=environment(TERM="dumb"))
        self.assertEqual(code, 0, sent)
        self.assertNotIn("\033", sent)
        self.assertNotIn("\repoch", sent)
        code, sent = self.watch("mnist", "--model", "linear", "--steps", "1", env=environment(LC_ALL="C"))
        self.assertEqual(code, 0, sent)
        self.assertTrue(sent.isascii())
        self.assertIn("#", sent)

    def test_colour_pictures(self):
        few = ("cifar10", "--steps", "1", "--batch", "1")
        code, sent = self.watch(*few)
        self.assertEqual(code, 0, sent)
        self.assertRegex(sent, "\033\\[38;5;\\d+;48;5;\\d+m▀")
        self.assertGreaterEqual(len(re.findall(r"(?<!\d)\d \d+%", sent)), 10)
        for cube in map(int, re.findall(r"[34]8;5;(\d+)", sent)): self.assertTrue(16 <= cube <= 231, cube)
        for columns in (40, 100, 400):
            code, sent = self.watch(*few, columns=columns, env=environment(COLORTERM="truecolor"))
            self.assertEqual(code, 0, sent)
            self.assertRegex(sent, "\033\\[38;2;\\d+;\\d+;\\d+;48;2;\\d+;\\d+;\\d+m▀")
            drawn = [re.sub("\033\\[[0-9;]*m", "", line) for line in sent.splitlines() if "▀" in line]
            self.assertLessEqual(max(map(len, drawn)), columns)
        for plain in (environment(NO_COLOR="1"), environment(TERM="vt100")):
            code, sent = self.watch(*few, env=plain)
            self.assertEqual(code, 0, sent)
            self.assertNotIn("▀", sent)

    def test_narrow_and_wide(self):
        for columns in (40, 300):
            code, sent = self.watch("mnist", "--model", "linear", "--steps", "1", columns=columns)
            self.assertEqual(code, 0, sent)
            drawn = [line for line in sent.splitlines() if re.search("[▀▄█]", line)]
            self.assertTrue(drawn)
            self.assertLessEqual(max(map(len, drawn)), columns)


if __name__ == "__main__":
    unittest.main(verbosity=1)
