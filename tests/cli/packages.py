"""Packages of PyPI that a test holds the program against: `need` goes on in an interpreter that has them. Where this one lacks them it
makes a virtual environment in the folder $LEAN_TRAIN_TEST_PYTHON (the build folder's, for Meson's runs), once, and installs them there.
Where PyPI cannot be reached the test is skipped, which is said; anything else that goes wrong fails it.
"""
import fcntl, importlib.util, os, re, subprocess, sys

SKIPPED = 77  # Meson's word for it
PACKAGE_OF = {"PIL": "pillow"}  # where the name to import is another
UNREACHABLE = re.compile(r"connection broken|ConnectionError|NewConnectionError|ConnectTimeout|Read timed out|Temporary failure in name", re.I)


def skip(why):
    print(f"skipped: {why}", file=sys.stderr)
    sys.exit(SKIPPED)


def has(python, names):
    return subprocess.run([python, "-c", "import " + ", ".join(names)], capture_output=True).returncode == 0


def install(folder, python, packages):
    for command in ([sys.executable, "-m", "venv", folder], [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]):
        if command[2] == "venv" and os.path.exists(python): continue
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0: continue
        said = done.stdout + done.stderr
        if UNREACHABLE.search(said): skip(f"PyPI cannot be reached, and this Python has no {', '.join(packages)}")
        sys.exit(f"{' '.join(command)} gave {done.returncode}:\n{said}")


def need(*names):
    """Returns in an interpreter that can import `names`: this one, or the environment's, started anew with the same arguments."""
    if all(importlib.util.find_spec(name) for name in names): return
    packages = [PACKAGE_OF.get(name, name) for name in names]
    folder = os.environ.get("LEAN_TRAIN_TEST_PYTHON")
    if not folder: skip(f"this Python has no {', '.join(packages)}; with LEAN_TRAIN_TEST_PYTHON=FOLDER they are installed there")
    python = os.path.join(folder, "bin", "python3")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:  # tests run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(python) or not has(python, names): install(folder, python, packages)
    if not has(python, names): sys.exit(f"{python} cannot import {', '.join(names)}")
    os.execv(python, [python, *sys.orig_argv[1:]])
