"""Models side by side: figures against independent code, leaks refused, words that follow."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the extra mammolens[train]")

from sklearn.metrics import f1_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from typer.testing import CliRunner

from mammolens import DISCLAIMER, cli
from mammolens.bench.comparison import ComparisonSettings, compare
from mammolens.bench.comparison.candidates import Candidate
from mammolens.bench.comparison.leaderboard import compare_models
from mammolens.bench.comparison.leak_proof import prove_apart, read_sides
from mammolens.bench.units import TASKS
from mammolens.data.manifest import Manifest, Split
from mammolens.data.splits import split_digest
from mammolens.errors import ConfigError, ContractMismatch, InvalidManifest, PatientLeak
from mammolens.metrics import auc_difference
from mammolens.model import (
    KnownPatients,
    ModelCard,
    ModelPackage,
    patient_digests,
    save_package,
)
from mammolens.preprocess import PreprocessConfig

COLUMNS = ("dataset", "image_id", "patient_id", "laterality", "view", "path", "tumour")
COLUMNS += ("malignant", "split")


def draw(path, number, stripes):
    """A breast of noise; faint stripes are the texture that carries the label."""
    rng = np.random.default_rng(number)
    tissue = rng.normal(110, 12, (128, 96))
    if stripes:
        tissue[::4] += 30
    mask = cv2.ellipse(np.zeros((128, 96), np.uint8), (0, 64), (80, 55), 0, -90, 90, 1, -1)
    cv2.imwrite(str(path), (np.clip(tissue, 1, 255) * mask).astype(np.uint8))


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Seventy-two women of two sources, two views of a breast each; half are held out."""
    root = tmp_path_factory.mktemp("stripes")
    rows = []
    for woman in range(72):
        ill = woman // 2 % 2
        for view in ("CC", "MLO"):
            name = f"{woman}-{view}"
            draw(root / f"{name}.png", len(rows), ill)
            place = ("film", "digital")[woman % 2], name, woman, "L", view, f"{name}.png"
            side = "validation" if woman % 3 == 0 or woman >= 54 else "train"
            rows.append(dict(zip(COLUMNS, (*place, ill, ill, side), strict=True)))
    write(root / "table.csv", rows)
    return root, rows


@pytest.fixture
def settings(folder, package):
    root, _ = folder
    return ComparisonSettings(
        root / "table.csv",
        ("logistic", str(package)),
        features=("handcrafted",),
        folds=3,
        cache=root / "cache",
        draws=400,
    )


@pytest.fixture
def taught(package, tmp_path):
    """Give a function that writes the package as one that learned from a split of our sources."""

    def make(digest, where="taught", **training):
        card = ModelPackage.load(package).card.model_dump(mode="json")
        names = [{"name": name, "images": 9, "patients": 9} for name in ("film", "digital")]
        card["training"] |= {"datasets": names, "split_digest": digest, **training}
        target = tmp_path / where
        save_package(target, ModelCard.model_validate(card), (package / "model.onnx").read_bytes())
        return target

    return make


@pytest.fixture(scope="module")
def outcome(folder, package, tmp_path_factory):
    root, _ = folder
    out = tmp_path_factory.mktemp("outcome")
    said = []
    found = compare(
        ComparisonSettings(
            root / "table.csv",
            ("logistic", "tree", str(package)),
            features=("handcrafted",),
            folds=3,
            cache=root / "cache",
            draws=400,
        ),
        out,
        said.append,
    )
    with (out / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return found, rows, out, said


def scores(rows, model, dataset, label="label_malignant", score="malignancy"):
    chosen = [row for row in rows if (row["model"], row["dataset"]) == (model, dataset)]
    return (
        np.array([int(row[label]) for row in chosen]),
        np.array([float(row[score]) for row in chosen]),
        [row["patient_id"] for row in chosen],
    )


@pytest.mark.slow
def test_figures_are_those_of_the_predictions_written(outcome):
    found, rows, out, said = outcome
    document = json.loads((out / "compare.json").read_text("utf-8"))
    assert document == json.loads(json.dumps(found.document))
    assert document["schema"] == "mammolens.comparison/1"
    assert document["disclaimer"] == DISCLAIMER
    names = [model["name"] for model in document["models"]]
    assert names == ["brightness", "logistic (handcrafted)", "tree (handcrafted)"]
    assert (document["reference"], document["n_common"]) == ("brightness", 72)
    assert any("search 4 of 4" in line for line in said)
    for dataset, tasks in document["datasets"].items():
        image = tasks["malignancy"]["image"]
        for name in names:
            labels, values, _ = scores(rows, name, dataset)
            assert image["models"][name]["auc"]["value"] == pytest.approx(
                roc_auc_score(labels, values)
            )
            truth, tumour, _ = scores(rows, name, dataset, "label_tumour", "tumour")
            assert tasks["tumour"]["image"]["models"][name]["auc"]["value"] == pytest.approx(
                roc_auc_score(truth, tumour)
            )
            point = image["models"][name]["points"]["high"]
            called = values >= point["threshold"]
            assert point["f1"]["value"] == pytest.approx(f1_score(labels, called))
            assert point["confusion"]["false_positive"] == (called & (labels == 0)).sum()
        assert (image["n"], tasks["malignancy"]["breast"]["n"]) == (36, 18)


@pytest.mark.slow
def test_a_texture_is_found_and_brightness_is_not_enough(outcome):
    found, _, _, _ = outcome
    for tasks in found.document["datasets"].values():
        models = tasks["malignancy"]["image"]["models"]
        assert models["logistic (handcrafted)"]["auc"]["value"] > 0.9
        assert models["tree (handcrafted)"]["auc"]["value"] > 0.9


@pytest.mark.slow
def test_differences_and_tests_are_those_of_independent_code(outcome):
    found, rows, _, _ = outcome
    for dataset, tasks in found.document["datasets"].items():
        for one in tasks["malignancy"]["image"]["differences"]:
            labels, first, patients = scores(rows, "brightness", dataset)
            _, second, _ = scores(rows, one["model"], dataset)
            gap = auc_difference(labels, first, second, patients, draws=400)
            assert one["auc_difference"]["low"] == pytest.approx(gap.low)
            assert one["auc_difference"]["high"] == pytest.approx(gap.high)
            points = tasks["malignancy"]["image"]["models"]
            right = [
                (values >= points[name]["points"]["high"]["threshold"]) == labels
                for name, values in (("brightness", first), (one["model"], second))
            ]
            table = [[0, (right[0] & ~right[1]).sum()], [(~right[0] & right[1]).sum(), 0]]
            expected = mcnemar(table, exact=True).pvalue
            assert one["mcnemar"]["p_value"] == pytest.approx(min(1, expected))


def test_correction_is_holms_over_all_that_is_claimed():
    from mammolens.bench.comparison.figures import correct, draw_claims

    def difference(model, value, p, few=False):
        return {
            "model": model,
            "auc_difference": {"value": value, "low": value - 0.05, "high": value + 0.05},
            "p_value": p,
            "few": few,
            "mcnemar": {"p_value": p},
        }

    gaps = [difference("a", 0.2, 0.001), difference("b", 0.06, 0.03), difference("c", -0.2, 0.002)]
    leaderboard = {
        "x": {"malignancy": {"breast": {"differences": gaps}}},
        "y": {"malignancy": {"breast": {"differences": [difference("a", 0.4, 1e-9, few=True)]}}},
    }
    assert correct(leaderboard, "breast") == 3
    expected = multipletests([0.001, 0.03, 0.002], method="holm")[1]
    assert [one["p_value_holm"] for one in gaps] == pytest.approx(expected)
    assert correct(leaderboard, "breast", aside=["b"]) == 2
    assert [one.model for one in draw_claims(leaderboard, "net", "breast")] == ["a", "c", "a"]
    gaps[1]["p_value"] = None
    assert correct(leaderboard, "breast") == 3
    assert gaps[1]["p_value_holm"] is None
    assert gaps[0]["p_value_holm"] == pytest.approx(0.003)
    gaps[1]["p_value"] = 0.03
    correct(leaderboard, "breast")
    gaps[1]["p_value_holm"] = 0.06
    claims = draw_claims(leaderboard, "net", "breast")
    assert [one.verdict for one in claims] == ["holds", "not shown", "the reverse", "too few"]
    assert claims[0].words == (
        "net ranks breasts of x better than a: +0.200 (+0.150 to +0.250), holds after correction "
        "(p = 0.003)"
    )
    assert "not after correction" in claims[1].words
    assert "ranks breasts of x worse than c" in claims[2].words
    assert "too few cases" in claims[3].words


def test_few_women_are_few_however_many_pictures_they_have(make_cohort):
    def candidate(name, gain, women):
        seen = tuple(make_cohort(women=women, gain=gain))
        points = {"high": 0.5, "low": 0.2}
        return Candidate(name, "package", "", dict.fromkeys(TASKS, seen), points, "made", {})

    for women, few in ((27, True), (30, False)):  # a third are ill, with two pictures of it each
        both = [candidate("a", 2.0, women), candidate("b", 1.0, women)]
        judged = compare_models(both, "a", ("image",), draws=50)["made"]["malignancy"]["image"]
        assert judged["n_positive"] == 2 * women // 3
        assert judged["differences"][0]["few"] is few


@pytest.mark.slow
def test_words_and_figures_lie_beside_the_numbers(outcome):
    found, _, out, _ = outcome
    text = (out / "compare.md").read_text("utf-8")
    assert DISCLAIMER in text
    for claim in found.claims:
        assert claim.words[1:] in text
    assert "out-of-fold scores of 72 training images" in text
    assert "threshold for a specificity of 90 % of patients: " in text
    drawn = (out / "roc-film.svg").read_text("utf-8")
    area = found.document["datasets"]["film"]["malignancy"]["breast"]["models"]["brightness"]["auc"]
    assert f"{area['value']:.2f} ({area['low']:.2f}–{area['high']:.2f})" in drawn
    for name in ("roc-film", "roc-digital", "confusion-film"):
        assert cv2.imread(str(out / f"{name}.png")) is not None
        assert "<svg" in (out / f"{name}.svg").read_text("utf-8")
    assert {path.parent for path in found.files} == {out}
    assert all(path.is_file() for path in found.files)


@pytest.mark.slow
def test_a_comparison_has_a_report(outcome, tmp_path):
    pytest.importorskip("typst", reason="needs the extra mammolens[report]")
    from mammolens.bench.report import write_reports

    found, _, out, _ = outcome
    page, print_ = write_reports([out], tmp_path, False)
    text = page.read_text("utf-8")
    assert DISCLAIMER in text
    for model in found.document["models"]:
        assert model["name"] in text
    for claim in found.claims:
        assert claim.words[1:20] in text
    assert text.count("data:image/png;base64,") == 4
    assert "use pictures prepared by default" in text
    assert print_.read_bytes().startswith(b"%PDF")
    (tmp_path / "compare.json").write_text(json.dumps({"schema": "mammolens.comparison/1"}))
    with pytest.raises(InvalidManifest, match=r"lacks.*run the comparison again"):
        write_reports([tmp_path], None, False)
    (tmp_path / "compare.json").write_text('{"schema": "mammolens.comparison/9"}')
    with pytest.raises(InvalidManifest, match=r"compare\.json.*comparison/9"):
        write_reports([tmp_path], None, False)


@pytest.mark.slow
def test_a_second_run_trains_nothing_and_says_the_same(outcome, folder, package, tmp_path):
    found, _, _, _ = outcome
    said = []
    settings = ComparisonSettings(
        folder[0] / "table.csv",
        ("logistic", "tree", str(package)),
        features=("handcrafted",),
        folds=3,
        cache=folder[0] / "cache",
        draws=400,
    )
    again = compare(settings, tmp_path, said.append)
    assert {**again.document, "created": ""} == {**found.document, "created": ""}
    assert not [line for line in said if "search" in line or "image" in line]


@pytest.mark.slow
def test_a_package_that_learned_from_judged_women_is_refused(settings, folder, taught, tmp_path):
    root, rows = folder
    turned = {"train": "validation", "validation": "train"}
    swapped = write(root / "swapped.csv", [{**r, "split": turned[r["split"]]} for r in rows])
    learned = taught(split_digest(Manifest.read(swapped)))
    models = {"models": ("logistic", str(learned))}
    named = replace(settings, **models, proofs={"brightness": swapped}, trusted=("brightness",))
    with pytest.raises(PatientLeak, match=r"brightness learned from patients .*36 patients"):
        compare(named, tmp_path / "a")
    with pytest.raises(PatientLeak, match=r"nothing proves .* --proof brightness=RUN\.toml"):
        compare(replace(settings, **models), tmp_path / "b")
    with pytest.raises(InvalidManifest, match="not the one that brightness was trained with"):
        compare(
            replace(settings, **models, proofs={str(learned): root / "table.csv"}), tmp_path / "c"
        )
    trusted = compare(replace(settings, **models, trusted=("brightness",)), tmp_path / "d")
    assert trusted.document["models"][0]["proof"]["proven"] is False
    for text in (json.dumps(trusted.document), (tmp_path / "d" / "compare.md").read_text("utf-8")):
        assert "taken on trust" in text


def test_a_package_of_the_same_split_is_proven_and_says_what_was_chosen(folder, taught):
    sides = read_sides(folder[0] / "table.csv")
    judged = sides.manifest.select(split=Split.VALIDATION).records
    card = ModelPackage.load(taught(split_digest(sides.manifest))).card
    proof = prove_apart(card, judged, [sides])
    assert proof.proven
    assert proof.cautions[0].startswith("its pass, calibration and thresholds were chosen on 36 of")
    went_on = taught(split_digest(sides.manifest), "on", recipe="The trunk of an earlier run (x)")
    assert len(prove_apart(ModelPackage.load(went_on).card, judged, [sides]).cautions) == 2


def test_the_run_folder_around_a_package_proves_its_split(folder, taught, tmp_path):
    """A run of one source alone, whose held-out women are those of the compared table."""
    root, rows = folder
    film = write(root / "film.csv", [row for row in rows if row["dataset"] == "film"])
    run = f'name = "r"\n[data]\nmanifests = ["{film}"]\nofficial = true\n'
    (tmp_path / "run.toml").write_text(run)
    own = read_sides(tmp_path / "run.toml")
    learned = taught(split_digest(own.manifest), "run/package")
    judged = read_sides(root / "table.csv").manifest.select(split=Split.VALIDATION).records
    card = ModelPackage.load(learned).card
    with pytest.raises(PatientLeak, match="nothing proves"):
        prove_apart(card, judged, [], package=learned)
    config = {"name": "r", "data": {"manifests": [str(film)], "official": True}}
    (tmp_path / "run" / "run.json").write_text(json.dumps({"config": config}))
    assert prove_apart(card, judged, [], package=learned).proven
    assert prove_apart(card, judged, [], named=read_sides(tmp_path / "run.toml")).proven


def test_sources_that_show_the_same_women_are_no_others(folder, package):
    card = ModelPackage.load(package).card
    sides = read_sides(folder[0] / "table.csv")
    judged = sides.manifest.select(split=Split.VALIDATION).records
    assert "other data sets" in prove_apart(card, judged, []).words
    same = [replace(record, dataset="cbis_ddsm") for record in judged]
    names = card.training.model_copy(
        update={"datasets": (card.training.datasets[0].model_copy(update={"name": "ddsm"}),)}
    )
    with pytest.raises(PatientLeak):
        prove_apart(card.model_copy(update={"training": names}), same, [])


def known_package(package, target, taught, held_out=(), complete=True, names=("film", "digital")):
    """The package as one that names its patients, all of the data sets `names`."""
    card = ModelPackage.load(package).card.model_dump(mode="json")
    card["training"]["datasets"] = [{"name": name, "images": 9, "patients": 9} for name in names]
    known = KnownPatients(patient_digests(taught), patient_digests(held_out), complete)
    graph = (package / "model.onnx").read_bytes()
    save_package(target, ModelCard.model_validate(card), graph, known)
    return target


@pytest.mark.slow
def test_overlap_is_judged_by_patients(settings, folder, package, tmp_path):
    """No --trust is needed where the package names its patients and knows those of the table."""
    root, _ = folder
    records = read_sides(root / "table.csv").manifest.records
    side = {s: {r.patient for r in records if r.split is s} for s in Split}
    clean = known_package(package, tmp_path / "clean", side[Split.TRAIN])
    found = compare(replace(settings, models=(str(clean),)), tmp_path / "a")
    proof = found.document["models"][0]["proof"]
    assert proof == {
        "proven": True,
        "how": "none of the 36 training patients that its package names is judged",
    }
    judged = known_package(
        *(package, tmp_path / "chosen", side[Split.TRAIN], side[Split.VALIDATION], False)
    )
    found = compare(replace(settings, models=(str(judged),)), tmp_path / "b")
    notes = " ".join(found.document["notes"])
    assert "chosen on 36 of the 36 judged patients" in notes
    assert "whose training patients are unknown" in notes

    leaked = known_package(package, tmp_path / "leaked", [*side[Split.TRAIN], records[0].patient])
    for trusted in ((), ("brightness",)):
        with pytest.raises(
            PatientLeak, match=r"learned from 1 of the 36 judged patients.*without the column split"
        ):
            compare(replace(settings, models=(str(leaked),), trusted=trusted), tmp_path / "c")

    strange = known_package(package, tmp_path / "strange", [("film", "x"), ("digital", "y")])
    with pytest.raises(
        PatientLeak, match=r"none of the patients of digital, film has.*another name in the column"
    ):
        compare(replace(settings, models=(str(strange),)), tmp_path / "d")
    elsewhere = known_package(package, tmp_path / "e", [("x", "1")], names=("x",))
    assert compare(replace(settings, models=(str(elsewhere),)), tmp_path / "f").document


@pytest.mark.slow
def test_a_table_without_sides_is_cut_around_those_who_taught(settings, folder, package, tmp_path):
    root, rows = folder
    table = write(root / "bare.csv", [{**row, "split": ""} for row in rows])
    found = compare(replace(settings, table=table), tmp_path / "a")
    assert found.document["notes"][0] == (
        "the table states no sides: 16 of 72 patients are judged, drawn with seed 1"
    )
    everyone = {r.patient for r in Manifest.read(table).records}
    taught = {patient for patient in everyone if int(patient[1]) % 9}
    learned = known_package(package, tmp_path / "package", taught)
    models = ("logistic", str(learned))
    found = compare(replace(settings, table=table, models=models), tmp_path / "b")
    assert (
        "8 of 72 patients are judged; none of the 64 that a package learned from"
        in (found.document["notes"][0])
    )
    assert found.document["n_common"] == 16
    whole = known_package(package, tmp_path / "whole", everyone)
    with pytest.raises(PatientLeak, match="learned from all 72 patients"):
        compare(replace(settings, table=table, models=("logistic", str(whole))), tmp_path / "c")


@pytest.mark.slow
def test_classical_models_do_not_depend_on_the_packages_beside_them(
    settings, package, outcome, tmp_path
):
    """The same pictures, and so the same scores, whichever package takes part, and without any."""
    _, rows, out, _ = outcome
    card = ModelPackage.load(package).card.model_dump(mode="json")
    card["preprocess"] |= {"height": 160, "width": 128, "clahe_clip": 4.0}
    card["name"] = "other"
    other = tmp_path / "other"
    save_package(other, ModelCard.model_validate(card), (package / "model.onnx").read_bytes())
    told = [json.loads((out / "compare.json").read_text("utf-8"))]
    for name, models in (("alone", ("logistic",)), ("beside", ("logistic", str(other)))):
        found = compare(replace(settings, models=models), tmp_path / name)
        told.append(found.document)
        with (tmp_path / name / "predictions.csv").open(newline="", encoding="utf-8") as stream:
            again = list(csv.DictReader(stream))
        for dataset in ("film", "digital"):
            expected = scores(rows, "logistic (handcrafted)", dataset)
            assert (scores(again, "logistic (handcrafted)", dataset)[1] == expected[1]).all()
    for document in told:
        assert document["preprocess"] == PreprocessConfig().model_dump(mode="json")
        (note,) = [note for note in document["notes"] if "use pictures prepared by default" in note]
        assert "height 512, width 384" in note
        assert "independent of the packages" in note


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"models": ("svn",)}, ConfigError, r"'svn'.*Use 'svm'"),
        ({"models": ("mammolens-3",)}, ConfigError, r"Use 'mammolens-2'"),
        ({"models": ("svm", "svm")}, ConfigError, r"svm is named twice"),
        ({"models": ()}, ConfigError, r"no models were given"),
        ({"features": ("handmade",)}, ConfigError, r"Use 'handcrafted'"),
        ({"split": "test"}, InvalidManifest, r"no row belongs to the split 'test'.*--split all"),
        ({"split": "train"}, ConfigError, r"'train' is not a side on which models can be judged"),
        ({"split": "all"}, InvalidManifest, r"there are no training rows for logistic"),
        ({"reference": "nobody"}, ConfigError, r"compared model 'nobody'.*brightness"),
        ({"trusted": ("nobody",)}, ConfigError, r"compared package 'nobody'"),
        ({"folds": 40}, InvalidManifest, r"too few for 40 folds"),
    ],
)
def test_bad_input_is_refused_by_name(settings, tmp_path, change, error, words):
    with pytest.raises(error, match=words):
        compare(replace(settings, **change), tmp_path)


@pytest.mark.slow
def test_packages_alone_may_be_judged_on_every_row(settings, package, tmp_path):
    found = compare(replace(settings, models=(str(package),), split="all"), tmp_path)
    assert found.document["n_common"] == 144
    assert found.claims == ()


@pytest.mark.slow
def test_a_side_of_one_class_is_refused_and_a_source_of_one_is_named(settings, folder, tmp_path):
    root, rows = folder
    healthy = [r for r in rows if r["split"] == "train" or not r["malignant"]]
    table = write(root / "healthy.csv", healthy)
    with pytest.raises(InvalidManifest, match=r"no data set has both .*all \d+ labels are neg"):
        compare(replace(settings, table=table), tmp_path)
    half = [r for r in healthy if r["dataset"] == "film"]
    half += [r for r in rows if r["dataset"] == "digital"]
    found = compare(replace(settings, table=write(root / "half.csv", half)), tmp_path)
    film = found.document["datasets"]["film"]["malignancy"]["breast"]
    assert film["models"] == {}
    assert "negative" in film["note"]


@pytest.mark.slow
def test_an_image_that_one_model_cannot_score_counts_for_none(settings, folder, tmp_path):
    root, rows = folder
    gone = [{**r, "path": "gone.png"} if r["image_id"] == "0-CC" else r for r in rows]
    table = write(root / "gone.csv", gone)
    found = compare(replace(settings, table=table, cache=tmp_path / "cache"), tmp_path)
    assert found.document["n_common"] == 71
    assert [model["n_unscored"] for model in found.document["models"]] == [1, 1]
    assert "left out for all" in found.document["notes"][0]


@pytest.mark.slow
def test_models_of_lesions_are_not_compared_with_breasts(
    settings, package, make_lesion_package, tmp_path
):
    models = ("logistic", str(package), str(make_lesion_package()))
    with pytest.raises(ContractMismatch, match="reads a lesion"):
        compare(replace(settings, models=models, trusted=("brightness",)), tmp_path)


@pytest.mark.slow
def test_the_command_compares(folder, package, tmp_path):
    pytest.importorskip("torch", reason="needs the extra mammolens[train]")
    arguments = ["compare", str(folder[0] / "table.csv"), "--models", f"tree,{package}"]
    arguments += ["--features", "handcrafted", "--folds", "3", "--out", str(tmp_path / "out")]
    arguments += ["--cache", str(folder[0] / "cache")]
    done = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "tree (handcrafted)" in done.stdout
    assert "comparing 2 models" in done.stderr
    assert (tmp_path / "out" / "compare.md").is_file()
    assert Path(tmp_path / "out" / "roc-film.svg").is_file()
    wrong = CliRunner().invoke(cli.app, [*arguments, "--proof", "nothing"])
    assert wrong.exit_code == 2
