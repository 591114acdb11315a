#!/usr/bin/env python3
"""Trains the built-in models on the real data and holds the results against what the same models reach elsewhere.

usage: acceptance.py LEAN_TRAIN DATA_DIR SECONDS

Tells each check on stderr; prints "PASSED FAILED SKIPPED" on stdout. A run for which no time is left is skipped,
and so is CIFAR-10's where its files are not there.
"""
import json, os, subprocess, sys, tempfile, time

program, data, seconds = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), float(sys.argv[3])
end_of_time = time.monotonic() + seconds
counts = {"passed": 0, "failed": 0, "skipped": 0}


def check(result, text):
    word = {True: "passed", False: "failed", None: "skipped"}[result]
    counts[word] += 1
    print(f"{word}: {text}", file=sys.stderr, flush=True)


def train(folder, name, *options, command="mnist"):
    """The records of one run, by type; None where there was no time for it."""
    log = os.path.join(folder, name + ".jsonl")
    limit = end_of_time - time.monotonic()
    try:
        done = subprocess.run([program, command, "--data", data, "--log", log, "--quiet", *options], timeout=max(limit, 1),
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    except subprocess.TimeoutExpired:
        check(None, f"{name}: no time left ({limit:.0f} s)")
        return None
    if done.returncode != 0:
        check(False, f"{name}: exit code {done.returncode}: {done.stderr.strip()[-500:]}")
        return None
    records = {"run": [], "step": [], "epoch": [], "end": []}
    for line in open(log):
        record = json.loads(line)
        records.setdefault(record["type"], []).append(record)
    return records


def accuracies(records):
    return [record["test_accuracy"] for record in records["epoch"]]


def cnn_same(folder):
    records = train(folder, "cnn-same", "--epochs", "2", "--save", os.path.join(folder, "a.safetensors"))
    if records is None: return
    run, end, reached = records["run"][0], records["end"][0], accuracies(records)
    check(reached[0] >= 0.945, f"cnn-same: test accuracy {reached[0]:.4f} after epoch 1, expected 0.945 or more")
    check(reached[1] >= 0.965, f"cnn-same: test accuracy {reached[1]:.4f} after epoch 2, expected 0.965 or more")
    check(run["parameters"] == 3274624, f"cnn-same: {run['parameters']} parameters, expected 3274624")
    check(run["data"] == "mnist" and run["train_samples"] == 60000 and run["test_samples"] == 10000,
          f"cnn-same: trained on {run['data']}, {run['train_samples']} + {run['test_samples']} samples")
    check([record["steps"] for record in records["epoch"]] == [938, 938], "cnn-same: 938 steps an epoch, the short batch included")
    check(end["status"] == "ok" and end["exit_code"] == 0, "cnn-same: the end record says ok")
    # The memory block is what the plan said; the rest of the process (code, stacks, buffers) stays small.
    extra = end["peak_anonymous_bytes"] - run["arena_bytes"]
    check(extra < 48 << 20, f"cnn-same: private memory {extra / 2**20:.1f} MiB above the block of {run['arena_bytes'] / 2**20:.1f} MiB")


def same_bits(folder):
    saved = []
    for name in ("first", "second"):
        path = os.path.join(folder, name + ".safetensors")
        if train(folder, name, "--steps", "30", "--kernels", "highway", "--save", path) is None: return
        saved.append(open(path, "rb").read())
    check(saved[0] == saved[1], "cnn-same: two runs of 30 steps save equal bytes")


def linear(folder):
    records = train(folder, "linear", "--model", "linear", "--epochs", "200")
    if records is None: return
    reached = accuracies(records)
    # No randomness: weights start at zero and the batch is the whole set. PyTorch reaches 0.9168.
    check(abs(reached[-1] - 0.9168) <= 0.001, f"linear: test accuracy {reached[-1]:.4f} after 200 epochs, expected 0.9168 within 0.001")


def nn(folder):
    records = train(folder, "nn", "--model", "nn", "--epochs", "60")
    if records is None: return
    losses = [record["train_loss"] for record in records["epoch"]]
    check(losses[-1] < 0.45 and all(b < a for a, b in zip(losses, losses[1:])),
          f"nn: training loss falls every epoch, to {losses[-1]:.4f}; expected under 0.45")
    check(accuracies(records)[-1] >= 0.89, f"nn: test accuracy {accuracies(records)[-1]:.4f} after 60 epochs, expected 0.89 or more")


def cnn_valid(folder):
    records = train(folder, "cnn-valid", "--model", "cnn-valid", "--epochs", "2")
    if records is None: return
    reached = accuracies(records)
    check(records["run"][0]["parameters"] == 1111946, f"cnn-valid: {records['run'][0]['parameters']} parameters, expected 1111946")
    check(reached[1] >= 0.965, f"cnn-valid: test accuracy {reached[1]:.4f} after epoch 2, expected 0.965 or more")


def cifar10(folder):
    if not os.path.exists(os.path.join(data, "cifar-10-batches-bin")):
        check(None, "cifar10: the data is not there")
        return
    records = train(folder, "cifar10", "--epochs", "1", command="cifar10")
    if records is None: return
    run, epoch = records["run"][0], records["epoch"][0]
    check(run["parameters"] == 3441592, f"cifar10: {run['parameters']} parameters, expected 3441592")
    check(run["data"] == "cifar10" and run["train_samples"] == 50000 and run["test_samples"] == 10000,
          f"cifar10: trained on {run['data']}, {run['train_samples']} + {run['test_samples']} samples")
    check(epoch["steps"] == 781, f"cifar10: {epoch['steps']} steps an epoch, expected 781, whole batches alone")
    check(epoch["test_accuracy"] >= 0.33, f"cifar10: test accuracy {epoch['test_accuracy']:.4f} after epoch 1, expected 0.33 or more")


with tempfile.TemporaryDirectory() as folder:
    for job in (cnn_same, same_bits, linear, nn, cnn_valid, cifar10):
        if end_of_time - time.monotonic() < 10:
            check(None, f"{job.__name__}: no time left")
        else:
            job(folder)
print(counts["passed"], counts["failed"], counts["skipped"])
