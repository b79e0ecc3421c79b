"""What MergedNetRegressor is made of: search for a law, committee, formula."""
