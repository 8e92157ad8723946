"""Runs each job with each peer in turn, checks that all left the same table, and prints what they took."""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from decimal import Decimal

import boto3
from botocore.config import Config

PLAYERS = 20_000
SEED = 1_500
JOBS = {
    "change": "load 20,000, change 2,000, save",
    "leaderboard": "leaderboard of all matches",
    "naive": "naive leaderboard, 2,000 matches",
}


def main():
    options = parse()
    credentials = {"AWS_ACCESS_KEY_ID": "peer", "AWS_SECRET_ACCESS_KEY": "peer"}
    os.environ |= {**credentials, "NO_PROXY": "localhost"}
    endpoint = os.environ["MEMORY_TABLE_TEST_ENDPOINT"]
    client = boto3.client("dynamodb", endpoint_url=endpoint, config=Config(region_name="us-east-1"))
    players = list(make_players())
    # The server is slow until it has been asked for a while.
    for job in JOBS:
        run(options.peer[-1][1:], job, endpoint, make_table(client, job, players), options.results)
        client.delete_table(TableName=job)
    measured, left = {}, {}
    chance = random.Random(SEED)
    for round_number in range(options.rounds):
        for job in JOBS:
            # Another order each time, so that none always runs in another's wake.
            for peer, *command in chance.sample(options.peer, len(options.peer)):
                table = make_table(client, job, players)
                taken = run(command, job, endpoint, table, options.results)
                measured.setdefault((job, peer), []).append(taken)
                found = contents(client, table)
                check(job, peer, found, left.setdefault(job, found))
                client.delete_table(TableName=table)
        print(f"round {round_number + 1} of {options.rounds} done", file=sys.stderr)
    report([peer for peer, *_ in options.peer], measured)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    named = "a name, a program, and what it is called with before the job"
    parser.add_argument("--peer", nargs="+", action="append", required=True, help=named)
    return parser.parse_args()


def make_players():
    """The records of the benches: 8 attributes, about 250 bytes. Ratings that decimals and floats add alike."""
    chance = random.Random(SEED)
    for number in range(PLAYERS):
        yield {
            "game": {"S": "chess"},
            "name": {"S": f"player {number:06}"},
            "rating": {"N": str(1_000 + chance.randrange(4_000) / 4)},
            "played": {"N": str(chance.randrange(100, 1_000))},
            "team": {"S": f"team {chance.randrange(1_000):03}"},
            "active": {"BOOL": chance.random() < 0.5},
            "last_played": {"S": f"2026-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"},
            "motto": {"S": "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=150))},
        }


def make_table(client, job, players):
    """A new table for a job: with all players, or for teams and empty."""
    names = ["game", "name"] if job == "change" else ["team"]
    client.create_table(
        TableName=job,
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        KeySchema=[
            {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ["HASH", "RANGE"])
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName=job)
    if job == "change":
        for start in range(0, len(players), 25):
            puts = [{"PutRequest": {"Item": player}} for player in players[start : start + 25]]
            left = {job: puts}
            while left:
                left = client.batch_write_item(RequestItems=left)["UnprocessedItems"]
    return job


def run(command, job, endpoint, table, results):
    arguments = [*command, job, endpoint, table] + ([results] if job != "change" else [])
    ended = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        sys.exit(f"{' '.join(arguments)} failed with {ended.returncode}; its message is above")
    return json.loads(ended.stdout)


def contents(client, table):
    """All items by their keys, with numbers as they are: but a rating's last digits are the language's `pow`."""
    items = {}
    for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        for item in page["Items"]:
            key = tuple(item[name]["S"] for name in ("game", "name", "team") if name in item)
            rating = Decimal(item["rating"]["N"]).quantize(Decimal("0.000001"))
            items[key] = {**item, "rating": rating}
            for name in ("played", "won", "drawn", "lost", "goals_for", "goals_against"):
                if name in item:
                    items[key][name] = Decimal(item[name]["N"])
    return items


def check(job, peer, found, first):
    """All must leave what the first of them left."""
    for key in first | found:
        if first.get(key) != found.get(key):
            sys.exit(f"{job}: {peer} left another table: {found.get(key)}, not {first.get(key)}")


def report(peers, measured):
    def median(job, peer, take):
        return statistics.median(take(taken) for taken in measured[job, peer])

    print("| job | with | items/s | client CPU per item | requests | peak memory | wall time |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for job, what in JOBS.items():
        for peer in peers:
            speed = median(job, peer, lambda it: it["items"] / it["wall_seconds"])
            cpu = median(job, peer, lambda it: it["cpu_seconds"] / it["items"] * 1e6)
            requests = median(job, peer, lambda it: it["requests"])
            peak = median(job, peer, lambda it: it["peak_bytes"]) / (1 << 20)
            wall = median(job, peer, lambda it: it["wall_seconds"])
            ours = median(job, peers[0], lambda it: it["wall_seconds"])
            print(
                f"| {what} | {peer} | {speed:,.0f} | {cpu:,.1f} µs | {requests:,.0f} | {peak:,.0f} MB |"
                f" {wall / ours:.2f} × |"
            )
    ours = peers[0]
    scale = median("leaderboard", ours, lambda it: it["items"]) / median("naive", ours, lambda it: it["items"])
    for peer in peers:
        naive = median("naive", peer, lambda it: it["wall_seconds"]) * scale
        ratio = naive / median("leaderboard", ours, lambda it: it["wall_seconds"])
        print(f"\nThe leaderboard with {ours} is {ratio:,.0f} times as fast as the naive one with {peer},", end=" ")
        print("whose 2,000 matches are scaled to all.")


if __name__ == "__main__":
    main()
