"""An agent that speaks JSON lines: it gives back the task as it came, and logs a line."""

import json
import sys

for line in sys.stdin:
    asked = json.loads(line)
    sys.stderr.write("child at work\n")
    sys.stderr.flush()
    sys.stdout.write(json.dumps({"taskId": asked["taskId"], "result": asked}) + "\n")
    sys.stdout.flush()
