# SPDX-License-Identifier: Apache-2.0
"""What a bench says: figures, each with the bound it is to reach and the bounds outside of which it is nonsense

A bound is for people: on a loaded or slow machine a figure may miss it and nothing fails. Sense is for machines:
so wide that no noise gets there, so narrow that a bench which measures nothing does not pass.
"""

import dataclasses


@dataclasses.dataclass
class Figure:
    name: str
    value: float
    unit: str
    at_least: float  # sense
    at_most: float   # sense
    bound: float | None = None
    note: str = ""

    def sane(self):
        return self.value is not None and self.at_least <= self.value <= self.at_most

    def line(self):
        bound = "" if self.bound is None else f"<= {self.bound:g} {self.unit}"
        met = "" if self.bound is None else "yes" if self.value <= self.bound else "NO"
        return f"{self.name:<52} {self.value:>12.6g} {self.unit:<8} {bound:<20} {met:<4} {self.note}"


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


def spread(name, values, unit, at_least, at_most, percentiles, bounds=None):
    """One figure a percentile; bounds: {percentile: bound}."""
    return [Figure(f"{name} p{p:g}", percentile(values, p), unit, at_least, at_most, (bounds or {}).get(p),
                   f"n={len(values)}") for p in percentiles]


def table(figures):
    head = f"{'':<52} {'measured':>12} {'':<8} {'bound':<20} met"
    return "\n".join([head, *(f.line() for f in figures)])


def judge(figures, expected):
    """Complaints: what is missing, what makes no sense."""
    names = {f.name for f in figures}
    return [f"{name}: no such figure" for name in expected if name not in names] + \
        [f"{f.name}: {f.value} {f.unit} makes no sense (not in {f.at_least:g} to {f.at_most:g})"
         for f in figures if not f.sane()]
