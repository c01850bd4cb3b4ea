"""One folder per scene: anatomy, its variation, and how it is imaged."""
