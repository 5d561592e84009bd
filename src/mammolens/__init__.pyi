from typing import Final

from mammolens import errors as errors
from mammolens.api import Mammogram as Mammogram
from mammolens.api import Manifest as Manifest
from mammolens.api import ModelPackage as ModelPackage
from mammolens.api import Prediction as Prediction
from mammolens.api import PreparedView as PreparedView
from mammolens.api import TriageCategory as TriageCategory
from mammolens.api import analyze as analyze
from mammolens.api import evaluate as evaluate
from mammolens.api import iter_analyze as iter_analyze
from mammolens.api import load_model as load_model
from mammolens.api import prepare as prepare
from mammolens.api import read as read
from mammolens.api import sample_exams as sample_exams
from mammolens.api import to_frame as to_frame

DISCLAIMER: Final[str]
__version__: Final[str]
