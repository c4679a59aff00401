"""Runs the `rhyton` command on the conformance cases that this version covers: see `cargo xtask conformance`.

Cases are made with Keras where they are not there yet, in a folder named by what they are made from, so that a change of
the suite makes them anew.
"""

import argparse
import fnmatch
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

MADE_FROM = ["cases_public.py", "oracle.py", "reference.py", "requirements.txt"]


def patterns_of(file):
    lines = (line.split("#")[0].strip() for line in file.read_text().splitlines())
    return [line for line in lines if line]


def make(suite, cases, names):
    """Makes the cases of `names` that `cases` lacks; `None` for all. The names of all cases there are."""
    sys.path.insert(0, str(suite))
    import cases_public  # noqa: F401
    import oracle

    all_names = list(oracle.CASES)
    start, made = time.time(), 0
    for name in names(all_names):
        # Each is made aside, so that a case that is there is complete.
        if not (cases / name).exists():
            with tempfile.TemporaryDirectory(dir=cases) as aside:
                oracle.generate(oracle.CASES[name], aside)
                (cases / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(Path(aside) / name, cases / name)
            made += 1
    print(f"{made} cases made with Keras in {time.time() - start:.0f} s", flush=True)
    return all_names


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--suite", type=Path, required=True)
    p.add_argument("--covered", type=Path, required=True)
    p.add_argument("--cases", type=Path, required=True)
    p.add_argument("--rhyton", type=Path, required=True)
    p.add_argument("--jobs", default="2")
    p.add_argument("glob", nargs="?", default="*")
    args = p.parse_args()

    digest = hashlib.sha256(b"".join((args.suite / f).read_bytes() for f in MADE_FROM)).hexdigest()[:16]
    cases = args.cases / digest
    cases.mkdir(parents=True, exist_ok=True)
    for old in args.cases.iterdir():
        if old.is_dir() and old.name != digest:
            shutil.rmtree(old)

    patterns = patterns_of(args.covered)
    covered = lambda names: [n for n in names if any(fnmatch.fnmatch(n, p) for p in patterns)]  # noqa: E731
    chosen = lambda names: [n for n in covered(names) if fnmatch.fnmatch(n, args.glob)]  # noqa: E731
    names = make(args.suite, cases, chosen)
    idle = [p for p in patterns if not fnmatch.filter(names, p)]
    if idle:
        sys.exit(f"{args.covered.name}: no case matches {', '.join(idle)}; correct or delete the line")
    for name in names:
        if name not in covered(names):
            print(f"not covered: {name}")
    if not chosen(names):
        sys.exit(f"no covered case matches {args.glob}")

    with tempfile.TemporaryDirectory(dir=args.cases) as run:
        for name in chosen(names):
            shutil.copytree(cases / name, Path(run) / name, copy_function=os.link)
        report = args.cases / "report.json"
        command = [sys.executable, args.suite / "run.py", run, "--rhyton", args.rhyton]
        done = subprocess.run([*command, "--roundtrip", "--jobs", args.jobs, "--json", report])
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
