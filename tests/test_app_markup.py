"""The page's own HTML: what comes from data cannot become markup."""

from __future__ import annotations

from html.parser import HTMLParser

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from app.imagery import SHORT_WAVE, TRUE_COLOUR, Composite, Shot
from app.mappanel import find_clicked
from app.mapview import EVENT_RAMP, chip_layer, ramp_colours
from app.markup import Pair, banner_html, card_html, head_html, legend_html, strip_html, tile_html, title_html

EVIL = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


class Tags(HTMLParser):
    """Collects the tags and the text of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def parse(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    return tags


def new_events(labels: list[str | None]) -> gpd.GeoDataFrame:
    count = len(labels)
    return gpd.GeoDataFrame(
        {
            "event_id": [f"e{i}" for i in range(count)],
            "location_id": [f"l{i}" for i in range(count)],
            "time_before": pd.to_datetime(["2021-05-01"] * count, utc=True),
            "time_after": pd.to_datetime(["2021-09-01"] * count, utc=True),
            "magnitude": np.arange(count, dtype=float),
            "change_ratio": [np.nan] * count,
            "label": labels,
        },
        geometry=[shapely.box(i, 0, i + 1, 1) for i in range(count)],
        crs=4326,
    )


NASTY = Composite("x", EVIL, (("B04", "B03", "B02"),), {}, 1)
SHOT, NOTE = Shot("data:image/png;base64,AA=="), Shot(None, EVIL)


@pytest.mark.parametrize(
    "text",
    [
        head_html([EVIL]),
        title_html(EVIL, [EVIL], EVIL),
        card_html(new_events([EVIL]).iloc[0], EVIL, (SHOT, NOTE), on=False),
        tile_html(new_events([EVIL]).iloc[0], (SHOT, NOTE), on=True),
        strip_html([Pair(NASTY, (SHOT, NOTE))], pd.Timestamp(0), pd.Timestamp(0), 0.3),
    ],
)
def test_labels_cannot_inject_markup(text: str) -> None:
    tags = parse(text)
    assert "script" not in tags.tags
    assert tags.tags.count("img") == text.count("<img src=")
    assert "<img src=x" not in text
    assert "onerror" in text  # it is there, as text


def test_map_tooltips_cannot_inject_markup() -> None:
    layer = chip_layer(shapely.box(0, 0, 4, 4), events=new_events([EVIL, "a"]), hits=None, picked=None, shown=None)
    data = next(iter(layer._children.values())).data
    assert all("<img" not in feature["properties"]["tip"] for feature in data["features"])
    assert any("&lt;Img" in f["properties"]["tip"] or "&lt;img" in f["properties"]["tip"] for f in data["features"])


def test_a_card_of_a_hit_shows_rank_score_dates_and_label() -> None:
    row = new_events(["clear_cut"]).assign(rank=3, score=0.98765).iloc[0]
    text = parse(card_html(row, "#FFFFFF", (SHOT, SHOT), on=True)).text
    assert "3 · Clear cut" in text
    assert "0.988" in text
    assert "1 May → 1 Sep 2021" in text
    assert "ratio\u00a0–" in text


@pytest.mark.parametrize(("label", "title"), [("solar_farm", "Solar farm"), (None, "Change, ratio\u00a0–")])
def test_a_tile_says_what_changed_and_when(label: str | None, title: str) -> None:
    text = parse(tile_html(new_events([label]).iloc[0], (SHOT, SHOT), on=False)).text
    assert text == f"{title}1 May → 1 Sep 2021"


def test_pictures_have_a_text_for_those_who_do_not_see_them() -> None:
    text = strip_html([Pair(TRUE_COLOUR, (SHOT, SHOT))], pd.Timestamp("2021-05-01"), pd.Timestamp("2021-09-01"), 0.25)
    assert 'alt="True colour, before, 1 May 2021"' in text
    assert 'alt="True colour, after, 1 Sep 2021"' in text
    assert "inset:37.50%" in text


def test_a_picture_that_cannot_be_had_leaves_its_sentence() -> None:
    pair = Pair(TRUE_COLOUR, (Shot(None, "The pixels could not be read: gone."), SHOT))
    text = strip_html([pair], pd.Timestamp(0), pd.Timestamp(0), 0.3)
    assert "<p>The pixels could not be read: gone.</p>" in text


def test_two_pictures_of_unlike_bands_each_bear_their_name() -> None:
    near = Shot("data:image/png;base64,AA==", "B12 could not be read", ("B08", "B04", "B03"))
    short = Shot("data:image/png;base64,AA==", None, ("B12", "B08", "B04"))
    text = strip_html([Pair(SHORT_WAVE, (short, near))], pd.Timestamp(0), pd.Timestamp(0), 0.3)
    assert text.count('class="ai-kind"') == 2
    assert ">Near infrared<" in text
    text = strip_html([Pair(SHORT_WAVE, (short, short))], pd.Timestamp(0), pd.Timestamp(0), 0.3)
    assert text.count('class="ai-kind"') == 1


def test_the_banner_says_simulated() -> None:
    assert "SIMULATED imagery" in parse(banner_html()).text


def test_the_legend_names_what_is_on_the_map() -> None:
    assert "similar" in legend_html(True)
    assert "similar" not in legend_html(False)
    assert "place to start from" in legend_html(False)


def test_colours_run_from_the_smallest_to_the_largest() -> None:
    colours = ramp_colours(np.array([5.0, np.nan, 1.0, 3.0]), EVENT_RAMP)
    assert colours == [EVENT_RAMP[2], EVENT_RAMP[0], EVENT_RAMP[0], EVENT_RAMP[1]]


def test_equal_values_and_none_at_all_have_colours_too() -> None:
    assert ramp_colours(np.array([2.0, 2.0]), EVENT_RAMP) == [EVENT_RAMP[2]] * 2
    assert ramp_colours(np.array([]), EVENT_RAMP) == []


def test_a_click_finds_the_first_layer_that_holds_it() -> None:
    hits, events = new_events(["a", "b"]), new_events(["c", "d", "e"])
    events["event_id"] = ["f0", "f1", "f2"]
    assert find_clicked(1.5, 0.5, hits, events) == "e1"
    assert find_clicked(2.5, 0.5, hits, events) == "f2"
    assert find_clicked(362.5, 0.5, hits, events) == "f2"
    assert find_clicked(9.5, 0.5, hits, None, events) is None
