"""The public API. Names are imported when they are first used, so that importing raynb costs nothing."""
