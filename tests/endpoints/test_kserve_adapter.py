"""`kserve_v2`: rows to tensors on the wire, twins of them, and replies of real servers read."""

from __future__ import annotations

import json
import re
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st
from pydantic import ValidationError

from pytest_mlperf_audit.config.model_params import ModelParams
from pytest_mlperf_audit.config.tensors import TensorInput, Tensors
from pytest_mlperf_audit.endpoints.base import BadReplyError
from pytest_mlperf_audit.endpoints.numbers.kserve import KServeAdapter
from pytest_mlperf_audit.endpoints.numbers.tensors import DTYPES, TensorError, edited, tensor
from pytest_mlperf_audit.runs.script import NO_EDIT, Edit

TWIN = Edit(lead="ocean lamp", in_place=True)
HEADER = "Inference-Header-Content-Length"


def adapter(*inputs, name="resnet50", version=None, batch_size=1, **tensors):
    given = inputs or ({"name": "x", "shape": [4]},)
    return KServeAdapter(
        ModelParams(name=name, version=version, batch_size=batch_size, tensors=Tensors(inputs=given, **tensors))
    )


def parts(of, row, edit=NO_EDIT):
    """The JSON of a binary request, and what stands behind it."""
    body = bytes(of.encode(row, edit))
    end = int(of.headers[HEADER])
    return json.loads(body[:end]), body[end:]


def decode(body, headers=None, *, of=None, keep_output=False):
    decoder = (of or adapter()).decoder(keep_output=keep_output)
    decoder.on_head({name.lower(): value for name, value in (headers or {}).items()})
    for at in range(0, len(body), 7):
        decoder.feed(body[at : at + 7], 0)
    return decoder.finish()


def refusal(body, headers=None):
    with pytest.raises(BadReplyError) as caught:
        decode(body, headers)
    return caught.value


def said(**document):
    return json.dumps({"model_name": "resnet50", "model_version": "1", **document}).encode()


def output(name="y", shape=(1, 2), datatype="FP32", data=(0.25, 0.75)):
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": list(data)}


def test_paths_name_the_model_and_its_version():
    assert adapter(name="a/b c").path == "/v2/models/a%2Fb%20c/infer"
    assert adapter(version="3").path == "/v2/models/resnet50/versions/3/infer"
    assert adapter(version="3").metadata_path() == "/v2/models/resnet50/versions/3"


def test_a_binary_request_has_its_elements_behind_json_of_one_length():
    document, elements = parts(adapter(), {"x": [1, 2, 3, 4]})
    assert document == {
        "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": 16}}],
        "parameters": {"binary_data_output": True},
    }
    assert struct.unpack("<4f", elements) == (1, 2, 3, 4)
    assert adapter().headers[HEADER] == "256"


def test_outputs_that_are_asked_for_come_as_bytes():
    document, _ = parts(adapter(outputs=["label"]), {"x": [1, 2, 3, 4]})
    assert document["outputs"] == [{"name": "label", "parameters": {"binary_data": True}}]
    assert "parameters" not in document


def test_a_json_request_has_numbers():
    of = adapter(encoding="json", outputs=["label"])
    assert json.loads(of.encode({"x": [[1, 2], [3, 4.5]]})) == {
        "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1.0, 2.0, 3.0, 4.5]}],
        "outputs": [{"name": "label"}],
    }
    assert of.headers["Content-Type"] == "application/json"
    assert HEADER not in of.headers


def test_batches_have_the_rows_of_one_query_behind_each_other():
    of = adapter(batch_size=3)
    document, elements = parts(of, {"rows": [{"x": [row] * 4} for row in (1, 2, 3)]}, TWIN)
    assert document["inputs"][0]["shape"] == [3, 4]
    sent = np.frombuffer(elements, "<f4").reshape(3, 4)
    assert (sent != [[1], [2], [3]]).any(axis=1).all(), "every row of a twin's batch differs"
    assert np.allclose(sent, [[1], [2], [3]], rtol=1e-3)


def test_texts_are_bytes_and_their_twins_have_other_words():
    of = adapter({"name": "text", "shape": [1], "datatype": "BYTES"}, batched=False)
    assert of.twins == ""
    assert of.n_words({"text": "a red kite"}) == 3
    document, elements = parts(of, {"text": "a red kite"})
    assert document["inputs"][0]["shape"] == [1]
    assert elements == b"\x0a\x00\x00\x00a red kite"
    assert parts(of, {"text": "a red kite over the sea"}, TWIN)[1][4:].startswith(b"ocean lamp")


def test_only_the_input_that_varies_differs_in_a_twin():
    ids = {"name": "ids", "shape": [8], "datatype": "INT64"}
    mask = {"name": "mask", "shape": [8], "datatype": "INT64"}
    of = adapter(mask, ids, vary="ids")
    row = {"ids": [5, 0, 7, 8, 9, 10, 11, 12], "mask": [1] * 8}
    plain, changed = parts(of, row)[1], parts(of, row, TWIN)[1]
    assert changed[:64] == plain[:64]
    own, twin = (np.frombuffer(one[64:], "<i8") for one in (plain, changed))
    assert (twin != own).sum() == 4
    assert all(new == old - 1 or (old == 0 and new == 1) for new, old in zip(twin, own, strict=True) if new != old)


@pytest.mark.parametrize("suffix", [".npy", ".raw"])
def test_files_are_mapped_and_a_twin_is_the_file_but_for_a_few_bytes(tmp_path, suffix):
    array = np.linspace(-1, 1, 3 * 8 * 8, dtype="<f4").reshape(3, 8, 8)
    path = tmp_path / f"a{suffix}"
    np.save(path, array) if suffix == ".npy" else path.write_bytes(array.tobytes())
    of = adapter({"name": "x", "shape": [3, 8, 8]})
    of.directories = [tmp_path]
    row = {"x": path.name}
    assert of.problem(row) is None
    assert parts(of, row)[1] == array.tobytes()
    assert isinstance(tensor(path.name, of.params.tensors.inputs[0], of.find).base, np.memmap)
    twin = np.frombuffer(parts(of, row, TWIN)[1], "<f4")
    steps = np.abs(twin.view("<i4").astype(np.int64) - array.reshape(-1).view("<i4"))
    assert (steps > 0).sum() == 4
    assert steps.max() <= 64


@pytest.mark.parametrize("datatype", DTYPES)
@given(data=st.data())
def test_twins_are_equal_by_their_edit_differ_from_the_row_and_stay_numbers(datatype, data):
    given = TensorInput(name="x", shape=(16,), datatype=datatype)
    values = data.draw(np_st.arrays(DTYPES[datatype], 16))
    array, changes = edited(values, given, TWIN)
    assert array is values
    assert edited(values, given, TWIN)[1] == changes
    twin = bytearray(values.tobytes())
    for at, changed in changes:
        twin[at : at + len(changed)] = changed
    assert twin != values.tobytes()
    if datatype.startswith("FP"):
        was, now = (np.isfinite(np.frombuffer(one, DTYPES[datatype])) for one in (values.tobytes(), bytes(twin)))
        assert (was == now).all()


@pytest.mark.parametrize("datatype", DTYPES)
def test_many_twins_all_differ(datatype):
    given = TensorInput(name="x", shape=(64,), datatype=datatype)
    values = np.arange(64).astype(DTYPES[datatype])
    twins = {str(edited(values, given, Edit(lead=f"{number}"))[1]) for number in range(2000)}
    assert len(twins) == 2000


@pytest.mark.parametrize("datatype", DTYPES)
def test_a_made_up_input_is_noise_within_the_range_of_the_row(datatype):
    given = TensorInput(name="x", shape=(256,), datatype=datatype)
    values = (np.arange(256) % 100).astype(DTYPES[datatype])
    made, none = edited(values, given, Edit(text="river"))
    other, _ = edited(values, given, Edit(text="lake"))
    assert none == []
    assert (made.dtype, made.shape) == (values.dtype, values.shape)
    assert (made != other).any()
    if datatype not in ("BOOL", "BF16"):
        assert made.min() >= 0
        assert made.max() <= 99


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({}, r"no column 'x' for input 'x'; its columns are none: name one in column"),
        ({"image": "a.png"}, r"no column 'x' for input 'x'; its columns are 'image': name one"),
        ({"x": [1, 2]}, r"column 'x' has the shape \[2\], not \[4\] of model_params.tensors"),
        ({"x": [[1, 2], [3]]}, r"column 'x' is a list of lists of different lengths"),
        ({"x": ["a", "b", "c", "d"]}, r"column 'x' is neither numbers nor the path of a file"),
        ({"x": "none.npy"}, r"column 'x' cannot be read: no such file: none.npy; looked in"),
        ({"x": "short.raw"}, r"column 'x' has 3 bytes, in short.raw, which are not FP32 of shape \[4\]"),
        ({"x": ""}, r"column 'x' cannot be read: the path is empty; write the file's path there$"),
        ({"x": "folder"}, r"column 'x' cannot be read: folder is a folder; write the path of one file$"),
        (
            {"x": "bad.npy"},
            r"column 'x' cannot be read: it is cut or no .npy file, bad.npy; save the numbers again with",
        ),
        (
            {"x": "cut.npy"},
            r"column 'x' cannot be read: it is cut or no .npy file, cut.npy; save the numbers again with",
        ),
        ({"x": "none/cut.npy"}, r"column 'x' cannot be read: no such file: none/cut.npy; looked in"),
        ({"x": "pickled.npy"}, r"column 'x' cannot be read: it holds Python objects, pickled.npy; save the numbers"),
        ({"x": "a.png"}, r"column 'x' is an image, a.png; say what is made of it: preprocess: resnet50"),
        ({"x": [1e300, 1, 1, 1]}, r"column 'x' has numbers too large for FP32"),
    ],
)
def test_what_cannot_be_sent_is_said_in_a_sentence(tmp_path, row, problem):
    (tmp_path / "short.raw").write_bytes(b"abc")
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY nonsense")
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "whole.npy", np.zeros(400, dtype="<f4"))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:300])
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    of = adapter()
    of.directories = [tmp_path]
    assert re.match(problem, of.problem(row) or "nothing")


def test_of_a_batch_the_row_is_named_that_cannot_be_sent():
    rows = {"rows": [{"x": [1, 2, 3, 4]}, {"x": [1, 2]}]}
    assert adapter(batch_size=2).problem(rows) == (
        "row 2 of these 2: column 'x' has the shape [2], not [4] of model_params.tensors"
    )


def test_whole_numbers_are_not_made_of_fractions_or_of_larger_ones():
    of = adapter({"name": "x", "shape": [2], "datatype": "UINT8"})
    assert of.problem({"x": [1, 255]}) is None
    assert of.problem({"x": [1, 256]}) == "column 'x' has numbers that UINT8 does not hold"
    assert of.problem({"x": [0.5, 1.5]}) == "column 'x' has fractions, or their type, where UINT8 is asked for"


def test_json_has_no_number_for_nan(tmp_path):
    np.save(tmp_path / "nan.npy", np.array([1, 2, 3, np.nan], dtype="<f4"))
    of = adapter(encoding="json")
    of.directories = [tmp_path]
    assert "set encoding: binary" in str(of.problem({"x": "nan.npy"}))


def test_without_tensors_the_message_says_what_to_write():
    assert "name its inputs there" in str(KServeAdapter(ModelParams(name="m")).problem({"x": 1}))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"inputs": []}, "at least 1"),
        ({"inputs": [{"name": "x", "shape": [4]}] * 2}, "name 'x' twice"),
        ({"inputs": [{"name": "x", "shape": [4]}], "vary": "y"}, "the inputs are x"),
        ({"inputs": [{"name": "x", "shape": [4], "datatype": "BF16"}], "encoding": "json"}, "set encoding: binary"),
        ({"inputs": [{"name": "x", "shape": [2**16, 2**16]}]}, "more than"),
        ({"inputs": [{"name": "x", "shape": [4], "preprocess": "resnet50"}]}, r"\[224, 224, 3\] or \[3, 224, 224\]"),
        ({"inputs": [{"name": "x", "shape": [4]}], "outputs": ["a"], "label_output": "b"}, "not among the outputs"),
    ],
)
def test_tensors_that_make_no_sense_are_refused(tensors, message):
    with pytest.raises(ValidationError, match=message):
        Tensors(**tensors)


def test_a_json_and_a_binary_reply_of_the_same_outputs_have_one_digest():
    array = np.array([[0.1, 0.7, 0.2]], dtype="<f4")
    plain = said(outputs=[output("p", (1, 3), data=array.reshape(-1).tolist())], id="abc")
    described = {"name": "p", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}}
    head = said(outputs=[described])
    one = decode(plain, keep_output=True)
    other = decode(head + array.tobytes(), {HEADER: str(len(head))}, keep_output=True)
    assert one.digest == other.digest
    assert (one.id, other.id, one.model) == ("abc", None, "resnet50")
    assert one.output == other.output == "1"


def test_labels_are_read_of_probabilities_or_of_labels_with_their_offset():
    of = adapter(label_output="ArgMax:0", label_offset=-1)
    both = [output("p", (2, 2), data=[0.1, 0.9, 0.8, 0.2]), output("ArgMax:0", (2,), "INT64", [65, 970])]
    assert decode(said(outputs=both), of=of, keep_output=True).output == "64\n969"
    assert decode(said(outputs=both), keep_output=True).output == "1\n0"
    assert decode(said(outputs=both)).output is None


def test_ids_model_and_version_are_no_part_of_the_digest():
    one = decode(said(outputs=[output()], id="1"))
    other = decode(json.dumps({"model_name": "m2", "outputs": [output()], "id": "2"}).encode())
    assert one.digest == other.digest
    assert other.model == "m2"
    assert decode(said(outputs=[output(data=[0.25, 0.5])])).digest != one.digest
    assert decode(said(outputs=[output(name="z")])).digest != one.digest


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"Internal Server Error", "malformed"),
        (b'{"error":"unexpected shape"}', "server_error"),
        (b'{"detail":[{"msg":"field required"}]}', "server_error"),
        (b"{}", "malformed"),
        (b'{"outputs":[]}', "empty"),
        (said(outputs=[output(shape=(1, 3))]), "malformed"),
        (said(outputs=[output(shape=(0,), data=())]), "empty"),
        (said(outputs=[output(data=["a", "b"])]), "malformed"),
        (said(outputs=[output(data=[True, False])]), "malformed"),
        (said(outputs=[output(data=[1, None])]), "malformed"),
        (said(outputs=[{"name": "y", "shape": [1], "datatype": "FP32"}]), "malformed"),
        (said(outputs=[{"name": "y", "shape": [-1], "datatype": "FP32", "data": []}]), "malformed"),
        (said(outputs=["y"]), "malformed"),
    ],
)
def test_what_is_no_answer_is_a_failed_query(body, reason):
    assert refusal(body).reason == reason


def test_a_binary_reply_that_ends_early_or_late_is_a_failed_query():
    described = {"name": "p", "shape": [3], "datatype": "FP32", "parameters": {"binary_data_size": 12}}
    head = said(outputs=[described])
    told = {HEADER: str(len(head))}
    assert decode(head + bytes(12), told).digest
    assert refusal(head + bytes(8), told).reason == "truncated"
    assert refusal(head + bytes(16), told).reason == "malformed"
    assert refusal(head[:20], told).reason == "truncated"
    described["parameters"] = {"binary_data_size": 8}
    head = said(outputs=[described])
    assert refusal(head + bytes(8), {HEADER: str(len(head))}).reason == "malformed"


@given(st.binary(max_size=200), st.integers(-5, 300))
def test_no_bytes_make_the_decoder_raise_anything_else(body, length):
    with suppress(BadReplyError):
        decode(body, {HEADER: str(length)}, keep_output=True)


TRITON = {
    "name": "resnet50",
    "versions": ["1"],
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
}


@pytest.mark.parametrize(
    ("changes", "of", "problem"),
    [
        ({}, {}, None),
        ({"inputs": [], "outputs": []}, {}, None),
        ({"inputs": None}, {}, None),
        ({"versions": ["1", "2"]}, {"version": "3"}, "has the versions 1, 2; correct model_params.version"),
        (
            {"inputs": [{"name": "input:0", "datatype": "FP32", "shape": [-1, 4]}]},
            {},
            "has no input 'x'; its inputs are input:0; correct model_params.tensors",
        ),
        (
            {"inputs": [{"name": "x", "datatype": "UINT8", "shape": [-1, 4]}]},
            {},
            "takes input 'x' as UINT8, not FP32; correct model_params.tensors",
        ),
        (
            {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3, 224, 224]}]},
            {},
            "takes input 'x' of shape [-1, 3, 224, 224], and [1, 4] would be sent; correct model_params.tensors",
        ),
        (
            {"inputs": [{"name": "x", "datatype": "FP32", "shape": [4]}]},
            {},
            "takes input 'x' of shape [4], and [1, 4] would be sent; correct model_params.tensors",
        ),
        ({}, {"outputs": ["z"]}, "has no output 'z'; its outputs are y; correct model_params.tensors"),
    ],
)
def test_metadata_that_does_not_fit_is_told_before_any_query(changes, of, problem):
    assert adapter(**of).metadata_problem(json.dumps({**TRITON, **changes}).encode()) == problem
    assert adapter(**of).metadata_problem(b"no json") is None


@pytest.mark.parametrize(
    ("status", "words", "cure"),
    [
        (404, "Request for unknown model: 'resnet50' is not found", "correct model_params.name or version"),  # Triton
        (404, "Model resnet50 with version 7 not found", "correct model_params.name or version"),  # MLServer
        (404, "unknown model", "correct model_params.name or version"),
        (404, "Not Found", None),
        (400, "inference request batch-size must be <= 8 for 'm1'", "lower model_params.batch_size"),
        (400, "unexpected inference input 'y' for model 'm1'", "correct model_params.tensors"),
        (422, "body.inputs.0.datatype: Input should be 'BOOL'", "correct model_params.tensors"),
        (400, "The plain HTTP request was sent to HTTPS port", None),
        (503, "no input today", None),
        (500, "Internal Server Error", "see the server's log, or set model_params.tensors.encoding: json (MLServer "),
    ],
)
def test_the_cures_of_what_real_servers_refuse(status, words, cure):
    said = adapter(version="7", batch_size=16).refusal_cure(status, words)
    assert (said or "").startswith(cure or "")
    assert (said is None) == (cure is None)


def test_a_model_without_a_version_and_json_have_fewer_cures():
    assert adapter().refusal_cure(404, "Model resnet50 not found") == "correct model_params.name"
    assert adapter(encoding="json").refusal_cure(500, "Internal Server Error") is None


def npy_of(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(16)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cannot be read"),
        (b"PK\x03\x04 an archive", "cut or no .npy file"),
        (npy_of("{'descr': '<f4', 'fortran_order'"), "cut or no .npy file"),
        (npy_of("{'descr': '|O', 'fortran_order': False, 'shape': (4,), }"), "cannot be read"),
        (npy_of("{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }"), "no numbers but complex64"),
        (npy_of("{'descr': '<U1', 'fortran_order': False, 'shape': (4,), }"), "no numbers but <U1"),
        (npy_of("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }"), "no numbers but"),
    ],
    ids=["empty", "archive", "half a header", "objects", "complex", "texts", "records"],
)
def test_a_npy_file_that_holds_something_else_is_refused(tmp_path, data, says):
    (tmp_path / "a.npy").write_bytes(data)
    of = adapter()
    of.directories = [tmp_path]
    assert says in str(of.problem({"x": "a.npy"}))


def test_bf16_takes_no_number_for_infinity_and_nan_for_no_zero():
    of = TensorInput(name="x", datatype="BF16", shape=(1,))
    for too_large in (1e39, 3.4e38):
        with pytest.raises(TensorError, match="too large"):
            tensor([too_large], of, Path)
    nan = np.array([0x7FFFFFFF], "<u4").view("<f4")
    assert np.isnan((tensor(nan.tolist(), of, Path).astype("<u4") << 16).view("<f4")).all()
    assert tensor([float("-inf")], of, Path)[0] == 0xFF80


@pytest.mark.parametrize("headers", [{}, {HEADER: "-5"}, {HEADER: "many"}])
def test_bytes_behind_json_whose_end_no_header_tells_are_named(headers):
    """Some proxies take headers off that they do not know."""
    described = {"name": "y", "shape": [1, 1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}
    refused = refusal(said(outputs=[described]) + b"\0\0\0\0", headers)
    assert refused.reason == "malformed"
    assert "no header inference-header-content-length" in refused.detail
