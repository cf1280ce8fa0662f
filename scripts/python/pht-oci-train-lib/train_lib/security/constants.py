"""Where things are in a train, and what its images are called."""

from enum import Enum


class TrainPaths(Enum):
    """Paths in the image."""

    IMMUTABLE_DIR = "/opt/pht_train"
    RESULT_DIR = "/opt/pht_results"
    CONFIG_PATH = "/opt/train_config.json"


class TrainTags(Enum):
    """Tags of a train's repository."""

    LATEST = "latest"
    BASE = "base"
    DECRYPTED = "decrypted"
