"""What each command does, assembled from the rooms. Takes explicit parts; knows no configuration file."""
