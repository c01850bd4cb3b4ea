"""Studies as lists of trials: plan, run, keep, redraw; and the notebooks that show them."""
