"""What MergedNetImputer is made of: laws, sources, second stage."""
