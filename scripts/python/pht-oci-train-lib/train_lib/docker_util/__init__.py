"""Images: their files, and whether a train is its master image but for its own files."""

#: Seconds that a daemon has for an answer.
TIMEOUT = 60
