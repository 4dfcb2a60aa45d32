"""What the replicas of a group differ in: how it is found, judged, kept and shown."""
