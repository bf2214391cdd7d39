"""RELAX: write runs over a table of parameters, read what they give."""
