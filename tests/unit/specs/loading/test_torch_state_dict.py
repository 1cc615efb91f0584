"""State dicts with a stated architecture, modules in process, TorchScript the user trusts."""

import io

import numpy as np
import pytest

from specs.errors import ModelError, UnsafeModelFileError
from specs.loading.torch_archive import load_torch
from specs.loading.torchscript import from_module

torch = pytest.importorskip("torch")
nn = torch.nn

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]


def mlp():
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)).eval()


def cnn():
    torch.manual_seed(2)
    module = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2, padding=1),
        nn.BatchNorm2d(2),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    with torch.no_grad():
        module[1].running_mean.normal_()
        module[1].running_var.uniform_(0.5, 2)
    return module.eval()


MLP = {"sequential": ["flatten", "linear", "relu", "linear"]}
CNN = {
    "sequential": [
        {"conv2d": {"stride": 2, "padding": 1}},
        "batchnorm2d",
        {"leaky_relu": {"negative_slope": 0.1}},
        {"avgpool2d": {"kernel_size": 2}},
        "flatten",
        "linear",
    ]
}


def saved(tmp_path, value, **options):
    path = tmp_path / "weights.pt"
    torch.save(value, path, **options)
    return path


def agree(graph, module, shape):
    x = torch.randn(shape)
    assert np.allclose(graph.evaluate_flat(x.numpy()), module(x).detach().reshape(-1).numpy(), atol=1e-5)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_mlp_in_every_pickle_protocol(tmp_path, protocol):
    module = mlp()
    path = saved(tmp_path, module.state_dict(), pickle_protocol=protocol)
    agree(load_torch(path, MLP), module, (1, 6))


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 1, 8, 8)])
def test_cnn_with_and_without_the_batch_in_the_shape(tmp_path, shape):
    module = cnn()
    agree(load_torch(saved(tmp_path, module.state_dict()), CNN, shape), module, (1, 1, 8, 8))


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_the_state_dict_in_a_checkpoint(tmp_path, key):
    module = mlp()
    path = saved(tmp_path, {"epoch": 3, "lr": 1e-3, "done": False, "log": [1, 2], key: module.state_dict()})
    agree(load_torch(path, MLP), module, (1, 6))


def test_parameters_transposed_views_and_shared_storage(tmp_path):
    module = mlp()
    shared = torch.randn(40)
    state = {
        "1.weight": nn.Parameter(shared[:24].reshape(6, 4).T),
        "1.bias": shared[24:28],
        "3.weight": shared[28:40].reshape(3, 4),
        "3.bias": torch.zeros(3),
    }
    module.load_state_dict(state)
    agree(load_torch(saved(tmp_path, state), MLP), module, (1, 6))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions(tmp_path, dtype):
    module = mlp().to(dtype)
    graph = load_torch(saved(tmp_path, module.state_dict()), MLP)
    x = torch.randn(1, 6, dtype=torch.float64)
    assert np.allclose(graph.evaluate_flat(x.numpy()), module.double()(x).detach().numpy().reshape(-1), atol=1e-12)


def test_big_endian_files(tmp_path):
    import zipfile

    module = mlp()
    path = saved(tmp_path, module.state_dict())
    swapped = tmp_path / "big.pt"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(swapped, "w") as target:
        for info in source.infolist():
            content = source.read(info)
            if info.filename.endswith("byteorder"):
                content = b"big"
            elif "/data/" in info.filename:
                content = np.frombuffer(content, dtype="<f4").astype(">f4").tobytes()
            target.writestr(info.filename, content)
    agree(load_torch(swapped, MLP), module, (1, 6))


def test_a_missing_arch_lists_what_the_file_holds_and_says_what_to_write(tmp_path):
    with pytest.raises(ModelError, match=r"1\.weight 4x6.*arch.*sequential.*torch\.export\.save"):
        load_torch(saved(tmp_path, mlp().state_dict()))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["flatten", "linear", "relu"], r"arch has 1 layers with weights \(linear\).*2 modules.*'3.weight' 3x4"),
        (["flatten", "linaer", "relu", "lineer"], r"layer 1: 'linaer'.*did you mean linear.*layer 3: 'lineer'"),
        (["flatten", "conv2d", "relu", "linear"], r"layer 1 \(conv2d\) takes a weight of 4 dimensions.*'1.weight' 4x6"),
        (["batchnorm1d", "relu", "linear"], r"layer 0 \(batchnorm1d\) needs a 'running_mean'.*needs a 'running_var'"),
        (["flatten", {"linear": {"bias": False}}, "relu", "linear"], r"linear has no attribute 'bias'"),
        (["maxpool2d", "linear", "linear"], r"layer 0: maxpool2d needs kernel_size"),
        ([], r"arch is a list of layers"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path, layers, message):
    with pytest.raises(ModelError, match=message):
        load_torch(saved(tmp_path, mlp().state_dict()), {"sequential": layers})


def test_shapes_that_do_not_chain_name_the_layer(tmp_path):
    with pytest.raises(ModelError, match=r"1\.linear.*inner dimensions"):
        load_torch(saved(tmp_path, mlp().state_dict()), MLP, (1, 7))


def test_a_convolution_needs_the_input_shape(tmp_path):
    with pytest.raises(ModelError, match="conv2d does not tell the shape of the input"):
        load_torch(saved(tmp_path, cnn().state_dict()), CNN)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(tmp_path, value):
    state = mlp().state_dict()
    state["3.bias"][1] = value
    state["1.weight"][0, 0] = value
    with pytest.raises(ModelError, match=r"NaN or infinite values in '1.weight', '3.bias'"):
        load_torch(saved(tmp_path, state), MLP)


def test_a_pickled_module_is_refused_and_says_what_to_save(tmp_path):
    with pytest.raises(UnsafeModelFileError, match=r"torch\.nn\.modules\.linear\.Linear.*state_dict\(\)"):
        load_torch(saved(tmp_path, mlp()), MLP)


def test_the_old_file_format_says_what_to_save(tmp_path):
    path = saved(tmp_path, mlp().state_dict(), _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError, match=r"torch\.export\.save\(torch\.export\.export\(model, \(x,\)\)"):
        load_torch(path, MLP)


def test_a_module_in_process_is_read_in_evaluation_mode_and_left_as_it_was():
    module = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.BatchNorm1d(3))
    module.train()
    module[1].eval()
    graph = from_module(module, (torch.randn(2, 3),))
    assert [part.training for part in module.modules()] == [True, True, False, True]
    agree(graph, module.eval(), (2, 3))


def test_a_module_that_cannot_be_exported_is_a_model_error():
    class Branch(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError, match=r"torch\.export cannot export it"):
        from_module(Branch(), (torch.randn(2),))


@pytest.mark.parametrize("make", [mlp, cnn])
@pytest.mark.parametrize("how", [torch.jit.script, "trace"])
def test_torchscript_is_read_only_when_trusted(tmp_path, make, how):
    shape = (1, 6) if make is mlp else (1, 1, 8, 8)
    module = make()
    script = torch.jit.trace(module, torch.randn(shape)) if how == "trace" else how(module)
    path = tmp_path / "script.pt"
    script.save(str(path))
    with pytest.raises(UnsafeModelFileError, match=r"TorchScript.*torch\.export\.save.*trust_torchscript"):
        load_torch(path, None, shape)
    agree(load_torch(path, None, shape, trust_torchscript=True), module, shape)


def test_control_flow_in_torchscript_is_an_unsupported_operator(tmp_path):
    @torch.jit.script
    def branch(x):
        if bool(x.sum() > 0):
            return x
        return -x

    class Wrapper(nn.Module):
        def forward(self, x):
            return branch(x)

    path = tmp_path / "script.pt"
    torch.jit.script(Wrapper().eval()).save(str(path))
    with pytest.raises(ModelError, match="prim::If"):
        load_torch(path, None, (2,), trust_torchscript=True)


def test_a_stream_that_is_not_a_model_says_what_to_export(tmp_path):
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("notes/readme.txt", "hello")
    path = tmp_path / "model.pt"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ModelError, match=r"no PyTorch model is in it.*torch\.export\.save"):
        load_torch(path)
