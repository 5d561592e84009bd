"""Ways to explain a model, measured side by side on marked lesions: `mammolens explain`."""
