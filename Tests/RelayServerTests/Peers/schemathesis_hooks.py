"""What schemathesis is told beyond the document: a long poll may take its 30 seconds, and a test has not that long."""

import schemathesis


@schemathesis.hook
def map_body(context, body):
    if isinstance(body, dict) and isinstance(body.get("wait"), (int, float)) and not isinstance(body["wait"], bool):
        body["wait"] = 0
    return body
