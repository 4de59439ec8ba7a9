"""What seats cost, and why: pure, in whole minor units of the cinema's currency."""
