#!/usr/bin/env python3
"""Holds the tree against its own rules: which folder may include which, how long a file may get, and that nothing in it
names one person's machine.

usage: arrows.py SOURCE_ROOT          exit code 1 and one line a finding where a rule is broken
       arrows.py --self-test          runs the rules over a made-up tree with one breach of each
"""
import os, re, subprocess, sys, tempfile

LONGEST = 600  # lines; past these a file holds more than one noun
SOURCES = (".cpp", ".h", ".c", ".cu", ".cuh")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
CONTRACTS = ["src/op.h", "src/backend.h", "src/dataset.h", "src/dataset_file.h"]

# Who may include what, by the longest folder that holds the includer; an entry ending in "/" is a folder. Each part may
# include its own folder, of course.
MAY_INCLUDE = {
    "src/base/": [],
    "src/op.h": ["src/base/"],
    "src/op.cpp": ["src/op.h"],
    "src/backend.h": ["src/base/", "src/op.h", "src/dataset.h"],
    "src/backend.cpp": ["src/base/", "src/backend.h"],
    "src/executor.": ["src/base/", "src/backend.h", "src/executor.h"],
    "src/dataset.h": ["src/base/", "src/op.h"],
    "src/dataset_file.h": ["src/base/", "src/dataset.h"],
    "src/lean_train.h": [],
    "src/plan/": ["src/base/", *CONTRACTS],
    "src/recipes/": [],
    "src/run/": ["src/base/", "src/plan/", *CONTRACTS],
    "src/api/": ["src/base/", "src/plan/", "src/run/", "src/recipes/", "src/lean_train.h", *CONTRACTS],
    "backends/reference/": ["src/base/", "src/executor.h", *CONTRACTS],
    "backends/cpu/": ["src/base/", "src/executor.h", *CONTRACTS],
    "backends/cuda/": ["src/base/", "src/executor.h", *CONTRACTS],
    "backends/table.cpp": ["src/base/", "src/backend.h", "backends/"],
    "data/": ["src/base/", *CONTRACTS],
    "tools/": ["src/lean_train.h"],
    "tools/selftest": ["src/lean_train.h", "src/base/", *CONTRACTS, "tools/"],  # cases of operations, shared with tests/ops
    "tools/onnx/": ["src/lean_train.h", "src/base/", "src/op.h", "src/plan/recipe.h", "tools/"],  # layers, one by one
    "tools/replacement": ["src/base/", "tools/"],  # files that take their place whole, as checkpoints do
    "tools/review_words": ["src/base/digest.h", "tools/"],
    "tools/bench_ops": ["src/lean_train.h", "src/backend.h", "src/base/", "src/plan/", "src/run/region.h", "tools/"],  # times the operations of plans
    "tools/bench_gemm": ["src/base/", "src/run/region.h", "backends/cpu/highway/gemm.h", "backends/cpu/thread_pool.h", "tools/"],
    "tools/bench_recurrent": ["src/base/", "src/run/region.h", "backends/cpu/highway/carver.h", "backends/cpu/highway/recurrent.h", "backends/cpu/thread_pool.h", "tools/"],
    "tools/bf16_peak": ["backends/cpu/bf16/unit.h", "backends/cpu/bf16/product_unit.h", "tools/"],  # finds the unit as it does
    "bench/": ["src/lean_train.h"],
    "tests/embed.c": ["lean_train.h"],
    "tests/": ["src/", "backends/", "data/", "tools/"],
}
# Installed headers of others that are written with quotes.
OUTSIDE = ("hwy/", "cuda_emulation.h")  # the latter by the include path of tests that compile kernels for the host
GENERATED = ("src/api/version.h",)
# Folders that only one machine has: homes, mounts and work places; and what lies beside the checkout. Written so that this
# file does not find itself.
FOREIGN = re.compile(r"(^|[^A-Za-z0-9_.])/(hom""e|roo""t|User""s|mn""t|wor""k|far""m)/|\.\./share""d")
FOREIGN_ALLOWED = (".ci/",)  # the acceptance runs look for the real data beside the checkout


def rule_for(path):
    rules = [rule for rule in MAY_INCLUDE if path.startswith(rule)]
    return max(rules, key=len) if rules else None


def include_target(root, path, included):
    """The tree's path of an included file; None where it is somebody else's header."""
    for candidate in (included, os.path.normpath(os.path.join(os.path.dirname(path), included))):
        if os.path.isfile(os.path.join(root, candidate)):
            return candidate
    return None


def check_includes(root, path, text):
    rule = rule_for(path)
    if rule is None:
        return [f"{path}: stands in no known folder; add its rule to MAY_INCLUDE"]
    own = rule if rule.endswith("/") else os.path.dirname(rule) + "/" if rule.startswith("tools/") else rule
    found = []
    for included in INCLUDE.findall(text):
        if included.startswith(OUTSIDE): continue
        target = include_target(root, path, included)
        if target is None:
            if included not in MAY_INCLUDE[rule] and included not in GENERATED:
                found.append(f'{path}: includes "{included}", which is not in the tree')
        elif not target.startswith(own) and not any(target == to or to.endswith("/") and target.startswith(to) for to in MAY_INCLUDE[rule]):
            found.append(f'{path}: includes "{target}"; {rule} may include only {", ".join(MAY_INCLUDE[rule]) or "its own files"}')
    return found


def check(root, paths):
    found = []
    for path in paths:
        try:
            text = open(os.path.join(root, path), encoding="utf-8").read()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # a binary file, or one deleted but not yet committed
        source = path.endswith(SOURCES)
        if source: found += check_includes(root, path, text)
        lines = text.count("\n")
        if (source or path.endswith(".py")) and lines > LONGEST:
            found.append(f"{path}: {lines} lines, {LONGEST} are the most")
        if not path.startswith(FOREIGN_ALLOWED):
            for number, line in enumerate(text.splitlines(), 1):
                if FOREIGN.search(line): found.append(f"{path}:{number}: names a folder of one machine: {line.strip()[:80]}")
    return found


def tracked(root):
    try:
        listed = subprocess.run(["git", "-C", root, "-c", f"safe.directory={os.path.realpath(root)}", "ls-files", "-z", "--cached",
                                 "--others", "--exclude-standard"], capture_output=True, check=True)
        return sorted(name for name in listed.stdout.decode().split("\0") if name)
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive: every file but the build folders'
        paths = []
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith("build") and name != ".git"]
            paths += [os.path.relpath(os.path.join(folder, name), root) for name in names]
        return sorted(paths)


def self_test():
    tree = {
        "src/base/status.h": "", "src/op.h": '#include "src/base/status.h"\n', "src/backend.h": '#include "src/op.h"\n',
        "src/lean_train.h": "", "src/plan/plan.h": '#include "src/op.h"\n', "src/run/session.h": '#include "src/plan/plan.h"\n',
        "backends/cpu/cpu.h": '#include "src/backend.h"\n#include "hwy/highway.h"\n', "backends/reference/reference.h": "",
        "backends/table.cpp": '#include "backends/cpu/cpu.h"\n', "tools/main.cpp": '#include "src/lean_train.h"\n#include "tools/train.h"\n',
        "tools/train.h": "", "tests/embed.c": '#include "lean_train.h"\n',
    }
    breaches = {
        "src/base/a.h": '#include "src/op.h"\n', "src/plan/a.h": '#include "src/run/session.h"\n',
        "src/run/a.cpp": '  # include "backends/cpu/cpu.h"\n', "src/a.h": "", "backends/cpu/a.cpp": '#include "backends/reference/reference.h"\n',
        "data/a.cpp": '#include "src/plan/plan.h"\n', "tools/a.cpp": '#include "src/backend.h"\n', "bench/a.cpp": '#include "no_such.h"\n',
        "tests/a.cpp": "\n" * (LONGEST + 1), "README.md": "see /wor" "k/main\n",
    }
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**tree, **breaches}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
            open(os.path.join(root, path), "w").write(text)
        clean, broken = check(root, sorted(tree)), check(root, sorted(breaches))
    missed = [path for path in breaches if not any(line.startswith(path + ":") for line in broken)]
    return [f"a clean tree is refused: {line}" for line in clean] + [f"a breach is not seen: {path}" for path in missed]


def main():
    found = self_test() if sys.argv[1] == "--self-test" else check(sys.argv[1], tracked(sys.argv[1]))
    print("\n".join(found) or "nothing found")
    sys.exit(1 if found else 0)


main()
