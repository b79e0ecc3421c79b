"""Columns of a table as one Gaussian: standardised numbers, filling and fitting, smooth means."""
