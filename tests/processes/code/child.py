"""A program that speaks JSON lines: it echoes, sleeps, streams, talks to stderr, or dies, as the parameters say."""

import json
import os
import sys
import time

for line in sys.stdin:
    message = json.loads(line)
    if message.get("cancel"):
        print("told to cancel", file=sys.stderr, flush=True)
        continue
    task, parameters = message["taskId"], message["parameters"]
    print("begun", file=sys.stderr, flush=True)
    if "say" in parameters:
        print(parameters["say"], file=sys.stderr, flush=True)
    if parameters.get("die"):
        os._exit(3)
    if parameters.get("mute"):
        continue
    time.sleep(parameters.get("seconds", 0))
    print(json.dumps({"taskId": task, "progress": 0.5}), flush=True)
    for chunk in range(parameters.get("chunks", 0)):
        print(json.dumps({"taskId": task, "chunk": chunk}), flush=True)
    if "blame" in parameters:
        error = {"type": "BadParameters", "message": "no", "field": parameters["blame"]}
        print(json.dumps({"taskId": task, "error": error}), flush=True)
    else:
        result = None if parameters.get("chunks") else {"pid": os.getpid(), **parameters}
        print(json.dumps({"taskId": task, "result": result}), flush=True)
