"""PyTorch in a process of its own that answers requests (peers/gpu_pytorch.py). One that does not answer in time is ended and
started anew for the next request."""
import json, os, signal, subprocess, tempfile, threading


class Peer:
    def __init__(self, command, seconds):
        self.command, self.process = command, None
        self.about = self.start(seconds)

    def start(self, seconds):
        self.errors = tempfile.TemporaryFile(mode="w+")
        try:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                            start_new_session=True)
        except OSError as error:
            return {"error": str(error)}
        return self.read(seconds)

    def read(self, seconds):
        lines = []
        reader = threading.Thread(target=lambda: lines.append(self.process.stdout.readline()), daemon=True)
        reader.start()
        reader.join(max(seconds, 1))
        if lines and lines[0]: return json.loads(lines[0])
        out_of_time = reader.is_alive()
        self.close()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines()
        return {"error": f"no answer within {seconds:.0f} s" if out_of_time else f"it ended: {said[-1] if said else 'and said nothing'}"}

    def ask(self, request, seconds):
        if self.process is None:
            about = self.start(seconds)
            if "error" in about: return about
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except OSError as error:
            self.close()
            return {"error": str(error)}
        return self.read(seconds)

    def close(self):
        if self.process is None: return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process = None
