"""What the scripts that take turns share: how lean-train and a peer are started, and the machine."""
import json, os, platform, subprocess, time

# As the program's commands and the peers' scripts name the models, the built-in recipe.
RECIPES = {"cnn-same": "mnist/cnn-same", "cnn-valid": "mnist/cnn-valid", "linear": "mnist/linear", "nn": "mnist/nn", "cifar10": "cifar10", "resnet50": "resnet50",
           "imdb": "imdb", **{name: "rnn/" + name for name in ("gru-1x320", "lstm-1x320", "bilstm-4x320", "bilstm-4x320-ctc")}}


class Failed(Exception):
    """A program that was to be measured, and why it was not: its last line."""


def run(command, **more):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, **more)
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]}: took more than {more['timeout']:g} s") from None
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise Failed(f"{command[0]}: {said[-1].strip() if said else f'ended with {done.returncode} and said nothing'}")
    return done.stdout


def machine():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.processor(), "cpus": len(os.sched_getaffinity(0)), "kernel": platform.release()}


def ours(program, model, *options):
    """One process of `lean-train bench`: its row, the versions beside it."""
    found = json.loads(run([program, "bench", RECIPES[model], "-r", "1", "-o", "json", *options]))
    row = found["rows"][0]
    if row["status"] != "measured": raise Failed(f"{program}: {row['reason']}")
    return {**row, "version": found["version"], "commit": found["commit"]}


def peer(command, model, *options, most_seconds=None):
    """One process of a peer: its record. It counts its start-up from now, and is ended after `most_seconds`."""
    begun = {"PEER_BEGUN": repr(time.monotonic())}
    return json.loads(run([*command, model, *options], env={**os.environ, **begun}, timeout=most_seconds).splitlines()[-1])
