"""The jobs in boto3, as its own guide writes them: a table resource, `batch_get_item` and `batch_writer`.

Usage: job.py JOB ENDPOINT TABLE [RESULTS]. Prints one line of JSON; see the README beside `run`.
"""

import csv
import json
import sys
import time
from decimal import Decimal

import boto3
from botocore.config import Config

KEYS = 100
NAIVE = 2_000


def main():
    job, endpoint, name, *rest = sys.argv[1:]
    requests = Counter()
    # Retries and connections as boto3 comes; credentials are the environment's.
    resource = boto3.resource("dynamodb", endpoint_url=endpoint, config=Config(region_name="us-east-1"))
    resource.meta.client.meta.events.register("before-send.dynamodb", requests.count)
    matches = read(rest[0]) if rest else []
    # The connection is made, and the table is there.
    resource.meta.client.describe_table(TableName=name)
    requests.seen = 0
    wall, cpu = time.perf_counter(), time.process_time()
    items = JOBS[job](resource, name, matches)
    measured = {
        "items": items,
        "requests": requests.seen,
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_bytes": peak_bytes(),
    }
    print(json.dumps(measured))


class Counter:
    def __init__(self):
        self.seen = 0

    def count(self, **_):
        self.seen += 1


def peak_bytes():
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def read(path):
    """The matches that have a score, in the order of the file."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        return [
            (row["date"], row["home_team"], row["away_team"], int(row["home_score"]), int(row["away_score"]))
            for row in csv.DictReader(file)
            if "NA" not in (row["home_score"], row["away_score"])
        ]


def get_all(resource, name, keys):
    """The items of all these keys, a hundred a request."""
    for start in range(0, len(keys), KEYS):
        wanted = {name: {"Keys": keys[start : start + KEYS], "ConsistentRead": True}}
        while wanted:
            answer = resource.batch_get_item(RequestItems=wanted)
            yield from answer["Responses"][name]
            wanted = answer["UnprocessedKeys"]


def change(resource, name, _):
    """Loads 20,000 players, changes every tenth, and saves those."""
    keys = [{"game": "chess", "name": f"player {number:06}"} for number in range(20_000)]
    players = list(get_all(resource, name, keys))
    with resource.Table(name).batch_writer() as batch:
        for player in players:
            if int(player["name"].split()[1]) % 10 == 0:
                player["played"] += 1
                player["rating"] += 10
                batch.put_item(Item=player)
    return len(players) + len(players) // 10


def new(team):
    counts = ("played", "won", "drawn", "lost", "goals_for", "goals_against")
    return {"team": team, "rating": 1500.0, **dict.fromkeys(counts, 0), "last_played": ""}


def take_in(team, date, scored, conceded, gain):
    team["rating"] += gain
    team["played"] += 1
    team["won"] += scored > conceded
    team["drawn"] += scored == conceded
    team["lost"] += scored < conceded
    team["goals_for"] += scored
    team["goals_against"] += conceded
    team["last_played"] = date


def play(home, away, date, home_score, away_score):
    result = 1.0 if home_score > away_score else 0.5 if home_score == away_score else 0.0
    expected = 1.0 / (1.0 + 10.0 ** ((away["rating"] - home["rating"]) / 400.0))
    gain = 20.0 * (result - expected)
    take_in(home, date, home_score, away_score, gain)
    take_in(away, date, away_score, home_score, -gain)


def stored(team):
    return {**team, "rating": Decimal(repr(team["rating"]))}


def loaded(item):
    return {**item, "rating": float(item["rating"])}


def leaderboard(resource, name, matches):
    """Each team is read once and written once."""
    names = sorted({team for match in matches for team in match[1:3]})
    teams = {team: new(team) for team in names}
    for item in get_all(resource, name, [{"team": team} for team in names]):
        teams[item["team"]] = loaded(item)
    for date, home, away, home_score, away_score in matches:
        play(teams[home], teams[away], date, home_score, away_score)
    with resource.Table(name).batch_writer() as batch:
        for team in teams.values():
            batch.put_item(Item=stored(team))
    return len(matches)


def naive(resource, name, matches):
    """Both teams of a match are read before it and written after it."""
    table = resource.Table(name)

    def get(team):
        item = table.get_item(Key={"team": team}, ConsistentRead=True).get("Item")
        return loaded(item) if item else new(team)

    for date, home_name, away_name, home_score, away_score in matches[:NAIVE]:
        home, away = get(home_name), get(away_name)
        play(home, away, date, home_score, away_score)
        table.put_item(Item=stored(home))
        table.put_item(Item=stored(away))
    return NAIVE


JOBS = {"change": change, "leaderboard": leaderboard, "naive": naive}

if __name__ == "__main__":
    main()
