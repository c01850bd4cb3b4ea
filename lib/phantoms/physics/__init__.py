"""How pictures arise: X-rays, MR signals, noise, artefacts."""
