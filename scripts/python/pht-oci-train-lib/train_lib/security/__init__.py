"""The security protocol: before and after a train's run."""
