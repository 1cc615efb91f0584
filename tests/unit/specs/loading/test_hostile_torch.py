"""Hostile PyTorch files: nothing in them runs, memory stays bounded, and the user gets one clear error."""

import collections
import io
import json
import os
import pickle
import random
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from specs.errors import ModelError, UnsafeModelFileError
from specs.loading.safe_pickle import read_pickle
from specs.loading.torch_archive import load_torch

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore")

ARCH = {"sequential": ["linear", "relu", "linear"]}
MEGABYTE = 1 << 20


class Gadget:
    """Creates ``marker`` when unpickled by anything that calls what a pickle says."""

    def __init__(self, marker):
        self.command = f"touch {marker}"

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def marker(tmp_path):
    """A file no test may ever see created."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists(), "the file was executed"


@pytest.fixture
def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 2)).eval()


@pytest.fixture
def weights(model, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture
def export(model, tmp_path):
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(model, (torch.ones(1, 3),)), path)
    return path


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def rewritten(path, changes=(), extra=(), compression=zipfile.ZIP_STORED):
    """The archive with members whose name ends like a key of ``changes`` replaced, ``extra`` added."""
    content = members(path)
    for ending, data in dict(changes).items():
        (name,) = [name for name in content if name.endswith(ending)]
        content[name] = data(content[name]) if callable(data) else data
    target = path.with_name("hostile" + path.suffix)
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, data in [*content.items(), *extra]:
            archive.writestr(name, data)
    return target


def edited_json(change):
    def edit(data):
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return edit


def test_the_gadget_does_work_where_pickles_are_trusted(tmp_path):
    marker = tmp_path / "proof"
    pickle.loads(pickle.dumps(Gadget(marker)))
    assert marker.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_gadget_in_a_state_dict_is_named_not_run(weights, marker, protocol):
    for value in (Gadget(marker), {"0.weight": Gadget(marker)}, collections.OrderedDict(a=[Gadget(marker)])):
        path = rewritten(weights, {"data.pkl": pickle.dumps(value, protocol)})
        with pytest.raises(UnsafeModelFileError, match=r"system|instruction"):
            load_torch(path, ARCH)


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'touch MARKER'\ntR.",
        b"(S'touch MARKER'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch MARKER'\no.",
        b"\x80\x02cbuiltins\nexec\nX\x11\x00\x00\x00open('MARKER','w')\x85R.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x11open('MARKER','w')\x85R.",
        b"\x80\x02cbuiltins\ngetattr\n(cos\n__dict__\nX\x06\x00\x00\x00systemtR.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x04\x00\x00\x00nameX\x01\x00\x00\x00xsb.",
        b"\x80\x02ccollections\nOrderedDict\n)R}X\x09\x00\x00\x00__class__cos\nsystem\nsb.",
        b"\x82\x01.",
        b"Pmodule\n.",
    ],
)
def test_handwritten_pickle_programs_are_refused(marker, program):
    with pytest.raises(UnsafeModelFileError):
        read_pickle(program.replace(b"MARKER", str(marker).encode()), "weights.pt")


def test_all_names_a_pickle_would_call_are_listed(marker):
    value = [Gadget(marker), collections.Counter("a"), collections.deque()]
    with pytest.raises(UnsafeModelFileError, match=r"collections\.Counter, collections\.deque, posix\.system"):
        read_pickle(pickle.dumps(value, 2), "weights.pt")


def test_a_huge_memo_index_or_length_allocates_nothing():
    tracemalloc.start()
    for program in (
        b"\x80\x02}r\xff\xff\xff\x7f.",  # LONG_BINPUT
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x0fabc.",  # BINUNICODE8
        b"\x80\x02X\xff\xff\xff\x7fabc.",  # BINUNICODE
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.",  # FRAME
        b"\x80\x02\x8b\xff\xff\xff\x7f1.",  # LONG4
    ):
        try:
            read_pickle(program, "weights.pt")
        except UnsafeModelFileError:
            continue
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * MEGABYTE


def test_keys_that_take_exponential_time_to_hash_are_refused():
    doubling = b"".join(bytes([ord("q"), i, ord("h"), i, 0x86]) for i in range(60))  # t = (t, t)
    with pytest.raises(UnsafeModelFileError, match="a key that is not"):
        read_pickle(b"\x80\x02})" + doubling + b"K\x01s.", "weights.pt")


def test_random_damage_to_a_state_dict_is_a_model_error(weights, model):
    rng = random.Random(5)
    original = next(data for name, data in members(weights).items() if name.endswith("data.pkl"))
    refused = 0
    for _ in range(400):
        damaged = bytearray(original)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            read_pickle(bytes(damaged), "weights.pt")
        except ModelError:
            refused += 1
    assert refused > 100


def test_random_damage_to_an_export_is_a_model_error_or_a_graph(export):
    rng = random.Random(6)
    original = next(data for name, data in members(export).items() if name.endswith("models/model.json"))
    refused = 0
    for _ in range(300):
        damaged = bytearray(original)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(damaged))] = rng.choice(b'0123456789-."{}[]naeu')
        try:
            load_torch(rewritten(export, {"models/model.json": bytes(damaged)}))
        except ModelError:
            refused += 1
    assert refused > 50


def test_the_sample_inputs_of_an_export_are_never_opened(export, marker):
    stream = io.BytesIO()
    torch.save(Gadget(marker), stream)
    graph = load_torch(rewritten(export, {"data/sample_inputs/model.pt": stream.getvalue()}))
    assert np.array_equal(graph.evaluate_flat([1, 2, 3]), load_torch(export).evaluate_flat([1, 2, 3]))


def test_weights_stored_as_pickle_are_refused(export, marker):
    def pickled(document):
        document["config"]["0.weight"]["use_pickle"] = True

    config = "data/weights/model_weights_config.json"
    path = rewritten(export, {config: edited_json(pickled), "weights/weight_0": pickle.dumps(Gadget(marker))})
    with pytest.raises(UnsafeModelFileError, match=r"'0.weight' stored as pickle"):
        load_torch(path)


def test_opaque_constants_are_never_opened(export, marker):
    def opaque(document):
        entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
        document["config"]["c"] = entry

    def used(document):
        document["graph_module"]["signature"]["input_specs"].append(
            {"custom_obj": {"arg": {"name": "c", "class_fqn": "os.system"}, "custom_obj_name": "c"}}
        )

    extra = [("model/data/constants/opaque_obj_0", pickle.dumps(Gadget(marker)))]
    config = {"data/constants/model_constants_config.json": edited_json(opaque)}
    load_torch(rewritten(export, config, extra))
    with pytest.raises(ModelError, match="custom_obj"):
        load_torch(rewritten(export, {**config, "models/model.json": edited_json(used)}, extra))


def test_expressions_in_an_export_are_not_evaluated(export, marker):
    def symbolic(document):
        sizes = document["graph_module"]["graph"]["tensor_values"]["input"]["sizes"]
        sizes[0] = {"as_expr": {"expr_str": f"__import__('os').system('touch {marker}')", "hint": {"as_int": 1}}}
        document["guards_code"] = [f"__import__('os').system('touch {marker}')"]

    graph = load_torch(rewritten(export, {"models/model.json": edited_json(symbolic)}))
    assert graph.input_size == 3


@pytest.mark.parametrize("name", ["../escape", "model/../../escape", "/etc/escape", "model\\..\\escape"])
def test_members_that_point_outside_refuse_the_file(export, name, tmp_path):
    with pytest.raises(UnsafeModelFileError, match=r"outside the archive|top folders"):
        load_torch(rewritten(export, extra=[(name, b"x")]))
    assert not (tmp_path.parent / "escape").exists()


def test_two_members_of_one_name_refuse_the_file(export):
    content = members(export)
    name = next(name for name in content if name.endswith("weights/weight_0"))
    with pytest.raises(UnsafeModelFileError, match=r"more than one member is called .*weight_0"):
        load_torch(rewritten(export, extra=[(name, content[name][::-1])]))


def test_a_zip_bomb_is_refused_before_it_unpacks(weights):
    path = rewritten(weights, {"data/0": bytes(200 * MEGABYTE)}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < MEGABYTE
    tracemalloc.start()
    with pytest.raises(UnsafeModelFileError, match="compressed"):
        load_torch(path, ARCH)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MEGABYTE


def test_a_member_that_lies_about_its_size_is_refused(weights):
    data = bytearray(weights.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 20 : central + 28] = struct.pack("<II", 2**31, 2**31)
    path = weights.with_name("lying.pt")
    path.write_bytes(data)
    with pytest.raises(ModelError):
        load_torch(path, ARCH)


def test_storages_that_share_the_bytes_of_the_file_are_read_no_further_than_it_is_long(weights):
    """Thirty tensors of a megabyte each that are all the same megabyte of the file."""
    count, size = 30, MEGABYTE
    path = weights.with_name("overlap.pt")
    torch.save({f"{i}.weight": torch.full((size // 4,), float(i)) for i in range(count)}, path)
    content = members(path)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in content.items():
            if "/data/" not in name:
                archive.writestr(name, data)
        archive.writestr("overlap/data/0", bytes(size))
        first = archive.getinfo("overlap/data/0")
        for i in range(1, count):
            twin = zipfile.ZipInfo(f"overlap/data/{i}")
            twin.header_offset, twin.CRC = first.header_offset, first.CRC
            twin.file_size = twin.compress_size = size
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
    path.write_bytes(stream.getvalue())
    assert path.stat().st_size < 2 * size
    tracemalloc.start()
    with pytest.raises(ModelError):
        load_torch(path, ARCH)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * size


@pytest.mark.parametrize(
    "meta",
    [
        {"sizes": [{"as_int": 10**12}]},
        {"sizes": [{"as_int": 10**9}, {"as_int": 10**9}], "strides": [{"as_int": 0}, {"as_int": 0}]},
        {"sizes": [{"as_int": -1}, {"as_int": 3}]},
        {"strides": [{"as_int": -3}, {"as_int": 1}]},
        {"strides": [{"as_int": 2**62}, {"as_int": 1}]},
        {"storage_offset": {"as_int": 10**6}},
        {"storage_offset": {"as_int": -1}},
        {"sizes": [{"as_int": 2.5}, {"as_int": 3}]},
        {"sizes": [{"as_int": True}, {"as_int": 3}]},
        {"dtype": 999},
        {"dtype": 8},
        {"layout": 1},
    ],
)
def test_tensors_that_leave_their_storage_are_refused(export, meta):
    def change(document):
        document["config"]["0.weight"]["tensor_meta"].update(meta)

    tracemalloc.start()
    with pytest.raises(ModelError):
        load_torch(rewritten(export, {"data/weights/model_weights_config.json": edited_json(change)}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MEGABYTE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"K\x02K\x03\x86", b"K\x02K\xff\x86"),  # sizes (2, 255)
        (b"K\x03K\x01\x86", b"K\xffK\x01\x86"),  # strides (255, 1)
        (b"K\x03K\x01\x86", b"N\x88K\x01\x86"),  # strides of other kinds
        (b"K\x06t", b"K\x07t"),  # storage longer than it is
        (b"FloatStorage", b"QuintStorage"),
    ],
)
def test_state_dict_tensors_that_leave_their_storage_are_refused(weights, old, new):
    original = next(data for name, data in members(weights).items() if name.endswith("data.pkl"))
    assert old in original
    path = rewritten(weights, {"data.pkl": original.replace(old, new, 1)})
    with pytest.raises(ModelError):
        load_torch(path, ARCH)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_named(export, bad):
    def spoil(data):
        values = np.frombuffer(data, dtype="<f4").copy()
        values[3] = bad
        return values.tobytes()

    with pytest.raises(ModelError, match=r"NaN or infinite values in '0.weight'"):
        load_torch(rewritten(export, {"weights/weight_0": spoil}))


def test_deeply_nested_json_is_refused(export):
    with pytest.raises(ModelError, match="nested too deeply"):
        load_torch(rewritten(export, {"models/model.json": b"[" * 10**6 + b"]" * 10**6}))


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{}", b'{"schema_version": {"major": 8}}', b"\xff\xfe", b"1" * 5000]
)
def test_other_json_is_refused(export, content):
    with pytest.raises(ModelError, match=r"model\.json"):
        load_torch(rewritten(export, {"models/model.json": content}))


def test_another_schema_says_what_to_do(export):
    def change(document):
        document["schema_version"]["major"] = 99

    with pytest.raises(ModelError, match=r"export schema 99; schema 8 is read\. Export again"):
        load_torch(rewritten(export, {"models/model.json": edited_json(change)}))


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("full.default", [("size", {"as_ints": [10**6, 10**6]}), ("fill_value", {"as_float": 1.0})]),
        ("arange.default", [("end", {"as_int": 10**15})]),
        ("expand.default", [("self", {"as_tensor": {"name": "input"}}), ("size", {"as_ints": [10**9, 10**9, 3]})]),
        ("pad.default", [("self", {"as_tensor": {"name": "input"}}), ("pad", {"as_ints": [10**12, 0]})]),
        ("slice.Tensor", [("self", {"as_tensor": {"name": "input"}}), ("dim", {"as_int": 10**30})]),
        ("view.default", [("self", {"as_tensor": {"name": "input"}}), ("size", {"as_string": "3"})]),
        ("relu.default", [("self", {"as_tensor": {"name": "nowhere"}})]),
        ("relu.default", [("self", {"as_tensor": {"name": "input"}}), ("inplace", {"as_bool": True})]),
        ("split.Tensor", [("self", {"as_tensor": {"name": "input"}}), ("split_size", {"as_int": 0})]),
        ("linear.default", [("input", {"as_int": 1}), ("weight", {"as_none": True})]),
    ],
)
def test_calls_that_make_no_sense_or_ask_for_too_much_are_one_error(export, target, arguments):
    def change(document):
        graph = document["graph_module"]["graph"]
        graph["nodes"][1] |= {
            "target": f"torch.ops.aten.{target}",
            "inputs": [{"name": name, "arg": value, "kind": 1} for name, value in arguments],
        }

    tracemalloc.start()
    with pytest.raises(ModelError, match=target.split(".")[0]):
        load_torch(rewritten(export, {"models/model.json": edited_json(change)}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MEGABYTE


def test_a_truncated_file_is_a_model_error_at_every_length(export):
    data = export.read_bytes()
    path = export.with_name("short.pt2")
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(ModelError):
            load_torch(path)


def test_a_flipped_bit_in_a_weight_is_noticed(export):
    data = bytearray(export.read_bytes())
    with zipfile.ZipFile(export) as archive:
        info = next(info for info in archive.infolist() if info.filename.endswith("weight_0"))
    name, extra = struct.unpack("<HH", data[info.header_offset + 26 : info.header_offset + 30])
    data[info.header_offset + 30 + name + extra] ^= 1
    path = export.with_name("flipped.pt2")
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"weight_0.*damaged"):
        load_torch(path)
