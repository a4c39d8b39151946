# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
"""json_valid.py SCHEMA FILE...: says what of the JSON does not fit the schema, and exits with 1 then."""
import json
import sys

import jsonschema


def no_twice(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice: %s" % [k for k, _ in pairs])
    return dict(pairs)


with open(sys.argv[1]) as f:
    schema = json.load(f)
jsonschema.Draft202012Validator.check_schema(schema)
wrong = 0
for name in sys.argv[2:]:
    with open(name, encoding="utf-8") as f:
        document = json.load(f, object_pairs_hook=no_twice)
    for e in jsonschema.Draft202012Validator(schema).iter_errors(document):
        print("%s: %s: %s" % (name, "/".join(map(str, e.absolute_path)), e.message[:300]))
        wrong = 1
sys.exit(wrong)
