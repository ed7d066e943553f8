"""What travels: request, frame, alert, rollup, dead letter: types and codecs."""
