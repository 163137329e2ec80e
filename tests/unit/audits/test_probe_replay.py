"""Records of a probe are judged only when they are what its seed plans."""

from __future__ import annotations

import copy

import msgspec
import pytest

from pytest_mlperf_audit.audits.probe.plan import _plain, as_planned
from pytest_mlperf_audit.errors import NoVerdictError
from pytest_mlperf_audit.runs.order import Scripted
from pytest_mlperf_audit.runs.spec import Concurrency, RunSpec

SINGLE = {"api_type": "videogen"}


def spec_of(done, seed=1):
    return RunSpec(
        label="cache_probe",
        n_samples=done.probe.most(),
        order=Scripted(parameters=_plain(done.probe)),
        load=Concurrency(target=1),
        nonce_seed=seed,
    )


def records_of(done):
    return copy.deepcopy(done.sut.records)


@pytest.mark.parametrize("keys", [{}, SINGLE, {"load": Concurrency(target=8)}], ids=["groups", "single", "bursts"])
@pytest.mark.parametrize("cache", ["none", "exact"])
def test_what_was_sent_is_taken_in_any_order(probed, keys, cache):
    done = probed({}, {"cache": cache, "lanes": 4}, **keys)
    records = records_of(done)
    assert as_planned(spec_of(done), reversed(records)) == records


def test_another_seed_s_are_not(probed):
    done = probed()
    with pytest.raises(NoVerdictError, match="not those that its seed plans"):
        as_planned(spec_of(done, seed=2), records_of(done))


def test_exchanged_tags_are_named(probed):
    done = probed({}, {"cache": "exact"})
    records = records_of(done)
    again, twin = (next(one for one in records if one.tag.endswith(arm)) for arm in ("/R.a", "/Y"))
    again.tag, twin.tag = twin.tag, again.tag
    with pytest.raises(NoVerdictError, match=r"m0/.* where m0/.* was due"):
        as_planned(spec_of(done), records)


def test_a_record_of_before_may_be_whole_all_the_same(probed):
    """An older version looked at other things when it decided whether to go on."""
    done = probed()
    spec = spec_of(done)
    with pytest.raises(NoVerdictError) as told:
        as_planned(spec, records_of(done)[:-1])
    assert "older version" not in str(told.value)
    before = msgspec.structs.replace(spec, order=Scripted(parameters=spec.order.parameters | {"max_burst": 0}))
    with pytest.raises(NoVerdictError, match="of an older version, which judged otherwise when a probe may end"):
        as_planned(before, records_of(done)[:-1])


@pytest.mark.parametrize("keep", [slice(None, -1), slice(1, None), slice(0)], ids=["end cut", "start cut", "empty"])
def test_missing_records_are_named(probed, keep):
    done = probed()
    with pytest.raises(NoVerdictError, match="cache_probe: its queries are not those"):
        as_planned(spec_of(done), records_of(done)[keep])


def test_a_record_too_many_is_named(probed):
    done = probed()
    records = records_of(done)
    extra = copy.deepcopy(records[-1])
    extra.query += 1
    with pytest.raises(NoVerdictError, match="queries where"):
        as_planned(spec_of(done), [*records, extra])


@pytest.mark.parametrize("keys", [{}, SINGLE], ids=["groups", "single"])
def test_a_repeat_that_was_sent_as_other_bytes_is_named(probed, keys):
    done = probed({}, {}, **keys)
    records = records_of(done)
    next(one for one in records if "/R" in one.tag).request = "0" * 32
    with pytest.raises(NoVerdictError, match="was not sent as the same bytes"):
        as_planned(spec_of(done), records)


@pytest.mark.parametrize("keys", [{}, SINGLE], ids=["groups", "single"])
def test_an_adapter_that_leaves_edits_out_is_named(probed, keys):
    done = probed({}, {}, **keys)
    records = records_of(done)
    for record in records:
        record.request = "0" * 32
    with pytest.raises(
        NoVerdictError, match="too few values to have so many twins, or the endpoint adapter must apply the edit"
    ):
        as_planned(spec_of(done), records)


def without_its_mark(records):
    for record in records:
        record.tag = record.tag.replace("+/", "/")
    return records


def slower_again(records):
    for record in records:
        record.completed_ns += 10**8 if "+/R" in record.tag else 0
    return records


@pytest.mark.parametrize(
    ("edit", "changes", "why"),
    [
        (lambda records: records[:16], {}, "it ends where s0[+]/prime was due"),
        (lambda records: records[:-1], {}, "it ends where s1[+]/. was due"),
        (without_its_mark, {}, "s0/prime of row .* where s0[+]/prime"),
        (lambda records: [*records, *copy.deepcopy(records[16:])], {}, "46 queries where 31 were due"),
        (slower_again, {}, "it ends where s2[+]/. was due"),
        (lambda records: records, {"again": False}, "31 queries where 16 were due"),
    ],
    ids=["removed", "cut", "unmarked", "copied", "slower", "not planned"],
)
def test_an_edited_second_series_has_no_verdict(probed, edit, changes, why):
    done = probed({}, {"slowed": lambda step, *_: 0.7 if step.tag.endswith("/R") else 1.0}, **SINGLE)
    records = records_of(done)
    assert len(records) == 31
    edited = edit(records)
    for number, record in enumerate(edited):
        record.query = number
    spec = spec_of(done)
    order = Scripted(parameters={**spec.order.parameters, **changes})
    with pytest.raises(NoVerdictError, match=why):
        as_planned(msgspec.structs.replace(spec, order=order), edited)
