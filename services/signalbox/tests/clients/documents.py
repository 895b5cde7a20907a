"""The OpenAPI document and the metrics of a running Signalbox, read by others' parsers."""

import json
import sys
import urllib.request

from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families


def get(path):
    return urllib.request.urlopen(sys.argv[1] + path, timeout=10).read().decode()


document = json.loads(get("/openapi.json"))
assert document["openapi"].startswith("3.1"), document["openapi"]
validate(document)
chat = document["paths"]["/v1/chat/completions"]["post"]
assert "conversation" in json.dumps(chat), "the comments of the contract are missing"
operations = [name for path in document["paths"].values() for name in path if name in ("get", "post", "patch")]

families = {family.name: family for family in text_string_to_metric_families(get("/metrics"))}
duration = families["signalbox_rpc_duration_seconds"]
assert duration.type == "histogram", duration.type
labels = [sample.labels for sample in duration.samples if sample.labels.get("method") == "RedactText"]
assert labels and all(label["code"] == "OK" for label in labels), duration.samples
print(f"{len(operations)} operations, {len(families)} metric families")
