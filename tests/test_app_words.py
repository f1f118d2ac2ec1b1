"""How dates, numbers and events are written."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from app.words import count_text, day_text, event_title, file_stem, interval_text, markdown_text, number_text


def test_days_are_utc_days() -> None:
    assert day_text("2023-08-12T23:30:00-07:00") == "13 Aug 2023"


def test_an_interval_says_a_shared_year_once() -> None:
    assert interval_text("2023-07-03", "2023-08-12") == "3 Jul → 12 Aug 2023"
    assert interval_text("2022-12-30", "2023-01-12") == "30 Dec 2022 → 12 Jan 2023"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (float("inf"), "–"), (0.12345, "0.123"), (7.0956, "7.1"), (1234.5, "1234")],
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("label", "title"), [("clear_cut", "Clear cut"), (None, ""), (float("nan"), ""), ("  ", ""), ("é_t", "É t")]
)
def test_a_label_becomes_a_title(label: object, title: str) -> None:
    assert event_title(pd.Series({"label": label})) == title


def test_counts_agree_with_their_noun() -> None:
    assert [count_text(n, "change") for n in (0, 1, 12345)] == ["0 changes", "1 change", "12,345 changes"]


def test_a_file_name_holds_no_surprises() -> None:
    assert file_stem("../../é <b>x</b>") == "b-x-b"
    assert file_stem("///") == "hits"


@pytest.mark.parametrize(
    "text", ["![x](http://a/b.png)", "[x](http://a)", "<img src=x>", ":red[x]", "$x$", "`x`", "a\\![x](y)"]
)
def test_data_cannot_format_a_message(text: str) -> None:
    safe = markdown_text(text)
    assert safe != text
    assert not re.search(r"(?<!\\)(\\\\)*[\[\]<>$`]", safe)  # each mark has an odd number of backslashes before it
    assert re.sub(r"\\(.)", r"\1", safe) == text  # and it reads as it was


def test_ordinary_sentences_stay_as_they_are() -> None:
    text = "the store demo is unfinished (expected 12:30, a_b-c): run it again"
    assert markdown_text(text) == text
