"""The page in a real browser that can reach no other machine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, sync_playwright

from bench.browser import STILL, find_chromium, open_browser, serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WAIT = 120_000
"""Milliseconds: a loaded machine is no failure."""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = find_chromium()
    if found is None:
        pytest.skip("Chromium is not installed: the page was not tried in a browser")
    return found


@pytest.fixture(scope="module")
def address(chromium: str, demo_store: Path) -> Iterator[str]:
    """The app over the small store, on a free port."""
    environ = {**os.environ, "AFTERIMAGE_DATA": str(demo_store.parent.parent)}
    environ.pop("AFTERIMAGE_STORE", None)
    with serve(environ) as address:
        yield address


@pytest.fixture(scope="module")
def refused() -> list[str]:
    """What the pages asked of other machines."""
    return []


@pytest.fixture(scope="module")
def context(chromium: str, refused: list[str]) -> Iterator[BrowserContext]:
    """A browser with an empty profile that reaches this machine alone."""
    with (
        sync_playwright() as playwright,
        open_browser(playwright, chromium, refused, viewport={"width": 1400, "height": 900}) as opened,
    ):
        yield opened


@pytest.fixture
def page(context, address: str):
    """A new tab with the page drawn."""
    tab = context.new_page()
    tab.goto(address)
    drawn(tab)
    yield tab
    tab.close()


def drawn(tab) -> None:
    tab.wait_for_selector(".st-key-compare [data-testid=stVegaLiteChart]", timeout=WAIT)
    chips(tab).first.wait_for(timeout=WAIT)
    still(tab)


def still(tab) -> None:
    """Wait until the script has ended; a click takes a quarter of a second to be sent."""
    tab.wait_for_timeout(600)
    tab.wait_for_function(STILL, timeout=WAIT)


def chips(tab):
    return tab.frame_locator("iframe").first.locator("path.leaflet-interactive")


def params(tab) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(tab.url).query).items()}


def test_everything_draws_without_internet(page, refused: list[str]) -> None:
    assert chips(page).count() > 40
    frame = page.frame_locator("iframe").first
    frame.locator(".leaflet-land-pane canvas").wait_for(state="attached", timeout=WAIT)
    picture = frame.locator("img.leaflet-image-layer")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 300")
    pictures = page.locator(".ai-frame img")
    assert pictures.count() == 8
    assert pictures.evaluate_all("all => all.every(image => image.complete && image.naturalWidth > 100)")
    assert refused == []


def test_a_card_shows_its_hit_and_the_address_follows(page) -> None:
    page.get_by_role("button", name="Show hit 3:").click()
    page.get_by_text("Similar change 3").first.wait_for(timeout=WAIT)
    still(page)
    hit = params(page)["hit"]
    page.get_by_role("button", name="Search from this").click()
    page.wait_for_function(f"location.search.includes('event={hit}')", timeout=WAIT)


def test_the_keyboard_opens_a_place_to_start_from(page) -> None:
    assert page.locator(".st-key-gallery img").evaluate_all("all => all.every(image => image.naturalWidth > 100)")
    first = params(page)["event"]
    page.get_by_role("button", name="Start from: ").nth(0).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function(f"!location.search.includes('event={first}')", timeout=WAIT)
    still(page)
    assert page.locator(".ai-tile").nth(1).evaluate("tile => tile.classList.contains('ai-on')")
    assert page.locator(".ai-title", has_text="Similar change").count() == 1


def test_the_rim_of_a_ring_on_the_map_opens_its_place(page) -> None:
    rings = page.frame_locator("iframe").first.locator('path[stroke="#FFFFFF"][stroke-width="2"]')
    starts = page.get_by_role("button", name="Start from: ")
    assert rings.count() == starts.count() > 3
    first, number = params(page)["event"], rings.count() - 1
    box = rings.nth(number).bounding_box()
    page.mouse.click(box["x"] + 1.5, box["y"] + box["height"] / 2)
    page.wait_for_function(f"!location.search.includes('event={first}')", timeout=WAIT)
    still(page)
    assert page.locator(".ai-tile").nth(number).evaluate("tile => tile.classList.contains('ai-on')")


def free_chip(page):
    """A hit on the map that no other chip covers: hits of one place lie on top of each other."""
    count = chips(page).count()
    boxes = [chips(page).nth(n).bounding_box() for n in range(count)]
    for n in range(count - 3, -1, -1):  # the picked one is last, hit 1 next
        x, y = boxes[n]["x"] + boxes[n]["width"] / 2, boxes[n]["y"] + boxes[n]["height"] / 2
        others = [box for k, box in enumerate(boxes) if k != n]
        if not any(b["x"] <= x <= b["x"] + b["width"] and b["y"] <= y <= b["y"] + b["height"] for b in others):
            return chips(page).nth(n)
    raise AssertionError("every hit is covered by another")


def test_a_chip_on_the_map_can_be_clicked(page) -> None:
    first = params(page)["hit"]
    free_chip(page).click(force=True)
    page.wait_for_function(f"!location.search.includes('hit={first}')", timeout=WAIT)
    still(page)
    assert page.locator(".ai-title", has_text="Similar change").count() == 1


def test_panning_the_map_sends_nothing(context, address: str) -> None:
    tab = context.new_page()
    sent: list[object] = []
    tab.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    tab.goto(address)
    drawn(tab)
    tab.wait_for_timeout(1000)
    before = len(sent)
    assert before > 0
    box = tab.locator("iframe").first.bounding_box()
    tab.mouse.move(box["x"] + 300, box["y"] + 200)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 200, box["y"] + 150, steps=5)
    tab.mouse.up()
    tab.wait_for_timeout(1500)
    assert len(sent) == before
    tab.close()


def test_a_link_restores_the_view(page, context) -> None:
    page.get_by_role("button", name="Show hit 2:").click()
    page.get_by_text("Similar change 2").first.wait_for(timeout=WAIT)
    still(page)
    again = context.new_page()
    again.goto(page.url)
    drawn(again)
    assert again.locator(".ai-title", has_text="Similar change 2").count() == 1
    assert params(again) == params(page)
    again.close()


def test_the_download_holds_the_hits(page) -> None:
    with page.expect_download(timeout=WAIT) as download:
        page.get_by_role("button", name="Download GeoJSON").click()
    content = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert content["type"] == "FeatureCollection"
    assert [feature["properties"]["rank"] for feature in content["features"]] == list(range(1, 41))


def test_the_hits_can_follow_the_map(page) -> None:
    page.get_by_text("Only what the map shows").click()
    page.wait_for_function("location.search.includes('place=')", timeout=WAIT)
    chips(page).first.wait_for(timeout=WAIT)
    wide = params(page)["place"]
    page.frame_locator("iframe").first.locator(".leaflet-control-zoom-in").click()
    page.wait_for_function(f"!location.search.includes(encodeURIComponent('{wide}'))", timeout=WAIT)
    west, _, east, _ = map(float, params(page)["place"].split(","))
    assert east - west < float(wide.split(",")[2]) - float(wide.split(",")[0])


def test_a_phone_shows_the_page_without_scrolling_sideways(page) -> None:
    page.set_viewport_size({"width": 420, "height": 900})
    page.wait_for_timeout(800)
    wide = page.evaluate(
        "document.querySelector('.stMain').scrollWidth - document.querySelector('.stMain').clientWidth"
    )
    assert wide <= 0
    gallery = page.locator(".st-key-gallery")
    assert gallery.evaluate("row => row.scrollWidth - row.clientWidth") > 100  # the row of places scrolls by itself
    assert gallery.bounding_box()["height"] < 150


@pytest.mark.parametrize("side_bar", [False, True])
def test_a_tablet_shows_logo_and_cards_beside_the_side_bar(page, side_bar: bool) -> None:
    page.set_viewport_size({"width": 768, "height": 1000})
    unfold = page.get_by_test_id("stExpandSidebarButton")
    unfold.wait_for(timeout=WAIT)
    if side_bar:
        for _ in range(20):  # a click while the page is still folding the bar away is lost
            if not unfold.count():
                break
            unfold.click()
            page.wait_for_timeout(1500)
        assert unfold.count() == 0
    page.wait_for_timeout(1000)  # it slides
    if not side_bar:
        arrow, logo = unfold.bounding_box(), page.locator(".ai-mark").bounding_box()
        assert arrow["x"] + arrow["width"] <= logo["x"]
    text = page.locator(".ai-card .ai-text").first
    assert text.bounding_box()["width"] > 80
    assert text.bounding_box()["height"] <= page.locator(".ai-card").first.bounding_box()["height"]
