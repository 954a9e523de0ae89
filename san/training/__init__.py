"""How networks learn: settings, training, run folders, several processes."""
