#!/usr/bin/env python3
"""Computes what three golden jobs must give, in a few lines that share nothing with the engine, and compares it with their expected.ndjson: so the committed
expectations are not just what the engine once wrote. usage: oracle.py GOLDEN_DIRECTORY"""
import collections
import datetime
import json
import sys

ROOT = sys.argv[1]
MICRO = 1_000_000


def us(text):
    return round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e6)


def rfc3339(time_us):
    return datetime.datetime.fromtimestamp(time_us // MICRO, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_input():
    rows, dead = [], 0
    for line in open(f"{ROOT}/clicks_per_page/input.ndjson"):
        try:
            row = json.loads(line)
        except ValueError:
            dead += 1
            continue
        if isinstance(row["user_id"], str):
            rows.append(row)
        else:
            dead += 1
    return rows, dead


def read_expected(job, sink):
    lines = [line.split(" ", 1) for line in open(f"{ROOT}/{job}/expected.ndjson")]
    return [json.loads(text) for name, text in lines if name == sink]


def mean(values):
    return round(sum(values) / len(values), 9) if values else None


def check(what, want, got):
    if want != got:
        print(f"FAIL {what}: {len(want - got)} missing, {len(got - want)} wrong; {list(want - got)[:2]} {list(got - want)[:2]}")
        sys.exit(1)
    print(f"{what}: {len(got)} rows as computed")


def main():
    rows, dead = read_input()
    windows = collections.defaultdict(list)
    for row in rows:
        if row["page"] is not None and not row["user_id"].startswith("bot-"):
            windows[row["page"], us(row["ts"]) // (60 * MICRO) * 60 * MICRO].append(row)
    want = set()
    for (page, start), members in windows.items():
        if len(members) >= 2:
            known = [row["latency_ms"] for row in members if row["latency_ms"] is not None]
            want.add((page, rfc3339(start), len(members), len({row["user_id"] for row in members}), sum(1 for ms in known if ms > 500), max(known, default=None), mean(known)))
    got = {(row["page"], row["window_start"], row["views"], row["users"], row["slow"], row["longest"], None if row["mean"] is None else round(row["mean"], 9))
           for row in read_expected("clicks_per_page", "stats")}
    check("clicks_per_page", want, got)
    check("clicks_per_page, dead letters", {dead}, {len(read_expected("clicks_per_page", "dead"))})

    windows = collections.defaultdict(list)
    for number, row in enumerate(rows):
        time = us(row["ts"])
        start = time - (time - 5 * MICRO) % (45 * MICRO)
        while start > time - 120 * MICRO:
            windows[row["page"] or "none", row["user_id"].startswith("bot-"), start].append((time, number, row))
            start -= 45 * MICRO
    want = set()
    for (page, bot, start), members in windows.items():
        members.sort(key=lambda member: member[:2])
        known = [row["latency_ms"] for _, _, row in members if row["latency_ms"] is not None]
        want.add((page, bot, rfc3339(start), len(members), sum(known) if known else None, min(row["user_id"] for _, _, row in members),
                  known[0] if known else None, known[-1] if known else None))
    got = {(row["page"], row["bot"], row["window_start"], row["n"], row["total"], row["least"], row["first"], row["last"])
           for row in read_expected("sliding_counts", "minutes")}
    check("sliding_counts", want, got)

    windows, dead = collections.defaultdict(list), collections.Counter()
    for line in open(f"{ROOT}/assigned_time/input.ndjson"):
        row = json.loads(line)
        if row["value"] < 0:
            continue
        if row["sent_at"] is None:
            dead["bad_event_time"] += 1
        elif row["sent_at"].startswith("2262"):
            dead["event_time_in_future"] += 1
        else:
            windows[row["device"], us(row["sent_at"]) // (60 * MICRO) * 60 * MICRO].append(row)
    want = {(device, rfc3339(start), len(members), sum(row["value"] for row in members), max(us(row["sent_at"]) for row in members))
            for (device, start), members in windows.items()}
    got = {(row["device"], row["window_start"], row["n"], row["total"], us(row["last"])) for row in read_expected("assigned_time", "minutes")}
    check("assigned_time", want, got)
    check("assigned_time, dead letters", set(dead.items()), set(collections.Counter(row["code"] for row in read_expected("assigned_time", "dead")).items()))


if __name__ == "__main__":
    main()
