"""moto's S3 with a bucket `audit` that has object lock, and a bucket `plain` that has none.

Takes commands as lines of JSON and answers each with one: {"do": "list"}, {"do": "fetch", "to": DIRECTORY},
{"do": "delete", "key": KEY} (its only version), {"do": "overwrite", "key": KEY}. The first line is its port.
"""

import json
import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer


def status(call, **arguments):
    try:
        return call(**arguments)["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1]), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="test-id",
        aws_secret_access_key="test-secret",
        config=Config(retries={"total_max_attempts": 1}),
    )
    client.create_bucket(Bucket="audit", ObjectLockEnabledForBucket=True)
    client.create_bucket(Bucket="plain")
    print(json.dumps({"port": port}), flush=True)

    def keys():
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="audit")
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    for line in sys.stdin:
        command = json.loads(line)
        answer = None
        match command["do"]:
            case "list":
                answer = []
                for key in keys():
                    head = client.head_object(Bucket="audit", Key=key)
                    answer.append(
                        {
                            "key": key,
                            "mode": head.get("ObjectLockMode"),
                            "until": str(head.get("ObjectLockRetainUntilDate")),
                            "versions": len(
                                client.list_object_versions(Bucket="audit", Prefix=key)["Versions"]
                            ),
                        }
                    )
            case "fetch":
                answer = []
                for key in keys():
                    path = os.path.join(command["to"], os.path.basename(key))
                    client.download_file("audit", key, path)
                    answer.append(path)
            case "delete":
                versions = client.list_object_versions(Bucket="audit", Prefix=command["key"])
                version = versions["Versions"][0]["VersionId"]
                answer = status(
                    client.delete_object, Bucket="audit", Key=command["key"], VersionId=version
                )
            case "overwrite":
                answer = status(
                    client.put_object,
                    Bucket="audit",
                    Key=command["key"],
                    Body=b"other",
                    IfNoneMatch="*",
                )
        print(json.dumps(answer), flush=True)


main()
