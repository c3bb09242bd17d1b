"""What labels and selectors may look like, asked by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from raynb._private import label_utils as labels

pytestmark = pytest.mark.usefixtures("raynb_only")


def test_labels_are_read_from_text() -> None:
    assert labels.parse_node_labels_string("") == {}
    assert labels.parse_node_labels_string("ray.io/kind=A100, region=") == {"ray.io/kind": "A100", "region": ""}
    for wrong, words in (("a=b=c", "not a key-value pair"), ("a=b,", "not a key-value pair"), ("-a=b", "key name")):
        with pytest.raises(ValueError, match=words):
            labels.parse_node_labels_string(wrong)


def test_labels_are_read_from_json() -> None:
    assert labels.parse_node_labels_json('{"region": "us", "zone": ""}') == {"region": "us", "zone": ""}
    for wrong, words in (
        ('{"a": 5}', 'The value of "a" is not string type'),
        ("[]", "not a key-value pair map"),
        ('{"ray.io/kind": "A100"}', "reserved for Ray defined labels"),
        ("{5: 6}", "Expecting property name"),
    ):
        with pytest.raises(ValueError, match=words):
            labels.parse_node_labels_json(wrong)


def test_labels_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.yaml"
    path.write_text('"ray.io/kind": A100\nregion: us\n')
    assert labels.parse_node_labels_from_yaml_file(str(path)) == {"ray.io/kind": "A100", "region": "us"}
    for wrong, words in (("", "not a key-value pair map"), ("{100: a}", "key is not string type"), ("a: '?'", "value")):
        path.write_text(wrong)
        with pytest.raises(ValueError, match=words):
            labels.parse_node_labels_from_yaml_file(str(path))


def test_what_is_no_label_is_refused() -> None:
    labels.validate_node_label_syntax({"accelerator-type": "A100", "empty": ""})
    for name, value, words in (("!a/b", "c", "key prefix"), ("!a", "c", "key name"), ("a", "_c", "key value")):
        with pytest.raises(ValueError, match=f"Invalid label {words}"):
            labels.validate_node_label_syntax({name: value})
    assert labels.validate_label_key("region") is None
    assert "Invalid label key name" in (labels.validate_label_key("a" * 64) or "")


def test_selectors_are_checked() -> None:
    assert labels.validate_label_selector(None) is None
    assert labels.validate_label_selector({"region": "!in(us, eu)"}) is None
    assert "key name" in (labels.validate_label_selector({"": "a"}) or "")
    assert labels.validate_label_selector_value("!GPU") is None
    assert "selector value" in (labels.validate_label_selector_value("in()") or "")
    fallback = labels.validate_fallback_strategy
    assert fallback(None) is fallback([{"label_selector": {"region": "us"}}]) is None
    assert "Empty" in (fallback([{}]) or "")
    assert "Unsupported option found: 'memory'" in (fallback([{"memory": 5}]) or "")
    assert "must be a dictionary" in (fallback([{"label_selector": 5}]) or "")
    assert "selector value" in (fallback([{"label_selector": {"a": "-b"}}]) or "")


@pytest.mark.parametrize(
    ("value", "wanted", "matches"),
    [
        ("us", "us", True),
        ("eu", "us", False),
        (None, "us", False),
        ("us", "!eu", True),
        (None, "!eu", True),
        ("us", "in(us, eu)", True),
        (None, "in(us)", False),
        ("us", "!in(us, eu)", False),
        ("us", None, False),
    ],
)
def test_a_label_is_matched(value: str | None, wanted: str | None, matches: bool) -> None:
    assert labels.match_label_selector_value(value, wanted) is matches
    if wanted is not None:
        own = {} if value is None else {"region": value}
        assert labels.match_label_selector(own, {"region": wanted}) is matches
