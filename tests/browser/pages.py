"""What may be wrong with a page, whatever it is about."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.support.server_process import ROOT

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"


def faults_of(page: Page) -> list[str]:
    """What axe finds, and whether it is too wide; the window must bypass the policy."""
    page.evaluate(AXE.read_text())
    result = page.evaluate("async () => await axe.run(document, { resultTypes: ['violations'] })")
    faults = [
        f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary']}"
        for one in result["violations"]
    ]
    too_wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    if too_wide > 0:
        faults.append(f"{too_wide} pixels wider than the screen")
    return faults
