"""Reads a Prometheus page from standard input with Prometheus' own parser, and writes its samples as JSON."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

samples = []
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation, f"{family.name} is not explained"
    for sample in family.samples:
        samples.append({"family": family.name, "type": family.type, "name": sample.name, "labels": sample.labels,
                        "value": sample.value})
json.dump(samples, sys.stdout)
