"""The verbs of ``mimtpy``, each a thin call of the library."""
