"""The engines that are compared, each alone in a process that speaks JSON lines."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Engine:
    """`arrival`: texts a call in the order of arrival; `sorted`: what may be tried for the
    best in sorted order. 0 texts a call: as many as come, there is no padding to shun."""

    name: str
    command: tuple  # {threads} stands for a number
    ours: bool = False
    arrival: int = 0
    sorted: tuple = (0,)
    packages: tuple = ()


def ours(binary, model, mode):
    command = (str(binary), "signalbox", str(model), "--threads", "{threads}", "--mode", mode)
    return Engine(f"signalbox {mode}", command, ours=True)


def candle(binary, model):
    return Engine("candle", (str(binary), "candle", str(model)), arrival=4, sorted=(1, 4, 8, 16, 32))


def limit(binary):
    return Engine("limit", (str(binary), "limit"))


def onnxruntime(name, model, path):
    command = (sys.executable, str(HERE / "worker.py"), "ort", str(model), "{threads}", str(path))
    return Engine(name, command, arrival=8, sorted=(1, 4, 8, 16, 32), packages=("onnxruntime",))


def torch(model):
    command = (sys.executable, str(HERE / "worker.py"), "torch", str(model), "{threads}")
    return Engine("pytorch", command, arrival=8, sorted=(1, 4, 8, 16, 32), packages=("torch",))


def _first():
    """Ahead of whatever else this machine does, where that is allowed. Linux may weigh
    sessions before processes: then the session's own niceness is what counts."""
    try:
        os.nice(-20)
        pathlib.Path("/proc/self/autogroup").write_text("-20")
    except OSError:
        pass


class Process:
    """An engine that runs with this many threads. `ready_s`: from start to its first word;
    `load_s`: its own account, without its language's start."""

    def __init__(self, engine, threads):
        self.engine, self.threads = engine, threads
        count = str(threads)
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "CANDLE_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, count), "TOKENIZERS_PARALLELISM": "false"}
        command = [part.replace("{threads}", count) for part in engine.command]
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
            preexec_fn=_first,
        )
        self.load_s = self._read()["load_s"]
        self.ready_s = time.perf_counter() - begun

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.engine.name} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._read()

    def cpu_s(self):
        """CPU time of all its threads, ended ones too (Linux's clock of another process)."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def memory_mb(self):
        """Resident now and at most."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        field = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith("Vm")}
        return {"rss_mb": int(field["VmRSS"]) * 1024 / 1e6, "peak_mb": int(field["VmHWM"]) * 1024 / 1e6}

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)


def busy_s():
    """Seconds that all processors have been at work since the machine began, stolen ones too."""
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
