"""Runs and the front ends of devices: how two differ, and models that follow a change."""
