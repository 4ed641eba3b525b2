"""What the set-up of an environment and its users do with the Lambda functions: create and invoke.

octarm itself only updates functions. This runs with the Python that has botocore; one line of JSON answers.
"""

import io
import json
import sys
import zipfile
from pathlib import Path

import botocore.config
import botocore.exceptions
import botocore.session

PLACEHOLDER = 'def handler(event, context):\n    return {"version": "placeholder"}\n'
ROLE = "arn:aws:iam::000000000000:role/elb-log-processor"


def client():
    settings = botocore.config.Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 1})
    return botocore.session.get_session().create_client("lambda", config=settings)


def create(name):
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("function.py", PLACEHOLDER)
    functions = client()
    functions.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Handler="function.handler",
        Role=ROLE,
        MemorySize=128,
        Timeout=30,
        Code={"ZipFile": code.getvalue()},
    )
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    found = configuration(functions, name)
    return {"function": name, "state": found["State"], "size": found["CodeSize"]}


def invoke(name, event_file):
    functions = client()
    answer = functions.invoke(FunctionName=name, Payload=Path(event_file).read_bytes())
    payload = answer["Payload"].read().decode()
    if "FunctionError" in answer:
        sys.exit(f"{name} failed ({answer['FunctionError']}): {payload}")
    return {"code_sha256": configuration(functions, name)["CodeSha256"], "answer": json.loads(payload)}


def configuration(functions, name):
    return functions.get_function(FunctionName=name)["Configuration"]


if __name__ == "__main__":
    if sys.argv[1:2] not in (["create"], ["invoke"]):
        sys.exit("usage: functions.py create NAME | functions.py invoke NAME EVENT-FILE")
    verb = create if sys.argv[1] == "create" else invoke
    try:
        print(json.dumps(verb(*sys.argv[2:])))
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as problem:
        sys.exit(f"functions.py {' '.join(sys.argv[1:])}: {problem}")
