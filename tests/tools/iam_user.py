"""Creates an IAM user that may do everything and prints its access key as JSON: iam_user.py NAME

It also creates the role `lambda`, which Lambda wants to see before it takes a function that runs as it.

AWS_ENDPOINT_URL and credentials come from the environment, as of every AWS program.
"""

import json
import sys

import botocore.session

name = sys.argv[1]
iam = botocore.session.get_session().create_client("iam")
iam.create_user(UserName=name)
everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
iam.put_user_policy(UserName=name, PolicyName="everything", PolicyDocument=json.dumps(everything))
trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
trust = {"Version": "2012-10-17", "Statement": [trust]}
iam.create_role(RoleName="lambda", AssumeRolePolicyDocument=json.dumps(trust))
key = iam.create_access_key(UserName=name)["AccessKey"]
print(json.dumps({"key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}))
