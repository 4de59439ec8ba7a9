"""The pure part of scheduling: the problem, what a schedule is worth, and two ways to make one."""
