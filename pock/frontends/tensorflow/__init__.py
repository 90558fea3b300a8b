"""The TensorFlow importer; needs tensorflow, which nothing else of pock does."""

from pock.frontends.imported import Imported
from pock.frontends.tensorflow.importer import import_tensorflow

__all__ = ["Imported", "import_tensorflow"]
