"""Words in continuous audio: posteriors of blocks to detections, test scenes, and their figures."""
