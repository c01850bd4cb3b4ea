"""One module a study: its methods, its list of trials, and the training of one trial."""
