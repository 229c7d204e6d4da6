"""Readers of feeds that are not ours.

feeds.py atom FILE: reads it with feedparser and prints what it has seen as JSON.
feeds.py osv SCHEMA FILE…: holds records against OSV's schema.
"""

import json
import sys


def atom(path):
    import feedparser

    with open(path, "rb") as file:
        feed = feedparser.parse(file.read(), sanitize_html=False)
    if feed.bozo:
        sys.exit(f"not well-formed: {feed.bozo_exception}")
    entries = [
        {
            "id": entry.id,
            "title": entry.title,
            "updated": entry.updated,
            "text": entry.content[0].value,
            "terms": [tag.term for tag in entry.get("tags", [])],
            "links": {link.rel: link.href for link in entry.links},
        }
        for entry in feed.entries
    ]
    print(json.dumps({"version": feed.version, "title": feed.feed.title, "entries": entries}))


def osv(schema, paths):
    import jsonschema

    with open(schema) as file:
        schema = json.load(file)
    # The schema lists the databases that OSV itself keeps; ours is not one.
    prefix = schema["$defs"]["prefix"]
    prefix["pattern"] = prefix["pattern"].replace("^(", "^(RESPLICE|", 1)
    validator = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    for path in paths:
        with open(path) as file:
            record = json.load(file)
        for error in validator.iter_errors(record):
            sys.exit(f"{path}: {error.json_path}: {error.message}")
    print(len(paths))


if sys.argv[1] == "atom":
    atom(sys.argv[2])
else:
    osv(sys.argv[2], sys.argv[3:])
