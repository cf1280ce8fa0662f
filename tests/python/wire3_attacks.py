#!/usr/bin/env python3
"""Attacks on trains of wire 3: what is changed, the exit status that it must end with, and the check that notices.

  wire3_attacks.py [--program PROGRAM] [--only TEXT] [--list] [-v]

Without PROGRAM the second implementation judges. Each train is verified, and opened by the next station and by the
creator. Attackers have the keys that they would have: a row that is signed again by its station is an attack by that
station. Rows that end with 0 are what must stay accepted. Exit status 1 if any row ends otherwise.
"""
import argparse
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import wire3_fixture as fixture  # noqa: E402
import wire3_rows_config  # noqa: E402
import wire3_rows_image  # noqa: E402
import wire3_rows_signed  # noqa: E402


def rows():
    found = [*wire3_rows_config.rows(), *wire3_rows_image.rows(), *wire3_rows_signed.rows()]
    names = [row.name for row in found]
    assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]
    return found


def disagreements(row, judge, field, place):
    """How the judge's verdicts differ from the row's."""
    train, layout, out = fixture.Train(field, row.tag), os.path.join(place, "attacked"), os.path.join(place, "out")
    row.change(train)
    os.makedirs(layout)
    train.write(layout)
    wrong, texts = [], []
    status, checks, text = judge.verify(layout)
    texts.append(text)
    if status not in row.verify:
        wrong.append(f"verify: expected {row.verify}, got {status} {checks} {text}")
    # An exit status of 5 names no check, nor does a refusal that comes before all checks.
    elif row.check and status in (0, 3) and checks and row.check not in checks:
        wrong.append(f"verify: expected the check {row.check}, got {checks}")
    elif row.check and status == 0 and row.check not in checks:
        wrong.append(f"verify: expected {row.check}, got {checks}")
    for reader in row.readers:
        status, _, text = judge.opened(field, layout, reader, out)
        texts.append(text)
        if status not in row.opened:
            wrong.append(f"opened by {reader}: expected {row.opened}, got {status} {text}")
        if status == 0 and reader != "creator" and judge.foreign(out):
            wrong.append(f"an engine would get {judge.foreign(out)}")
    return wrong, texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program")
    parser.add_argument("--only", default="")
    parser.add_argument("--every", type=int, default=1, help="one row in so many")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("-v", "--verbose", action="store_true")
    args = parser.parse_args()
    chosen = [row for row in rows() if args.only in row.name][::args.every]
    if args.list:
        for row in chosen:
            print(f"{row.name}: {row.verify}, opened {row.opened} {row.check}")
        return
    judge = fixture.Program(os.path.abspath(args.program)) if args.program else fixture.Peer()
    with tempfile.TemporaryDirectory(prefix="pht-wire3-") as top:
        field = fixture.Field(top)

        def judged(at):
            """Everything of a row lies in its own directory, and goes with it."""
            row, place = chosen[at], os.path.join(top, str(at))
            try:
                wrong, texts = disagreements(row, judge, field, place)
            except Exception as error:  # noqa: BLE001: a judge that breaks has judged wrongly
                wrong, texts = [f"{type(error).__name__}: {error}"], []
            shutil.rmtree(place, ignore_errors=True)
            if wrong or args.verbose:
                print(f"{row.name}: " + ("; ".join(wrong) if wrong else f"as expected {' | '.join(texts)}"), flush=True,
                      file=sys.stderr if wrong else sys.stdout)
            return bool(wrong)

        with ThreadPoolExecutor(args.jobs) as pool:
            failed = sum(pool.map(judged, range(len(chosen))))
    print(f"{len(chosen)} rows, {failed} wrong, judged by {judge.name}")
    sys.exit(1 if failed or not chosen else 0)


if __name__ == "__main__":
    main()
