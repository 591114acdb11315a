#!/usr/bin/env python3
"""The report of one machine's GPU; see gpu.sh, which starts this. Takes no module beyond the standard library.

Stages go by importance, each under a bound of its own; one that fails or finds no time is recorded and the rest goes on. The first
round of the table measures everything once, further rounds add samples while time is left.
"""
import argparse, datetime, json, os, platform, re, shutil, signal, subprocess, sys, tempfile, time

import gpu_data
import gpu_report
from gpu_peer import Peer

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = {  # epochs of one sample; training samples of the published set
    "cnn-same": (1, 60000), "cifar10": (1, 50000), "cnn-valid": (30, 60000), "linear": (200, 60000), "nn": (200, 60000),
    "imdb": (1, 25000), "resnet50": (1, 40 * 256), "gru-1x320": (20, 25), "lstm-1x320": (20, 25), "bilstm-4x320": (4, 25), "bilstm-4x320-ctc": (4, 25),
}
RNN = [name for name in MODELS if "1x320" in name or "4x320" in name]  # one batch of sequences, which the program makes itself
INFERENCE = {"resnet50": 256}  # pictures a batch: computed, not trained; an epoch is a pass over the built-in ones
QUICK_BATCH = 2
RECIPES = {"cifar10": ("cifar10", "synthetic-images")}
SANITIZED = [  # tool, tests of operations, seconds
    ("memcheck", "*gpu_own_*", 35), ("racecheck", "*gpu_own_*", 30), ("memcheck", "*gpu_cudnn_*", 15),
]
TESTS = {"ops": 70, "lists": 15, "training": 90, "sequences": 60, "features": 25, "int8": 15, "memory": 30}  # seconds
QUICK_SHARE = 100
FACTS = ["name", "driver_version", "memory.total", "memory.used", "compute_mode", "persistence_mode", "pstate", "clocks.sm", "clocks.mem",
         "clocks.max.sm", "clocks.max.mem", "power.draw", "power.limit", "temperature.gpu"]


class Bench:
    def __init__(self, options):
        self.options, self.begun = options, time.monotonic()
        self.folder = tempfile.TemporaryDirectory()
        self.environment = dict(os.environ)
        self.report = {"date": datetime.date.today().isoformat(), "machine": machine(), "gpu": {}, "options": dict(vars(options)), "pytorch": None,
                       "program": None, "data": options.data or "random pictures in files of the published sets' form", "stages": [], "start_up": [], "table": [], "not_run": []}
        self.peer = None

    def left(self):
        return self.options.seconds - (time.monotonic() - self.begun)

    def run(self, command, limit, name=None):
        """Exit status and output; 124 where it ran out of time. Recorded as a stage where it has a name."""
        limit = min(limit, self.left())
        begun = time.monotonic()
        if limit < 1:
            status, output = None, "no time was left"
        else:
            try:
                process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                                           errors="replace", env=self.environment, start_new_session=True)
                try:
                    output = process.communicate(timeout=limit)[0]
                    status = process.returncode
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    output, status = process.communicate()[0], 124
            except OSError as error:
                output, status = str(error), 127
        if name:
            self.report["stages"].append({"name": name, "command": [os.path.basename(command[0]), *command[1:]], "exit_status": status,
                                          "seconds": round(time.monotonic() - begun, 2), "output_tail": output[-3000:]})
            with open(os.path.join(self.options.out, re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") + ".log"), "w") as file:
                file.write(output)
            print(f"[{time.monotonic() - self.begun:5.0f} s] {name}: {'exit status ' + str(status) if status is not None else output}", flush=True)
            self.save()
        return status, output

    def save(self):
        name = re.sub(r"[^a-z0-9]+", "-", self.report["gpu"].get("name", self.options.device).lower().replace("nvidia", "")).strip("-")
        gpu_report.write(os.path.join(self.options.out, f"{name}-{self.report['date']}"), self.report)

    # ---- stages

    def facts(self, key):
        if self.options.device == "cpu": return
        status, output = self.run(["nvidia-smi", "--query-gpu=" + ",".join(FACTS), "--format=csv,noheader"], 30)
        if status == 0:
            self.report[key] = dict(zip(FACTS, (value.strip() for value in output.splitlines()[0].split(","))))
        else:
            self.report["not_run"].append(f"nvidia-smi: exit status {status}: {output.strip()[-300:]}")

    def devices(self):
        status, output = self.run([self.program("lean-train"), "devices"], 60)
        if "no cuDNN" in output or "no cuBLASLt" in output:  # where pip put them, if it did
            found = subprocess.run([self.options.python, "-c", "import nvidia; print(*nvidia.__path__, sep='\\n')"], capture_output=True, text=True)
            folders = [os.path.dirname(path) for path in found.stdout.split()]
            if folders: self.environment.setdefault("LEAN_TRAIN_CUDA_PATH", ":".join(folders))
        self.run([self.program("lean-train"), "devices"], 60, "devices")

    def program(self, name):
        return os.path.join(self.options.build, name)

    def tests(self):
        for name, limit in TESTS.items():
            status, output = self.run([self.program("tests/gpu/test-gpu-" + name)], limit, "test-gpu-" + name)
            stage = self.report["stages"][-1]
            stage.update(passed=output.count("[       OK ]"), failed=len(set(re.findall(r"\[  FAILED  \] (\S+?),? ", output))),
                         skipped=status == 77, failures=re.findall(r"^.*: Failure\n(?:.*\n){1,4}", output, re.MULTILINE)[:10],
                         said=[line for line in output.splitlines() if line.startswith(("left out:", "skipped:", "losses from", "calls to the driver"))][:80])
            self.save()

    def sanitizers(self):
        tool = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
        if not tool:
            self.report["not_run"].append("compute-sanitizer is neither in PATH nor in /usr/local/cuda/bin")
            return
        for kind, tests, limit in SANITIZED:
            status, output = self.run([tool, "--tool", kind, "--error-exitcode", "9", self.program("tests/gpu/test-gpu-ops"),
                                       "--gtest_filter=" + tests], limit, f"compute-sanitizer {kind} {tests}")
            # One that ran out of time has told what it found until then.
            found = [line for line in output.splitlines() if re.match(r"=+ (Invalid|Error|Race|Uninit|Program hit|.*hazard)", line)]
            self.report["stages"][-1].update(passed=output.count("[       OK ]"), findings=len(found), first_findings=found[:20])
            self.save()

    def start_up(self):
        for model in ("cnn-same", "cifar10", "nn"):
            recipe, data = RECIPES.get(model, ("mnist/" + model, "synthetic-digits"))
            for kernels in ("own", "auto"):
                for repeat in range(2):
                    status, output = self.run([self.program("tests/gpu/gpu-start-up"), recipe, kernels, "fp32", data], 20)
                    entry = {"model": model, "kernels": kernels, "repeat": repeat}
                    try:
                        entry.update(json.loads(output.splitlines()[-1]))
                    except (ValueError, IndexError):
                        entry["error"] = f"exit status {status}: {output[:300].splitlines()[0] if output.strip() else 'no output'}"
                    self.report["start_up"].append(entry)
        self.save()

    # ---- the table

    def logged(self, command, precision, kernels):
        """The records of a run of lean-train, or why there are none."""
        log = os.path.join(self.folder.name, "run.jsonl")
        status, output = self.run([self.program("lean-train"), *command, "--device", self.options.device, "--precision", precision,
                                   "--kernels", kernels, "--log", log, "--quiet"], 60)
        if status != 0: return None, f"exit status {status}: {output.strip()[-300:]}"
        with open(log) as file:
            records = [json.loads(line) for line in file]
        if self.report["program"] is None:
            self.report["program"] = {key: records[0][key] for key in ("version", "commit", "device_name", "threads")}
        return records, None

    def ours_computed(self, model, precision, kernels):
        """Seconds of all batches, from bytes in the host's memory to features there; the first one is computed twice and counted once."""
        _, pictures = self.scaled(model)
        batch = self.batch(model)
        records, error = self.logged([model, "--batch", str(batch), "--steps", str(pictures // batch)], precision, kernels)
        if error: return {"error": error}
        run, end = records[0], records[-1]
        return {"samples": [sum(record["seconds"] for record in records if record["type"] == "step")], "train_samples": end["images"],
                "batch": batch, **{key: end[key] for key in ("first_step_seconds", "peak_rss_bytes")}, "process_seconds": end["seconds"],
                **{key: run[key] for key in ("data", "kernels", "arena_bytes")}}

    def ours(self, model, precision, kernels, repeats):
        """Seconds of `epochs` epochs, `repeats` samples behind one epoch that is not counted."""
        if model in INFERENCE: return self.ours_computed(model, precision, kernels)
        epochs, _ = self.scaled(model)
        of_model = [model] if model in ("cifar10", "imdb") else ["rnn" if model in RNN else "mnist", "--model", model]
        command = [*of_model, "--epochs", str(1 + epochs * repeats)]
        has_data = model not in RNN and (model != "imdb" or os.path.exists(os.path.join(self.options.data or "", "imdb")))
        if self.options.data and has_data: command += ["--data", self.options.data]
        records, error = self.logged(command, precision, kernels)
        if error: return {"error": error}
        run, end = records[0], records[-1]
        seconds = [record["seconds"] for record in records if record["type"] == "epoch"][1:]
        return {"samples": [sum(seconds[i * epochs:(i + 1) * epochs]) for i in range(repeats)], "first_step_seconds": end["first_step_seconds"],
                "process_seconds": end["seconds"], "train_samples": run["train_samples"], "data": run["data"], "kernels": run["kernels"],
                "arena_bytes": run["arena_bytes"], "test_accuracy": end["test_accuracy"], "peak_rss_bytes": end["peak_rss_bytes"]}

    def theirs(self, model, precision, mode, row, repeats):
        epochs, samples = self.scaled(model)
        if self.peer is None: return {"error": "PyTorch does not run here"}
        return self.peer.ask({"model": model, "precision": precision, "mode": mode, "samples": row.get("train_samples", samples),
                              "epochs": epochs, "repeats": repeats, "warm": 1, **({"batch": self.batch(model)} if model in INFERENCE else {})},
                             min(120 if model in INFERENCE else 60, self.left()))  # fifty layers take torch.compile a minute

    def scaled(self, model):
        epochs, samples = MODELS[model]
        if not self.options.quick: return epochs, samples
        if model in INFERENCE: return epochs, 2 * QUICK_BATCH
        return min(epochs, 2), samples if model in RNN else max(samples // QUICK_SHARE, 1)

    def batch(self, model):
        return QUICK_BATCH if self.options.quick else INFERENCE[model]

    def table(self):
        options, rows = self.options, {}
        for precision in options.precisions:
            for model in options.models:
                if precision == "int8" and model not in INFERENCE: continue
                rows[model, precision] = {"model": model, "precision": precision, "epochs": self.scaled(model)[0], "entries": {},
                                          **({"batch": self.batch(model)} if model in INFERENCE else {})}
        self.report["table"] = list(rows.values())
        turns = [("ours", "auto"), ("pytorch", "eager"), ("pytorch", "graph")]
        others = [("ours", kernels) for kernels in options.kernels if kernels != "auto"]
        missed = {}
        for who, names in [("first round", turns), ("other kernels", others), *[("further round", turns)] * (options.rounds - 1),
                           ("compiled", [("pytorch", "compiled")])]:
            for (model, precision), row in rows.items():
                for side, name in names:
                    if precision == "int8" and (side, name) != ("ours", "auto"): continue  # PyTorch has none, and there are own kernels alone
                    entry = row["entries"].setdefault(f"{side} {name}", {"samples": []})
                    if "error" in entry: continue  # it will not go better the next time
                    if self.left() < 15:
                        missed.setdefault(who, []).append(f"{model} {precision} {side} {name}")
                        continue
                    got = self.ours(model, precision, name, 1) if side == "ours" else self.theirs(model, precision, name, row, 1)
                    samples = entry["samples"] + got.pop("samples", [])
                    firsts = entry.get("first_step_seconds", []) + ([got.pop("first_step_seconds")] if "first_step_seconds" in got else [])
                    entry.update(got, samples=samples, **({"first_step_seconds": firsts} if firsts else {}))
                    row["train_samples"] = got.get("train_samples", row.get("train_samples", self.scaled(model)[1]))
                    print(f"[{time.monotonic() - self.begun:5.0f} s] {model} {precision}, {side} {name}: {got.get('error') or samples}", flush=True)
                self.save()
        self.report["not_run"] += [f"{who}, no time was left: {', '.join(dict.fromkeys(what))}" for who, what in missed.items()]

    def everything(self):
        self.facts("gpu")
        self.devices()
        gpu = self.options.device != "cpu"
        self.tests()
        if gpu: self.start_up()
        peer = Peer([self.options.python, os.path.join(HERE, "peers", "gpu_pytorch.py"), "--device", self.options.device.split(":")[0]], min(90, self.left()))
        self.report["pytorch"] = peer.about
        if "error" not in peer.about: self.peer = peer
        if not self.options.data:
            gpu_data.write_sets(self.folder.name, QUICK_SHARE if self.options.quick else 1)
            self.options.data = self.folder.name
        # The sanitizers come last and have their time kept for them.
        if gpu:
            total = self.options.seconds
            self.options.seconds = total - sum(limit for _, _, limit in SANITIZED)
            self.table()
            self.options.seconds = total
            self.sanitizers()
            self.facts("gpu_after")
        else:
            self.table()
        peer.close()
        self.report["seconds"] = round(time.monotonic() - self.begun, 1)
        self.save()


def machine():
    names = []
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.processor(), "cpus": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "system": platform.platform()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--build", required=True)
    parser.add_argument("--seconds", type=float, default=500)
    parser.add_argument("--device", default="cuda", help="cpu: a dry run, without what needs a GPU")
    parser.add_argument("--quick", action="store_true", help="few samples and epochs, for a dry run")
    parser.add_argument("--data", help="folder of the real data sets [files of random pictures of the same size]")
    parser.add_argument("--python", default=sys.executable, help="that has torch [the one that runs this]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--precisions", nargs="+", default=None)
    parser.add_argument("--kernels", nargs="+", default=None)
    options = parser.parse_args()
    options.precisions = options.precisions or (["fp32"] if options.device == "cpu" else ["fp32", "bf16", "tf32", "int8"])
    options.kernels = options.kernels or (["auto", "highway"] if options.device == "cpu" else ["auto", "cudnn", "own"])
    Bench(options).everything()


main()
