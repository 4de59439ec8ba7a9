"""Every scenario, in the order a session runs them."""

from benchmarks.scenarios.checkout import CHECKOUT
from benchmarks.scenarios.churn import HOLDS_CHURN
from benchmarks.scenarios.cluster_scale import CLUSTER_SCALE
from benchmarks.scenarios.conflict import HOT_CONFLICT
from benchmarks.scenarios.forward import FORWARD
from benchmarks.scenarios.holds import BOOKINGS, HOLDS_HOT, HOLDS_SPREAD
from benchmarks.scenarios.latency import LATENCY
from benchmarks.scenarios.lists import CATALOGUE
from benchmarks.scenarios.logins import LOGINS
from benchmarks.scenarios.outbox import OUTBOX
from benchmarks.scenarios.overload import OVERLOAD
from benchmarks.scenarios.pages import PAGES
from benchmarks.scenarios.pricing import PRICING
from benchmarks.scenarios.promo_rush import PROMO_RUSH
from benchmarks.scenarios.recommend import RECOMMEND
from benchmarks.scenarios.reports import REPORTS
from benchmarks.scenarios.residents import RESIDENTS_SCENARIO
from benchmarks.scenarios.retention import RETENTION
from benchmarks.scenarios.rolling_restart import ROLLING_RESTART
from benchmarks.scenarios.rush import RUSH
from benchmarks.scenarios.scan import SCAN
from benchmarks.scenarios.schedule import SCHEDULE
from benchmarks.scenarios.showtime_change import SHOWTIME_CHANGE
from benchmarks.scenarios.sockets import HOLDS_SOCKET
from benchmarks.scenarios.takeover import TAKEOVER
from benchmarks.scenarios.watchers import WATCHERS_SCENARIO

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        HOLDS_SPREAD,
        HOLDS_HOT,
        HOLDS_CHURN,
        BOOKINGS,
        CHECKOUT,
        HOLDS_SOCKET,
        HOT_CONFLICT,
        LATENCY,
        OVERLOAD,
        LOGINS,
        WATCHERS_SCENARIO,
        RESIDENTS_SCENARIO,
        RETENTION,
        CATALOGUE,
        CLUSTER_SCALE,
        FORWARD,
        SHOWTIME_CHANGE,
        TAKEOVER,
        ROLLING_RESTART,
        SCHEDULE,
        RECOMMEND,
        PRICING,
        PROMO_RUSH,
        RUSH,
        SCAN,
        PAGES,
        OUTBOX,
        REPORTS,
    )
}
