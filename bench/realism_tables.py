"""The tables of the page `docs/simulated-archive.md`, from the figures of its archives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from realism_cover import QUANTILES
from realism_plots import Reports, columns_of, name_of, series_of

from stac.bands import BANDS

WORSE = 0.05
"""assumed: a number tells more than before where its AUC lies so much further from 0.5."""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def archives(reports: Reports) -> str:
    """What each archive was."""
    lines = []
    for label, report in reports.items():
        says = report["archive"]
        names = ", ".join(area["name"] for area in says["areas"] if area["chips_used"])
        stamp = f"size `{says.get('size')}`, seed {says.get('seed')}, version {says.get('version')}"
        counts = f"{says['chips']} chips at random and {says['sought']} of water and towns, sought"
        commit = f" Compared by commit {says['commit']}." if says.get("commit") else ""
        lines.append(f"- *Simulated, {label}*: {stamp}; {len(report['bands'])} bands; from {names}: {counts}.{commit}")
    return "\n".join(lines)


def _range(found: Mapping[str, Any] | None) -> str:
    """Accuracy with its interval."""
    return "" if not found else f"{found['accuracy']:.3f} ({found['low']:.2f} to {found['high']:.2f})"


def accuracies(reports: Reports) -> str:
    """The network, the parts of what it sees, and the groups of numbers, the most telling first."""
    columns = columns_of(reports)
    main = columns[f"{list(reports)[-1]}, six bands, squares"]
    rows = [["**both networks**", *(_range(found["cnn"]) for found in columns.values())]]
    for part, word in (("views", "network on"), ("groups", "plain classifier on")):
        for name in sorted(main[part], key=lambda n, p=part: -main[p][n]["accuracy"]):  # type: ignore[misc]
            rows.append([f"{word}: {name}", *(_range(found[part].get(name)) for found in columns.values())])
    return table(["*simulated* told from *real* by", *columns], rows)


def california(reports: Reports) -> str:
    """The same on California."""
    found = {label: r["unseen"]["california"] for label, r in reports.items() if "cnn" in r["unseen"]["california"]}
    if not found:
        return "Too few clear chips to let classifiers try."
    rows = [["**both networks**", *(_range(one["cnn"]) for one in found.values())]]
    for name in next(iter(found.values()))["groups"]:
        rows.append([f"plain classifier on: {name}", *(_range(one["groups"].get(name)) for one in found.values())])
    head = table(["*simulated* told from *real* by", *(f"{label}, five bands" for label in found)], rows)
    lines = [_composed(f"Compared {label}", one["composition"]) for label, one in found.items()]
    return "\n\n".join([head, *lines])


def wood(reports: Reports) -> str:
    """Median and range of reflectance by band, times 100."""
    found = {"real": next(iter(reports.values()))["unseen"]["wood"]["real"]}
    found |= {label: report["unseen"]["wood"]["simulated"] for label, report in reports.items()}
    bands = list(found["real"])
    rows = [[name_of(side), *(_middle(values.get(band)) for band in bands)] for side, values in found.items()]
    return table(["reflectance × 100", *bands], rows)


def _middle(values: Sequence[float] | None) -> str:
    """Median (5 to 95 %), times 100."""
    return f"{100 * values[2]:.1f} ({100 * values[0]:.1f} to {100 * values[4]:.1f})" if values else ""


def all_quantiles(found: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]) -> str:
    """A table for each land cover: every quantile of every band, real beside simulated."""
    head = ["band", *(f"{word}, {q} %" for word in ("real", "simulated") for q in QUANTILES)]
    parts = []
    for cover, bands in found["real"].items():
        ours = found["simulated"].get(cover)
        if ours is None:
            parts.append(f"*{cover}*: too few *simulated* pixels.")
            continue
        rows = [[band, *(f"{100 * v:.1f}" for v in [*values, *ours[band]])] for band, values in bands.items()]
        parts.append(f"*{cover}*\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def seconds(report: Mapping[str, Any]) -> str:
    """What the comparison took."""
    laps = report["seconds"]
    parts = "; ".join(f"{name} {seconds} s" for name, seconds in laps.items())
    return f"The second command took {sum(laps.values()) / 60:.0f} minutes on two cores: {parts}."


def towns(report: Mapping[str, Any]) -> str:
    """How rare towns are, and how many were compared."""
    share = {side: f"{100 * report['kinds'][side]['town']:.1f} %" for side in ("real", "simulated")}
    count = report["classifier"]["squares"]["composition"]["each_side"]["town"]
    text = f"Towns are {share['real']} of the *real* chips and {share['simulated']} of *simulated* ones drawn at random"
    if count:
        return f"{text}; {count} *simulated* ones were found by looking for the most built-up places, and are compared."
    return (
        f"{text}; none are compared, as the archive has fewer than five that are built up enough, wherever one looks."
    )


def _numbers(report: Mapping[str, Any]) -> str:
    """The most telling numbers of one archive."""
    rows = [
        [r["number"], r["group"], f"{r['auc']:.2f}", f"{r['real median']:.3g}", f"{r['simulated median']:.3g}"]
        for r in report["classifier"]["squares"]["numbers"][:8]
    ]
    return table(["number", "group", "AUC", "median, real", "median, simulated"], rows)


def give_aways(reports: Reports) -> str:
    """The same, one table for each archive."""
    return "\n\n".join(f"*Simulated, {label}:*\n\n{_numbers(report)}" for label, report in reports.items())


def worst_three(reports: Reports) -> str:
    """The three kinds of numbers that told the first archive's chips best, each with its three best, in every archive.

    Chosen by rule: kinds by the plain classifier's accuracy before, numbers by how far their AUC lay from 0.5.
    """
    first = next(iter(reports.values()))["classifier"]["squares"]
    kinds = sorted(first["groups"], key=lambda name: -float(first["groups"][name]["accuracy"]))[:3]
    parts = []
    for place, kind in enumerate(kinds, 1):
        own = [row["number"] for row in first["numbers"] if row["group"] == kind][:3]
        rows = [
            [name, label, f"{found['real median']:.3g}", f"{found['simulated median']:.3g}", f"{found['auc']:.2f}"]
            for name in own
            for label, report in reports.items()
            for found in report["classifier"]["squares"]["numbers"]
            if found["number"] == name
        ]
        told = [report["classifier"]["squares"]["groups"][kind] for report in reports.values()]
        title = f"{place}. *{kind.capitalize()}*, plain classifier: {' before, '.join(map(_range, told))} after."
        if len(told) == 1:
            title = f"{place}. *{kind.capitalize()}*, plain classifier: {_range(told[0])}."
        elif told[-1]["high"] >= told[0]["low"]:
            title += " No fall is shown."
        parts.append(f"{title}\n\n{table(['number', 'archive', 'median, real', 'median, simulated', 'AUC'], rows)}")
    return "\n\n".join([*parts, _told_more(reports)])


def _told_more(reports: Reports) -> str:
    """The numbers that tell more than they told before."""
    numbers = [report["classifier"]["squares"]["numbers"] for report in reports.values()]
    first, last = ({row["number"]: float(row["auc"]) for row in numbers[place]} for place in (0, -1))
    more = {name: abs(auc - 0.5) - abs(first[name] - 0.5) for name, auc in last.items() if name in first}
    worse = sorted((name for name in more if more[name] > WORSE), key=lambda name: -abs(last[name] - 0.5))
    if not worse:
        return f"No number tells more than before by {WORSE:.2f} or more."
    listed = ", ".join(f"{name} ({first[name]:.2f} to {last[name]:.2f})" for name in worse[:8])
    return f"**Told more than before**, {len(worse)} of {len(more)} numbers (AUC before to after, the worst): {listed}."


def composition(reports: Reports) -> str:
    """How many chips of each kind were compared."""
    lines = []
    for label, report in reports.items():
        own = report["classifier"]
        line = _composed(f"Compared {label}", own["squares"]["composition"])
        if "areas" in own:
            line += f" By whole areas: the same chips, in {own['areas']['composition']['groups']['simulated']} groups."
        lines.append(line)
    return "\n\n".join(lines)


def _composed(title: str, says: Mapping[str, Any]) -> str:
    """The chips of one contest."""
    of = says["real_groups"]
    kinds = ", ".join(f"{n} {kind} (of {of[kind]} *real* groups)" for kind, n in says["each_side"].items() if n)
    groups = f"{says['groups']['real']} groups of *real* and {says['groups']['simulated']} of *simulated* chips"
    return f"{title}: {kinds} on each side; {groups}, {says['folds']} folds."


def differences(reports: Reports, part: str) -> str:
    """Differences of log reflectance by band or class."""
    names = list(dict.fromkeys(n for r in reports.values() for n in r["differences"][part]))
    if part == "band":
        names = [n for n in BANDS if n in names]
    rows = [
        [label, *(_two(r["differences"][part].get(n)) for n in names), _two(r["differences"]["all"])]
        for label, r in reports.items()
    ]
    if part == "band" and len(reports) > 1:
        shared = [n for n in names if all(n in r["differences"][part] for r in reports.values())]
        for row, r in zip(rows, reports.values(), strict=True):
            row.append(_two(sum(r["differences"][part][n] for n in shared) / len(shared)))
        return table(["simulated", *names, "all", f"the {len(shared)} bands that both have"], rows)
    return table(["simulated", *names, "all"], rows)


def _two(value: float | None) -> str:
    """Two digits, or nothing."""
    return "" if value is None else f"{value:.2f}"


def slopes(reports: Reports, sides: Sequence[str]) -> str:
    """Slopes of the power spectrum by kind of chip and band."""
    found = series_of(reports, "texture")
    kinds = list(found["real"])
    bands = [b for b in ("B02", "B04", "B08", "B11") if b in found["real"]["all"]]
    rows = [
        [kind, name_of(side), *(f"{found[side][kind][b]['slope']:.2f}" for b in bands)]
        for kind in kinds
        for side in sides
        if kind in found[side]
    ]
    return table(["chips", "side", *(f"{b}: slope" for b in bands)], rows)


def season_table(reports: Reports) -> str:
    """Amplitude and scatter."""
    rows = []
    for side, f in series_of(reports, "season").items():
        if f:
            peak = f["day"][f["ndvi"].index(max(f["ndvi"]))]
            rows.append(
                [name_of(side), f"{max(f['ndvi']):.2f}", f"{min(f['ndvi']):.2f}", peak]
                + [f"{f[key]:.3f}" for key in ("scatter", "of_dates", "of_pixels")]
            )
    head = ["side", "highest", "lowest", "day of the highest", "scatter", "of it: of whole dates", "of pixels"]
    return table(head, rows)


def fires_table(reports: Reports) -> str:
    """Means over fires."""
    rows = []
    for side, f in series_of(reports, "fire_summary").items():
        if f.get("fires"):
            rows.append(
                [name_of(side), f["fires"]]
                + [f"{f[w + '_median']:.2f}" for w in ("inside", "outside")]
                + [f"{f[w + '_mean']:.2f} ± {f[w + '_between_fires']:.2f}" for w in ("inside", "outside")]
                + [f"{f[w + '_5_to_95']:.2f}" for w in ("inside", "outside")]
                + [f"{f['more_inside']} of {f['fires']}"]
            )
    head = ["side", "fires", "median fire inside", "outside", "mean inside ± between fires", "mean outside"]
    return table([*head, "5 to 95 % inside a fire", "outside", "more inside than outside"], rows)


def skies_table(reports: Reports) -> str:
    """Shares of dates."""
    found = series_of(reports, "skies")
    names = list(found["real"]["share"])
    rows = [[name_of(side), f["dates"], *(f"{f['share'][n]:.2f}" for n in names)] for side, f in found.items()]
    return table(["side", "dates", *names], rows)
