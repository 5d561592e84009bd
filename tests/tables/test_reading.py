"""Tables of people and programs are read correctly, or refused with file, line and remedy."""

from __future__ import annotations

import random

import pytest

from mammolens.errors import InvalidManifest
from mammolens.tables import has_columns, read_lines, read_table

HEAD = "site,patient_id,image_id,side,age,cancer,note"
ROWS = [f"1,{100 + n // 2},{9000 + n},{'LR'[n % 2]},6{n}.5,{n % 3 % 2},n{n}" for n in range(8)]
TRUTH = {(str(100 + n // 2), str(9000 + n)): (bool(n % 3 % 2), 60.5 + n) for n in range(8)}
NEEDED, OPTIONAL = ("patient_id", "image_id", "cancer"), ("side", "age")


def write(tmp_path, text, encoding="utf-8", name="t.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return path


def read(path, needed=NEEDED, optional=OPTIONAL):
    table = read_table(path, needed, optional)
    table.refuse_repeats("patient_id", "image_id")
    return {
        (r.identifier("patient_id"), r.identifier("image_id")): (r.flag("cancer"), r.age("age"))
        for r in table.rows
    }


def lines(*rows, head=HEAD, end="\n"):
    return end.join([head, *rows]) + end


def swapped(delimiter, *, comma=False):
    text = lines(*ROWS).replace(",", delimiter)
    return text.replace(".5", ",5") if comma else text


GOOD = {
    "plain": lines(*ROWS),
    "crlf": lines(*ROWS, end="\r\n"),
    "cr only": lines(*ROWS, end="\r"),
    "doubled line ends": lines(*ROWS, end="\r\r\n"),
    "no last line end": lines(*ROWS).rstrip(),
    "end of file mark of DOS": lines(*ROWS) + "\x1a",
    "semicolons": swapped(";"),
    "semicolons and decimal commas": swapped(";", comma=True),
    "tabs": swapped("\t"),
    "tabs and decimal commas": swapped("\t", comma=True),
    "bars": swapped("|"),
    "sep line": "sep=,\n" + lines(*ROWS),
    "sep line of semicolons": '"sep=;"\r\n' + swapped(";"),
    "sep line that is wrong": "sep=,\n" + swapped(";"),
    "upper case and spaces": lines(*ROWS, head=", ".join(HEAD.upper().split(","))),
    "other punctuation": lines(
        *ROWS, head=HEAD.replace("patient_id", "Patient ID").replace("image_id", "image-id")
    ),
    "quoted": lines(*(",".join(f'"{c}"' for c in r.split(",")) for r in ROWS)),
    "quotes after spaces": lines(*(", ".join(f'"{c}"' for c in r.split(",")) for r in ROWS)),
    "quoted decimal commas": lines(
        *(",".join(f'"{c.replace(".", ",")}"' for c in r.split(",")) for r in ROWS)
    ),
    "index column": lines(*(f"{n},{r}" for n, r in enumerate(ROWS)), head="," + HEAD),
    "named index": lines(*(f"{n},{r}" for n, r in enumerate(ROWS)), head="Unnamed: 0," + HEAD),
    "trailing commas": lines(*(r + "," for r in ROWS), head=HEAD + ","),
    "empty rows": lines(*ROWS, *([",,,,,,"] * 50), "", "   ", ",", ",,,,,,,,,,,,"),
    "title above": "Export of 3 May 2024\n\n" + lines(*ROWS),
    "title cells above": "Export,,,,,,\nPatients,,,Images,,,\n" + lines(*ROWS),
    "comments": lines(ROWS[0], "# from here on read twice", *ROWS[1:], "#"),
    "comment above": "# made by a program, version 2\n" + lines(*ROWS),
    "marked header": "#" + lines(*ROWS),
    "joined files": lines(*ROWS[:4]) + "\ufeff" + lines(*ROWS[4:]),
    "no-break spaces": lines(*(r.replace(",", "\u00a0,\u00a0") for r in ROWS)),
    "invisible marks": lines(*(r.replace(",", "\u200b,\u200e") for r in ROWS)),
    "shielded from Excel": lines(
        *(",".join([a, f'="{b}"', *c]) for r in ROWS for a, b, *c in [r.split(",")])
    ),
    "shielded and quoted": lines(
        *(",".join([a, f'"=""{b}"""', *c]) for r in ROWS for a, b, *c in [r.split(",")])
    ),
    "identifiers as floats": lines(
        *(",".join([a, f"{b}.0", f"{c}.00", *d]) for r in ROWS for a, b, c, *d in [r.split(",")])
    ),
    "line break in a text": lines(*(r.replace(",n", ',"n\n, ') + '"' for r in ROWS)),
    "inch in a text": lines(*(r + ' 5"' for r in ROWS)),
    "words": lines(*(r.replace(",1,n", ",TRUE,n").replace(",0,n", ",no,n") for r in ROWS)),
    "floats": lines(*(r.replace(",1,n", ",1.0,n").replace(",0,n", ',"0,0",n') for r in ROWS)),
    "accents in other columns": lines(*(r + "é" for r in ROWS)),
}


@pytest.mark.parametrize("name", GOOD)
def test_usual_variants_of_a_table_give_the_same_rows(tmp_path, name):
    assert read(write(tmp_path, GOOD[name])) == TRUTH


@pytest.mark.parametrize(
    "encoding",
    ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "cp1251"],
)
def test_every_usual_encoding_is_found(tmp_path, encoding):
    text = lines(*(r + ("ж" if encoding == "cp1251" else "é") for r in ROWS))
    assert read(write(tmp_path, text, encoding)) == TRUTH


BAD = {
    "decimal comma": (lines(*(r.replace(".5", ",5") for r in ROWS)), r"line 2 has 8 cells.*61,0"),
    "decimal comma and trailing commas": (
        lines(*(r.replace(".5", ",5").replace(",n", ",") for r in ROWS)),
        "line 2 has 8 cells",
    ),
    "header with one more": (
        lines(*(r.replace(".5", ",5") for r in ROWS), head=HEAD + ","),
        "line 2 has 8 cells.*last column",
    ),
    "trailing commas of rows alone": (lines(*(r + "," for r in ROWS)), "line 2 has 8 cells"),
    "row names of R": (lines(*(f"{n},{r}" for n, r in enumerate(ROWS))), "line 2 has 8 cells"),
    "short": (lines(*ROWS[:3], ROWS[3][:12], *ROWS[4:]), "line 5 has 4 cells.*empty"),
    "one cell lost": (lines(ROWS[0], ROWS[1].replace(",L", "").replace(",R", "")), "line 3 has 6"),
    "mixed delimiters": (lines(ROWS[0], ROWS[1].replace(",", ";")), "line 3 has 1 cells"),
    "two columns of one name": (
        lines(*(r + ",0" for r in ROWS), head=HEAD + ",Cancer"),
        "line 1 names the column cancer twice",
    ),
    "a copy by pandas": (
        lines(*(r + ",0" for r in ROWS), head=HEAD + ",cancer.1"),
        "line 1 names the column cancer twice",
    ),
    "two optional columns of one name": (
        lines(*(r + ",0" for r in ROWS), head=HEAD + ", AGE"),
        "names the column age twice",
    ),
    "missing": (lines(*ROWS, head=HEAD.replace("cancer", "x")), "columns are missing: cancer"),
    "misspelt": (
        lines(*ROWS, head=HEAD.replace("cancer", "cancre")),
        r"cancer \(is 'cancre' meant\?\)",
    ),
    "misspelt and optional": (
        lines(*ROWS, head=HEAD.replace(",age", ",agee")),
        "'agee', which is not known; age is the nearest",
    ),
    "merged by pandas": (
        lines(*(r + ",0" for r in ROWS), head=HEAD.replace("cancer", "cancer_x") + ",cancer_y"),
        "columns are missing: cancer .is 'cancer_x' meant",
    ),
    "two header lines": (lines("", ",,a,b,,,", *ROWS).replace(HEAD, "x,,,,,,"), "are missing"),
    "units below the header": (lines(",,,,years,0/1,", *ROWS), r"line 2 says '' \[patient_id\]"),
    "another header below": (
        lines(*ROWS, "site,image_id,patient_id,side,age,cancer,note"),
        "line 10 is a second header",
    ),
    "open quote": (lines(ROWS[0].replace("L", '"L'), *ROWS[1:]), "begins in line 2 opens a quote"),
    "open quote further down": (
        lines(*ROWS[:4], ROWS[4].replace("L", '"L'), *ROWS[5:]),
        "begins in line 6 opens a quote",
    ),
    "two open quotes": (
        lines('1,100,9000,"L,60.5,0,n0', '1,100,9001,R",61.5,1,n1', *ROWS[2:]),
        "begins in line 2 opens a quote",
    ),
    "open quote that takes the label of another row": (
        lines('1,100,9000,L,60.5,0,"n0', '1,100,9001,R,61.5,1,n1"', *ROWS[2:]),
        "begins in line 2 opens a quote",
    ),
    "escaped quote": (lines(ROWS[0].replace("n0", '"a 5\\" mass"'), *ROWS[1:]), "line 2 opens a"),
    "NUL bytes": (lines(*ROWS[:3], "\0" * 40, *ROWS[3:]), "line 5 has NUL bytes"),
    "cut UTF-16": (lines(*ROWS).encode("utf-16")[:-1], "damaged at byte"),
    "scientific": (lines(ROWS[0].replace("9000", "9.0E+03")), "line 2 says '9.0E.03'.*digits were"),
    "thousands": (lines(ROWS[0].replace("9000", '"9,000"')), "line 2 says '9,000'.*separators"),
    "letters lost": (lines(ROWS[0].replace("9000", "M\ufffdller")), "line 2 .*letters"),
    "guessed letters": (lines(ROWS[0].replace("9000", "Müller")).encode("cp1252"), "line 2.*UTF-8"),
    "unknown patient": (lines(ROWS[0], ROWS[1].replace(",100,", ",nan,")), r"line 3 says 'nan'"),
    "unknown word": (lines(ROWS[0], ROWS[1].replace(",1,n", ",maybe,n")), r"line 3 says 'maybe'"),
    "a label that is a number": (lines(ROWS[0].replace(",0,n", ",2,n")), r"'2' \[cancer\]"),
    "a label that is a fraction": (lines(ROWS[0].replace(",0,n", ",0.4,n")), r"'0.4' \[cancer\]"),
    "error of a spreadsheet": (lines(ROWS[0].replace(",0,n", ",#REF!,n")), "'#REF!'"),
    "a year for an age": (lines(ROWS[0].replace("60.5", "1961")), r"'1961' \[age\].*years"),
    "thousands or decimals": (lines(ROWS[0].replace("60.5", '"1,234"')), r"'1,234' \[age\]"),
    "twice": (lines(*ROWS, ROWS[2]), "100.*|101/9002 is there twice, in line 4 and line 10"),
    "twice with other labels": (
        lines(*ROWS, ROWS[2].replace(",0,n", ",1,n")),
        "101/9002 is there twice, in line 4 and line 10; they contradict each other in cancer",
    ),
    "twice, once as a float": (lines(*ROWS, ROWS[2].replace("9002", "9002.0")), "is there twice"),
    "a row behind a mark": (lines(ROWS[0], "#" + ROWS[1]), "line 3 begins with '#'"),
    "empty": ("", "the table is empty"),
    "nothing but blank lines": ("\n\n  \n", "the table is empty"),
    "a web page": ("<html><body><table><tr><td>x</td></tr></table>", "columns are missing"),
}


@pytest.mark.parametrize("name", BAD)
def test_faulty_tables_are_refused_with_the_line(tmp_path, name):
    text, words = BAD[name]
    path = write(tmp_path, text)
    with pytest.raises(InvalidManifest, match=words) as refused:
        read(path)
    assert refused.value.source == str(path)
    assert refused.value.remedy


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "nothing.csv", tmp_path):
        with pytest.raises(InvalidManifest, match="cannot be read") as refused:
            read(path)
        assert refused.value.source == str(path)


@pytest.mark.parametrize("word", ["", "NA", "nan", "None", "-", "<NA>", "null", "?", "n/a", "#N/A"])
def test_an_unknown_label_is_neither_yes_nor_no(tmp_path, word):
    text = lines(*(r.replace(",0,n", f",{word},n") for r in ROWS))
    found = read(write(tmp_path, text))
    assert {k: (v or None, age) for k, (v, age) in TRUTH.items()} == found


def test_a_typing_error_never_changes_a_label(tmp_path):
    """Any one character more or less in a table: the labels stay, or the table is refused."""
    rng = random.Random(7)
    text = lines(*ROWS)
    refused = 0
    for number in range(800):
        place = rng.randrange(len(text))
        mark = rng.choice([",", '"', "\n", ";", "\t", "\r", "#", "\0", ""])
        keep = rng.randrange(2) if mark else 1
        path = write(tmp_path, text[:place] + mark + text[place + keep :], name=f"{number % 9}.csv")
        try:
            found = read(path)
        except InvalidManifest:
            refused += 1
            continue
        for key, said in found.items():
            if key in TRUTH and said[0] is not None:
                assert said[0] == TRUTH[key][0], (place, mark)
        assert len(found) >= len(TRUTH) - 1 or mark == "#"
    assert refused > 250


def test_has_columns_does_not_read_rows(tmp_path):
    path = write(tmp_path, lines("1,2"))
    assert has_columns(path, ("image_id", "cancer"))
    assert not has_columns(path, ("image_id", "laterality"))
    assert not has_columns(tmp_path / "nothing.csv", ("image_id",))


def test_line_ends_of_every_system_are_read(tmp_path):
    assert read_lines(write(tmp_path, "a\r\nb\rc\n", "utf-16")) == ["a", "b", "c", ""]
