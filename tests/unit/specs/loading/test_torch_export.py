"""torch.export archives: every rule agrees with PyTorch, in training and in decomposed form."""

import io
import json
import time
import zipfile

import numpy as np
import pytest

from specs.errors import ModelError, UnsupportedOpError
from specs.graph import ops
from specs.loading.torch_archive import load_torch, read_graph

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]


class Function(nn.Module):
    """A module without parameters around a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def trained(norm):
    """A batch normalisation with statistics and weights that are not the trivial ones."""
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 1.5)
        norm.weight.normal_()
        norm.bias.normal_()
    return norm


def archive(module, *inputs, decompose=False, **options):
    program = torch.export.export(module.eval(), inputs, **options)
    stream = io.BytesIO()
    torch.export.save(program.run_decompositions() if decompose else program, stream)
    return stream


def graph_of(module, *inputs, **options):
    stream = archive(module, *inputs, **options)
    stream.seek(0)
    return read_graph(stream, "model.pt2")


def flat(result):
    parts = result if isinstance(result, (list, tuple)) else [result]
    return np.concatenate([part.detach().double().reshape(-1).numpy() for part in parts])


ACTIVATIONS = {
    "relu": torch.relu,
    "relu6": lambda x: F.relu6(9 * x),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "prelu": lambda x: F.prelu(x, torch.tensor([0.25, 0.5, -1.0])),
    "elu": lambda x: F.elu(x, 0.7),
    "selu": F.selu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "hardtanh": F.hardtanh,
    "hardsigmoid": lambda x: F.hardsigmoid(4 * x),
    "hardswish": lambda x: F.hardswish(4 * x),
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "softplus": lambda x: F.softplus(x, beta=2.0),
    "softsign": F.softsign,
    "softmax": lambda x: F.softmax(x, 1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "clamp": lambda x: x.clamp(-0.3, 0.2),
    "clamp_min": lambda x: x.clamp(min=0.1),
    "abs": torch.abs,
    "neg": torch.neg,
    "exp": torch.exp,
    "log": lambda x: torch.log(x.abs() + 1),
    "rsqrt": lambda x: torch.rsqrt(x.abs() + 1),
    "sin": torch.sin,
    "cos": torch.cos,
    "atan": torch.atan,
    "erf": torch.erf,
    "sign": torch.sign,
    "floor": torch.floor,
}
ARITHMETIC = {
    "scalars": lambda x: (2 - x) * x / 3 + 0.1,
    "alpha": lambda x: torch.rsub(x, 1, alpha=2) - torch.add(x, x, alpha=0.5),
    "powers": lambda x: x.pow(2) + x**3,
    "extrema": lambda x: torch.maximum(x, torch.tensor(0.1)) + torch.minimum(x, x * x),
    "where": lambda x: torch.where(x > 0, x, x * 2.0),
    "masked": lambda x: x.masked_fill(torch.tensor([True, False, True]), 7.0),
    "floor_divide": lambda x: x // 0.3,
    "broadcast": lambda x: x + torch.tensor([[1.0], [2.0]])[:, 0:1] * torch.tensor([1.0, 2.0, 3.0]),
}
SHAPES = {
    "slices": lambda x: x[:, 1:3, -1].transpose(0, 1).reshape(-1),
    "negative_slice": lambda x: x[:, -2:, ::2],
    "permute": lambda x: x.permute(2, 0, 1)[0:2],
    "split": lambda x: torch.cat(x.split([1, 2], 1)[::-1], 1),
    "chunk": lambda x: x.chunk(3, -1)[1],
    "unbind": lambda x: x.unbind(1)[2],
    "stack": lambda x: torch.stack([x[0], 2 * x[1]], -1),
    "squeeze": lambda x: x[:, :1].squeeze(1).unsqueeze(-1).expand(-1, -1, 2),
    "pad": lambda x: F.pad(x, (1, 0, 0, 2), value=0.5),
    "unflatten": lambda x: x.unflatten(2, (2, -1)),
    "narrow": lambda x: x.narrow(2, -2, 2),
    "constants": lambda x: x + torch.arange(4) + torch.zeros(2, 1, 1) + torch.ones_like(x),
    "index": lambda x: torch.index_select(x, 1, torch.tensor([2, 0])),
    "mean": lambda x: x.mean((0, 2), keepdim=True),
    "sum": lambda x: x.sum(),
    "sum_axis": lambda x: x.sum(-1),
    "amax": lambda x: x.amax(-1),
    "max_axis": lambda x: x.max(1).values,
    "matmul": lambda x: x @ torch.arange(8.0).reshape(4, 2),
    "bmm": lambda x: torch.bmm(x, x.transpose(1, 2)),
    "attention": lambda x: F.scaled_dot_product_attention(x, 2 * x, x - 1),
    "in_place": lambda x: (x * 1).add_(x).relu_().mul_(2),
}
LAYERS = {
    "mlp": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Dropout(), nn.ReLU(), nn.Linear(5, 3)), (1, 3, 4)),
    "cnn": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False),
            trained(nn.BatchNorm2d(4)),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2, padding=1),
            nn.AvgPool2d(2, stride=1, padding=1),
            nn.Flatten(),
            nn.Linear(64, 5),
        ),
        (1, 2, 9, 9),
    ),
    "pool_ceil": (
        lambda: nn.Sequential(
            nn.MaxPool2d(3, 2, 1, ceil_mode=True),
            nn.AvgPool2d(3, 2, 1, ceil_mode=True),
            nn.AvgPool2d(2, 2, 1, ceil_mode=True, count_include_pad=False),
        ),
        (1, 2, 14, 13),
    ),
    "conv1d": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 3, 3, padding="same"),
            nn.Conv1d(3, 3, 2, dilation=2, groups=3),
            nn.AvgPool1d(2),
            nn.MaxPool1d(2),
        ),
        (1, 2, 12),
    ),
    "unbatched": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(0), nn.Linear(18, 2)),
        (1, 8, 8),
    ),
    "transposed": (lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1), (1, 2, 4, 4)),
    "adaptive": (lambda: nn.AdaptiveAvgPool2d((2, 1)), (1, 2, 4, 4)),
    "norms": (lambda: nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 4), trained(nn.BatchNorm1d(4))), (3, 6)),
}


def agree(module, x, decompose):
    graph = graph_of(module, x, decompose=decompose)
    want = flat(module(x))
    got = graph.evaluate_flat(x.numpy())
    assert got.shape == want.shape
    assert np.allclose(got, want, rtol=2e-5, atol=2e-5)
    assert np.ptp(got) > 0 or got.size == 1


@pytest.mark.parametrize("decompose", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS | ARITHMETIC)
def test_elementwise(name, decompose):
    torch.manual_seed(1)
    agree(Function((ACTIVATIONS | ARITHMETIC)[name]), torch.randn(2, 3), decompose)


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_and_reductions(name):
    torch.manual_seed(2)
    agree(Function(SHAPES[name]), torch.randn(2, 3, 4), False)


@pytest.mark.parametrize("decompose", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, decompose):
    torch.manual_seed(3)
    make, shape = LAYERS[name]
    agree(make(), torch.randn(shape), decompose)


@pytest.mark.parametrize("name", ACTIVATIONS | ARITHMETIC | LAYERS)
def test_a_single_precision_model_stays_one_when_it_is_written_as_onnx(name):
    """Numbers of the program take the model's type: no integer meets a real, nothing widens to double."""
    onnxruntime = pytest.importorskip("onnxruntime")
    from specs.loading.onnx_writer import write_onnx

    torch.manual_seed(6)
    make, shape = LAYERS.get(name, (lambda: Function((ACTIVATIONS | ARITHMETIC)[name]), (2, 3)))
    x = torch.randn(shape)
    graph = graph_of(make(), x)
    session = onnxruntime.InferenceSession(write_onnx(graph))
    (entry,) = session.get_inputs()
    assert entry.type == "tensor(float)"
    (got,) = session.run(None, {entry.name: x.numpy()})
    assert np.allclose(got.reshape(-1), graph.evaluate_flat(x.numpy()), rtol=1e-5, atol=1e-5)


def test_a_long_chain_is_read_in_time_that_grows_with_its_length():
    stream = archive(nn.Linear(2, 2), torch.randn(1, 2))
    with zipfile.ZipFile(stream) as source:
        content = {info.filename: source.read(info) for info in source.infolist()}
    (path,) = [name for name in content if name.endswith("models/model.json")]
    document = json.loads(content[path])
    graph = document["graph_module"]["graph"]
    (first,) = graph["nodes"]
    last = first["outputs"][0]["as_tensor"]["name"]
    for number in range(20_000):
        operands = [{"name": key, "arg": {"as_tensor": {"name": last}}, "kind": 1} for key in ("self", "other")]
        last = f"link_{number}"
        result = {"as_tensor": {"name": last}}
        graph["nodes"].append({"target": "torch.ops.aten.add.Tensor", "inputs": operands, "outputs": [result]})
    document["graph_module"]["signature"]["output_specs"][0]["user_output"]["arg"]["as_tensor"]["name"] = last
    content[path] = json.dumps(document).encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as sink:
        for name, data in content.items():
            sink.writestr(name, data)
    start = time.process_time()
    assert len(read_graph(target, "model.pt2").nodes) > 20_000
    assert time.process_time() - start < 10


def test_a_transformer_block():
    torch.manual_seed(4)
    agree(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.randn(1, 5, 8), False)


def test_several_inputs_and_outputs():
    torch.manual_seed(5)
    module, x, y = Function(lambda x, y: (x + y, x * y)), torch.randn(2), torch.randn(2)
    graph = graph_of(module, x, y)
    assert len(graph.inputs) == len(graph.outputs) == 2
    got = graph.evaluate_flat(np.concatenate([x.numpy(), y.numpy()]))
    assert np.allclose(got, flat(module(x, y)), atol=1e-6)


def test_a_dynamic_batch_becomes_one_and_sizes_computed_from_it_follow():
    module = Function(lambda x: x.reshape(x.shape[0], x.shape[1] * x.shape[2]).sum(1))
    graph = graph_of(module, torch.randn(3, 2, 4), dynamic_shapes=(({0: torch.export.Dim("b")},),))
    assert graph.by_name[graph.inputs[0]].shape == (1, 2, 4)
    x = np.arange(8.0)
    assert graph.evaluate_flat(x) == pytest.approx([28.0])


def test_another_dynamic_dimension_is_refused():
    stream = archive(Function(torch.relu), torch.randn(2, 3), dynamic_shapes=(({1: torch.export.Dim("n")},),))
    stream.seek(0)
    with pytest.raises(ModelError, match=r"dimension 1 of input .* is dynamic"):
        read_graph(stream, "model.pt2")


def test_weights_keep_their_type():
    linear = nn.Linear(4, 4)
    graph = graph_of(Function(lambda x: linear(linear(x))), torch.randn(1, 4))
    constants = [node.op.value for node in graph.nodes if isinstance(node.op, ops.Constant)]
    assert {value.dtype for value in constants} == {np.dtype(np.float32)}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions_are_read_exactly(dtype):
    module = nn.Linear(3, 2).to(dtype)
    graph = graph_of(module, torch.ones(1, 3, dtype=dtype))
    weight, bias = module.weight.double(), module.bias.double()
    want = (torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64) @ weight.T + bias).detach().numpy()
    assert np.allclose(graph.evaluate_flat([1, 2, 3]), want.reshape(-1), rtol=1e-14)


def test_all_unsupported_operators_are_listed_with_their_nodes():
    module = Function(lambda x: torch.cumsum(x, 0) + torch.special.i0(x) + torch.flip(x, (0,)))
    with pytest.raises(UnsupportedOpError) as caught:
        graph_of(module, torch.randn(3))
    assert [op.split(".")[1] for op, _ in caught.value.offenders] == ["cumsum", "special_i0", "flip"]
    assert "cumsum" in str(caught.value)
    assert "flip" in str(caught.value)


def test_a_batch_norm_in_training_mode_is_refused():
    program = torch.export.export(nn.BatchNorm1d(3).train(), (torch.randn(4, 3),))
    stream = io.BytesIO()
    torch.export.save(program, stream)
    stream.seek(0)
    with pytest.raises(ModelError, match=r"model.eval\(\)"):
        read_graph(stream, "model.pt2")


def test_a_model_that_overwrites_its_input_is_its_function_or_refused():
    module = Function(lambda x: x.add_(1) * 2 + x)
    assert graph_of(module, torch.zeros(2)).evaluate_flat([0.0, 1.0]) == pytest.approx([3.0, 6.0])
    with pytest.raises(ModelError, match="overwrites its own state or input"):
        graph_of(module, torch.zeros(2), decompose=True)


def test_integer_inputs_are_refused():
    table = nn.Embedding(5, 2)
    with pytest.raises(ModelError, match="of type int64; a network takes real numbers"):
        graph_of(Function(lambda x: table(x)), torch.tensor([1, 2]))


def test_a_softplus_that_jumps_is_refused():
    with pytest.raises(ModelError, match=r"softplus.*threshold 1"):
        graph_of(Function(lambda x: F.softplus(x, threshold=1.0)), torch.randn(3))


def test_overwriting_memory_that_a_view_still_shows_is_refused():
    def overwrite_first_row(x):
        base = x * 1
        base[0].relu_()
        return base.sum(0)

    with pytest.raises(ModelError, match=r"overwrites memory that .* share.*run_decompositions"):
        graph_of(Function(overwrite_first_row), torch.randn(2, 3))


def test_overwriting_a_tensor_that_is_read_again_uses_the_new_value():
    def function(x):
        y = x * 1
        y.mul_(3)
        return y + x

    graph = graph_of(Function(function), torch.ones(2))
    assert graph.evaluate_flat([1.0, -2.0]) == pytest.approx([4.0, -8.0])


def test_the_extension_does_not_matter(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(archive(nn.Linear(2, 1), torch.randn(1, 2)).getvalue())
    assert load_torch(path).output_size == 1


def test_reading_needs_no_torch(tmp_path):
    import subprocess
    import sys

    path = tmp_path / "model.pt2"
    path.write_bytes(archive(nn.Linear(2, 1), torch.randn(1, 2)).getvalue())
    code = (
        "import sys, pathlib; from specs.loading.torch_archive import load_torch;"
        "load_torch(pathlib.Path(sys.argv[1])); heavy = {'torch', 'onnx', 'scipy', 'pydantic'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
