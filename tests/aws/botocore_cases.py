"""Requests made at random, one JSON document a line, with the Authorization that botocore gives each. Ends with 77 without botocore."""
import datetime
import json
import random
import string
import sys
import unittest.mock

try:
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials
except ImportError:
    sys.exit(77)

COUNT = 300


def word(letters, least, most):
    return "".join(random.choice(letters) for _ in range(random.randint(least, most)))


def maybe(made):
    return made if random.random() < 0.5 else None


def sign(case):
    url = "https://" + case["host"] + case["path"]
    headers = dict(line.split(": ", 1) for line in case["headers"])
    parameters = dict(pair.split("=", 1) for pair in case["query"])
    request = botocore.awsrequest.AWSRequest(method=case["method"], url=url, headers=headers, data=case["body"].encode(), params=parameters)
    signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials(case["id"], case["secret"], case["token"]), case["service"], case["region"])
    now = datetime.datetime.fromtimestamp(case["now"], datetime.timezone.utc).replace(tzinfo=None)
    # The name by which botocore asks for the time changed in 2025.
    if hasattr(botocore.auth, "get_current_datetime"):
        clock = unittest.mock.patch("botocore.auth.get_current_datetime", return_value=now)
    else:
        clock = unittest.mock.patch("botocore.auth.datetime")
    with clock as fake:
        if not hasattr(botocore.auth, "get_current_datetime"):
            fake.datetime.utcnow.return_value = now
        signer.add_auth(request)
    return request.headers["Authorization"]


def main():
    random.seed(20260115)
    letters = string.ascii_letters
    for _ in range(COUNT):
        pairs = {word(letters + "-._~ +/é", 1, 6): word(letters + " +&=%/é~*", 0, 8) for _ in range(random.choice((0, 0, 1, 5)))}
        extra = [maybe("X-Amz-Target: " + word("ABC.", 1, 20)), maybe("X-Amz-Meta-" + word("abc", 1, 3) + ":   two   " + word("abc ", 1, 9) + "  ")]
        case = {
            "method": random.choice(("GET", "POST", "PUT")),
            "host": random.choice(("api.ecr.eu-west-1.amazonaws.com", "127.0.0.1:4566", "a.b")),
            "path": "/" + word(letters + "019-_~", 0, 8),
            "query": ["%s=%s" % pair for pair in pairs.items()],
            "headers": ["Content-Type: application/x-amz-json-1.1"] + [line for line in extra if line],
            "body": word(string.printable[:95] + "éß", 0, 60),
            "id": "AKID" + word("ABC234", 16, 16),
            "secret": word(letters + "+/", 40, 40),
            "token": maybe(word(letters + "+/=", 10, 300)),
            "region": random.choice(("eu-west-1", "cn-north-1", "us-gov-west-1")),
            "service": random.choice(("ecr", "sts", "codecommit")),
            "now": random.randint(1600000000, 1900000000),
        }
        case["expected"] = "Authorization: " + sign(case)
        print(json.dumps(case))


main()
