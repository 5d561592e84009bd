"""Model packages: which ones load, which are refused and why, and the meaning of the numbers.

The graphs are small and made by hand: they take real pictures to real probabilities and maps.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mammolens.core import InputKind, ModelId
from mammolens.errors import (
    BadModelPackage,
    ConfigError,
    ContractMismatch,
    ModelError,
    StorageError,
)
from mammolens.model import (
    CLASSES,
    Calibration,
    ClassPrior,
    Dataset,
    Device,
    Estimate,
    FindingLevel,
    KnownPatients,
    ModelCard,
    ModelPackage,
    OperatingPoint,
    OperatingPoints,
    Training,
    ValidationFigure,
    card_markdown,
    list_models,
    patient_digests,
    prior_at,
    read_card,
    read_patients,
    restate,
    save_package,
)
from mammolens.preprocess import PreprocessConfig
from mammolens.run import describe_run

onnx = pytest.importorskip("onnx", reason="building test graphs needs the package onnx")
HEIGHT, WIDTH = 128, 96
WEIGHTS = np.array([[0.5], [-1.5], [2.0]], np.float32)


def build_graph(
    *,
    gain: float = 1.0,
    classes: str | None = ",".join(CLASSES),
    channels: int = 1,
    dtype: int = 2,
    drop: str | None = None,
    rename: tuple[str, str] | None = None,
    cell: int = 32,
    sign: float = 1.0,
) -> bytes:
    """Mean grey value → logits and softmax; block means of the grey values as maps."""
    helper, numpy_helper, tensor = onnx.helper, onnx.numpy_helper, onnx.TensorProto
    constants = {
        "scale": np.array(gain / 255.0, np.float32),
        "weights": WEIGHTS,
        "bias": np.array([0.3, 0.0, -0.3], np.float32),
        "channel": np.array([1], np.int64),
        "sign": np.array(sign, np.float32),
        "log_of": np.array(gain, np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=tensor.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["one"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["one", "scale"], ["grey"]),
        helper.make_node("Sqrt", ["log_of"], ["root"]),
        helper.make_node(
            "AveragePool", ["grey"], ["blocks"], kernel_shape=[cell, cell], strides=[cell, cell]
        ),
        helper.make_node("ReduceMean", ["grey"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "root"], ["rooted"]),
        helper.make_node("Gemm", ["rooted", "weights", "bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("Squeeze", ["blocks", "channel"], ["tumour_map"]),
        helper.make_node("Mul", ["tumour_map", "sign"], ["malignancy_map"]),
    ]
    float_output = {
        "probabilities": ["batch", 3],
        "logits": ["batch", 3],
        "malignancy_map": ["batch", "h", "w"],
        "tumour_map": ["batch", "h", "w"],
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", dtype, ["batch", channels, "height", "width"])],
        [
            helper.make_tensor_value_info(name, tensor.FLOAT, shape)
            for name, shape in float_output.items()
            if name != drop
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if classes is not None:
        helper.set_model_props(model, {"classes": classes})
    payload: bytes = model.SerializeToString()
    return payload if rename is None else payload.replace(*(name.encode() for name in rename))


def make_card(graph: bytes, **changes: Any) -> ModelCard:
    sensitivity = Estimate(value=0.95, low=0.9, high=0.98)
    specificity = Estimate(value=0.5, low=0.45, high=0.55)
    low = OperatingPoint(
        threshold=0.2, sensitivity=sensitivity, specificity=specificity, n=100, n_positive=30
    )
    high = low.model_copy(update={"threshold": 0.6})
    fields: dict[str, Any] = {
        "name": "tiny",
        "version": "1.0",
        "input_kind": InputKind.BREAST,
        "preprocess": PreprocessConfig(height=HEIGHT, width=WIDTH),
        "graph_sha256": hashlib.sha256(graph).hexdigest(),
        "architecture": "the mean grey value",
        "calibration": Calibration(
            temperature=1.0,
            fitted_on="nothing",
            n=0,
            prior=ClassPrior(normal=0.6, benign=0.2, malignant=0.2),
        ),
        "operating_points": OperatingPoints(low=low, high=high, fixed_on="made up"),
        "finding_level": FindingLevel(level=0.5, method="made up for a test"),
        "training": Training(
            datasets=(Dataset(name="none", images=0, patients=None),),
            split_digest="0" * 64,
            seed=0,
            recipe="not trained",
        ),
        "validation": (
            ValidationFigure(
                dataset="none", task="malignancy", unit="breast", auc=None, n=3, n_positive=0
            ),
        ),
        "intended_use": "tests",
        "weaknesses": ("it knows nothing | at all",),
        "licence": "none",
        "attribution": "none",
    }
    return ModelCard(**(fields | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    graph = build_graph()
    save_package(tmp_path / "tiny", make_card(graph), graph)
    return tmp_path / "tiny"


def write_raw(folder: Path, graph: bytes) -> Path:
    """A package whose card fits its graph, for any graph."""
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(graph)
    (folder / "card.json").write_text(make_card(graph).model_dump_json(), "utf-8")
    return folder


def edit_card(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    card = json.loads((folder / "card.json").read_text("utf-8"))
    change(card)
    (folder / "card.json").write_text(json.dumps(card), "utf-8")


def pictures(n: int = 2) -> Any:
    rng = np.random.default_rng(n)
    return rng.integers(0, 256, (n, 1, HEIGHT, WIDTH), dtype=np.uint8)


def test_a_prediction_is_what_the_graph_computes(folder: Path) -> None:
    package, batch = ModelPackage.load(folder, threads=1), pictures(3)
    output = package.predict(batch)
    grey = batch[:, 0] / 255.0
    logits = grey.mean((1, 2))[:, None] * WEIGHTS[:, 0] + [0.3, 0.0, -0.3]
    powers = np.exp(logits)
    blocks = grey.reshape(3, HEIGHT // 32, 32, WIDTH // 32, 32).mean((2, 4))
    np.testing.assert_allclose(output.logits, logits, atol=1e-5)
    np.testing.assert_allclose(
        output.probabilities, powers / powers.sum(1, keepdims=True), atol=1e-5
    )
    np.testing.assert_allclose(output.malignancy_map, blocks, atol=1e-5)
    np.testing.assert_allclose(output.tumour_map, blocks, atol=1e-5)
    arrays = [array for array in vars(output).values() if array is not None]
    assert output.density is None
    assert {a.dtype for a in arrays} == {np.dtype(np.float32)}
    assert not any(a.flags.writeable for a in arrays)


def test_a_batch_is_the_sum_of_its_pictures(folder: Path) -> None:
    package, batch = ModelPackage.load(folder), pictures(4)
    single = np.concatenate([package.predict(picture[None]).probabilities for picture in batch])
    np.testing.assert_allclose(package.predict(batch).probabilities, single, atol=1e-6)


def test_the_model_has_its_identity(folder: Path) -> None:
    package = ModelPackage.load(folder)
    assert package.model_id == ModelId("tiny", "1.0", package.card.graph_sha256)
    assert package.card.input_shape == (HEIGHT, WIDTH)
    assert package.card.prior_malignant == 0.2


def test_folder_and_zips_are_the_same_package(folder: Path, tmp_path: Path) -> None:
    expected = ModelPackage.load(folder).predict(pictures()).probabilities
    for prefix in ("", "tiny/"):
        path = tmp_path / "tiny.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for member in folder.iterdir():
                archive.write(member, prefix + member.name)
        package = ModelPackage.load(str(path))
        np.testing.assert_array_equal(package.predict(pictures()).probabilities, expected)


def test_a_card_survives_its_file(folder: Path) -> None:
    text = (folder / "card.json").read_text("utf-8")
    assert read_card(text, "card.json") == make_card(build_graph())
    assert json.loads(text)["notice"] == "Research use only, not a medical device."


def test_p_tumour_is_validated_only_if_the_card_says_so(folder: Path) -> None:
    """Cards without this key are read, and P(tumour) then counts as not validated."""
    edit_card(folder, lambda card: card.pop("tumour_vouched"))
    old = ModelPackage.load(folder)
    assert old.card.tumour_vouched is False
    assert describe_run(old, None).tumour_vouched is False
    edit_card(folder, lambda card: card.update(tumour_vouched=True))
    assert describe_run(ModelPackage.load(folder), None).tumour_vouched is True
    for name in list_models():
        assert ModelPackage.load(name).card.tumour_vouched is False


def test_the_card_in_words_holds_its_numbers(folder: Path) -> None:
    text = (folder / "CARD.md").read_text("utf-8")
    assert text == card_markdown(make_card(build_graph()))
    for part in (
        "Research use only",
        "0.950 (0.900–0.980)",
        "20.00% malignant",
        "it knows nothing",
    ):
        assert part in text


def test_every_built_in_model_loads() -> None:
    for name in list_models():
        assert ModelPackage.load(name).card.name == name


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BadModelPackage, match="no-such-model") as caught:
        ModelPackage.load("no-such-model")
    assert all(name in str(caught.value) for name in (*list_models(), "Built-in models"))


def test_a_wrong_digest_is_refused(folder: Path) -> None:
    with (folder / "model.onnx").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(BadModelPackage, match="graph_sha256"):
        ModelPackage.load(folder)


def test_a_missing_graph_is_refused(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(BadModelPackage, match=r"model\.onnx"):
        ModelPackage.load(folder)


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b"\xff\xfe\x00"])
def test_a_file_that_is_not_a_card_is_refused(folder: Path, content: bytes) -> None:
    (folder / "card.json").write_bytes(content)
    with pytest.raises(BadModelPackage, match=r"card\.json"):
        ModelPackage.load(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("licence"), ("Field required", "licence")),
        (lambda c: c["operating_points"].pop("high"), ("operating_points.high",)),
        (
            lambda c: c.update(licens="x"),
            ("unknown key", "[licens]", "Use 'licence'"),
        ),
        (
            lambda c: c["operating_points"]["low"].update(treshold=0.1),
            ("operating_points.low.treshold", "Use 'threshold'"),
        ),
        (
            lambda c: c["validation"][0].update(n_positives=1),
            ("validation.0.n_positives", "Use 'n_positive'"),
        ),
        (lambda c: c["preprocess"].update(widht=1), ("preprocess.widht", "Use 'width'")),
        (lambda c: c.update(zzz=1), ("Known are architecture",)),
        (lambda c: c.update(classes=["normal", "malignant", "benign"]), ("classes",)),
        (lambda c: c["operating_points"]["low"].update(threshold=1.5), ("low.threshold",)),
        (lambda c: c["operating_points"]["low"].update(threshold=0.9), ("lies above",)),
        (lambda c: c["operating_points"]["low"].update(threshold="0.1"), ("valid number",)),
        (lambda c: c["operating_points"]["low"].update(n_positive=0), ("both kinds",)),
        (
            lambda c: c["operating_points"]["low"]["sensitivity"].update(low=0.99),
            ("low ≤ value ≤ high",),
        ),
        (lambda c: c["calibration"]["prior"].update(benign=0.3), ("sum to 1.1",)),
        (lambda c: c["calibration"].update(temperature=0.0), ("above 0",)),
        (lambda c: c["calibration"].update(temperature=float("nan")), ("calibration.temperature",)),
        (lambda c: c["finding_level"].update(level=-1.0), ("finding_level.level",)),
        (lambda c: c["validation"][0].update(n_positive=9), ("9 positives among 3",)),
        (lambda c: c.update(weaknesses=[]), ("weaknesses",)),
        (lambda c: c.update(notice="A medical device."), ("notice",)),
        (lambda c: c.update(graph_file="../model.onnx"), ("graph_file",)),
        (lambda c: c.update(graph_sha256="abc"), ("graph_sha256",)),
        (lambda c: c["preprocess"].update(width=100), ("preprocess.width",)),
    ],
)
def test_a_faulty_card_is_refused_by_key(
    folder: Path, change: Callable[[dict[str, Any]], Any], words: tuple[str, ...]
) -> None:
    edit_card(folder, change)
    with pytest.raises(BadModelPackage) as caught:
        ModelPackage.load(folder)
    assert all(word in str(caught.value) for word in (*words, "card.json"))


def test_an_auc_of_one_kind_of_label_is_impossible() -> None:
    with pytest.raises(ValidationError, match="an AUC needs both kinds"):
        ValidationFigure(
            dataset="x",
            task="tumour",
            unit="exam",
            auc=Estimate(value=0.5, low=0.5, high=0.5),
            n=3,
            n_positive=3,
        )


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"classes": "normal,malignant,benign"}, "metadata 'classes'"),
        ({"classes": None}, "metadata 'classes' is None"),
        ({"dtype": 1}, "image is tensor"),
        ({"drop": "tumour_map"}, "tumour_map is missing"),
        ({"rename": ("logits", "digits")}, "digits is unknown"),
        ({"channels": 3}, "image has 3 channels"),
        ({"cell": 16}, "32 × 32"),
    ],
)
def test_a_graph_with_another_interface_is_refused(
    tmp_path: Path, faults: dict[str, Any], words: str
) -> None:
    with pytest.raises(ContractMismatch, match=words):
        ModelPackage.load(write_raw(tmp_path / "odd", build_graph(**faults)))


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (build_graph(gain=-1.0), "not finite"),
        (build_graph(gain=float("inf")), "not finite"),
        (build_graph(sign=-1.0), "negative"),
        (build_graph()[:-200], "cannot load the graph"),
        (b"", "cannot load the graph"),
        (b"not a graph", "cannot load the graph"),
    ],
    ids=["nan", "infinite", "negative-map", "truncated", "empty", "text"],
)
def test_a_graph_that_cannot_score_is_refused(tmp_path: Path, graph: bytes, words: str) -> None:
    with pytest.raises(BadModelPackage, match=words):
        ModelPackage.load(write_raw(tmp_path / "bad", graph))


def test_not_a_number_is_never_a_score(folder: Path) -> None:
    """A graph that fails for some pictures only: for black ones it divides 0 by 0."""
    model = onnx.load(folder / "model.onnx")
    for node in model.graph.node:
        if node.output[0] == "rooted":
            node.CopyFrom(onnx.helper.make_node("Div", ["mean", "mean"], ["rooted"]))
    package = ModelPackage.load(write_raw(folder, model.SerializeToString()))
    assert np.isfinite(package.predict(pictures()).probabilities).all()
    with pytest.raises(ModelError, match="probabilities is not finite"):
        package.predict(np.zeros((1, 1, HEIGHT, WIDTH), np.uint8))


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, 1, HEIGHT, WIDTH), np.float32),
        np.zeros((1, 3, HEIGHT, WIDTH), np.uint8),
        np.zeros((1, 1, WIDTH, HEIGHT), np.uint8),
        np.zeros((HEIGHT, WIDTH), np.uint8),
        np.zeros((0, 1, HEIGHT, WIDTH), np.uint8),
    ],
    ids=["float", "colour", "turned", "bare", "none"],
)
def test_an_input_of_another_form_is_refused(folder: Path, batch: Any) -> None:
    with pytest.raises(ContractMismatch, match="uint8"):
        ModelPackage.load(folder).predict(batch)


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "a/../../evil", "..\\evil", "C:evil"])
def test_a_zip_that_points_outside_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member in folder.iterdir():
            archive.write(member, member.name)
        archive.writestr(name, b"x")
    with pytest.raises(BadModelPackage, match="outside the package"):
        ModelPackage.load(path)


def test_damaged_and_foreign_zips_are_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.zip"
    path.write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(BadModelPackage, match="cannot be read"):
        ModelPackage.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(BadModelPackage, match=r"0 files named card\.json"):
        ModelPackage.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "card.json", "card.json")
    with pytest.raises(BadModelPackage, match=r"odd\.zip!model\.onnx"):
        ModelPackage.load(path)


def test_a_member_of_absurd_size_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "card.json", "card.json")
        with archive.open("model.onnx", "w", force_zip64=True) as stream:
            for _ in range(257):
                stream.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    with pytest.raises(BadModelPackage, match="larger than 256 MiB"):
        ModelPackage.load(path)


def test_threads_and_devices_are_checked(folder: Path) -> None:
    with pytest.raises(ConfigError, match="threads"):
        ModelPackage.load(folder, threads=0)
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("CUDA is here")
    with pytest.raises(ConfigError, match="cuda"):
        ModelPackage.load(folder, device=Device.CUDA)


def test_the_runtime_is_imported_with_the_first_model_only() -> None:
    code = (
        "import sys, mammolens.model; print('onnxruntime' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def distributions() -> st.SearchStrategy[tuple[float, ...]]:
    parts = st.tuples(*[st.floats(0.01, 1.0)] * 3)
    return parts.map(lambda p: tuple(x / sum(p) for x in p))


@given(distributions(), distributions(), distributions())
def test_restating_is_bayes_and_can_be_undone(
    p: tuple[float, ...], old: tuple[float, ...], new: tuple[float, ...]
) -> None:
    there = restate(p, old, new)
    assert there.sum() == pytest.approx(1.0)
    odds = (p[2] / p[0]) * (new[2] / old[2]) / (new[0] / old[0])
    assert there[2] / there[0] == pytest.approx(odds)
    np.testing.assert_allclose(restate(there, new, old), p, atol=1e-9)


@given(distributions(), st.floats(0.001, 0.999))
def test_a_new_prevalence_keeps_the_rest_in_proportion(
    prior: tuple[float, ...], prevalence: float
) -> None:
    normal, benign, malignant = prior_at(prior, prevalence)
    assert malignant == prevalence
    assert normal + benign + malignant == pytest.approx(1.0)
    assert normal / benign == pytest.approx(prior[0] / prior[1])


def test_a_certain_probability_stays_certain_after_restating() -> None:
    rows = restate([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], (0.4, 0.3, 0.3), (0.9, 0.09, 0.01))
    np.testing.assert_array_equal(rows, [[0, 0, 1], [1, 0, 0]])


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, float("nan")])
def test_an_impossible_prevalence_is_refused(prevalence: float) -> None:
    with pytest.raises(ConfigError, match="prevalence"):
        prior_at((0.5, 0.25, 0.25), prevalence)


@pytest.mark.parametrize("bad", [(0.5, 0.5), (0.5, 0.5, 0.0), (0.5, 0.4, 0.2)])
def test_an_impossible_prior_is_refused(bad: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="prior"):
        restate([0.2, 0.3, 0.5], (0.5, 0.25, 0.25), bad)


@pytest.mark.parametrize("bad", [[0.5, 0.6, 0.1], [0.5, 0.5], [float("nan"), 0.5, 0.5]])
def test_improper_probabilities_are_not_restated(bad: list[float]) -> None:
    with pytest.raises(ConfigError, match="probabilities"):
        restate(bad, (0.5, 0.25, 0.25), (0.4, 0.3, 0.3))


KILLED = """
import os, signal, sys
from pathlib import Path
from mammolens.model import ModelPackage, save_package

left, moved = int(sys.argv[3]), Path.replace

def move_and_die(self, target):
    global left
    if self.name.endswith(".partial"):
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
    return moved(self, target)

Path.replace = move_and_die
card = ModelPackage.load(sys.argv[1]).card
graph = (Path(sys.argv[1]) / "model.onnx").read_bytes()
save_package(Path(sys.argv[2]), card, graph)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moved", range(3))
@pytest.mark.parametrize("replaced", [False, True])
def test_a_kill_leaves_no_package_but_a_whole_one(
    folder: Path, tmp_path: Path, moved: int, replaced: bool
) -> None:
    """After a kill, the folder has the old package, or a package that does not load."""
    target = tmp_path / "target"
    old = build_graph(gain=0.5)
    if replaced:
        save_package(target, make_card(old), old)
    command = [sys.executable, "-c", KILLED, str(folder), str(target), str(moved)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == -9, child.stderr
    if replaced and moved == 0:
        assert ModelPackage.load(target).card == make_card(old)
    else:
        with pytest.raises(BadModelPackage):
            ModelPackage.load(target)
    save_package(target, make_card(build_graph()), build_graph())  # the same command goes through
    assert ModelPackage.load(target).card == make_card(build_graph())


@pytest.mark.parametrize("replaced", [False, True])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, replaced: bool) -> None:
    target, graph = tmp_path / "target", build_graph()
    if replaced:
        save_package(target, make_card(graph), graph)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(graph) - 1, hard))
    try:
        with pytest.raises(StorageError, match=r"target.*cannot be written.*Make room"):
            save_package(target, make_card(graph, version="9.9"), graph)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.exists() == replaced
    if replaced:
        assert ModelPackage.load(target).card.version == "1.0"
        assert not list(target.glob("*.partial"))


def test_a_package_that_would_not_load_is_not_written(tmp_path: Path) -> None:
    graph = build_graph(classes=None)
    with pytest.raises(ContractMismatch):
        save_package(tmp_path / "target", make_card(graph), graph)
    assert not (tmp_path / "target").exists()


def test_a_place_that_holds_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    graph = build_graph()
    (tmp_path / "file").write_text("notes")
    with pytest.raises(ConfigError, match=r"a file has this name.*another name"):
        save_package(tmp_path / "file", make_card(graph), graph)
    (folder / "run.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"other files, such as run\.json"):
        save_package(folder, make_card(graph), graph)


def test_patients_are_stored_in_their_own_package_only(folder: Path, tmp_path: Path) -> None:
    graph = build_graph()
    taught, held_out = (patient_digests([("mine", name)]) for name in ("a", "b"))
    known = KnownPatients(taught, held_out, complete=False)
    assert read_patients(folder) is None
    save_package(folder, make_card(graph), graph, known)
    assert read_patients(folder) == known
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    assert read_patients(tmp_path / "p.zip") == known
    kept = (folder / "patients.json").read_text("utf-8")
    assert "mine" not in kept
    save_package(folder, make_card(graph), graph)
    assert read_patients(folder) is None
    other = build_graph(gain=0.5)
    save_package(folder, make_card(other), other)
    (folder / "patients.json").write_text(kept, "utf-8")
    with pytest.raises(BadModelPackage, match=r"patients\.json.*belongs to another package"):
        read_patients(folder)


@pytest.mark.parametrize("name", list_models())
def test_built_in_models_have_training_patients(name: str) -> None:
    known, card = read_patients(name), ModelPackage.load(name).card
    assert known is not None
    assert known.complete
    own = sum(dataset.patients or 0 for dataset in card.training.datasets)
    assert len(known.taught) >= own
    assert not known.taught & known.held_out
