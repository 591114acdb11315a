"""Writes the report of gpu.py: everything as JSON, and what is to be read as Markdown."""
import json, os, statistics


def median(entry):
    return statistics.median(entry["samples"]) if entry.get("samples") else None


def seconds(value):
    if value is None: return "-"
    return f"{value:.3f}" if value >= 0.1 else f"{value:.5f}"


def add_medians(report):
    for row in report["table"]:
        for entry in row["entries"].values(): entry["median_seconds"] = median(entry)
        peers = [entry["median_seconds"] for name, entry in row["entries"].items() if name.startswith("pytorch") and entry["median_seconds"]]
        ours = row["entries"].get("ours auto", {}).get("median_seconds")
        row["times_as_fast_as_fastest_pytorch"] = min(peers) / ours if peers and ours else None


def table(report):
    columns = list(dict.fromkeys(name for row in report["table"] for name in row["entries"]))
    lines = ["| model | precision | samples | epochs | " + " | ".join(f"{name}, s" for name in columns) + " | fastest PyTorch / ours auto |",
             "| --- " * (5 + len(columns)) + "|"]
    for row in report["table"]:
        ratio = row["times_as_fast_as_fastest_pytorch"]
        lines.append(f"| {row['model']} | {row['precision']} | {row.get('train_samples', '-')} | {row['epochs']} | "
                     + " | ".join(seconds(row["entries"].get(name, {}).get("median_seconds")) for name in columns)
                     + f" | {f'{ratio:.2f}' if ratio else '-'} |")
    errors = {}
    for row in report["table"]:
        for name, entry in row["entries"].items():
            if "error" in entry: errors.setdefault(entry["error"], []).append(f"{row['model']} {row['precision']} {name}")
    said = [f"* {error}: {', '.join(where)}" for error, where in errors.items()]
    return lines + ([""] + said if said else [])


def rates(report):
    """Of models that are computed alone."""
    lines = []
    for row in report["table"]:
        if "batch" not in row: continue
        found = [f"{name} {row['train_samples'] * row['epochs'] / entry['median_seconds']:,.0f}" for name, entry in row["entries"].items()
                 if entry["median_seconds"]]
        lines.append(f"* {row['model']} {row['precision']}, batch {row['batch']}, images/s: {'; '.join(found) or 'none'}")
    return ["", *lines] if lines else []


def first_steps(report):
    lines = []
    for entry in report["start_up"]:
        about = f"* {entry['model']}, {entry['kernels']}, run {entry['repeat'] + 1}: "
        if "error" in entry:
            lines.append(about + entry["error"])
            continue
        parts = "; ".join(f"{name} {part['seconds']:.3f}"
                          + "".join(f", {call} {took:.3f}" for call, took in part.items() if call != "seconds" and took >= 0.005)
                          for name, part in entry["parts"].items())
        lines.append(f"{about}{entry['seconds']:.3f} s: {parts}")
    for row in report["table"]:
        took = row["entries"].get("ours auto", {}).get("first_step_seconds")
        if took: lines.append(f"* lean-train, {row['model']} {row['precision']}: first step done {statistics.median(took):.3f} s after exec")
    return lines


def stages(report):
    lines = ["| stage | exit status | seconds | passed | failed or found |", "| --- | --- | --- | --- | --- |"]
    for stage in report["stages"]:
        lines.append(f"| {stage['name'].replace('*', chr(92) + '*')} | {stage['exit_status']} | {stage['seconds']} | {stage.get('passed', '')} "
                     f"| {stage.get('failed', stage.get('findings', ''))} |")
    for stage in report["stages"]:
        lines += [f"* {stage['name']}: {' '.join(said.split())}" for said in
                  stage.get("failures", []) + stage.get("first_findings", []) + [s for s in stage.get("said", []) if s.startswith(("left", "skipped"))]]
    return lines


def markdown(report):
    program, peer = report["program"] or {}, report["pytorch"] or {}
    gpu = ", ".join(f"{key} {value}" for key, value in report["gpu"].items()) or "no GPU: a dry run on the CPU"
    lines = [f"# lean-train on {report['gpu'].get('name', 'the CPU')}, {report['date']}", "",
             f"{gpu}. {report['machine']['cpu']}, {report['machine']['cpus']} CPUs. lean-train {program.get('version', '?')} "
             f"({program.get('commit', '?')}), {program.get('device_name', '?')}. PyTorch "
             f"{peer.get('version') or peer.get('error') or 'was not measured'}, cuDNN {peer.get('cudnn', '-')}. Data: {report['data']}.", "",
             "## Epochs", "", *table(report), "",
             "Seconds of that many epochs, training alone, behind a first epoch that is not counted; medians of up to "
             f"{report['options']['rounds']} rounds taken in turns (one sample in the first). PyTorch: bytes resident on the GPU, fused optimizers; "
             "graph: whole steps captured; compiled: torch.compile, reduce-overhead. resnet50 is computed, not trained: ours from bytes in the "
             "host's memory to features there, PyTorch's from bytes on the GPU to features on it.", *rates(report), "", "## Time to the first step", "",
             *first_steps(report), "", "## Tests and tools", "", *stages(report), "", *(f"* not run: {what}" for what in report["not_run"])]
    return "\n".join(lines).rstrip() + "\n"


def write(path, report):
    add_medians(report)
    for suffix, text in ((".json", json.dumps(report, indent=1) + "\n"), (".md", markdown(report))):
        with open(path + suffix + ".part", "w") as file:
            file.write(text)
        os.replace(path + suffix + ".part", path + suffix)
