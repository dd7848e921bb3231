#!/usr/bin/env python3
"""Computes what golden jobs must give, in a few lines that share nothing with the engine, and compares it with their expected.ndjson: so the committed
expectations are not just what the engine once wrote. usage: oracle.py GOLDEN_DIRECTORY"""
import collections
import datetime
import fractions
import json
import statistics
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

    generated()


def cents(text):
    return fractions.Fraction(text)


def generated():
    rows = []
    for number in range(600):
        v = number * 31 % 97
        rows.append({"id": number, "kind": f"k{number % 4}", "v": None if v == 13 else v, "price": fractions.Fraction(number % 50, 4),
                     "heat": number * 17 % 64 / 8, "ok": number % 3 != 0, "at": (1767225600 + number * 7919 % 1200) * MICRO})
    want = {(row["id"], row["kind"], row["v"], row["price"], row["ok"], row["at"], row["at"] // (60 * MICRO) * 60 * MICRO) for row in rows if row["price"] >= 10}
    got = {(row["id"], row["kind"], row["v"], cents(row["price"]), row["ok"], us(row["at"]), us(row["minute"])) for row in read_expected("generated", "kept")}
    check("generated, kept", want, got)

    windows = collections.defaultdict(list)
    for row in rows:
        start = (row["at"] - 60 * MICRO) // (300 * MICRO) * 300 * MICRO + 60 * MICRO
        windows[row["kind"], rfc3339(start)].append(row)
    want = set()
    for (kind, start), members in windows.items():
        members.sort(key=lambda row: row["at"])
        known = [row["v"] for row in members if row["v"] is not None]
        prices = [row["price"] for row in members]
        want.add((kind, start, len(members), len(known), len(set(known)), len(set(known)), sum(known), sum(prices), sum(row["heat"] for row in members),
                  round(float(sum(prices) / len(prices)), 5), round(sum(known) / len(known), 9), min(known), max(prices), members[0]["id"], members[-1]["id"],
                  all(row["ok"] for row in members), any(row["ok"] for row in members), round(statistics.stdev(known) * 1000), statistics.median(known),
                  sum(1 for row in members if not row["ok"])))
    got = {(row["kind"], row["window_start"], row["n"], row["known"], row["different"], row["about"], row["total"], cents(row["paid"]), row["warmth"],
            round(float(row["mean_price"]), 5), round(row["mean"], 9), row["least"], cents(row["most"]), row["oldest"], row["newest"], row["all_ok"], row["any_ok"], row["spread"], row["middle"], row["few"])
           for row in read_expected("generated", "kinds")}
    check("generated, by kind", want, got)

    windows = collections.defaultdict(list)
    for row in rows:
        start = row["at"] // (120 * MICRO) * 120 * MICRO
        windows[start].append(row)
        windows[start - 120 * MICRO].append(row)
    want = {f"{rfc3339(start)},{rfc3339(start + 240 * MICRO)},{len(members)},{sum(row['v'] or 0 for row in members)},{rfc3339(max(row['at'] for row in members))}"
            for start, members in windows.items() if len(members) > 100}
    got = {line.rstrip("\n").split(" ", 1)[1] for line in open(f"{ROOT}/generated/expected.ndjson") if line.startswith("totals ")}
    check("generated, totals", want, got)


if __name__ == "__main__":
    main()
