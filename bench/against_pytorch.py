#!/usr/bin/env python3
"""Takes turns: some steps here, the same in PyTorch, the machine's peak in between, round after round, so that whatever else
the machine does meets both. Writes bench/results/NAME.json and NAME.md.

usage: against_pytorch.py LEAN_TRAIN PEAK NAME [--model M]... [--precision P]... [--rounds N] [--threads N] [--data DIR]
                          [--python PYTHON]

PEAK is the built bench/peak; PYTHON an interpreter that has torch. PyTorch is held against in its best form: the first round
tries it eager and compiled, and the later ones take those within a quarter of the better one. Figures are medians over the
rounds of each side's median step; a ratio is taken within a round first, to the faster form. A step's arithmetic is counted as
if nothing were skipped (dense, padding included), and its share is that of the fp32 peak, whatever the precision.
"""
import argparse, datetime, json, os, platform, statistics, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
FORMS = {"eager": [], "compiled": ["--compile"]}
STEPS = {"cnn-same": 60, "cnn-valid": 24, "linear": 12, "nn": 8, "cifar10": 20, "resnet50": 6, "gru-1x320": 8, "lstm-1x320": 8, "bilstm-4x320": 4, "bilstm-4x320-ctc": 4}
FORWARD_ALONE = ("resnet50",)
RECURRENT = ("gru-1x320", "lstm-1x320", "bilstm-4x320", "bilstm-4x320-ctc")

def recurrent(gates, layers, directions, last):
    products, features = [], 123
    for layer in range(layers):
        products += [(1000 * directions * gates * 320 * features, layer > 0), (1000 * directions * gates * 320 * 320, True)]
        features = directions * 320
    return [*products, (last, True)]


# Multiply-adds of one sample: each layer's product, and whether a gradient goes on to its input.
PRODUCTS = {
    "cnn-same": (64, [(28 * 28 * 32 * 25, False), (14 * 14 * 64 * 32 * 25, True), (3136 * 1024, True), (1024 * 10, True)]),
    "cnn-valid": (256, [(24 * 24 * 32 * 25, False), (8 * 8 * 64 * 32 * 25, True), (1024 * 1024, True), (1024 * 10, True)]),
    "linear": (60000, [(784 * 10, False)]),
    "nn": (60000, [(784 * 128, False), (128 * 10, True)]),
    "cifar10": (64, [(32 * 32 * 50 * 27, False), (32 * 32 * 50 * 450, True), (16 * 16 * 100 * 450, True), (16 * 16 * 100 * 900, True),
                     (6400 * 512, True), (512 * 10, True)]),
    "resnet50": (32, [(4087136256, True)]),
    "gru-1x320": (25, recurrent(3, 1, 1, 320 * 25)),
    "lstm-1x320": (25, recurrent(4, 1, 1, 320 * 25)),
    "bilstm-4x320": (25, recurrent(4, 4, 2, 640 * 25)),
    "bilstm-4x320-ctc": (25, recurrent(4, 4, 2, 1000 * 640 * 59)),
}


def step_operations(model):
    batch, products = PRODUCTS[model]
    passes = (1, 1) if model in FORWARD_ALONE else (2, 3)
    return 2 * batch * sum(count * passes[to_input] for count, to_input in products)


def ours(options, model, precision):
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "run.jsonl")
        name = [model] if model in ("cifar10", "resnet50") else ["rnn", "--model", model] if model in RECURRENT else ["mnist", "--model", model]
        command = [options.lean_train, *name, "--steps", str(STEPS[model]), "--precision", precision, "--log", log, "--quiet"]
        if options.threads: command += ["--threads", str(options.threads)]
        if options.data: command += ["--data", options.data]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        records = [json.loads(line) for line in open(log)]
    return next(r for r in records if r["type"] == "run"), next(r for r in records if r["type"] == "end")


def json_of(*command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def peer(options, model, precision, form):
    command = [options.python, os.path.join(HERE, "peers", "pytorch_bench.py"), model, "--steps", str(STEPS[model]), *FORMS[form]]
    if precision == "bf16": command.append("--bf16")
    return json_of(*command, *(["--threads", str(options.threads)] if options.threads else []))


def machine():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.processor(), "cpus": len(os.sched_getaffinity(0)), "kernel": platform.release()}


def measure(options, model, precision):
    rounds, forms = [], list(FORMS)
    for number in range(options.rounds):
        peak = json_of(options.peak, *([str(options.threads)] if options.threads else []))
        run, end = ours(options, model, precision)
        by_form = {form: peer(options, model, precision, form) for form in forms}
        seconds = {form: record["median_step_seconds"] for form, record in by_form.items()}
        best = min(seconds, key=seconds.get)
        if number == 0: forms = [form for form in forms if seconds[form] <= 1.25 * seconds[best]]
        theirs = by_form[best]
        rounds.append({"ours_step_seconds": end["median_step_seconds"], "pytorch_step_seconds": seconds[best],
                       "pytorch_form": best, "pytorch_step_seconds_by_form": seconds,
                       "ratio": seconds[best] / end["median_step_seconds"],
                       "peak_flops_per_second": peak["fp32_flops_per_second"],
                       "ours_peak_anonymous_bytes": end["peak_anonymous_bytes"], "pytorch_peak_rss_bytes": theirs["peak_rss_bytes"]})
        print(f"{model} {precision}, round {number + 1} of {options.rounds}: {1e3 * end['median_step_seconds']:.2f} ms here, "
              + ", ".join(f"{1e3 * value:.2f} ms in PyTorch {form}" for form, value in seconds.items())
              + f": {rounds[-1]['ratio']:.2f} times", file=sys.stderr)
    def median(key):
        return statistics.median(entry[key] for entry in rounds)
    operations = step_operations(model)
    return {"model": model, "precision": precision, "batch": PRODUCTS[model][0], "data": run["data"], "device": run["device_name"],
            "kernels": run["kernels"], "threads": run["threads"], "commit": run["commit"], "version": run["version"],
            "pytorch_version": theirs["version"], "pytorch_form": statistics.mode(entry["pytorch_form"] for entry in rounds),
            "arena_bytes": run["arena_bytes"], "rounds": rounds, "ours_step_seconds": median("ours_step_seconds"),
            "pytorch_step_seconds": median("pytorch_step_seconds"), "ratio": median("ratio"), "step_operations": operations,
            "share_of_peak": operations / median("ours_step_seconds") / median("peak_flops_per_second"),
            "peak_flops_per_second": median("peak_flops_per_second"),
            "ours_peak_anonymous_bytes": median("ours_peak_anonymous_bytes"), "pytorch_peak_rss_bytes": median("pytorch_peak_rss_bytes")}


def table(results, date, about):
    first = results[0]
    lines = [f"# Against PyTorch {first['pytorch_version']}, {date}", "",
             f"{about['cpu']}, {about['cpus']} CPUs; {first['threads']} threads; lean-train {first['version']} ({first['commit']}), "
             f"kernels {first['kernels']}; fp32 peak {first['peak_flops_per_second'] / 1e9:.0f} GFLOP/s; rounds taken in turns, medians.", "",
             "| model | precision | batch | here, ms a step | PyTorch, ms a step | its form | times as fast | of the machine's fp32 peak | memory here, MiB | PyTorch, MiB |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for r in results:
        lines.append(f"| {r['model']} | {r['precision']} | {r['batch']} | {1e3 * r['ours_step_seconds']:.2f} | {1e3 * r['pytorch_step_seconds']:.2f} | {r['pytorch_form']} | {r['ratio']:.2f} "
                     f"| {100 * r['share_of_peak']:.0f} % | {r['ours_peak_anonymous_bytes'] / 2**20:.0f} | {r['pytorch_peak_rss_bytes'] / 2**20:.0f} |")
    lines += ["", "Times as fast: the median over the rounds of PyTorch's median step, in its faster form, by ours. Memory: private memory at its peak here, the",
              "resident set at its peak there. PyTorch's inputs are resident floats in channels-last; ours are the files' bytes, gathered,",
              "shuffled and widened within the step."]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    for name in ("lean_train", "peak", "name"): parser.add_argument(name)
    parser.add_argument("--model", action="append", choices=sorted(STEPS))
    parser.add_argument("--precision", action="append", choices=["fp32", "bf16"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--data")
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    date, about = datetime.date.today().isoformat(), machine()
    results = [measure(options, model, precision) for model in options.model or STEPS for precision in options.precision or ["fp32"]]
    path = os.path.join(HERE, "results", options.name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".json", "w") as file:
        json.dump({"date": date, "machine": about, "results": results}, file, indent=1)
        file.write("\n")
    with open(path + ".md", "w") as file:
        file.write(table(results, date, about))
    print(table(results, date, about))


main()
