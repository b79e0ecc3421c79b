"""What GradientForestRegressor is made of: trees, how they are grown and weighed."""
