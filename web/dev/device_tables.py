"""Tables of mammolens that the page needs.

`src/analysis/tables.json` is for the analysis on the device: words, codes, tags, names of UIDs.
`tests/golden/reasons.json` has every doubt, caution and refusal that the page must have words for.

python web/dev/device_tables.py            # writes both
python web/dev/device_tables.py --check    # fails if one is not what this version would write
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_VR, tag_for_keyword
from reason_forms import reason_forms

from mammolens.exams import STANDARD_VIEWS
from mammolens.images import vocabulary
from mammolens.images.dicom import attributes, partial_views, subject, views
from mammolens.images.vocabulary import Topic

WEB = Path(__file__).parents[1]
INNER = """
CodeValue LongCodeValue URNCodeValue CodingSchemeDesignator CodeMeaning ReferencedSOPInstanceUID
LUTDescriptor LUTData AnatomicRegionModifierSequence PrimaryAnatomicStructureModifierSequence
"""


def main() -> None:
    texts = {
        WEB / "src" / "analysis" / "tables.json": json.dumps(
            tables(), ensure_ascii=False, sort_keys=True
        ),
        WEB / "tests" / "golden" / "reasons.json": json.dumps(
            reason_forms(), ensure_ascii=False, indent=1
        ),
    }
    for path, text in texts.items():
        if "--check" not in sys.argv:
            path.write_text(text + "\n", encoding="utf-8")
        elif path.read_text(encoding="utf-8") != text + "\n":
            raise SystemExit(f"{path.name} is not current: run python web/dev/device_tables.py")


def tables() -> dict[str, Any]:
    """Give all tables as JSON values."""
    keywords = sorted({*attributes.READ, *INNER.split()})
    return {
        "tags": {word: [int(tag_for_keyword(word) or 0), dictionary_VR(word)] for word in keywords},
        "read": sorted(attributes.READ),
        "identifying": sorted(attributes.IDENTIFYING),
        "longTexts": sorted(attributes.LONG_TEXTS),
        "uids": {
            uid: facts[0]
            for uid, facts in UID_dictionary.items()
            if facts[1] in ("Transfer Syntax", "SOP Class") and facts[0]
        },
        "topics": {topic.name: topic.value for topic in Topic},
        "topicWords": [[topic.value, words] for topic, words in vocabulary.TOPICS.items()],
        "viewWords": [[view.value, words] for view, words in vocabulary.VIEWS.items()],
        "sideWords": [[side.value, words] for side, words in vocabulary.SIDES.items()],
        "bothSides": vocabulary.BOTH_SIDES,
        "ordinary": vocabulary.ORDINARY,
        "negations": list(vocabulary.NEGATIONS),
        "refusedParts": sorted(vocabulary.REFUSED_PARTS),
        "doubtedParts": sorted(vocabulary.DOUBTED_PARTS),
        "viewTopics": sorted(vocabulary.VIEW_TOPICS),
        "viewCodes": {code: view.value for code, view in views.VIEW_CODES.items()},
        "sideCodes": {code: side.value for code, side in views._SIDE_CODES.items()},
        "modifierCodes": {code: topic.value for code, topic in partial_views._CODES.items()},
        "specimens": sorted(subject._SPECIMENS),
        "phantoms": sorted(subject._PHANTOMS),
        "standardViews": [[side.value, view.value] for side, view in STANDARD_VIEWS],
    }


if __name__ == "__main__":
    main()
