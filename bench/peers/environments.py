"""What each peer needs: a folder of Python packages, made by pip from PyPI when it is first needed, and kept; or a program, compiled
from C++ against what the system has."""
import os, shutil, subprocess, sys, venv

HERE = os.path.dirname(os.path.abspath(__file__))
# What pip is asked for (None: not Python), the source beside this one, and the forms that are tried. tinygrad can also search for faster
# kernels (BEAM): for more than four minutes a model, which is no form that one starts a training in.
PEERS = {
    "pytorch": (["torch", "numpy"], "pytorch_bench.py", ["eager", "compiled"]),
    "jax": (["jax[cpu]", "flax", "optax"], "jax_bench.py", ["jit"]),
    "tensorflow": (["tensorflow-cpu"], "tensorflow_bench.py", ["graph", "xla"]),
    "tinygrad": (["tinygrad", "numpy"], "tinygrad_bench.py", ["jit"]),
    "dlib": (None, "dlib_bench.cpp", ["C++"]),
}
NAMES = {"pytorch": "PyTorch", "jax": "JAX + Flax", "tensorflow": "TensorFlow + Keras", "tinygrad": "tinygrad", "dlib": "dlib"}
# Not the peer's: what any such folder has. Of PyTorch's wheel, what serves NVIDIA's GPUs alone is counted by itself.
TOOLS = ("pip", "pip-", "setuptools", "setuptools-", "_distutils_hack", "pkg_resources")
GPU_ONLY = ("nvidia", "triton", "cuda")


def default_cache():
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "lean-train", "peers")


def command(peer, cache, given=None):
    """What starts the peer's script, or its program. `given`: an interpreter that has the packages. Ends the program where something is missing."""
    packages, source, _ = PEERS[peer]
    source = os.path.join(HERE, source)
    if packages is None: return [compiled(peer, source, cache)]
    return [given or interpreter(peer, packages, cache), source]


def interpreter(peer, packages, cache):
    """The peer's own Python. Installs what is missing."""
    folder = os.path.join(cache, peer)
    python, done = os.path.join(folder, "bin", "python"), os.path.join(folder, "installed")
    if os.path.exists(done): return python
    print(f"installing {peer} into {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    made = subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
    if made.returncode != 0: sys.exit(f"{peer} cannot be installed: pip failed, see above")
    open(done, "w").close()
    return python


def compiled(peer, source, cache):
    program = os.path.join(cache, peer, os.path.basename(source).removesuffix(".cpp"))
    if os.path.exists(program) and os.path.getmtime(program) >= os.path.getmtime(source): return program
    os.makedirs(os.path.dirname(program), exist_ok=True)
    print(f"compiling {program}: minutes", file=sys.stderr)
    made = subprocess.run(["g++", "-std=c++17", "-O3", "-march=native", "-w", source, "-o", program, "-ldlib", "-lblas", "-llapack", "-lpthread"])
    if made.returncode != 0: sys.exit(f"{peer} cannot be compiled: Debian has it in libdlib-dev, a fast BLAS in libopenblas-dev; or leave it out by --peer")
    return program


def libraries_bytes(program):
    """The program and the libraries that it loads, those of the C library apart."""
    lines = subprocess.run(["ldd", program], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    paths = [line.split(" => ")[1].split()[0] for line in lines if " => /" in line]
    outside = ("libc.so", "libm.so", "libpthread.so", "libdl.so", "ld-linux")
    return sum(os.path.getsize(path) for path in [program, *paths] if not os.path.basename(path).startswith(outside))


def disk_bytes(command):
    """Of what the command of a peer needs, Python and the C library apart: all, and those parts that serve GPUs alone."""
    if len(command) == 1: return libraries_bytes(command[0]), 0
    python = command[0]
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
