"""One file for each question that is asked over HTTP."""
