"""The parts of PlasticityPropagator: flow learned from trajectories, steps, checks of records."""
