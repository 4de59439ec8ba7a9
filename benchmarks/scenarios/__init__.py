"""What is measured, one module a scenario; `catalogue.SCENARIOS` lists them."""
