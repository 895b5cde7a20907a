"""How fast `signalbox up` is ready with its models cached, and how much memory the
three services hold.

Prints a table last and writes the figures as JSON. Example:
    python3 tools/bench/startup.py target/release/signalbox --json target/bench/startup.json
"""

import argparse
import json
import pathlib
import platform
import re
import statistics
import subprocess
import time
import urllib.request


def start(binary, *settings):
    """A server on a free port; returns it, its URL and the seconds until it was ready."""
    flags = [part for setting in ("server.listen=127.0.0.1:0", "state_dir=null", *settings) for part in ("--set", setting)]
    begun = time.perf_counter()
    server = subprocess.Popen([binary, "up", *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in server.stdout:
        match = re.match(r"Signalbox is ready at (\S+)", line)
        if match:
            urllib.request.urlopen(match[1] + "/readyz", timeout=5).read()
            return server, match[1], time.perf_counter() - begun
    raise SystemExit(f"{binary} ended with {server.wait()} before it was ready")


def stop(server):
    server.terminate()
    server.wait(timeout=40)


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=60))


def rss_mb(server):
    text = pathlib.Path(f"/proc/{server.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()

    seconds = []
    for run in range(args.runs):
        server, _, took = start(args.binary)
        seconds.append(took)
        stop(server)
        print(f"start {run + 1}/{args.runs}: {took:.3f} s", flush=True)

    server, url, _ = start(args.binary, "router.providers.local.load=lazy")
    idle = rss_mb(server)
    for length in (1, 20, 200):
        texts = ["a red bicycle " * length] * 32
        post(url + "/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": texts})
        post(url + "/v1/guardrails:redact", {"text": "Mail ada@example.com. " * length * 100})
    urllib.request.urlopen(url + "/v1/models", timeout=5).read()
    used = rss_mb(server)
    post(url + "/v1/chat/completions", {"model": "auto", "max_tokens": 8, "messages": [{"role": "user", "content": "Hi"}]})
    with_model = rss_mb(server)
    stop(server)

    rows = [
        ("ready, median of %d starts" % args.runs, f"{statistics.median(seconds):.3f} s"),
        ("ready, slowest", f"{max(seconds):.3f} s"),
        ("RSS of three services, idle", f"{idle:.0f} MB"),
        ("RSS of three services, after work", f"{used:.0f} MB"),
        ("RSS with the local language model", f"{with_model:.0f} MB"),
    ]
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        figures = {
            "machine": platform.processor() or platform.machine(),
            "ready_seconds": seconds, "rss_idle_mb": idle, "rss_used_mb": used, "rss_with_model_mb": with_model,
        }
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    print()
    for name, value in rows:
        print(f"{name:<38}{value:>10}")


main()
