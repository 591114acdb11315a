"""A folder of Python packages for each peer, made by pip from PyPI when it is first needed, and kept."""
import os, shutil, subprocess, sys, venv

# What pip is asked for, the script beside this one, and the forms that are tried, the first one by default.
PEERS = {
    "pytorch": (["torch", "numpy"], "pytorch_bench.py", ["eager", "compiled"]),
    "jax": (["jax[cpu]", "flax", "optax"], "jax_bench.py", ["jit"]),
    "tensorflow": (["tensorflow-cpu"], "tensorflow_bench.py", ["graph", "xla"]),
    "tinygrad": (["tinygrad", "numpy"], "tinygrad_bench.py", ["jit"]),
}
NAMES = {"pytorch": "PyTorch", "jax": "JAX + Flax", "tensorflow": "TensorFlow + Keras", "tinygrad": "tinygrad"}
# Not the peer's: what any such folder has. Of PyTorch's wheel, what serves NVIDIA's GPUs alone is counted by itself.
TOOLS = ("pip", "pip-", "setuptools", "setuptools-", "_distutils_hack", "pkg_resources")
GPU_ONLY = ("nvidia", "triton", "cuda")


def default_cache():
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "lean-train", "peers")


def interpreter(peer, cache):
    """The peer's own Python. Installs what is missing; ends the program where that fails."""
    folder = os.path.join(cache, peer)
    python, done = os.path.join(folder, "bin", "python"), os.path.join(folder, "installed")
    if os.path.exists(done): return python
    print(f"installing {peer} into {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    made = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS[peer][0]])
    if made.returncode != 0: sys.exit(f"{peer} cannot be installed: pip failed, see above")
    open(done, "w").close()
    return python


def disk_bytes(python):
    """Of the packages: all, and those of them that a GPU needs."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    folder = subprocess.run([python, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    total = gpu = 0
    for name in os.listdir(folder):
        if name.startswith(TOOLS): continue
        for at, _, files in os.walk(os.path.join(folder, name)) if os.path.isdir(os.path.join(folder, name)) else [(folder, [], [name])]:
            size = sum(os.lstat(os.path.join(at, file)).st_size for file in files)
            total += size
            if name.startswith(GPU_ONLY) or any(file_part in at for file_part in ("/nvidia", "/triton")): gpu += size
    # PyTorch's own CUDA code lies in libraries beside the CPU's.
    for library in ("libtorch_cuda.so", "libtorch_cuda_linalg.so", "libc10_cuda.so", "libtorch_nvshmem.so"):
        path = os.path.join(folder, "torch", "lib", library)
        if os.path.exists(path): gpu += os.lstat(path).st_size
    return total, gpu
