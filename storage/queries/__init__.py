"""One file for each question that is asked of the store; answers are typed rows."""
