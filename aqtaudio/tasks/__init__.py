"""What runs are trained to do: one room per task, and what they share."""
