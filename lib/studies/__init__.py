"""One package per study: its profiles, methods, trials, training, evidence and figures."""
