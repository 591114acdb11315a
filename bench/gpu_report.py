"""Writes the report of gpu.py: everything as JSON, and what is to be read as Markdown."""
import json, os, statistics


def median(entry):
    return statistics.median(entry["samples"]) if entry.get("samples") else None


def seconds(value):
    if value is None: return "-"
    return f"{value:.3f}" if value >= 0.1 else f"{value:.5f}"


def table(report):
    columns = list(dict.fromkeys(name for row in report["table"] for name in row["entries"]))
    peers = [name for name in columns if name.startswith("pytorch")]
    lines = ["| model | precision | samples | epochs | " + " | ".join(f"{name}, s" for name in columns) + " | fastest PyTorch / ours auto |",
             "| --- " * (5 + len(columns)) + "|"]
    for row in report["table"]:
        figures = {name: median(entry) for name, entry in row["entries"].items()}
        best, ours = min((figures[name] for name in peers if figures.get(name)), default=None), figures.get("ours auto")
        ratio = f"{best / ours:.2f}" if best and ours else "-"
        lines.append(f"| {row['model']} | {row['precision']} | {row.get('train_samples', '-')} | {row['epochs']} | "
                     + " | ".join(seconds(figures.get(name)) for name in columns) + f" | {ratio} |")
    errors = [f"* {row['model']} {row['precision']}, {name}: {entry['error']}" for row in report["table"]
              for name, entry in row["entries"].items() if "error" in entry]
    return lines + ([""] + errors if errors else [])


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
             "graph: whole steps captured; compiled: torch.compile, reduce-overhead.", "", "## Time to the first step", "",
             *first_steps(report), "", "## Tests and tools", "", *stages(report), "", *(f"* not run: {what}" for what in report["not_run"])]
    return "\n".join(lines).rstrip() + "\n"


def write(path, report):
    for suffix, text in ((".json", json.dumps(report, indent=1) + "\n"), (".md", markdown(report))):
        with open(path + suffix + ".part", "w") as file:
            file.write(text)
        os.replace(path + suffix + ".part", path + suffix)
