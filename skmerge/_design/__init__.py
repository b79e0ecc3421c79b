"""The parts of Designer: requests, models, feasible inputs, criterion, search."""
