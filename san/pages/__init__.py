"""Pages that open offline: what each of them holds; `assets` has their script and style."""
