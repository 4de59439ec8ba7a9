"""Schedules that make themselves: plans for a cinema's coming days, made, reviewed and applied."""
