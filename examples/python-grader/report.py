"""Turns the events of a run into verdicts: from standard input to a table and /out/report.json.

A submission is right where the digest of what it printed is the digest of what was expected; what it printed need not
even be read.
"""

import hashlib
import json
import pathlib
import sys

CASES = ["small", "large"]


def verdict(event, expected):
    result = event["result"]
    if result is None:
        return "not carried out", " ".join(event["error"])
    ((kind, details),) = result["outcome"].items() if isinstance(result["outcome"], dict) else ((result["outcome"], {}),)
    if kind == "exited" and details["code"] == 0:
        right = result["stdout"]["digest"] == expected
        return ("accepted", "") if right else ("wrong answer", "")
    return {
        "exited": ("runtime error", f"exit code {details.get('code')}"),
        "trapped": ("runtime error", f"trapped: {details.get('trap')}"),
        "stack-exhausted": ("runtime error", "the call stack is used up"),
        "out-of-fuel": ("time limit", "out of fuel"),
        "timed-out": ("time limit", "out of time"),
        "out-of-memory": ("memory limit", ""),
        "output-too-large": ("output limit", ""),
    }.get(kind, (kind, ""))


expected = {
    case: hashlib.sha256(pathlib.Path(f"/in/cases/{case}.out").read_bytes()).hexdigest() for case in CASES
}
found = {}
for line in sys.stdin:
    event = json.loads(line)
    if event["event"] != "job-finished":
        continue
    # grade[NAME.py,CASE]
    submission, case = event["job"].removeprefix("grade[").removesuffix("]").rsplit(",", 1)
    found.setdefault(submission, {})[case] = verdict(event, expected[case])

report = {}
for submission in sorted(found):
    # The first case that was not accepted decides.
    cases = [(case, *found[submission][case]) for case in CASES]
    case, word, why = next((one for one in cases if one[1] != "accepted"), cases[-1])
    report[submission] = {"verdict": word, "case": case, "why": why}
    print(f"{submission:24} {word:14} {'' if word == 'accepted' else f'({case}) {why}'}".rstrip())

pathlib.Path("/out/report.json").write_text(json.dumps(report, indent=2) + "\n")
