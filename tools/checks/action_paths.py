"""Fails where an action needs the machine that asked for it, beyond the C toolchain's programs.

Reads what `bazel aquery --output=jsonproto` wrote. An executor elsewhere gets an action's
declared inputs, its command and its environment, and no more; so that no command or
environment may name a path of this machine, but for those that any machine with the C
toolchain has. With --remote, no action may be bound to this machine either, or kept out
of the cache, by its tags.
What a program opens without being told shows in neither: the sandbox and
tools/checks/remote_cache.sh see to that.
"""

import argparse
import collections
import json
import re
import sys

# The C toolchain that rules_cc finds on the machine, and the shell.
TOOLCHAIN = {"/bin", "/usr/bin", "/usr/local/bin", "/bin/bash", "/bin/sh"} | {
    f"/usr/bin/{tool}" for tool in ("ar", "gcc", "ld", "strip")
}
# The same name on every machine.
ANYWHERE = {"/dev/null", "/proc/self/cwd", "/tmp"}
# Names inside of the images.
IN_IMAGES = {"/models"} | {
    f"/usr/bin/signalbox{service}" for service in ("", "-embeddings", "-guardrails", "-router")
}

BOUND = {"local", "no-cache", "no-remote", "no-remote-cache", "no-remote-exec", "no-sandbox"}

# An absolute path: after white space, a quote, `=`, `:`, `,`, a bracket, or an option such
# as -I or -L.
ABSOLUTE = re.compile(r"""(?:^|[\s"'=:,([]|-[ILB])(/[A-Za-z0-9_.][^\s"':,;)\]]*)""")


def main() -> int:
    parser = argparse.ArgumentParser(description="Reads the actions of an aquery.")
    parser.add_argument("actions", help="what `bazel aquery --output=jsonproto` wrote")
    parser.add_argument("--remote", action="store_true", help="every action must be able to run elsewhere")
    arguments = parser.parse_args()
    with open(arguments.actions, encoding="utf-8") as file:
        actions = json.load(file)["actions"]
    used: collections.Counter[str] = collections.Counter()
    faults = set()
    for action in actions:
        kind = action["mnemonic"]
        texts = action.get("arguments", []) + [
            variable.get("value", "") for variable in action.get("environmentVariables", [])
        ]
        for found in {found for text in texts for found in ABSOLUTE.findall(text)}:
            if found in TOOLCHAIN:
                used[found] += 1
            elif found not in ANYWHERE | IN_IMAGES:
                faults.add(f"{kind} names {found}")
        for info in action.get("executionInfo", []):
            if arguments.remote and info["key"] in BOUND:
                faults.add(f"{kind} is tagged {info['key']}")
    for found, actions_of in sorted(used.items()):
        print(f"{found}: named by {actions_of} actions")
    for fault in sorted(faults):
        print(f"FAILED: {fault}")
    print(f"{len(actions)} actions read, {len(faults)} faults")
    return 1 if faults or not actions else 0


if __name__ == "__main__":
    sys.exit(main())
