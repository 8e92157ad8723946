#!/usr/bin/env python3
"""Checks the table that `examples/etl` wrote, without using the crate.

The goals are added up a second time here, from the same file and the ratings in the table of the
teams, and compared with every item, read over HTTP or from the file of the embedded database:

    check.py --goals goalscorers.csv --times 2 --endpoint http://localhost:8000
    check.py --goals goalscorers.csv --times 2 --sqlite leaderboard.db

Prints `checked N scorers, 0 differences` and exits with 0, or lists the differences and exits with
1; 2 if the goals or a table cannot be read. Needs Python 3.11 and nothing else.
"""

import argparse
import csv
import decimal
import importlib.util
import json
import pathlib
import sqlite3
import sys
import urllib.error

TABLES = pathlib.Path(__file__).parent.parent / "leaderboard" / "check.py"
# Sums are exact: more digits than any of them has.
decimal.getcontext().prec = 80


def load_tables():
    """How the leaderboard's check reads tables."""
    spec = importlib.util.spec_from_file_location("tables", TABLES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expected_scorers(path, ratings, times):
    """Adds up the goals of a file, so many times: by scorer, as DynamoDB JSON without the types."""
    scorers = {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file, strict=True):
            sides = (row["home_team"], row["away_team"])
            if row["scorer"] in ("", "NA") or row["team"] not in sides:
                continue
            scorer = scorers.setdefault(row["scorer"], new_scorer())
            scorer["first"] = min(scorer["first"], row["date"])
            scorer["last"] = max(scorer["last"], row["date"])
            if row["own_goal"] == "TRUE":
                scorer["own_goals"] += times
                continue
            opponent = sides[1] if row["team"] == sides[0] else sides[0]
            scorer["goals"] += times
            scorer["penalties"] += times * (row["penalty"] == "TRUE")
            scorer["opponents"] += times * ratings.get(opponent, decimal.Decimal(1500))
            scorer["teams"].add(row["team"])
    return scorers


def new_scorer():
    numbers = dict.fromkeys(("goals", "penalties", "own_goals"), 0)
    dates = {"first": "9999-99-99", "last": ""}
    return numbers | dates | {"opponents": decimal.Decimal(0), "teams": set()}


def plain(item):
    """An item as `expected_scorers` has it."""
    values = {}
    for name, typed in item.items():
        [(kind, value)] = typed.items()
        values[name] = {"N": decimal.Decimal, "S": str, "SS": set}.get(kind, json.dumps)(value)
    # An empty set is stored as no attribute.
    return {"teams": set()} | values


def differences(expected, items):
    found = {}
    for item in items:
        item = plain(item)
        name = item.pop("scorer", None)
        if name in found:
            yield f"{name}: is there twice"
        found[name] = item
    for name in sorted(expected.keys() - found.keys()):
        yield f"{name}: is missing"
    for name in sorted(found.keys() - expected.keys(), key=str):
        yield f"{name}: is not in the goals"
    for name in sorted(expected.keys() & found.keys()):
        if expected[name] != found[name]:
            yield f"{name}: is {found[name]}, expected {expected[name]}"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--goals", required=True, metavar="FILE")
    parser.add_argument("--times", type=int, default=1, metavar="N", help="how often they were added")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--endpoint", metavar="URL")
    source.add_argument("--sqlite", metavar="PATH")
    parser.add_argument("--table", default="scorers", metavar="NAME")
    parser.add_argument("--teams", default="teams", metavar="NAME", help="'' if there is none")
    parser.add_argument("--access-key", default="local", metavar="KEY")
    return parser.parse_args()


def main():
    options = arguments()
    tables = load_tables()

    def items(table):
        if options.sqlite:
            return list(tables.items_from_sqlite(options.sqlite, table))
        return list(tables.items_from_endpoint(options.endpoint, table, options.access_key))

    try:
        teams = items(options.teams) if options.teams else []
        ratings = {team["team"]["S"]: decimal.Decimal(team["rating"]["N"]) for team in teams}
        expected = expected_scorers(options.goals, ratings, options.times)
        found = list(differences(expected, items(options.table)))
    except urllib.error.HTTPError as error:
        sys.exit(cannot_read(f"{error}: {error.read().decode(errors='replace')}"))
    except (OSError, sqlite3.Error, csv.Error, KeyError, ValueError) as error:
        sys.exit(cannot_read(repr(error)))
    if not expected:
        sys.exit(cannot_read(f"{options.goals} holds no goal of a scorer"))
    print(*found, sep="\n", end="\n" if found else "")
    print(f"checked {len(expected)} scorers, {len(ratings)} teams, {len(found)} differences")
    return 1 if found else 0


def cannot_read(reason):
    print(f"check.py: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
