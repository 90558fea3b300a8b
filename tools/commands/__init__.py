"""One module for each command of `pock`, imported when the command runs."""
