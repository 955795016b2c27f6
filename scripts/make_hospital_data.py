"""Write the synthetic patient files of the hospital example. Run it from the repository root; the output is fixed."""

from __future__ import annotations

import csv
import random  # noqa: TID251 - synthetic data that must come out the same every time
from datetime import date, timedelta
from pathlib import Path

FOLDER = Path("src/quorate/examples/hospital")
ROWS = 10_000
GROUPS = {  # share of patients, typical cost in euros, spread of its logarithm, typical stay in days
    "cardiac": (0.18, 9_800, 0.55, 6),
    "oncology": (0.12, 14_500, 0.70, 8),
    "trauma": (0.15, 6_900, 0.80, 4),
    "respiratory": (0.16, 4_700, 0.50, 5),
    "digestive": (0.13, 5_200, 0.50, 4),
    "neurological": (0.09, 11_300, 0.65, 9),
    "maternity": (0.11, 3_900, 0.30, 3),
    "other": (0.06, 4_100, 0.90, 3),
}
HOSPITALS = {"st_mary": (1, 1.00), "st_luke": (2, 1.12), "st_anna": (3, 0.93)}  # seed, price level


def main() -> None:
    """One CSV file per hospital."""
    for name, (seed, level) in HOSPITALS.items():
        source = random.Random(seed)  # noqa: S311 - synthetic data
        with (FOLDER / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["admitted", "age", "diagnosis", "stay_days", "cost"])
            for _ in range(ROWS):
                out.writerow(row(source, level))


def row(source: random.Random, level: float) -> list[object]:
    """One patient."""
    diagnosis = source.choices(list(GROUPS), [group[0] for group in GROUPS.values()])[0]
    _, cost, spread, stay = GROUPS[diagnosis]
    admitted = date(2025, 1, 1) + timedelta(days=source.randrange(365))
    age = min(99, max(0, round(source.gauss(57, 19))))
    days = max(1, round(source.expovariate(1 / stay)))
    amount = min(240_000.0, cost * level * source.lognormvariate(0, spread))
    return [admitted.isoformat(), age, diagnosis, days, f"{amount:.2f}"]


if __name__ == "__main__":
    main()
