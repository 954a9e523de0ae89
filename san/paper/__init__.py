"""The paper's experiments: trainings, classifiers, tables, figures, and the folder they end in."""
