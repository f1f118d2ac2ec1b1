"""Sentences of the page, made from the figures: what is near, what is off, what is far off, and which way.

Nothing here is a claim of its own: each sentence is chosen by the figures that stand in it. How far is far is a
judgement, and stands beside each sentence's limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import Any

Report = Mapping[str, Any]

NDVI = (0.04, 0.10)
"""assumed: NDVI off by more than the first is off, by more than the second far off; 0.04 is the scatter of a pixel."""
DAYS = (15, 40)
"""assumed: of the day of the highest NDVI; the curve is smoothed over 20 days."""
DNBR = (0.05, 0.15)
"""assumed: the second is nearly one class of burn severity (Key & Benson 2006: 0.10 to 0.27, 0.27 to 0.44)."""
SHARE = (0.07, 0.15)
"""assumed: of a share of dates; 0.07 is two standard errors of a share of 0.2 among 140 dates."""
LOGS = (0.10, 0.25)
"""assumed: of log reflectance."""
FINE = "fine scale only (blurred taken off)"
"""Name of a view of `realism_classifier`."""
TIMES = (0.22, 0.69)
"""assumed: of the logarithm of a ratio: a quarter more or less, twice or half."""


def verdict(ours: float, theirs: float, limits: tuple[float, float], low: str = "low", high: str = "high") -> str:
    """How far a figure is off and which way: near, too low, far too low and so on."""
    gap = abs(ours - theirs)
    if gap <= limits[0]:
        return "near"
    word = f"too {high if ours > theirs else low}"
    return word if gap <= limits[1] else f"**far {word}**"


def against(ours: float, theirs: float, limits: tuple[float, float], digits: int = 2) -> str:
    """`0.83 against 0.87 (near)`."""
    return f"{ours:.{digits}f} against {theirs:.{digits}f} ({verdict(ours, theirs, limits)})"


def summary(reports: Mapping[str, Report]) -> str:
    """The page's answer in a list, of the last archive: *simulated* against *real*."""
    last = list(reports.values())[-1]
    lines = [
        _told_apart(reports),
        _give_away(last),
        _unseen(reports),
        f"**Reflectance.** {covers(last)}",
        f"**Season.** {season(last)}",
        f"**Skies.** {skies(last)}",
        f"**Fires.** {fires(last)}",
    ]
    return "\n".join(f"- {line}" for line in lines if line)


def _told_apart(reports: Mapping[str, Report]) -> str:
    """The classifier's figure, before and after."""
    label, last = list(reports.items())[-1]
    own = last["classifier"]
    text = "**Told apart.** Two small networks that are shown a chip, *simulated* or *real*, are right "
    text += often(own["squares"]["cnn"])
    if "before" in reports and label != "before":
        text += f"; with the first generator's chips {often(reports['before']['classifier']['squares']['cnn'])}"
    text += ". Both in six bands, held out by squares."
    if "areas, all bands" in own:
        whole, ten = (often(own[word]["cnn"]) for word in ("areas", "areas, all bands"))
        text += f" Held out by whole areas: {whole}; in all ten bands: {ten}."
    if "chance" in own:
        text += _chance(own["chance"])
    return text + _fine_scale(reports, label)


def _chance(found: Mapping[str, Any]) -> str:
    """What the networks reach where there is nothing to tell."""
    return (
        f" *Real* chips dealt to two sides at random, {found['deals']} times, where there is nothing to tell: between"
        f" {found['low']:.2f} and {found['high']:.2f}, {found['accuracy']:.2f} in the mean ({found['chips']} chips of"
        f" {found['groups']} groups a side, fewer than above; it is below one half because what is held out of one side"
        " leaves the other more to learn from)."
    )


def _fine_scale(reports: Mapping[str, Report], label: str) -> str:
    """Whether a network that sees the fine scale alone is told less than before; empty where it was not asked."""
    found = {name: report["classifier"]["squares"]["views"].get(FINE) for name, report in reports.items()}
    now, then = found[label], found.get("before")
    if not now:
        return ""
    text = f" A network that is shown nothing but the fine scale is right {often(now)}"
    if not then or label == "before":
        return f"{text}."
    text += f"; with the first generator's {often(then)}"
    if now["high"] < then["low"]:
        return f"{text}."
    worse = now["low"] > then["high"]
    return f"{text}: **to it the two are {'more unlike than' if worse else 'as unlike as'} they were.**"


def often(found: Mapping[str, float]) -> str:
    """An accuracy with its interval, and in words."""
    steps = ((0.45, "less than by chance"), (0.6, "little more than by chance"), (0.75, "more often than not"))
    found_word = next((word for limit, word in (*steps, (0.9, "mostly")) if found["accuracy"] < limit), "nearly always")
    if found["low"] < 0.5 < found["high"]:
        found_word = "as by chance"
    return f"{found['accuracy']:.2f} ({found['low']:.2f} to {found['high']:.2f}), {found_word}"


def _give_away(report: Report) -> str:
    """What is still the worst."""
    own = report["classifier"]["squares"]
    parts = {
        name: found for name, found in own["views"].items() if "standardised" not in name and "as they" not in name
    }
    text = "**Worst give-away.** "
    if parts:
        worst = max(parts, key=lambda name: float(parts[name]["accuracy"]))
        text += f"Of parts of the chips, a network is best on *{worst}*: {often(parts[worst])}. "
    group = max(own["groups"], key=lambda name: float(own["groups"][name]["accuracy"]))
    text += f"Of numbers with a name, *{group}* tell most: {often(own['groups'][group])}. "
    number = own["numbers"][0]
    return text + (
        f"The single worst is *{number['number']}* (AUC {number['auc']:.2f}: median {number['simulated median']:.3g}"
        f" against {number['real median']:.3g})."
    )


def _unseen(reports: Mapping[str, Report]) -> str:
    """The check on pixels on which nothing was set, and whether it is better than it was."""
    label, report = list(reports.items())[-1]
    found = report["unseen"]["california"]
    if "cnn" not in found:
        return ""
    off = found["differences"]["all"]
    then = reports["before"]["unseen"]["california"].get("cnn") if label == "after" and "before" in reports else None
    before = ""
    if then:
        gain = found["cnn"]["high"] < then["low"]
        before = f"; with the first generator's chips {often(then)}" + ("" if gain else ": **no gain is shown**")
    return (
        f"**On real pixels on which nothing was set** (California before its fires, five bands, 20 m) the networks"
        f" are right {often(found['cnn'])}{before}. Quantiles of reflectance lie {percent(off)} off the *real* ones"
        f" ({percent(report['differences']['all'])} on the chips on which constants were set)."
    )


def percent(logs: float) -> str:
    """A mean absolute difference of logarithms as a part."""
    return f"{100 * (exp(abs(logs)) - 1):.0f} %"


def covers(report: Report) -> str:
    """Land cover by how far reflectance is off, and which way."""
    off, shift = report["differences"]["class"], report["differences"]["median_shift"]
    parts = []
    for name in sorted(off, key=lambda n: float(off[n])):
        way = sum(shift[name].values()) / len(shift[name])
        word = "median near" if abs(way) <= LOGS[0] else f"too {'bright' if way > 0 else 'dark'}"
        size = f"{name} {percent(off[name])} ({word})"
        parts.append(f"**{size}**" if off[name] > LOGS[1] else size)
    text = f"Quantiles of *simulated* reflectance lie off the *real* ones by: {', '.join(parts)}."
    bad = [name for name in off if off[name] > LOGS[1]]
    return f"{text} {' and '.join(bad).capitalize()}: far off." if bad else text


def waters(report: Report) -> str:
    """What kind of water there is on either side."""
    shares = []
    for side in ("real", "simulated"):
        open_water, shore = (report["kinds"][side][name] for name in ("open water", "shore"))
        shares.append(f"{100 * open_water / max(open_water + shore, 1e-4):.0f} %")
    groups = report["classifier"]["squares"]["composition"]["real_groups"]["open water"]
    found = f", of {groups} groups that look like one scene," if groups else ""
    return (
        f"Of the *real* chips that are half water or more, {shares[0]} are open water{found} and of the *simulated*"
        f" {shares[1]}: what is said of water is said of these."
    )


def season(report: Report) -> str:
    """The year of forest."""
    ours, theirs = report["season"]["simulated"], report["season"]["real"]
    if not ours:
        return "The archive has no closed forest to compare."
    peak, real_peak = (f["day"][f["ndvi"].index(max(f["ndvi"]))] for f in (ours, theirs))
    top = against(max(ours["ndvi"]), max(theirs["ndvi"]), NDVI)
    low = against(min(ours["ndvi"]), min(theirs["ndvi"]), NDVI)
    dates, pixels = (_times(ours, theirs, key) for key in ("of_dates", "of_pixels"))
    return (
        f"NDVI of forest: highest {top}, lowest {low}; day of the highest {peak} against {real_peak}"
        f" ({verdict(peak, real_peak, DAYS, 'early', 'late')}). Scatter of whole dates {dates}, of pixels {pixels}."
        + _shedding(ours, theirs)
    )


def _shedding(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """The pixels that shed their leaves, alone."""
    if ours.get("shed_lowest") is None or theirs.get("shed_lowest") is None:
        return ""
    low = against(ours["shed_lowest"], theirs["shed_lowest"], NDVI)
    return (
        f" Of the pixels that shed their leaves alone ({100 * ours['shed_share']:.0f} % of *simulated* forest,"
        f" {100 * theirs['shed_share']:.0f} % of the *real* wood) the lowest is {low}."
    )


def _times(ours: Mapping[str, float], theirs: Mapping[str, float], key: str) -> str:
    """Two spreads and their ratio."""
    times = ours[key] / max(theirs[key], 1e-4)
    gap = max(times, 1 / max(times, 1e-4))
    word = "near" if gap <= exp(TIMES[0]) else f"{times:.1f} times it"
    word = f"**{word}**" if gap > exp(TIMES[1]) else word
    return f"{ours[key]:.3f} against {theirs[key]:.3f} ({word})"


def skies(report: Report) -> str:
    """Shares of overcast and clear dates."""
    ours, theirs = (report["skies"][side]["share"] for side in ("simulated", "real"))
    first, *_, last = theirs
    spread = [found["share"][first] for found in report["skies_by_area"].values()]
    return (
        f"Overcast dates: a share of {against(ours[first], theirs[first], SHARE)}; clear ones"
        f" {against(ours[last], theirs[last], SHARE)}. Over all areas of the archive the overcast share is"
        f" {min(spread):.2f} to {max(spread):.2f}."
    )


def fires(report: Report) -> str:
    """The dNBR inside and outside perimeters."""
    ours, theirs = (report["fire_summary"][side] for side in ("simulated", "real"))
    if not ours.get("fires"):
        return "The archive has no wildfire to compare."
    return (
        f"Median fire's mean dNBR inside {against(ours['inside_median'], theirs['inside_median'], DNBR)}, outside"
        f" {against(ours['outside_median'], theirs['outside_median'], DNBR)}; from fire to fire the inside differs by"
        f" {_times(ours, theirs, 'inside_between_fires')}. {ours['fires']} *simulated* fires, {theirs['fires']} *real*."
    )
