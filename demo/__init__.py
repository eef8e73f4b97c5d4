"""A real training job of a few ranks that breaks, and the way from its telemetry to a short answer."""
