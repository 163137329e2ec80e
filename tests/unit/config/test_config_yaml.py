"""YAML text to data and lines; hostile and broken files."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mlperf_audit.config.yaml_reader import MAX_BYTES, read_yaml
from pytest_mlperf_audit.config.yaml_source import YamlSource
from pytest_mlperf_audit.errors import ConfigError


def read(text: str | bytes) -> YamlSource:
    return read_yaml(text if isinstance(text, bytes) else text.encode(), "f.yaml")


def fault(text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


def test_every_key_and_item_knows_its_line():
    source = read("a: 1\nb:\n  c:\n    - x\n    - d: 2\n      e: {f: 3}\n")
    assert source.data == {"a": 1, "b": {"c": ["x", {"d": 2, "e": {"f": 3}}]}}
    assert source.lines == {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 3,
        ("b", "c", 0): 4,
        ("b", "c", 1): 5,
        ("b", "c", 1, "d"): 5,
        ("b", "c", 1, "e"): 6,
        ("b", "c", 1, "e", "f"): 6,
    }


text = st.text(max_size=8)
numbers = st.integers(min_value=1 - 2**64, max_value=2**64 - 1)
plain = st.none() | st.booleans() | numbers | st.floats(allow_nan=False) | text
nested = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
)


@settings(deadline=None)
@given(st.dictionaries(text, nested, max_size=4))
def test_data_is_what_pyyaml_reads(data: dict[str, object]):
    text = yaml.safe_dump(data, allow_unicode=True)
    assert read(text).data == yaml.safe_load(text)


def test_a_large_file_is_read_alike():
    lines = [f"k{at}: [{at}, 'x: y', \"\\t\"]  # \u00e9\n" for at in range(4000)]
    source = read("a: &a {b: 1}\nc: {<<: *a, d: on}\n" + "".join(lines))
    assert source.data == yaml.safe_load("a: {b: 1}\nc: {b: 1, d: on}\n" + "".join(lines))
    assert source.line(("k3999", 1)) == 4002


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("a: [1\n", "f.yaml:30002: is not valid YAML"),
        ("a: *nowhere\n", "f.yaml:30001: is not valid YAML (found undefined alias)"),
        ("a: \x01\n", "f.yaml:30001: has a character that YAML does not allow"),
        ("b: " + "[" * 50_000, "f.yaml: is nested too deeply"),
        ("- " * 50_000, "f.yaml: is nested too deeply"),
        ("a: 1\n---\nb: 1\n", "f.yaml:30002: holds a second YAML document"),
    ],
)
def test_a_large_broken_file(end: str, message: str):
    assert fault("# \u00e9\n" * 30_000 + end).startswith(message)


def test_twenty_faults_are_told_and_the_others_counted():
    *told, last = fault("a: 1\n" * 1000).splitlines()
    assert told[-1] == "f.yaml:21: a: is given twice, first on line 1; keep one"
    assert (len(told), last) == (20, "f.yaml: 979 more faults, shown once these are mended")
    assert fault("a: 1\n" * 22).splitlines()[-1] == "f.yaml: 1 more fault, shown once these are mended"


@pytest.mark.parametrize("digits", ["9" * 4000, "-" + "9" * 4000, "9" * 40_000, "0x" + "f" * 4000, "0b" + "1" * 9999])
def test_a_number_of_thousands_of_digits_is_not_repeated(digits: str):
    message = fault(f"a:\n  - {digits}\n")
    assert message.startswith("f.yaml:2: a[0]: ")
    assert "put it in quotes" in message
    assert len(message) < 120


def test_on_and_dates_and_numbers_as_keys_stay_text():
    assert read("on: 1\n2: x\nd: 2024-01-01\n").data == {"on": 1, "2": "x", "d": "2024-01-01"}


def test_merge_keys_and_aliases():
    source = read(
        "base: &base {a: 1, b: 2}\nother: &other {b: 9, c: 3}\n"
        "one: {<<: *base, b: 5}\nmany:\n  <<: [*base, *other]\nsame: *base\n"
    )
    assert source.data["one"] == {"a": 1, "b": 5}
    assert source.data["many"] == {"a": 1, "b": 2, "c": 3}
    assert source.data["same"] == {"a": 1, "b": 2}
    assert source.line(("many", "c")) == 2


def test_bom_and_crlf():
    source = read(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert source.data == {"a": 1, "b": 2}
    assert source.line(("b",)) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.yaml: is empty; it needs at least 'type:' and 'model_params:'"),
        ("# nothing\n", "f.yaml: is empty; it needs at least 'type:' and 'model_params:'"),
        ("\n- a\n- b\n", "f.yaml:2: the top level must be a mapping of keys, as in 'type: offline'"),
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: a: is given twice, first on line 1; keep one"),
        ("x:\n  a: 1\n  a: 2\n", "f.yaml:3: x.a: is given twice, first on line 2; keep one"),
        ("a: !!python/object:os.system {}\n", "f.yaml:1: a: the tag !!python/object:os.system is not allowed"),
        ("a:\n  - !local 3\n", "f.yaml:2: a[0]: a tag ('!' before a value) is not allowed; take it out"),
        ("a: !!binary aGk=\n", "f.yaml:1: a: the tag !!binary is not allowed"),
        ("a: 1\n? [x]\n: 2\n", "f.yaml:2: : a key must be plain text"),
        (b"a: 1\nb: \xff\n", "f.yaml:2: is not UTF-8 text; save the file as UTF-8"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: holds a second YAML document; keep one to a file"),
        ("a: 1\nb: \x07\n", "f.yaml:2: has a character that YAML does not allow; take it out"),
        ("a: 1\nb: [1, 2\n", "f.yaml:3: is not valid YAML"),
        ("a: 1\n b: 2\n", "f.yaml:2: is not valid YAML"),
        ("a: [${X}]\n", "put ${...} in quotes inside [ ] or { }"),
        ("a: *nowhere\n", "f.yaml:1: is not valid YAML (found undefined alias)"),
        ("a: !!int x\n", "f.yaml:1: a: cannot be read as int; put it in quotes"),
        ("a: &a\n  b: *a\n", "is nested too deeply"),
        ("a: &a\n  <<: *a\n", "f.yaml: '<<' merges a mapping into itself"),
        ("a:\n  <<: 3\n", "f.yaml:2: a: '<<' takes a mapping or a list of mappings"),
    ],
)
def test_broken_files(text: str | bytes, message: str):
    assert message in fault(text)


def test_all_faults_of_a_file_are_told():
    assert fault("a: 1\na: 2\nb: !x y\n").splitlines() == [
        "f.yaml:2: a: is given twice, first on line 1; keep one",
        "f.yaml:3: b: a tag ('!' before a value) is not allowed; take it out",
    ]


def test_too_large_a_file():
    assert fault(b"#" * (MAX_BYTES + 1)) == "f.yaml: larger than 1 MiB; is this the configuration file?"
    assert read(b"a: 1\n#".ljust(MAX_BYTES, b"#")).data == {"a": 1}


def test_alias_bomb():
    levels = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{at}: &l{at} [{', '.join([f'*l{at - 1}'] * 10)}]" for at in range(1, 10)]
    assert "more than 100000 values once aliases are expanded" in fault("\n".join(levels))


def test_merge_bomb():
    levels = ["l0: &l0 {a: 1}"]
    levels += [f"l{at}: &l{at} {{<<: [{', '.join([f'*l{at - 1}'] * 10)}]}}" for at in range(1, 12)]
    assert fault("\n".join(levels)).startswith("f.yaml:")


@pytest.mark.parametrize(
    "text", ["a: " + "[" * 5000, "a: " + "[" * 41 + "]" * 41, "a: " + "{x: " * 45 + "1" + "}" * 45]
)
def test_deep_nesting(text: str):
    assert "is nested too deeply (more than 40 levels)" in fault(text)


def test_a_huge_number_is_refused_or_read():
    assert "put it in quotes" in fault("a: " + "9" * 5000)


def test_an_error_never_quotes_the_file():
    text = 'endpoint_config:\n  api_key: "hunter2\n  x: [}\n'
    assert "hunter2" not in fault(text)


def test_where_names_the_nearest_line_and_drops_the_index_of_a_block_that_stands_alone():
    source = read("audit:\n  test: a\ndatasets:\n  - name: x\n")
    assert source.where("audit", 0, "test") == "f.yaml:2: audit.test"
    assert source.where("audit", 0, "sample_index") == "f.yaml:1: audit.sample_index"
    assert source.where("datasets", 0, "samples") == "f.yaml:4: datasets[0].samples"
    assert source.where("settings", "runtime") == "f.yaml:1: settings.runtime"
    assert source.where() == "f.yaml:1"
