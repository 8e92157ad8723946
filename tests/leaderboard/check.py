#!/usr/bin/env python3
"""Checks the table that `examples/leaderboard` wrote, without using the crate.

The leaderboard is computed a second time here, from the same file of matches, and compared with
every item of the table, read over HTTP or straight from the file of the embedded database:

    check.py --matches results.csv --endpoint http://localhost:8000 --table teams
    check.py --matches results.csv --sqlite leaderboard.db --table teams

Prints `checked N teams, 0 differences` and exits with 0, or lists the differences and exits with
1; 2 if the matches or the table cannot be read. Needs Python 3.11 and nothing else.
"""

import argparse
import contextlib
import csv
import decimal
import json
import math
import pathlib
import sqlite3
import sys
import urllib.error
import urllib.request

# `10 ** x` may differ from Rust's `powf` in the last bit, and the ratings build on each other.
TOLERANCE = 1e-9

COUNTS = ("played", "won", "drawn", "lost", "goals_for", "goals_against")

# The type under which DynamoDB stores each attribute: number or string.
TYPES = {"team": "S", "rating": "N", "last_played": "S"} | dict.fromkeys(COUNTS, "N")


def new_team(name):
    return {"team": name, "rating": 1500.0, "last_played": ""} | dict.fromkeys(COUNTS, 0)


def play(team, date, scored, conceded, gain):
    team["rating"] += gain
    team["played"] += 1
    team["won"] += scored > conceded
    team["drawn"] += scored == conceded
    team["lost"] += scored < conceded
    team["goals_for"] += scored
    team["goals_against"] += conceded
    team["last_played"] = date


def expected_teams(path):
    """Computes the leaderboard from a file of matches, by team."""
    teams = {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file, strict=True):
            scores = (row["home_score"], row["away_score"])
            if "" in scores or "NA" in scores:
                continue
            home_score, away_score = map(int, scores)
            home, away = (
                teams.setdefault(row[side], new_team(row[side]))
                for side in ("home_team", "away_team")
            )
            expected = 1 / (1 + 10 ** ((away["rating"] - home["rating"]) / 400))
            result = 1.0 if home_score > away_score else 0.5 if home_score == away_score else 0.0
            gain = 20 * (result - expected)
            play(home, row["date"], home_score, away_score, gain)
            play(away, row["date"], away_score, home_score, -gain)
    return teams


def items_from_endpoint(endpoint, table, access_key):
    """Scans a table over HTTP, page by page."""
    start = None
    while True:
        request = {"TableName": table, "ConsistentRead": True}
        if start:
            request["ExclusiveStartKey"] = start
        page = call(endpoint, "Scan", request, access_key)
        yield from page["Items"]
        start = page.get("LastEvaluatedKey")
        if not start:
            return


def call(endpoint, operation, body, access_key):
    # DynamoDB Local wants a signature of the right shape and does not verify it. Without
    # -sharedDb each access key and region has tables of its own.
    credential = f"Credential={access_key}/20250101/us-east-1/dynamodb/aws4_request"
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "X-Amz-Date": "20250101T000000Z",
        "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0",
    }
    request = urllib.request.Request(endpoint, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def items_from_sqlite(path, table):
    """Reads the file of the embedded database, where each table of DynamoDB is one of SQLite."""
    address = pathlib.Path(path).resolve().as_uri() + "?mode=ro"
    quoted = '"' + table.replace('"', '""') + '"'
    with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
        for (text,) in database.execute(f"SELECT item_json FROM {quoted}"):
            yield json.loads(text)


def differences(expected, items, allow_extra):
    """Lists everything in which the table differs from what is expected."""
    found = {}
    for item in items:
        name = item.get("team", {}).get("S")
        if name in found:
            yield f"{name}: is there twice"
        found[name] = item
    for name in sorted(expected.keys() - found.keys()):
        yield f"{name}: is missing"
    for name in sorted(found.keys() - expected.keys(), key=str):
        yield f"{name}: is not in the matches"
    for name in sorted(expected.keys() & found.keys()):
        for difference in item_differences(expected[name], found[name], allow_extra):
            yield f"{name}: {difference}"


def item_differences(team, item, allow_extra):
    for attribute, value in team.items():
        stored = item.get(attribute)
        if stored is None or not equals(attribute, value, stored):
            yield f"{attribute} is {json.dumps(stored)}, expected {value!r}"
    for attribute in sorted(item.keys() - team.keys()):
        if not allow_extra:
            yield f"{attribute} is not an attribute of a team"


def equals(attribute, value, stored):
    if list(stored) != [TYPES[attribute]]:
        return False
    text = stored[TYPES[attribute]]
    if attribute == "rating":
        return math.isclose(float(text), value, rel_tol=TOLERANCE, abs_tol=0)
    if TYPES[attribute] == "N":
        return decimal.Decimal(text) == value
    return text == value


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--matches", required=True, metavar="FILE")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--endpoint", metavar="URL")
    source.add_argument("--sqlite", metavar="PATH")
    parser.add_argument("--table", default="teams", metavar="NAME")
    parser.add_argument("--access-key", default="local", metavar="KEY")
    parser.add_argument(
        "--allow-extra", action="store_true", help="attributes that the job does not know are fine"
    )
    return parser.parse_args()


def main():
    options = arguments()
    try:
        expected = expected_teams(options.matches)
        if options.sqlite:
            items = list(items_from_sqlite(options.sqlite, options.table))
        else:
            items = list(items_from_endpoint(options.endpoint, options.table, options.access_key))
    except urllib.error.HTTPError as error:
        sys.exit(cannot_read(f"{error}: {error.read().decode(errors='replace')}"))
    except (OSError, sqlite3.Error, csv.Error, KeyError, ValueError) as error:
        sys.exit(cannot_read(repr(error)))
    if not expected:
        sys.exit(cannot_read(f"{options.matches} holds no match that was played"))

    found = list(differences(expected, items, options.allow_extra))
    print(*found, sep="\n", end="\n" if found else "")
    print(f"checked {len(expected)} teams, {len(found)} differences")
    return 1 if found else 0


def cannot_read(reason):
    print(f"check.py: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
