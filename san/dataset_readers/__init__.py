"""Where the named data sets come from: one room for each kind, and the download."""
