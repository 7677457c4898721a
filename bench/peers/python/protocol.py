"""The worker's side of the line protocol (protocol.ts): a JSON object a line in, one out, until the input is closed."""

import json
import os
import sys


def serve(load, decode):
    """Answers requests with what load(request) and decode(state, request) return; load's first result is the state."""
    # Libraries print as they like: what they write to standard output goes to standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    state = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["op"] == "load":
                state, answer = load(request)
            else:
                answer = decode(state, request)
        except Exception as error:
            answer = {"error": " ".join(f"{type(error).__name__}: {error}".split())}
        print(json.dumps({"id": request["id"], **answer}), file=answers)


def until_end(row, eos):
    """A row's tokens up to and with the first end of sequence."""
    return row[: row.index(eos) + 1] if eos in row else row
