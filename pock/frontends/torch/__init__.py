"""The PyTorch importer; needs torch, which nothing else of pock does."""

from pock.frontends.imported import Imported
from pock.frontends.torch.importer import import_torch

__all__ = ["Imported", "import_torch"]
