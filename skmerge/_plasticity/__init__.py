"""What PlasticityPropagator is made of: flow learned from trajectories, steps, checks of records."""
