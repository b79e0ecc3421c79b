"""What Designer is made of: requests, feasible inputs, models, criterion."""
