"""Many runs: search space, run store, local engine, Pareto fronts, report."""
